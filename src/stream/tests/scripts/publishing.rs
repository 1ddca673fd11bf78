//! Which messages are stored, and which are refused with what.

use super::*;

#[test]
fn a_retry_is_a_duplicate_before_it_is_a_wrong_sequence() {
    check(
        config(),
        r"
        t=0 publish s.a Nats-Msg-Id=1 Nats-Expected-Last-Sequence=0 -> stored 1
        t=1 publish s.a Nats-Msg-Id=1 Nats-Expected-Last-Sequence=0 -> duplicate 1
        t=1 delete 1                                                -> deleted true; 1 gone
        t=9.9 publish s.a Nats-Msg-Id=1                             -> duplicate 1
        t=10 publish s.a Nats-Msg-Id=1                              -> stored 2
    ",
    );
}

#[test]
fn expectations_are_compared_with_what_is_there() {
    check(
        config(),
        r"
        publish s.a                                                  -> stored 1
        publish s.b Nats-Msg-Id=b                                    -> stored 2
        publish s.a Nats-Expected-Last-Sequence=1                    -> 10071 wrong last sequence: 2
        publish s.a Nats-Expected-Last-Sequence=abc                  -> 10071 wrong last sequence: 2
        publish s.a Nats-Expected-Last-Sequence=18446744073709551615 -> 10071 wrong last sequence: 2
        publish s.a Nats-Expected-Last-Sequence=                     -> stored 3
        publish s.a Nats-Expected-Last-Subject-Sequence=1            -> 10071 wrong last sequence: 3
        publish s.c Nats-Expected-Last-Subject-Sequence=0            -> stored 4
        publish s.c Nats-Expected-Last-Subject-Sequence=2 Nats-Expected-Last-Subject-Sequence-Subject=s.b -> stored 5
        publish s.c Nats-Expected-Last-Subject-Sequence=3 Nats-Expected-Last-Subject-Sequence-Subject=s.* -> 10071 wrong last sequence: 5
        publish s.c Nats-Expected-Last-Subject-Sequence-Subject=s.*  -> 10193 missing sequence for expected last sequence per subject
        publish s.a Nats-Expected-Stream=T                           -> 10060 expected stream does not match
        publish s.a Nats-Expected-Last-Msg-Id=b                      -> 10070 wrong last msg ID:
        publish s.a Nats-Msg-Id=x Nats-Expected-Stream=S             -> stored 6
        publish s.a Nats-Expected-Last-Msg-Id=y                      -> 10070 wrong last msg ID: x
        publish s.a Nats-Expected-Last-Msg-Id=x                      -> stored 7
    ",
    );
}

#[test]
fn what_is_not_built_or_not_allowed_is_refused() {
    check(
        config(),
        r#"
        publish s.a Nats-Incr=1        -> 10168 message counters is disabled
        publish s.a Nats-Batch-Id=1    -> 10174 atomic publish is disabled
        publish s.a Nats-Schedule=@at  -> 10188 message schedules is disabled
        publish s.a Nats-Stream-Source=x -> 10227 message stream source header is not allowed
        publish s.a Nats-TTL=5         -> 10166 per-message TTL is disabled
        publish s.a Nats-Rollup=sub    -> 10111 rollup not permitted
        holds                          ->
    "#,
    );
    let allowing = Config {
        allow_msg_ttl: true,
        allow_rollup_hdrs: true,
        ..config()
    };
    check(
        allowing,
        r#"
        publish s.a Nats-TTL=bad       -> 10165 invalid per-message TTL
        publish s.a Nats-Rollup=Bad    -> 10111 rollup value invalid: "bad"
        publish s.a Nats-Rollup=ALL    -> stored 1
    "#,
    );
    let sealed = Config {
        sealed: true,
        ..config()
    };
    check(
        sealed,
        "publish s.a Nats-Msg-Id=1 -> 10109 invalid operation on sealed stream",
    );
}

#[test]
fn sizes_are_limited() {
    let small = Config {
        max_msg_size: 40,
        ..config()
    };
    check(
        small,
        r"
        publish s.a size=41      -> 10054 message size exceeds maximum allowed
        publish s.a size=40      -> stored 1
        publish s.a A=1 size=22  -> stored 2
        publish s.a A=1 size=24  -> 10054 message size exceeds maximum allowed
    ",
    );
    let long = "x".repeat(70_000);
    check(
        config(),
        &format!("publish s.a A={long} -> 10097 header size exceeds maximum allowed of 64k"),
    );
    let record = "publish s.a size=33554432";
    check(config(), &format!("{record} -> 10077 message too large"));
}
