"""Leaving in order: draining subscriptions and connections, closing."""

import asyncio

from nats import errors

from kit import Events, scenario, texts


@scenario
async def subscription(t):
    publisher, client = await t.connect("plain"), await t.connect("plain")
    gate, seen = asyncio.Event(), []

    async def slow(msg):
        await gate.wait()
        seen.append(msg.data.decode())

    sub = await client.subscribe("drained", cb=slow)
    await t.flush(client)
    for number in range(20):
        await publisher.publish("drained", str(number).encode())
    await t.flush(publisher)
    await t.flush(client)
    draining = asyncio.ensure_future(sub.drain())
    await t.forgotten("plain", "drained")
    await publisher.publish("drained", b"too late")
    await t.flush(publisher)
    gate.set()
    await asyncio.wait_for(draining, 8)
    t.equal("what_was_there_is_handled_and_no_more", seen, [str(number) for number in range(20)])
    t.true("connection_stays", client.is_connected)


@scenario
async def connection(t):
    events = Events()
    publisher, client, listener = await t.connect("plain"), await t.connect("plain", events), await t.connect("plain")
    heard, heard_seen = await t.collect(listener, "from.drainer")
    seen = []

    async def forward(msg):
        await asyncio.sleep(0)
        seen.append(msg.data.decode())
        await client.publish("from.drainer", msg.data)

    await client.subscribe("to.drainer", cb=forward)
    await client.subscribe("to.drainer", queue="q", cb=forward)
    await t.flush(client)
    for number in range(50):
        await publisher.publish("to.drainer", str(number).encode())
    await t.flush(publisher)
    await t.flush(client)
    await client.drain()
    await t.becomes("closes", lambda: client.is_closed)
    t.equal("closed_callback", events.closed, 1)
    t.equal("everything_is_handled", sorted(seen, key=int), sorted([str(n) for n in range(50)] * 2, key=int))
    await t.flush(listener)
    await t.becomes("what_it_published_while_draining_arrives", lambda: len(heard_seen) == 100, why=lambda: len(heard_seen))


@scenario
async def queue_member_loses_nothing(t):
    publisher = await t.connect("plain")
    one, two = await t.connect("plain"), await t.connect("plain")
    _, one_seen = await t.collect(one, "handover", queue="q")
    other, two_seen = await t.collect(two, "handover", queue="q")
    for number in range(500):
        await publisher.publish("handover", str(number).encode())
    await t.flush(publisher)
    # This library's own PING may overtake its UNSUB, so nothing is published in between.
    draining = asyncio.ensure_future(one.drain())
    await t.forgotten("plain", "handover", but=1)
    for number in range(500, 600):
        await publisher.publish("handover", str(number).encode())
    await t.settle(publisher, other)
    await draining
    t.equal("every_message_once", sorted(map(int, texts(one_seen) + texts(two_seen))), list(range(600)))
    t.true("both_had_a_share", len(one_seen) > 50 and len(two_seen) > 150, (len(one_seen), len(two_seen)))


@scenario
async def close(t):
    events = Events()
    client = await t.connect("plain", events)
    client_id = client.client_id
    await client.close()
    t.equal("closed_callback", events.closed, 1)
    await t.raises("publish_after_close", errors.ConnectionClosedError, client.publish("x", b""))
    await t.raises("subscribe_after_close", errors.ConnectionClosedError, client.subscribe("x"))
    listed = {}

    async def is_closed():
        listed.update(await t.monitor("plain", f"/connz?state=closed&cid={client_id}"))
        return listed["connections"]

    await t.until_asked("the server knows", is_closed)
    t.equal("server_knows_why", [c.get("reason") for c in listed["connections"]], ["Client Closed"])


@scenario
async def publish_before_close_arrives(t):
    listener = await t.connect("plain")
    sub, seen = await t.collect(listener, "last.words")
    client = await t.connect("plain")
    for number in range(100):
        await client.publish("last.words", str(number).encode())
    await client.close()
    await t.becomes("all", lambda: len(seen) == 100, why=lambda: len(seen))
