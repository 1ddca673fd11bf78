"""Losing a server and coming back: resubscription, buffered publishes, other servers, reload."""

import asyncio

from nats import errors

from kit import Events, scenario, texts

PATIENT = {"allow_reconnect": True, "reconnect_time_wait": 0.05, "max_reconnect_attempts": -1, "connect_timeout": 2}


@scenario
async def resubscribes_and_flushes(t):
    events, other_events = Events(), Events()
    client = await t.connect("restart", events, **PATIENT)
    other = await t.connect("restart", other_events, **PATIENT)
    sub, seen = await t.collect(client, "back.*")
    queued, queued_seen = await t.collect(client, "back.q", queue="g")
    await t.reply(client, "back.echo")
    await t.control("/stop/restart")
    await t.becomes("disconnected_callback", lambda: events.disconnected == 1 and other_events.disconnected == 1)
    t.true("is_reconnecting", client.is_reconnecting)
    await client.publish("back.own", b"written while away")
    await t.control("/start/restart")
    await t.becomes("reconnected_callback", lambda: events.reconnected == 1 and other_events.reconnected == 1)
    t.true("is_connected", client.is_connected)
    await t.becomes("buffered_publish_arrives", lambda: texts(seen) == ["written while away"], why=lambda: texts(seen))
    await t.flush(client)
    await other.publish("back.q", b"again")
    await t.settle(other, sub, queued)
    t.equal("subscription_is_back", texts(seen)[1:], ["again"])
    t.equal("queue_subscription_is_back", texts(queued_seen), ["again"])
    t.equal("requests_work_again", (await other.request("back.echo", b"hi", timeout=5)).data, b"hi")


@scenario
async def auto_unsubscribe_survives(t):
    events = Events()
    client = await t.connect("restart", events, **PATIENT)
    sub, seen = await t.collect(client, "rest")
    await sub.unsubscribe(limit=3)
    await client.publish("rest", b"1")
    await t.flush(client)
    await t.until("first message", lambda: len(seen) == 1)
    await t.control("/restart/restart")
    await t.until("reconnects", lambda: events.reconnected == 1)
    await t.flush(client)
    for number in (2, 3, 4, 5):
        await client.publish("rest", str(number).encode())
    await t.flush(client)
    await t.becomes("only_the_rest", lambda: texts(seen) == ["1", "2", "3"], why=lambda: texts(seen))


@scenario
async def again_and_again(t):
    events = Events()
    client = await t.connect("restart", events, **PATIENT)
    sub, seen = await t.collect(client, "rounds")
    for number in range(3):
        await t.control("/restart/restart")
        await t.until("reconnects", lambda: events.reconnected == number + 1 and client.is_connected)
        await t.flush(client)
        await client.publish("rounds", str(number).encode())
        await t.settle(client, sub)
    t.equal("works_after_every_restart", texts(seen), ["0", "1", "2"])


@scenario
async def goes_to_another_server(t):
    events = Events()
    client = await t.connect("restart", events, servers=[t.contract.url("restart"), t.contract.url("plain")],
                             dont_randomize=True, **PATIENT)
    t.equal("first_in_the_list", client._server_info["server_name"], "compat-restart")
    sub, seen = await t.collect(client, "moved")
    await t.control("/stop/restart")
    await t.becomes("reconnects_elsewhere", lambda: events.reconnected == 1)
    t.equal("second_in_the_list", client._server_info["server_name"], "compat-plain")
    await t.flush(client)
    await client.publish("moved", b"here")
    await t.settle(client, sub)
    t.equal("subscription_moved_along", texts(seen), ["here"])
    await t.control("/start/restart")


@scenario
async def gives_up(t):
    events = Events()
    client = await t.connect("restart", events, allow_reconnect=True, reconnect_time_wait=0.02, max_reconnect_attempts=2)
    await t.control("/stop/restart")
    await t.becomes("closes_in_the_end", lambda: client.is_closed and events.closed == 1)
    await t.raises("publish_after_giving_up", errors.ConnectionClosedError, client.publish("x", b""))
    await t.control("/start/restart")


@scenario
async def without_reconnect(t):
    events = Events()
    client = await t.connect("restart", events)
    await t.control("/restart/restart")
    await t.becomes("closes", lambda: client.is_closed)
    t.equal("disconnected_once", events.disconnected, 1)


@scenario
async def reload(t):
    events = Events()
    stays = await t.connect("reload", events, user="first", password="first")
    sub, seen = await t.collect(stays, "kept")
    await t.refused("second_is_unknown_at_first", "reload", user="second", password="second")
    await t.control("/config/reload/more")
    second = await t.connect("reload", user="second", password="second")
    t.true("second_is_let_in_after_reload", second.is_connected)
    await second.publish("kept", b"hi")
    await t.settle(second, sub)
    t.equal("first_was_not_disturbed", (events.disconnected, texts(seen)), (0, ["hi"]))
    await t.control("/config/reload/base")
    await t.becomes("removed_user_is_put_out", lambda: second.is_closed)
    await t.flush(stays)
    t.true("first_still_stays", stays.is_connected and events.disconnected == 0)


@scenario
async def requests_in_flight(t):
    """A request under way when the server dies is lost, and its caller is told by timeout."""
    events = Events()
    client = await t.connect("restart", events, **PATIENT)
    sub, seen = await t.collect(client, "never.answered")
    asking = asyncio.ensure_future(client.request("never.answered", b"", timeout=1))
    await t.until("request arrives", lambda: len(seen) == 1)
    await t.control("/restart/restart")
    await t.raises("times_out", errors.TimeoutError, asking)
    await t.becomes("connection_recovers", lambda: client.is_connected and events.reconnected == 1)
