//! One write-ahead log for all groups of a server (skeleton).
