"""Key-value buckets as the library makes them of streams."""

import asyncio

from nats.js.api import KeyValueConfig, RePublish
from nats.js.errors import (BucketNotFoundError, InvalidBucketNameError, InvalidKeyError, KeyNotFoundError, KeyWrongLastSequenceError,
                            NoKeysError)

from kit import scenario


async def initial(watcher):
    """What a watcher tells until it says that it has told what there was."""
    found = []
    while (entry := await watcher.updates(5)) is not None:
        found.append((entry.key, entry.value, entry.operation))
    return found


@scenario
async def intro(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="profiles")
    t.equal("put", await kv.put("sue.color", b"blue"), 1)
    entry = await kv.get("sue.color")
    t.equal("get", (entry.key, entry.value, entry.revision), ("sue.color", b"blue", 1))
    t.equal("put_again", await kv.put("sue.color", b"green"), 2)
    await t.raises("update_of_an_old_revision", KeyWrongLastSequenceError, kv.update("sue.color", b"red", last=1))
    t.equal("update_of_the_last", await kv.update("sue.color", b"red", last=2), 3)
    info = await js.stream_info("KV_profiles")
    t.equal("is_a_stream", (info.config.name, info.config.subjects), ("KV_profiles", ["$KV.profiles.>"]))
    config = info.config
    t.equal("made_in_this_way", (config.max_msgs_per_subject, config.discard, config.deny_delete, config.deny_purge,
                                 config.allow_rollup_hdrs, config.duplicate_window), (1, "new", True, False, True, 120))
    sub = await js.subscribe("$KV.profiles.>", ordered_consumer=True)
    msg = await sub.next_msg(5)
    t.equal("that_can_be_read_as_one", (msg.subject, msg.data, msg.metadata.sequence.stream), ("$KV.profiles.sue.color", b"red", 3))
    await kv.delete("sue.color")
    msg = await sub.next_msg(5)
    t.equal("a_delete_is_a_message", (msg.data, msg.headers), (b"", {"KV-Operation": "DEL"}))
    await t.raises("deleted_is_not_found", KeyNotFoundError, kv.get("sue.color"))
    watcher = await kv.watch("sue.*")
    t.equal("watch_tells_the_deletion", await initial(watcher), [("sue.color", b"", "DEL")])
    await kv.put("sue.color", b"purple")
    entry = await watcher.updates(5)
    t.equal("watch_tells_what_is_new", (entry.key, entry.value, entry.revision), ("sue.color", b"purple", 5))
    await kv.put("sue.food", b"pizza")
    entry = await watcher.updates(5)
    t.equal("watch_tells_other_keys", (entry.key, entry.value, entry.revision), ("sue.food", b"pizza", 6))
    await watcher.stop()


