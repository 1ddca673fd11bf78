"""What a PubAck promises, and the headers by which a publisher makes conditions."""

import asyncio
import time

from nats.js.errors import NoStreamResponseError

from kit import scenario, store


@scenario
async def acknowledgement(t):
    client, js = await t.streams()
    await js.add_stream(name="PUBACK", subjects=["puback.>"])
    ack = await js.publish("puback.a", b"1")
    t.equal("says_where", (ack.stream, ack.seq, ack.duplicate), ("PUBACK", 1, None))
    msg = await client.request("puback.a", b"2", timeout=5)
    t.equal("as_it_is_on_the_wire", msg.data, b'{"stream":"PUBACK","seq":2}')
    await t.raises("nobody_stores_this", NoStreamResponseError, js.publish("puback_nobody", b"x", timeout=1))
    await js.add_stream(name="PUBSILENT", subjects=["pubsilent"], no_ack=True)
    await client.publish("pubsilent", b"1", reply=client.new_inbox())
    await t.flush(client)

    async def stored():
        return (await js.stream_info("PUBSILENT")).state.messages == 1

    await t.until_asked("stored without an answer", stored)
    t.true("no_ack_stores_silently", True)
    futures = [await js.publish_async("puback.many", str(number).encode()) for number in range(500)]
    await asyncio.wait_for(js.publish_async_completed(), 10)
    t.equal("many_at_once_keep_their_order", [future.result().seq for future in futures], list(range(3, 503)))


@scenario
async def duplicates(t):
    _, js = await t.streams()
    await js.add_stream(name="PUBDUP", subjects=["pubdup.>"], duplicate_window=0.5)
    headers = {"Nats-Msg-Id": "one"}
    first = await js.publish("pubdup.a", b"1", headers=headers)
    again = await js.publish("pubdup.b", b"2", headers=headers)
    t.equal("the_first_is_new", first.duplicate, None)
    t.equal("the_second_is_not", (again.duplicate, again.seq), (True, first.seq))
    other = await js.publish("pubdup.a", b"3", headers={"Nats-Msg-Id": "two"})
    t.equal("another_id_is_new", (other.duplicate, other.seq), (None, 2))
    t.equal("only_the_new_are_stored", (await js.stream_info("PUBDUP")).state.messages, 2)
    t.equal("the_id_is_stored", (await js.get_msg("PUBDUP", 1)).headers, headers)

    async def forgotten():
        return (await js.publish("pubdup.c", b"4", headers=headers)).duplicate is None

    await t.until_asked("the window passes", forgotten)
    t.true("after_the_window_it_is_new", True)


@scenario
async def expectations(t):
    _, js = await t.streams()
    await js.add_stream(name="PUBEXP", subjects=["pubexp.>"])

    def publish(subject="a", **expected):
        names = {"stream": "Nats-Expected-Stream", "seq": "Nats-Expected-Last-Sequence",
                 "subject_seq": "Nats-Expected-Last-Subject-Sequence", "msg_id": "Nats-Expected-Last-Msg-Id",
                 "of": "Nats-Expected-Last-Subject-Sequence-Subject", "id": "Nats-Msg-Id"}
        return js.publish(f"pubexp.{subject}", b"x", headers={names[name]: str(value) for name, value in expected.items()})

    t.equal("stream", (await publish(stream="PUBEXP", id="first")).seq, 1)
    error = await t.api_error("another_stream", 10060, publish(stream="OTHER"))
    t.equal("another_stream_says", error.description, "expected stream does not match")
    t.equal("last_sequence", (await publish(seq=1, subject="b", id="second")).seq, 2)
    error = await t.api_error("wrong_last_sequence", 10071, publish(seq=1))
    t.equal("wrong_last_sequence_says", (error.code, error.description), (400, "wrong last sequence: 2"))
    t.equal("subject_sequence", (await publish(subject_seq=1)).seq, 3)
    error = await t.api_error("wrong_subject_sequence", 10071, publish(subject_seq=1))
    t.equal("wrong_subject_sequence_says", error.description, "wrong last sequence: 3")
    t.equal("zero_is_a_new_subject", (await publish(subject_seq=0, subject="new")).seq, 4)
    await t.api_error("zero_on_a_known_subject", 10071, publish(subject_seq=0, subject="new"))
    t.equal("of_other_subjects", (await publish(subject_seq=4, of="pubexp.*", subject="c")).seq, 5)
    await t.api_error("of_other_subjects_wrong", 10071, publish(subject_seq=4, of="pubexp.*", subject="c"))
    await t.api_error("a_subject_without_its_sequence", 10193, publish(of="pubexp.*"))
    await publish(id="third")
    t.equal("last_id", (await publish(msg_id="third", id="fourth")).seq, 7)
    error = await t.api_error("wrong_last_id", 10070, publish(msg_id="third"))
    t.equal("wrong_last_id_says", error.description, "wrong last msg ID: fourth")
    t.equal("a_refused_message_leaves_no_trace", (await js.stream_info("PUBEXP")).state.last_seq, 7)


