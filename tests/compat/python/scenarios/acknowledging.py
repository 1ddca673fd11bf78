"""What a consumer does with answers: acks of every kind, redelivery, backoff, giving up."""

import asyncio
import json
import time

from nats.js.api import AckPolicy, ConsumerConfig

from kit import scenario, store, texts


async def begin(t, name, *payloads, **config):
    """A stream with messages and a durable pull consumer; returns (client, js, its subscription)."""
    client, js = await t.streams()
    await js.add_stream(name=name, subjects=[name.lower()])
    await store(js, name.lower(), *payloads)
    sub = await js.pull_subscribe(name.lower(), durable="one", stream=name, config=ConsumerConfig(**config))
    return client, js, sub


async def advisories(t, client, kind, stream):
    sub, seen = await t.collect(client, f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}.>")
    return lambda: [json.loads(msg.data) for msg in seen]


@scenario
async def explicit(t):
    _, _, sub = await begin(t, "ACKEXP", "1", "2", "3")
    msgs = await sub.fetch(3, timeout=5)
    await msgs[1].ack_sync(5)
    info = await sub.consumer_info()
    t.equal("out_of_order", (info.num_ack_pending, info.ack_floor.stream_seq, info.delivered.stream_seq), (2, 0, 3))
    await msgs[0].ack_sync(5)
    info = await sub.consumer_info()
    t.equal("the_floor_moves_over_it", (info.num_ack_pending, info.ack_floor.stream_seq, info.ack_floor.consumer_seq), (1, 2, 2))


@scenario
async def everything_before(t):
    _, _, sub = await begin(t, "ACKALL", "1", "2", "3", ack_policy=AckPolicy.ALL)
    msgs = await sub.fetch(3, timeout=5)
    await msgs[1].ack_sync(5)
    info = await sub.consumer_info()
    t.equal("one_ack_is_for_all_before", (info.num_ack_pending, info.ack_floor.stream_seq), (1, 2))


@scenario
async def none(t):
    client, js, sub = await begin(t, "ACKNONE", "1", "2", ack_policy=AckPolicy.NONE)
    await sub.fetch(2, timeout=5)
    info = await sub.consumer_info()
    t.equal("nothing_is_awaited", (info.num_ack_pending, info.ack_floor.stream_seq, info.num_pending), (0, 2, 0))


@scenario
async def after_the_wait(t):
    _, _, sub = await begin(t, "ACKWAIT", "1", ack_wait=0.3)
    first = (await sub.fetch(1, timeout=5))[0]
    again = (await sub.fetch(1, timeout=5))[0]
    t.equal("it_comes_again", (again.metadata.num_delivered, again.metadata.sequence.stream, again.metadata.sequence.consumer), (2, 1, 2))
    t.equal("and_is_counted", (await sub.consumer_info()).num_redelivered, 1)
    await first.ack_sync(5)
    t.equal("any_ack_will_do", (await sub.consumer_info()).num_ack_pending, 0)


@scenario
async def nak(t):
    client, _, sub = await begin(t, "ACKNAK", "1")
    told = await advisories(t, client, "MSG_NAKED", "ACKNAK")
    await (await sub.fetch(1, timeout=5))[0].nak()
    again = (await sub.fetch(1, timeout=5))[0]
    t.equal("comes_again_at_once", again.metadata.num_delivered, 2)
    began = time.monotonic()
    await again.nak(delay=0.5)
    third = (await sub.fetch(1, timeout=5))[0]
    t.true("comes_again_after_a_delay", third.metadata.num_delivered == 3 and time.monotonic() - began > 0.4, time.monotonic() - began)
    await t.becomes("is_advised", lambda: len(told()) == 2)
    t.equal("advisory", [(entry["type"], entry["stream"], entry["consumer"], entry["stream_seq"], entry["deliveries"]) for entry in told()][:1],
            [("io.nats.jetstream.advisory.v1.nak", "ACKNAK", "one", 1, 1)])


@scenario
async def in_progress(t):
    client, _, sub = await begin(t, "ACKWPI", "1", ack_wait=0.6)
    msg = (await sub.fetch(1, timeout=5))[0]
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        await msg.in_progress()
        await t.flush(client)
        await asyncio.sleep(0.1)  # work, not waiting for something to happen
    info = await sub.consumer_info()
    t.equal("is_not_sent_again", (info.delivered.consumer_seq, info.num_ack_pending), (1, 1))
    t.equal("until_nothing_is_heard", (await sub.fetch(1, timeout=5))[0].metadata.num_delivered, 2)