@scenario
async def create_and_update(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVCAS", history=5)
    t.equal("create", await kv.create("a", b"1"), 1)
    await t.raises("create_again", KeyWrongLastSequenceError, kv.create("a", b"2"))
    await kv.delete("a")
    t.equal("create_after_delete", await kv.create("a", b"3"), 3)
    await kv.purge("a")
    t.equal("create_after_purge", await kv.create("a", b"4"), 5)
    error = await t.raises("update_of_an_old_revision", KeyWrongLastSequenceError, kv.update("a", b"5", last=3))
    t.true("says_the_last", "wrong last sequence: 5" in str(error.description), error.description)
    t.equal("update", await kv.update("a", b"5", last=5), 6)
    t.equal("update_of_none", await kv.update("b", b"1", last=0), 7)
    await t.api_error("delete_of_an_old_revision", 10071, kv.delete("a", last=5))
    await kv.delete("a", last=6)
    await t.raises("is_gone", KeyNotFoundError, kv.get("a"))
    attempts = await asyncio.gather(*(kv.create("race", str(number).encode()) for number in range(10)), return_exceptions=True)
    t.equal("one_of_many_wins", sorted(type(outcome).__name__ for outcome in attempts), ["KeyWrongLastSequenceError"] * 9 + ["int"])


@scenario
async def history(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVHIST", history=3)
    for value in (b"1", b"2", b"3", b"4"):
        await kv.put("a", value)
    await kv.put("b", b"x")
    t.equal("the_last_few", [(entry.value, entry.revision) for entry in await kv.history("a")], [(b"2", 2), (b"3", 3), (b"4", 4)])
    await kv.delete("a")
    t.equal("a_deletion_is_history", [(entry.value, entry.operation) for entry in await kv.history("a")],
            [(b"3", None), (b"4", None), (b"", "DEL")])
    t.equal("by_revision", (await kv.get("a", revision=4)).value, b"4")
    await t.raises("a_forgotten_revision", KeyNotFoundError, kv.get("a", revision=1))
    await t.raises("a_revision_of_another_key", KeyNotFoundError, kv.get("a", revision=5))
    await kv.purge("a")
    t.equal("a_purge_ends_history", [entry.operation for entry in await kv.history("a")], ["PURGE"])
    await t.raises("none", NoKeysError, kv.history("nobody"))


@scenario
async def keys(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVKEYS")
    await t.raises("none_at_first", NoKeysError, kv.keys())
    for key in ("a", "b.c", "b.d", "e/f=_-"):
        await kv.put(key, b"x")
    await kv.delete("b.c")
    t.equal("without_the_deleted", sorted(await kv.keys()), ["a", "b.d", "e/f=_-"])
    t.equal("filtered", await kv.keys(filters=["b."]), ["b.d"])


@scenario
async def watch(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVWATCH", history=4)
    empty = await kv.watchall()
    t.equal("nothing_at_first", await initial(empty), [])
    await kv.put("a", b"1")
    await kv.put("a", b"2")
    await kv.put("b.x", b"3")
    await kv.delete("b.x")
    seen = [await empty.updates(5) for _ in range(4)]
    t.equal("everything_as_it_comes", [(entry.key, entry.operation) for entry in seen],
            [("a", None), ("a", None), ("b.x", None), ("b.x", "DEL")])
    t.equal("the_last_of_each", await initial(await kv.watchall()), [("a", b"2", None), ("b.x", b"", "DEL")])
    t.equal("with_history", await initial(await kv.watchall(include_history=True)),
            [("a", b"1", None), ("a", b"2", None), ("b.x", b"3", None), ("b.x", b"", "DEL")])
    t.equal("without_deletions", await initial(await kv.watchall(ignore_deletes=True)), [("a", b"2", None)])
    t.equal("without_values", await initial(await kv.watchall(meta_only=True)), [("a", b"", None), ("b.x", b"", "DEL")])
    t.equal("some_keys", await initial(await kv.watch("b.*")), [("b.x", b"", "DEL")])
    t.equal("one_key", await initial(await kv.watch("a")), [("a", b"2", None)])


@scenario
async def purge_deletes(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVPURGE", history=3)
    for key in "ab":
        await kv.put(key, b"1")
        await kv.put(key, b"2")
    await kv.delete("a")
    await kv.purge_deletes()
    t.equal("keeps_young_markers", (await js.stream_info("KV_KVPURGE", subjects_filter=">")).state.subjects,
            {"$KV.KVPURGE.a": 1, "$KV.KVPURGE.b": 2})
    await kv.purge_deletes(olderthan=-1)
    t.equal("or_none", (await js.stream_info("KV_KVPURGE", subjects_filter=">")).state.subjects, {"$KV.KVPURGE.b": 2})


@scenario
async def time_to_live(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVTTL", ttl=0.5)
    await kv.put("a", b"1")
    t.equal("is_there", (await kv.get("a")).value, b"1")

    async def gone(bucket, key):
        try:
            await bucket.get(key)
        except KeyNotFoundError:
            return True
        return False

    await t.until_asked("it goes", lambda: gone(kv, "a"))
    t.equal("status_tells_it", (await kv.status()).ttl, 0.5)
    marked = await js.create_key_value(bucket="KVMARK", limit_marker_ttl=60)
    t.equal("marker_ttl", (await marked.status()).marker_ttl, 60)
    watcher = await marked.watchall()
    await initial(watcher)
    await marked.create("short", b"1", msg_ttl=1)
    await marked.put("long", b"2")
    seen = [await watcher.updates(5) for _ in range(3)]
    t.equal("a_key_may_have_its_own", [(entry.key, entry.operation) for entry in seen],
            [("short", None), ("long", None), ("short", "PURGE")])
    t.true("it_has_no_value", not (await marked.get("short")).value)  # the library does not take a marker for a deletion here
    await marked.purge("long", msg_ttl=1)

    async def empty():
        return (await js.stream_info("KV_KVMARK", subjects_filter="$KV.KVMARK.long")).state.subjects is None

    await t.until_asked("a purge marker goes, too", empty)
    t.true("a_purge_marker_may_have_one", True)


@scenario
async def buckets(t):
    _, js = await t.streams()
    config = KeyValueConfig(bucket="KVSTATUS", description="a bucket", history=7, max_bytes=1 << 20, max_value_size=10, storage="memory",
                            direct=True)
    kv = await js.create_key_value(config)
    await kv.put("a", b"1")
    status = await kv.status()
    t.equal("status", (status.bucket, status.values, status.history, status.ttl), ("KVSTATUS", 1, 7, 0))
    t.equal("configuration", (status.stream_info.config.description, status.stream_info.config.storage, status.stream_info.config.max_bytes),
            ("a bucket", "memory", 1 << 20))
    t.equal("direct_get", (await kv.get("a")).value, b"1")
    await t.raises("direct_get_of_none", KeyNotFoundError, kv.get("b"))
    await t.api_error("too_large_a_value", 10054, kv.put("a", b"x" * 11))
    t.equal("bind", (await (await js.key_value("KVSTATUS")).get("a")).value, b"1")
    await t.raises("bind_to_none", BucketNotFoundError, js.key_value("KVNOBODY"))
    t.equal("delete", await js.delete_key_value("KVSTATUS"), True)
    await t.raises("bind_to_the_deleted", BucketNotFoundError, js.key_value("KVSTATUS"))
    await js.create_key_value(bucket="KVSAME", history=2)
    await t.api_error("another_configuration", 10058, js.create_key_value(bucket="KVSAME", history=3))


@scenario
async def full(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVFULL", max_bytes=1000)
    for key in "abc":
        await kv.put(key, b"x" * 200)
    await t.api_error("a_new_key_is_refused", 10077, kv.put("d", b"x" * 400))
    t.true("an_old_one_may_be_replaced", await kv.put("a", b"y" * 200) > 3)
    t.equal("and_is", (await kv.get("a")).value, b"y" * 200)


@scenario
async def names(t):
    _, js = await t.streams()
    await t.raises("a_bucket_that_is_none", InvalidBucketNameError, js.create_key_value(bucket="a.b"))
    kv = await js.create_key_value(bucket="KVNAMES")
    for key in ("", ".a", "a.", "a b"):
        await t.raises(f"no_key_{key!r}", InvalidKeyError, kv.put(key, b"1"))
    t.equal("unless_nobody_looks", await kv.put("a$b", b"1", validate_keys=False), 1)
    t.equal("read_so_too", (await kv.get("a$b", validate_keys=False)).value, b"1")
    t.equal("an_empty_value", [await kv.put("empty", b""), (await kv.get("empty")).value or b""], [2, b""])
    t.equal("bytes_of_all_kinds", [await kv.put("bytes", bytes(range(256))), (await kv.get("bytes")).value], [3, bytes(range(256))])


@scenario
async def republished(t):
    client, js = await t.streams()
    sub, seen = await t.collect(client, "told.>")
    kv = await js.create_key_value(KeyValueConfig(bucket="KVTOLD", republish=RePublish(src="$KV.KVTOLD.>", dest="told.>")))
    await kv.put("a", b"1")
    await kv.put("a", b"2")
    await t.until("both are told", lambda: len(seen) == 2)
    t.equal("with_its_place", [(m.subject, m.data, m.headers["Nats-Sequence"], m.headers["Nats-Last-Sequence"]) for m in seen],
            [("told.a", b"1", "1", "0"), ("told.a", b"2", "2", "1")])


@scenario
async def entries(t):
    _, js = await t.streams()
    kv = await js.create_key_value(bucket="KVENTRY", history=3)
    await kv.put("a", b"1")
    await kv.put("a", b"2")
    entry = await kv.get("a")
    t.equal("of_a_get", (entry.bucket, entry.key, entry.revision, entry.operation), ("KVENTRY", "a", 2, None))
    watcher = await kv.watchall(include_history=True)
    first = await watcher.updates(5)
    t.equal("of_a_watch", (first.bucket, first.key, first.revision, first.delta, first.operation), ("KVENTRY", "a", 1, 1, None))
    t.true("knows_when_it_was_made", first.created is not None)
    await watcher.stop()
    await kv.put("b", b"3")
    watcher = await kv.watch("*")
    seen = []
    async for entry in watcher:
        if entry is None:
            break
        seen.append((entry.key, entry.revision))
    t.equal("one_after_the_other", seen, [("a", 2), ("b", 3)])
