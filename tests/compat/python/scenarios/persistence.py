"""A server that goes and comes back: streams, consumers and buckets are as they were."""

from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from kit import Events, scenario, store, texts

PATIENT = {"allow_reconnect": True, "reconnect_time_wait": 0.05, "max_reconnect_attempts": -1, "connect_timeout": 2}


async def over(t, how, suffix):
    events = Events()
    client, js = await t.streams("streams_restart", events, **PATIENT)
    name, subject = f"LAST{suffix.upper()}", f"last{suffix}"
    await js.add_stream(name=name, subjects=[f"{subject}.>"], max_msgs=100, description="stays", allow_direct=True)
    before = await js.stream_info(name)
    await store(js, f"{subject}.a", *(str(number) for number in range(10)), headers={"Colour": "green"})
    await js.publish(f"{subject}.b", b"once", headers={"Nats-Msg-Id": "known"})
    await js.delete_msg(name, 3)
    sub = await js.pull_subscribe(f"{subject}.a", durable="reader", stream=name, config=ConsumerConfig(ack_wait=1))
    wanted = set("456789")  # the first three are acknowledged, "2" is deleted, "4" is out when the server goes
    for msg in (await sub.fetch(4, timeout=5))[:3]:
        await msg.ack_sync(5)
    bucket = await js.create_key_value(bucket=name, history=3)
    for value in (b"1", b"2", b"3", b"4"):
        await bucket.put("key", value)
    await bucket.put("gone", b"x")
    await bucket.delete("gone")
    objects = await js.create_object_store(name)
    await objects.put("thing", b"0123456789" * 50_000)
    await t.control(f"/{how}/streams_restart")
    await t.until("reconnects", lambda: events.reconnected == 1 and client.is_connected)
    info = await js.stream_info(name)
    t.equal("stream_configuration", (info.config.description, info.config.max_msgs, info.created), ("stays", 100, before.created))
    t.equal("stream_state", (info.state.messages, info.state.first_seq, info.state.last_seq, info.state.num_deleted), (10, 1, 11, 1))
    msg = await js.get_msg(name, 10)
    t.equal("messages_with_headers", (msg.data, msg.headers), (b"9", {"Colour": "green"}))
    again = await js.publish(f"{subject}.b", b"again", headers={"Nats-Msg-Id": "known"})
    t.equal("known_ids", (again.duplicate, again.seq), (True, 11))
    t.equal("the_next_sequence", (await js.publish(f"{subject}.b", b"next")).seq, 12)
    consumer = await js.consumer_info(name, "reader")
    floor, delivered = consumer.ack_floor.stream_seq, consumer.delivered.stream_seq
    if how == "relaunch":
        t.equal("consumer_position", (floor, delivered, consumer.num_ack_pending), (4, 5, 1))
    else:  # acknowledgements of the last moment may be forgotten, but none may be invented
        t.true("consumer_position", floor <= 4 and delivered <= 5, (floor, delivered))
    t.equal("consumer_configuration", (consumer.config.durable_name, consumer.config.ack_wait), ("reader", 1))
    seen = set()
    while not wanted <= seen:
        for msg in await sub.fetch(10, timeout=8):
            seen.add(msg.data.decode())
            await msg.ack_sync(5)
    t.true("delivery_goes_on", seen == wanted or how == "restart", seen)
    t.equal("key_value", (await bucket.get("key")).value, b"4")
    t.equal("key_history", [entry.value for entry in await bucket.history("key")], [b"2", b"3", b"4"])
    t.equal("deleted_keys", await bucket.keys(), ["key"])
    t.equal("object", len((await objects.get("thing")).data), 500_000)


@scenario
async def killed(t):
    await over(t, "restart", "killed")


@scenario
async def asked_to_stop(t):
    await over(t, "relaunch", "asked")


@scenario
async def again_and_again(t):
    events = Events()
    client, js = await t.streams("streams_restart", events, **PATIENT)
    await js.add_stream(name="LASTROUNDS", subjects=["lastrounds"])
    for number in range(3):
        await store(js, "lastrounds", str(number))
        await t.control("/restart/streams_restart")
        await t.until("reconnects", lambda: events.reconnected == number + 1 and client.is_connected)
    sub = await js.pull_subscribe("lastrounds", durable="reader", stream="LASTROUNDS")
    t.equal("nothing_acknowledged_is_lost", texts(await sub.fetch(3, timeout=5)), ["0", "1", "2"])


@scenario
async def memory_is_forgotten(t):
    events = Events()
    client, js = await t.streams("streams_restart", events, **PATIENT)
    await js.add_stream(name="LASTMEMORY", subjects=["lastmemory"], storage="memory")
    await store(js, "lastmemory", "1", "2")
    await t.control("/relaunch/streams_restart")
    await t.until("reconnects", lambda: events.reconnected == 1 and client.is_connected)
    # Natter keeps the stream, empty: its publishers and consumers find it again.
    try:
        left = (await js.stream_info("LASTMEMORY")).state.messages
    except NotFoundError:
        left = 0
    t.equal("the_messages_are_gone", left, 0)
    await js.add_stream(name="LASTMEMORY", subjects=["lastmemory"], storage="memory")
    t.equal("it_may_be_made_again", (await js.publish("lastmemory", b"3")).seq, 1)
