"""Limits: what the server refuses, and what happens to the connection."""

import asyncio

from nats import errors

from kit import Events, scenario


@scenario
async def max_payload(t):
    events = Events()
    client, other = await t.connect("limits", events), await t.connect("limits")
    sub, seen = await t.collect(other, "size")
    await t.raises("client_checks_by_info", errors.MaxPayloadError, client.publish("size", b"x" * 1025))
    await client.publish("size", b"x" * 1024)
    await t.settle(client, sub)
    t.equal("exactly_the_limit", [len(m.data) for m in seen], [1024])
    client._max_payload = 1 << 20  # a client that does not check
    await client.publish("size", b"x" * 1025)
    await t.becomes("violation_closes", lambda: client.is_closed)
    t.true("violation_is_told", "maximum payload" in str(client.last_error).lower(), client.last_error)
    await t.flush(other)
    t.equal("nothing_is_delivered", len(seen), 1)


@scenario
async def headers_count_as_payload(t):
    client = await t.connect("limits")
    client._max_payload = 1 << 20
    await client.publish("size", b"x" * 1000, headers={"Padding": "y" * 100})
    await t.becomes("violation_closes", lambda: client.is_closed)
    t.true("violation_is_told", "maximum payload" in str(client.last_error).lower(), client.last_error)


@scenario
async def max_subscriptions(t):
    client = await t.connect("limits")
    for number in range(5):
        await client.subscribe(f"sub.{number}")
    await t.flush(client)
    t.true("up_to_the_limit", client.is_connected)
    await client.subscribe("sub.6")
    await t.becomes("one_more_is_told", lambda: "maximum subscriptions exceeded" in str(client.last_error).lower(),
                    why=lambda: client.last_error)


@scenario
async def max_control_line(t):
    client = await t.connect("limits")
    await client.publish("y" * 400, b"")
    await t.flush(client)
    t.true("within", client.is_connected)
    await client.publish("y" * 600, b"")
    await t.becomes("beyond_closes", lambda: client.is_closed)
    t.true("beyond_is_told", "maximum control line" in str(client.last_error).lower(), client.last_error)


@scenario
async def max_connections(t):
    first, _ = await t.connect("full"), await t.connect("full")
    await t.raises("one_too_many", Exception, t.connect("full"))
    # What the client library saw depends on whether its CONNECT met a closed door; the wire does not.
    reader, writer = await asyncio.open_connection("127.0.0.1", t.contract.server("full")["port"])
    told = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    t.true("is_told_why", told.endswith(b"-ERR 'maximum connections exceeded'\r\n"), told)
    await t.flush(first)
    t.true("the_others_stay", first.is_connected)
    await first.close()

    async def let_in():
        try:
            return await t.connect("full")
        except Exception:
            return None

    await t.until_asked("room after one left", let_in)
    t.true("room_after_one_left", True)


@scenario
async def invalid_subject(t):
    events = Events()
    client = await t.connect("plain", events, pedantic=True, skip_subject_validation=True)
    await client.subscribe("bad..subject")
    await t.becomes("subscription_is_told", lambda: "invalid subject" in str(client.last_error).lower(),
                    why=lambda: client.last_error)


@scenario
async def unknown_operation(t):
    client, other = await t.connect("plain"), await t.connect("plain")
    await client._send_command(b"SING a song\r\n")
    await client._flush_pending()
    await t.becomes("closes", lambda: client.is_closed)
    t.true("is_told", "unknown protocol operation" in str(client.last_error).lower(), client.last_error)
    await t.flush(other)
    t.true("others_stay", other.is_connected)
