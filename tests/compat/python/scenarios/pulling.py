"""Pull requests: batches, limits, statuses, heartbeats, priority groups."""

import asyncio
import json

from nats.js.api import ConsumerConfig

from kit import answers, api, scenario, pull, store, texts


async def consumer(client, stream, name, **config):
    """A consumer with fields the library does not know."""
    config = {"durable_name": name, "ack_policy": "explicit", **config}
    answer = await api(client, f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer


async def waiting(t, js, stream, name, count):
    async def asked():
        return (await js.consumer_info(stream, name)).num_waiting == count

    await t.until_asked(f"{count} requests wait", asked)


@scenario
async def batches(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLB", subjects=["pullb"])
    await store(js, "pullb", *(str(number) for number in range(10)))
    await consumer(client, "PULLB", "one")
    msgs, status = await pull(client, "PULLB", "one", {"batch": 4, "expires": 5_000_000_000})
    t.equal("a_batch", (texts(msgs), status), (["0", "1", "2", "3"], ""))
    meta = msgs[3].metadata
    t.equal("metadata", (meta.stream, meta.consumer, meta.sequence.stream, meta.sequence.consumer, meta.num_pending, meta.num_delivered),
            ("PULLB", "one", 4, 4, 6, 1))
    reply = msgs[0].reply.split(".")
    t.equal("the_ack_subject", (reply[:7], len(reply), reply[8]), (["$JS", "ACK", "PULLB", "one", "1", "1", "1"], 9, "9"))
    msgs, status = await pull(client, "PULLB", "one", {"batch": 10, "no_wait": True})
    t.equal("no_wait_gives_what_is_there", (texts(msgs), status), (["4", "5", "6", "7", "8", "9"], "404 No Messages"))
    msgs, status = await pull(client, "PULLB", "one", {"batch": 1, "no_wait": True})
    t.equal("no_wait_with_nothing", (msgs, status), ([], "404 No Messages"))
    msgs, status = await pull(client, "PULLB", "one", {"batch": 1, "expires": 100_000_000})
    t.equal("expires", (msgs, status), ([], "408 Request Timeout"))
    await consumer(client, "PULLB", "two")
    sub = await client.subscribe(client.new_inbox())
    await client.publish("$JS.API.CONSUMER.MSG.NEXT.PULLB.two", b"2", reply=sub.subject)
    t.equal("a_bare_number_is_a_batch", [(await sub.next_msg(5)).data for _ in range(2)], [b"0", b"1"])
    await client.publish("$JS.API.CONSUMER.MSG.NEXT.PULLB.two", b"", reply=sub.subject)
    t.equal("nothing_is_a_batch_of_one", (await sub.next_msg(5)).data, b"2")


@scenario
async def statuses(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLS", subjects=["pulls"])
    await consumer(client, "PULLS", "one", max_batch=5, max_expires=2_000_000_000, max_bytes=10_000, max_waiting=2)
    for what, body, status in (
        ("too_large_a_batch", {"batch": 6}, "409 Exceeded MaxRequestBatch of 5"),
        ("too_long_a_wait", {"batch": 1, "expires": 3_000_000_000}, "409 Exceeded MaxRequestExpires of 2s"),
        ("too_many_bytes", {"batch": 1, "max_bytes": 10_001}, "409 Exceeded MaxRequestMaxBytes of 10000"),
        ("too_slow_a_heartbeat", {"batch": 1, "expires": 1_000_000_000, "idle_heartbeat": 900_000_000},
         "400 Bad Request - heartbeat value too large"),
    ):
        t.equal(what, (await pull(client, "PULLS", "one", body))[1], status)
    t.equal("a_pending_count_for_the_client", (await pull(client, "PULLS", "one", {"batch": 3, "expires": 100_000_000}))[1],
            "408 Request Timeout")
    long = {"batch": 1, "expires": 2_000_000_000}
    first, second = (asyncio.ensure_future(pull(client, "PULLS", "one", long)) for _ in range(2))
    await waiting(t, js, "PULLS", "one", 2)
    t.equal("too_many_wait", (await pull(client, "PULLS", "one", long))[1], "409 Exceeded MaxWaiting")
    await js.delete_consumer("PULLS", "one")
    t.equal("deleted_while_waiting", [(await first)[1], (await second)[1]], ["409 Consumer Deleted"] * 2)
    await js.add_consumer("PULLS", durable_name="push", deliver_subject="pulls_push")
    t.equal("a_push_consumer", (await pull(client, "PULLS", "push", {"batch": 1}))[1], "409 Consumer is push based")
    await t.raises("nobody_there", Exception, client.request("$JS.API.CONSUMER.MSG.NEXT.PULLS.nobody", b"", timeout=1))


@scenario
async def bytes_of_a_request(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLBYTES", subjects=["pullbytes"])
    await store(js, "pullbytes", *("x" * 500 for _ in range(4)), "y" * 5000)
    await consumer(client, "PULLBYTES", "one")
    msgs, status = await pull(client, "PULLBYTES", "one", {"batch": 10, "max_bytes": 1500, "expires": 5_000_000_000})
    t.equal("as_many_as_fit", (len(msgs), status), (2, "409 Message Size Exceeds MaxBytes"))
    msgs, status = await pull(client, "PULLBYTES", "one", {"batch": 2, "max_bytes": 5000, "expires": 5_000_000_000})
    t.equal("the_rest", len(msgs), 2)
    msgs, status = await pull(client, "PULLBYTES", "one", {"batch": 1, "max_bytes": 1000, "expires": 5_000_000_000})
    t.equal("none_fits", (msgs, status), ([], "409 Message Size Exceeds MaxBytes"))
    msgs, _ = await pull(client, "PULLBYTES", "one", {"batch": 1, "max_bytes": 10_000, "expires": 5_000_000_000})
    t.equal("it_is_not_lost", len(msgs[0].data), 5000)


@scenario
async def remainder(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLREM", subjects=["pullrem"])
    await store(js, "pullrem", "1")
    await consumer(client, "PULLREM", "one")
    sub = await client.subscribe(client.new_inbox())
    await client.publish("$JS.API.CONSUMER.MSG.NEXT.PULLREM.one",
                         json.dumps({"batch": 3, "expires": 200_000_000}).encode(), reply=sub.subject)
    await sub.next_msg(5)
    headers = (await sub.next_msg(5)).headers
    t.equal("what_was_not_delivered", (headers["Status"], headers["Nats-Pending-Messages"], headers["Nats-Pending-Bytes"]),
            ("408", "2", "0"))


@scenario
async def heartbeats(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLHB", subjects=["pullhb"])
    await consumer(client, "PULLHB", "one")
    sub = await client.subscribe(client.new_inbox())
    await client.publish("$JS.API.CONSUMER.MSG.NEXT.PULLHB.one", json.dumps(
        {"batch": 1, "expires": 5_000_000_000, "idle_heartbeat": 150_000_000}).encode(), reply=sub.subject)
    beats = [await sub.next_msg(5) for _ in range(2)]
    t.equal("while_idle", [(beat.headers["Status"], beat.headers["Description"]) for beat in beats], [("100", "Idle Heartbeat")] * 2)
    await store(js, "pullhb", "1")
    while (msg := await sub.next_msg(5)).headers:
        pass
    t.equal("then_the_message", msg.data, b"1")


@scenario
async def many_ask(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLRR", subjects=["pullrr"])
    await consumer(client, "PULLRR", "one")
    requests = [asyncio.ensure_future(pull(client, "PULLRR", "one", {"batch": 2, "expires": 8_000_000_000})) for _ in range(3)]
    await waiting(t, js, "PULLRR", "one", 3)
    await store(js, "pullrr", *(str(number) for number in range(6)))
    got = [texts((await request)[0]) for request in requests]
    t.equal("each_request_has_its_turn", got, [["0", "3"], ["1", "4"], ["2", "5"]])
    gone = await client.subscribe(client.new_inbox())
    await client.publish("$JS.API.CONSUMER.MSG.NEXT.PULLRR.one", json.dumps({"batch": 1, "expires": 8_000_000_000}).encode(), reply=gone.subject)
    await waiting(t, js, "PULLRR", "one", 1)
    await gone.unsubscribe()
    await t.flush(client)
    await store(js, "pullrr", "6")
    msgs, _ = await pull(client, "PULLRR", "one", {"batch": 1, "expires": 8_000_000_000})
    t.equal("nothing_goes_to_those_who_left", (texts(msgs), msgs[0].metadata.num_delivered), (["6"], 1))


@scenario
async def overflow(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLOVER", subjects=["pullover"])
    made = await consumer(client, "PULLOVER", "one", priority_groups=["jobs"], priority_policy="overflow")
    t.equal("is_kept", (made["config"]["priority_groups"], made["config"]["priority_policy"]), (["jobs"], "overflow"))
    for what, body, status in (
        ("no_group", {"batch": 1}, "400 Bad Request - Priority Group missing"),
        ("another_group", {"batch": 1, "group": "other"}, "400 Bad Request - Invalid Priority Group"),
    ):
        t.equal(what, (await pull(client, "PULLOVER", "one", body))[1], status)
    await store(js, "pullover", *"abc")
    picky = asyncio.ensure_future(pull(client, "PULLOVER", "one", {"batch": 1, "group": "jobs", "min_pending": 5, "expires": 8_000_000_000}))
    await waiting(t, js, "PULLOVER", "one", 1)
    msgs, _ = await pull(client, "PULLOVER", "one", {"batch": 1, "group": "jobs", "expires": 5_000_000_000})
    t.equal("too_little_for_the_picky", (texts(msgs), picky.done()), (["a"], False))
    await store(js, "pullover", *"defgh")
    t.equal("enough_now", len((await picky)[0]), 1)
    loaded = await pull(client, "PULLOVER", "one", {"batch": 1, "group": "jobs", "min_ack_pending": 2, "expires": 5_000_000_000})
    t.equal("or_enough_unacknowledged", len(loaded[0]), 1)


@scenario
async def pinned(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLPIN", subjects=["pullpin"])
    await consumer(client, "PULLPIN", "one", priority_groups=["jobs"], priority_policy="pinned_client", priority_timeout=60_000_000_000)
    await store(js, "pullpin", *"abcd")
    first, _ = await pull(client, "PULLPIN", "one", {"batch": 1, "group": "jobs", "expires": 5_000_000_000})
    pin = first[0].headers["Nats-Pin-Id"]
    t.true("the_first_is_pinned", pin, first[0].headers)
    again, _ = await pull(client, "PULLPIN", "one", {"batch": 1, "group": "jobs", "id": pin, "expires": 5_000_000_000})
    t.equal("and_served", (texts(again), again[0].headers["Nats-Pin-Id"]), (["b"], pin))
    _, status = await pull(client, "PULLPIN", "one", {"batch": 1, "group": "jobs", "expires": 200_000_000})
    t.equal("others_wait", status, "408 Request Timeout")
    _, status = await pull(client, "PULLPIN", "one", {"batch": 1, "group": "jobs", "id": "wrong", "expires": 5_000_000_000})
    t.equal("a_wrong_pin", status[:3], "423")
    answer = await api(client, "CONSUMER.UNPIN.PULLPIN.one", {"group": "jobs"})
    t.true("unpin", "error" not in answer, answer)
    other, _ = await pull(client, "PULLPIN", "one", {"batch": 1, "group": "jobs", "expires": 5_000_000_000})
    t.true("then_another_is", other[0].headers["Nats-Pin-Id"] != pin, other[0].headers)


@scenario
async def prioritized(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLPRIO", subjects=["pullprio"])
    await consumer(client, "PULLPRIO", "one", priority_groups=["jobs"], priority_policy="prioritized")
    requests = []
    for count, priority in enumerate((5, 1, 3), 1):
        body = {"batch": 1, "group": "jobs", "priority": priority, "expires": 8_000_000_000}
        requests.append(asyncio.ensure_future(pull(client, "PULLPRIO", "one", body)))
        await waiting(t, js, "PULLPRIO", "one", count)
    await store(js, "pullprio", *"abc")
    t.equal("the_lowest_number_first", [texts((await request)[0]) for request in requests], [["c"], ["a"], ["b"]])


@scenario
async def max_ack_pending(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLMAP", subjects=["pullmap"])
    await store(js, "pullmap", *"abcd")
    sub = await js.pull_subscribe("pullmap", durable="one", stream="PULLMAP", config=ConsumerConfig(max_ack_pending=2))
    first = await sub.fetch(4, timeout=0.5)
    t.equal("no_more_than_may_be_out", texts(first), ["a", "b"])
    await first[0].ack_sync(5)
    t.equal("one_more_for_an_ack", texts(await sub.fetch(2, timeout=0.5)), ["c"])


@scenario
async def library_fetch(t):
    client, js = await t.streams()
    await js.add_stream(name="PULLLIB", subjects=["pulllib"])
    sub = await js.pull_subscribe("pulllib", durable="one", stream="PULLLIB")
    for number in range(200):
        await js.publish_async("pulllib", str(number).encode())
    await asyncio.wait_for(js.publish_async_completed(), 10)
    seen = []
    while len(seen) < 200:
        for msg in await sub.fetch(64, timeout=5, heartbeat=1):
            seen.append(int(msg.data))
            await msg.ack()
    t.equal("everything_in_order", seen, list(range(200)))

    async def done():
        return (await sub.consumer_info()).num_ack_pending == 0

    await t.until_asked("all acks are in", done)
    t.equal("the_floor_is_the_end", (await sub.consumer_info()).ack_floor.stream_seq, 200)