@scenario
async def term(t):
    client, _, sub = await begin(t, "ACKTERM", "1", "2", ack_wait=0.3)
    told = await advisories(t, client, "MSG_TERMINATED", "ACKTERM")
    msgs = await sub.fetch(2, timeout=5)
    await msgs[0].term()
    await client.publish(msgs[1].reply, b"+TERM not for me")
    await t.becomes("is_advised", lambda: len(told()) == 2, why=told)
    t.equal("advisory", [(entry["type"], entry["stream_seq"], entry.get("reason")) for entry in told()],
            [("io.nats.jetstream.advisory.v1.terminated", 1, None), ("io.nats.jetstream.advisory.v1.terminated", 2, "not for me")])
    info = await sub.consumer_info()
    t.equal("counts_as_done", (info.num_ack_pending, info.ack_floor.stream_seq), (0, 2))


@scenario
async def next_with_ack(t):
    client, _, sub = await begin(t, "ACKNXT", "1", "2", "3")
    msg = (await sub.fetch(1, timeout=5))[0]
    inbox = await client.subscribe(client.new_inbox())
    await client.publish(msg.reply, b'+NXT {"batch":2}', reply=inbox.subject)
    t.equal("gives_the_next", [(await inbox.next_msg(5)).data for _ in range(2)], [b"2", b"3"])
    t.equal("and_acknowledges", (await sub.consumer_info()).ack_floor.stream_seq, 1)


@scenario
async def backoff(t):
    _, _, sub = await begin(t, "ACKBACK", "1", backoff=[0.2, 0.7], max_deliver=3)
    t.equal("the_first_is_the_ack_wait", (await sub.consumer_info()).config.ack_wait, 0.2)
    times = []
    for _ in range(3):
        msg = (await sub.fetch(1, timeout=5))[0]
        times.append(time.monotonic())
    t.equal("three_times", msg.metadata.num_delivered, 3)
    t.true("slower_and_slower", times[1] - times[0] > 0.15 and times[2] - times[1] > 0.6, times)


@scenario
async def max_deliver(t):
    client, _, sub = await begin(t, "ACKMAX", "1", ack_wait=0.2, max_deliver=2)
    told = await advisories(t, client, "MAX_DELIVERIES", "ACKMAX")
    for number in (1, 2):
        t.equal(f"delivery_{number}", (await sub.fetch(1, timeout=5))[0].metadata.num_delivered, number)
    requested = asyncio.ensure_future(sub.fetch(1, timeout=1.5))
    await t.becomes("is_advised", lambda: len(told()) == 1)
    t.equal("advisory", {key: told()[0][key] for key in ("type", "stream", "consumer", "stream_seq", "deliveries")},
            {"type": "io.nats.jetstream.advisory.v1.max_deliver", "stream": "ACKMAX", "consumer": "one", "stream_seq": 1, "deliveries": 2})
    t.true("advisory_has_id_and_time", told()[0]["id"] and told()[0]["timestamp"])
    await t.raises("no_third_time", Exception, requested)


@scenario
async def sampled(t):
    client, js, _ = await begin(t, "ACKSAMPLE", "1")
    await js.add_consumer("ACKSAMPLE", durable_name="watched", sample_freq="100%")
    _, seen = await t.collect(client, "$JS.EVENT.METRIC.CONSUMER.ACK.ACKSAMPLE.watched")
    sub = await js.pull_subscribe_bind(durable="watched", stream="ACKSAMPLE")
    await (await sub.fetch(1, timeout=5))[0].ack_sync(5)
    await t.becomes("is_measured", lambda: len(seen) == 1)
    metric = json.loads(seen[0].data)
    t.equal("metric", (metric["type"], metric["stream_seq"], metric["consumer_seq"], metric["deliveries"], metric["ack_time"] > 0),
            ("io.nats.jetstream.metric.v1.consumer_ack", 1, 1, 1, True))


@scenario
async def deleted_under_way(t):
    client, js, sub = await begin(t, "ACKDEL", "1", "2", ack_wait=0.3)
    await sub.fetch(2, timeout=5)
    await js.delete_msg("ACKDEL", 1)
    again = await sub.fetch(1, timeout=5)
    t.equal("the_deleted_does_not_come_again", (texts(again), again[0].metadata.num_delivered), (["2"], 2))

    async def settled():
        return (await sub.consumer_info()).num_ack_pending == 1

    await t.until_asked("it is no longer awaited", settled)
    t.true("it_is_no_longer_awaited", True)


@scenario
async def strangers(t):
    client, _, sub = await begin(t, "ACKBAD", "1", "2")
    msg = (await sub.fetch(1, timeout=5))[0]
    parts = msg.reply.split(".")
    parts[5], parts[6] = "2", "2"  # a message that was never delivered
    await client.publish(".".join(parts), b"+ACK")
    await client.publish("$JS.ACK.ACKBAD.one.nonsense", b"+ACK")
    await t.flush(client)
    info = await sub.consumer_info()
    t.equal("change_nothing", (info.num_ack_pending, info.ack_floor.stream_seq, info.num_pending), (1, 0, 1))