@scenario
async def rollup(t):
    _, js = await t.streams()
    await js.add_stream(name="PUBROLL", subjects=["pubroll.>"], allow_rollup_hdrs=True)
    await store(js, "pubroll.a", "1", "2")
    await store(js, "pubroll.b", "3")
    await js.publish("pubroll.a", b"sum", headers={"Nats-Rollup": "sub"})
    t.equal("of_a_subject", (await js.stream_info("PUBROLL", subjects_filter=">")).state.subjects,
            {"pubroll.a": 1, "pubroll.b": 1})
    await js.publish("pubroll.c", b"all", headers={"Nats-Rollup": "all"})
    state = (await js.stream_info("PUBROLL")).state
    t.equal("of_all", (state.messages, state.first_seq, state.last_seq), (1, 5, 5))
    await t.api_error("of_nonsense", 10111, js.publish("pubroll.a", b"x", headers={"Nats-Rollup": "some"}))
    await js.add_stream(name="PUBNOROLL", subjects=["pubnoroll"])
    error = await t.api_error("where_it_is_not_allowed", 10111,
                              js.publish("pubnoroll", b"x", headers={"Nats-Rollup": "sub"}))
    t.equal("where_it_is_not_allowed_says", error.description, "rollup not permitted")


@scenario
async def message_ttl(t):
    _, js = await t.streams()
    if (await js.account_info()).api.level < 1:
        raise RuntimeError("the server's API level is 0")
    await js.add_stream(name="PUBTTL", subjects=["pubttl.>"], allow_msg_ttl=True, max_age=60)
    began = time.monotonic()
    await js.publish("pubttl.short", b"1", msg_ttl=1)
    await js.publish("pubttl.long", b"2", headers={"Nats-TTL": "1h"})
    await js.publish("pubttl.never", b"3", headers={"Nats-TTL": "never"})
    for what, ttl in (("zero", "0"), ("negative", "-1"), ("less_than_a_second", "500ms"), ("nonsense", "soon")):
        await t.api_error(f"refuses_{what}", 10165, js.publish("pubttl.bad", b"x", headers={"Nats-TTL": ttl}))

    async def gone():
        return (await js.stream_info("PUBTTL")).state.messages == 2

    await t.until_asked("the short one goes", gone)
    t.true("it_lives_as_long_as_it_says", 0.9 <= time.monotonic() - began <= 4, time.monotonic() - began)
    t.equal("the_others_stay", (await js.stream_info("PUBTTL", subjects_filter=">")).state.subjects,
            {"pubttl.long": 1, "pubttl.never": 1})
    await js.add_stream(name="PUBNOTTL", subjects=["pubnottl"])
    await t.api_error("where_it_is_not_allowed", 10166, js.publish("pubnottl", b"x", msg_ttl=1))


@scenario
async def delete_markers(t):
    _, js = await t.streams()
    info = await js.add_stream(name="PUBMARK", subjects=["pubmark.>"], subject_delete_marker_ttl=60, max_age=1,
                               duplicate_window=1)
    t.true("markers_turn_on_what_they_need", info.config.allow_msg_ttl and info.config.allow_rollup_hdrs, info.config)
    t.equal("and_the_level_is_noted", info.config.metadata["_nats.req.level"], "1")
    await store(js, "pubmark.a", "1", "2")
    marker = []

    async def marked():
        msg = await js.get_last_msg("PUBMARK", "pubmark.a")
        marker[:] = [msg]
        return msg.seq > 2

    await t.until_asked("a marker comes", marked)
    t.equal("a_marker_says_why", marker[0].headers.get("Nats-Marker-Reason"), "MaxAge")
    t.equal("a_marker_lives_on", marker[0].headers.get("Nats-TTL"), "1m0s")
    t.equal("a_marker_is_empty", marker[0].data, None)
    t.equal("a_marker_stands_alone", (await js.stream_info("PUBMARK")).state.messages, 1)
