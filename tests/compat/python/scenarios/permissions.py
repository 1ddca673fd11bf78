"""What a user may publish, subscribe to and answer, and how a refusal surfaces."""

import asyncio

from nats import errors

from kit import Events, scenario, texts


async def _as(t, user, events=None):
    return await t.connect("permissions", events, user=user, password="pw")


async def _publish_refused(t, what, client, events, subject, reply=""):
    await client.publish(subject, b"", reply=reply)
    await t.flush(client)
    await t.becomes(what, lambda: events.has_error(f'permissions violation for publish to "{subject}"'),
                    why=lambda: events.errors)


async def _subscribe_refused(t, what, client, events, subject, queue=""):
    await client.subscribe(subject, queue=queue)
    await t.flush(client)
    told = f'permissions violation for subscription to "{subject}"'
    if queue:
        told += f' using queue "{queue}"'
    await t.becomes(what, lambda: events.has_error(told), why=lambda: events.errors)


@scenario
async def publish(t):
    events = Events()
    admin, limited = await _as(t, "admin"), await _as(t, "limited", events)
    sub, seen = await t.collect(admin, ">")
    await _publish_refused(t, "outside_the_allowed", limited, events, "elsewhere")
    await _publish_refused(t, "denied_inside_the_allowed", limited, events, "allowed.secret.x")
    await _publish_refused(t, "system_subject", limited, events, "$SYS.REQ.SERVER.PING")
    t.equal("each_refusal_is_told_once", len(events.errors), 3)
    await limited.publish("allowed.fine", b"in")
    await t.settle(limited, sub)
    t.equal("only_the_allowed_arrives", [m.subject for m in seen if not m.subject.startswith("$")], ["allowed.fine"])
    t.true("connection_stays", limited.is_connected)


@scenario
async def subscribe(t):
    events = Events()
    admin, limited = await _as(t, "admin"), await _as(t, "limited", events)
    await _subscribe_refused(t, "outside_the_allowed", limited, events, "elsewhere")
    await _subscribe_refused(t, "denied", limited, events, "allowed.secret.x")
    await _subscribe_refused(t, "wider_than_allowed", limited, events, ">")
    wide, wide_seen = await t.collect(limited, "allowed.>")
    mixed, mixed_seen = await t.collect(limited, "mixed.*")
    t.equal("nothing_told_for_the_allowed", len(events.errors), 3)
    for subject in ("allowed.a", "allowed.secret.b", "mixed.open", "mixed.hidden", "elsewhere"):
        await admin.publish(subject, b"")
    await t.settle(admin, wide, mixed)
    t.equal("denied_subjects_are_left_out_of_a_wildcard", [m.subject for m in wide_seen], ["allowed.a"])
    t.equal("denied_literal_is_left_out_of_a_wildcard", [m.subject for m in mixed_seen], ["mixed.open"])
    t.true("connection_stays", limited.is_connected)


@scenario
async def responses(t):
    events = Events()
    requester, responder = await _as(t, "requester"), await _as(t, "responder", events)
    sub, seen = await t.collect(responder, "service.>")
    inbox, answers = await t.collect(requester, "_INBOX.mine")
    await requester.publish("service.ask", b"", reply="_INBOX.mine")
    await t.until("request arrives", lambda: len(seen) == 1)
    for number in range(4):
        await responder.publish(seen[0].reply, str(number).encode())
    await t.settle(responder, inbox)
    t.equal("two_answers_and_no_more", texts(answers), ["0", "1"])
    await t.becomes("the_third_is_told", lambda: events.has_error('permissions violation for publish to "_INBOX.mine"'),
                    why=lambda: events.errors)
    await _publish_refused(t, "unasked", responder, events, "service.other")
    await _publish_refused(t, "never_asked_inbox", responder, events, "_INBOX.else")


@scenario
async def request_through_permissions(t):
    requester, responder = await _as(t, "requester"), await _as(t, "responder")
    await t.reply(responder, "service.echo")
    t.equal("answer", (await requester.request("service.echo", b"hi", timeout=5)).data, b"hi")
    t.equal("another", (await requester.request("service.echo", b"ho", timeout=5)).data, b"ho")
    await t.raises("nobody_there", errors.NoRespondersError, requester.request("service.none", timeout=5))


@scenario
async def queues(t):
    events = Events()
    queuer, admin = await _as(t, "queuer", events), await _as(t, "admin")
    good, good_seen = await t.collect(queuer, "work", queue="v1")
    also, also_seen = await t.collect(queuer, "work", queue="v1.west")
    t.equal("allowed_queues_are_silent", events.errors, [])
    await _subscribe_refused(t, "other_queue", queuer, events, "work", "v2")
    await queuer.subscribe("work")
    await t.flush(queuer)
    await t.becomes("without_a_queue", lambda: any(str(e).lower().rstrip("'").endswith('subscription to "work"') for e in events.errors),
                    why=lambda: events.errors)
    await admin.publish("work", b"x")
    await t.settle(admin, good, also)
    t.equal("allowed_queues_work", (len(good_seen), len(also_seen)), (1, 1))


@scenario
async def denied_queue(t):
    events = Events()
    client = await _as(t, "dequeuer", events)
    plain, _ = await t.collect(client, "work")
    fine, _ = await t.collect(client, "work", queue="fine")
    t.equal("others_are_silent", events.errors, [])
    await _subscribe_refused(t, "denied_queue", client, events, "work", "bad")
    await _publish_refused(t, "no_publishing", client, events, "work")


@scenario
async def defaults(t):
    events = Events()
    client = await _as(t, "defaulted", events)
    sub, seen = await t.collect(client, "open.door")
    await client.publish("open.door", b"in")
    await t.settle(client, sub)
    t.equal("default_allows", texts(seen), ["in"])
    await _publish_refused(t, "default_publish", client, events, "closed.door")
    await _subscribe_refused(t, "default_subscribe", client, events, "closed.door")


@scenario
async def refused_request_times_out(t):
    events = Events()
    limited = await _as(t, "limited", events)
    asking = asyncio.ensure_future(limited.request("elsewhere", b"", timeout=0.3))
    await t.raises("timeout", errors.TimeoutError, asking)
    t.true("and_the_reason_is_told", events.has_error("permissions violation for publish"), events.errors)
