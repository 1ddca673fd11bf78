print("not ok python/unwritten: no scenarios yet")
