"""Connections in trouble: stale, too slow, or on a server that is leaving."""

import asyncio

from nats import errors

from kit import Events, scenario


@scenario
async def stale_client(t):
    """A client that does not answer PING is put out; its neighbour that does is not."""
    mute_events, lively_events = Events(), Events()
    lively = await t.connect("stale", lively_events)
    mute = await t.connect("stale", mute_events)

    async def ignore():
        pass

    mute._process_ping = ignore
    await t.becomes("mute_client_is_put_out", lambda: mute.is_closed)
    t.true("reason", isinstance(mute.last_error, errors.StaleConnectionError), repr(mute.last_error))
    await t.flush(lively)
    t.equal("answering_client_stays", (lively.is_connected, lively_events.disconnected), (True, 0))


@scenario
async def stale_server(t):
    """A server that does not answer PING is left, and found again when it wakes."""
    events = Events()
    client = await t.connect("restart", events, allow_reconnect=True, ping_interval=0.2, max_outstanding_pings=2,
                             reconnect_time_wait=0.05, connect_timeout=1, max_reconnect_attempts=-1)
    await t.control("/signal/restart/pause")
    try:
        await t.becomes("client_notices", lambda: events.disconnected == 1)
    finally:
        await t.control("/signal/restart/resume")
    await t.becomes("client_comes_back", lambda: events.reconnected == 1 and client.is_connected)
    await t.flush(client)
    t.true("connection_works", client.is_connected)


async def _cut_off(t, server, reason):
    """A reader that stops reading is cut off for `reason`; the publisher and a lively reader are not."""
    slow_events, events = Events(), Events()
    slow, publisher = await t.connect(server, slow_events), await t.connect(server, events)
    fast, fast_seen = await t.collect(await t.connect(server), "flood")
    await slow.subscribe("flood")
    await t.flush(slow)
    before, client_id = (await t.monitor(server, "/varz"))["slow_consumers"], slow.client_id
    slow._transport._io_writer.transport.pause_reading()
    chunk, sent, noticed = b"z" * 65536, 0, False
    while not noticed and sent < 2000:
        for _ in range(8):
            await publisher.publish("flood", chunk)
        sent += 8
        await t.settle(publisher, fast)
        noticed = (await t.monitor(server, "/varz"))["slow_consumers"] > before
    t.true("server_counts_it", noticed, f"after {sent} messages")
    slow._transport._io_writer.transport.resume_reading()
    await t.becomes("it_is_cut_off", lambda: slow.is_closed)
    t.equal("publisher_stays", (publisher.is_connected, events.disconnected), (True, 0))
    t.equal("the_lively_reader_got_all", len(fast_seen), sent)
    listed = {}

    async def is_closed():
        listed.update(await t.monitor(server, f"/connz?state=closed&cid={client_id}"))
        return listed["connections"]

    await t.until_asked("the server lists it as closed", is_closed)
    t.equal("server_knows_why", [c["reason"] for c in listed["connections"]], [reason])


@scenario
async def slow_consumer_by_backlog(t):
    await _cut_off(t, "slow", "Slow Consumer (Pending Bytes)")


@scenario
async def slow_consumer_by_time(t):
    await _cut_off(t, "slow_write", "Slow Consumer (Write Deadline)")


@scenario
async def lame_duck(t):
    events = Events()
    client = await t.connect("lame", events)
    t.true("not_lame_at_first", not client._server_info.get("ldm"))
    sub, seen = await t.collect(client, "still.here")
    await t.control("/signal/lame/ldm")
    await t.becomes("callback", lambda: events.lame == 1)
    await client.publish("still.here", b"x")
    await t.settle(client, sub)
    t.equal("works_in_the_grace_period", len(seen), 1)
    await t.raises("newcomers_are_refused", (OSError, errors.Error, asyncio.TimeoutError), t.connect("lame", connect_timeout=1))
    await t.becomes("is_put_out_after_it", lambda: client.is_closed, 15)
