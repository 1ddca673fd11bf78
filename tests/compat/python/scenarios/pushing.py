"""Consumers that push: deliver subjects, groups, ordered consumers, heartbeats, flow control."""

import asyncio

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as StreamsError

from kit import scenario, store, texts


@scenario
async def delivers(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHDEL", subjects=["pushdel.*"])
    await store(js, "pushdel.a", "1", "2", headers={"Colour": "green"})
    sub, seen = await t.collect(client, "push_to_me")
    info = await js.add_consumer("PUSHDEL", durable_name="one", deliver_subject="push_to_me", ack_policy=AckPolicy.EXPLICIT)
    await t.becomes("what_is_stored", lambda: texts(seen) == ["1", "2"], why=lambda: texts(seen))
    await store(js, "pushdel.b", "3")
    await t.becomes("what_is_new", lambda: texts(seen) == ["1", "2", "3"], why=lambda: texts(seen))
    t.equal("with_subject_and_headers", (seen[1].subject, seen[1].headers), ("pushdel.a", {"Colour": "green"}))
    meta = seen[1].metadata
    t.equal("with_metadata", (meta.stream, meta.consumer, meta.sequence.stream, meta.num_delivered), ("PUSHDEL", "one", 2, 1))
    t.equal("is_bound", (await js.consumer_info("PUSHDEL", "one")).push_bound, True)
    for msg in seen:
        await msg.ack()
    await t.flush(client)
    await sub.unsubscribe()
    await t.flush(client)
    await store(js, "pushdel.a", "4")

    async def unbound():
        return not (await js.consumer_info("PUSHDEL", "one")).push_bound

    await t.until_asked("nobody listens", unbound)
    t.equal("a_durable_waits", (await js.consumer_info("PUSHDEL", "one")).num_pending, 1)
    _, later = await t.collect(client, "push_to_me")
    await t.becomes("and_goes_on", lambda: texts(later) == ["4"], why=lambda: texts(later))
    t.equal("max_waiting_is_for_pull", info.config.max_waiting, None)


@scenario
async def bound_once(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHONCE", subjects=["pushonce"])
    await js.subscribe("pushonce", durable="one")
    await t.flush(client)

    async def bound():
        return (await js.consumer_info("PUSHONCE", "one")).push_bound

    await t.until_asked("it is bound", bound)
    await t.raises("a_second_subscriber_is_told", StreamsError, js.subscribe("pushonce", durable="one"))
    await t.api_error("a_bound_one_keeps_its_subject", 10013, js.add_consumer("PUSHONCE", durable_name="one", deliver_subject="elsewhere"))


@scenario
async def ordered(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHORD", subjects=["pushord"])
    for number in range(300):
        await js.publish_async("pushord", str(number).encode() * 100)
    await asyncio.wait_for(js.publish_async_completed(), 10)
    sub = await js.subscribe("pushord", ordered_consumer=True)
    info = await sub.consumer_info()
    t.equal("is_made_so", (info.config.ack_policy, info.config.flow_control, info.config.max_deliver, info.config.num_replicas,
                           info.config.mem_storage), ("none", True, 1, 1, True))
    half = [int((await sub.next_msg(5)).metadata.sequence.stream) for _ in range(150)]
    await js.delete_consumer("PUSHORD", info.name)
    rest = [int((await sub.next_msg(8)).metadata.sequence.stream) for _ in range(150)]
    t.equal("in_order_without_gaps", half + rest, list(range(1, 301)))


@scenario
async def heartbeats(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHHB", subjects=["pushhb"])
    await store(js, "pushhb", "1")
    _, seen = await t.collect(client, "push_beats")
    await js.add_consumer("PUSHHB", durable_name="one", deliver_subject="push_beats", idle_heartbeat=0.2)
    await t.until("a heartbeat", lambda: len(seen) >= 2)
    t.equal("idle", (seen[1].headers["Status"], seen[1].headers["Description"]), ("100", "Idle Heartbeat"))
    t.equal("tells_where_it_is", (seen[1].headers["Nats-Last-Consumer"], seen[1].headers["Nats-Last-Stream"]), ("1", "1"))


@scenario
async def flow_control(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHFC", subjects=["pushfc"])
    for _ in range(60):
        await js.publish_async("pushfc", b"x" * 100_000)
    await asyncio.wait_for(js.publish_async_completed(), 20)
    _, seen = await t.collect(client, "push_flow")
    await js.add_consumer("PUSHFC", durable_name="one", deliver_subject="push_flow", flow_control=True, idle_heartbeat=0.5,
                          ack_policy=AckPolicy.NONE)

    def asked():
        return [msg for msg in seen if msg.headers and msg.headers.get("Description") == "FlowControl Request"]

    def stalled():
        return [msg for msg in seen if msg.headers and "Nats-Consumer-Stalled" in msg.headers]

    await t.becomes("asks_for_an_answer", lambda: len(asked()) >= 1)
    t.true("on_a_subject_of_its_own", asked()[0].reply.startswith("$JS.FC.PUSHFC.one."), asked()[0].reply)
    await t.becomes("stalls_without_one", lambda: len(stalled()) >= 1)
    t.equal("and_says_so", stalled()[0].headers["Nats-Consumer-Stalled"], asked()[-1].reply)
    t.true("has_not_sent_all", len([msg for msg in seen if msg.data]) < 60)
    answered = 0
    while len([msg for msg in seen if msg.data]) < 60:
        for msg in asked()[answered:]:
            await client.publish(msg.reply, b"")
            answered += 1
        await t.flush(client)
    t.true("goes_on_when_answered", answered >= 1, answered)


@scenario
async def ephemeral_ends_with_its_listener(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHEPH", subjects=["pusheph"])
    sub = await js.subscribe("pusheph", inactive_threshold=0.2)
    name = (await sub.consumer_info()).name
    await client.publish("pusheph", b"1")
    t.equal("delivers", (await sub.next_msg(5)).data, b"1")
    await sub._sub.unsubscribe() if hasattr(sub, "_sub") and sub._sub is not sub else await sub.unsubscribe()

    async def gone():
        return name not in [entry.name for entry in await js.consumers_info("PUSHEPH")]

    await t.until_asked("it goes", gone)
    t.true("goes", True)


@scenario
async def headers_and_filters(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHFIL", subjects=["pushfil.*"])
    for subject in "abc":
        await store(js, f"pushfil.{subject}", subject)
    sub = await js.subscribe("pushfil.b", config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL), headers_only=True)
    msg = await sub.next_msg(5)
    t.equal("only_the_filter_and_no_payload", (msg.subject, msg.data, msg.headers["Nats-Msg-Size"]), ("pushfil.b", b"", "1"))


@scenario
async def redelivers(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHRE", subjects=["pushre"])
    _, seen = await t.collect(client, "push_re")
    await js.add_consumer("PUSHRE", durable_name="one", deliver_subject="push_re", ack_policy=AckPolicy.EXPLICIT, ack_wait=0.3,
                          max_deliver=2)
    await store(js, "pushre", "1")
    await t.becomes("what_is_not_acknowledged", lambda: [msg.metadata.num_delivered for msg in seen] == [1, 2],
                    why=lambda: [msg.metadata.num_delivered for msg in seen])
    t.equal("with_a_new_sequence", [msg.metadata.sequence.consumer for msg in seen], [1, 2])


@scenario
async def rate_limited(t):
    client, js = await t.streams()
    await js.add_stream(name="PUSHRATE", subjects=["pushrate"], max_msg_size=1200)
    await store(js, "pushrate", *("x" * 1000 for _ in range(6)))
    _, seen = await t.collect(client, "push_rate")
    began = asyncio.get_running_loop().time()
    await js.add_consumer("PUSHRATE", durable_name="one", deliver_subject="push_rate", ack_policy=AckPolicy.NONE, rate_limit_bps=40_000)
    await t.until("all arrive", lambda: len(seen) == 6)
    took = asyncio.get_running_loop().time() - began
    t.true("takes_its_time", took > 0.5, took)
