"""Accounts: isolation, streams and services across their borders, guests."""

import asyncio
import json

from nats import errors

from kit import scenario, texts


async def as_account(t, user, events=None, **options):
    """Connects as a user of the `accounts` server, where passwords equal names."""
    return await t.connect("accounts", events, user=user, password=user, **options)


async def account_of(client):
    """Asks the server who this connection is."""
    answer = json.loads((await client.request("$SYS.REQ.USER.INFO", b"", timeout=5)).data)
    return answer["data"]


@scenario
async def isolation(t):
    alpha, gamma = await as_account(t, "alpha"), await as_account(t, "gamma")
    in_alpha, alpha_seen = await t.collect(alpha, "shared.name")
    in_gamma, gamma_seen = await t.collect(gamma, ">")
    await alpha.publish("shared.name", b"alpha")
    await alpha.publish("events.one", b"alpha")
    await t.settle(alpha, in_alpha, in_gamma)
    t.equal("own_account_hears", texts(alpha_seen), ["alpha"])
    t.equal("others_do_not", texts(gamma_seen), [])


@scenario
async def stream_import_with_prefix(t):
    alpha, beta = await as_account(t, "alpha"), await as_account(t, "beta")
    exact, exact_seen = await t.collect(beta, "from_alpha.events.one")
    wild, wild_seen = await t.collect(beta, "from_alpha.events.>")
    raw, raw_seen = await t.collect(beta, "events.>")
    for subject in ("events.one", "events.two.deep", "unexported"):
        await alpha.publish(subject, subject.encode(), headers={"Kept": "yes"})
    await t.settle(alpha, exact, wild, raw)
    t.equal("exact", [(m.subject, m.data) for m in exact_seen], [("from_alpha.events.one", b"events.one")])
    t.equal("wildcard", [m.subject for m in wild_seen], ["from_alpha.events.one", "from_alpha.events.two.deep"])
    t.equal("headers_cross", wild_seen[0].headers, {"Kept": "yes"})
    t.equal("original_name_is_not_used", len(raw_seen), 0)


@scenario
async def stream_import_is_one_way(t):
    alpha, beta = await as_account(t, "alpha"), await as_account(t, "beta")
    sub, seen = await t.collect(alpha, "events.>")
    await beta.publish("from_alpha.events.one", b"")
    await beta.publish("events.one", b"")
    await t.settle(beta, sub)
    t.equal("importer_cannot_publish_back", len(seen), 0)


@scenario
async def private_stream_renamed(t):
    alpha, beta = await as_account(t, "alpha"), await as_account(t, "beta")
    sub, seen = await t.collect(beta, "hidden.*")
    await alpha.publish("private.key", b"k")
    await alpha.publish("private.two.tokens", b"n")
    await t.settle(alpha, sub)
    t.equal("arrives_under_the_new_name", [(m.subject, m.data) for m in seen], [("hidden.key", b"k")])


@scenario
async def stream_import_in_a_queue(t):
    alpha, beta = await as_account(t, "alpha"), await as_account(t, "beta")
    members = [await t.collect(beta, "from_alpha.events.q", queue="g") for _ in range(2)]
    for _ in range(200):
        await alpha.publish("events.q", b"")
    await t.settle(alpha, *[sub for sub, _ in members])
    shares = [len(seen) for _, seen in members]
    t.equal("each_message_once", sum(shares), 200)
    t.true("both_members_work", min(shares) > 20, shares)


@scenario
async def service_import(t):
    alpha, beta, gamma = await as_account(t, "alpha"), await as_account(t, "beta"), await as_account(t, "gamma")
    sub, requests = await t.collect(alpha, "svc.add")

    async def serve():
        served = 0
        while True:
            await t.until("a request", lambda: len(requests) > served, 30)
            await requests[served].respond(b"sum of " + requests[served].data)
            served += 1

    serving = asyncio.ensure_future(serve())
    try:
        answer = await beta.request("remote.add", b"1,2", timeout=5, headers={"H": "v"})
        t.equal("answer", answer.data, b"sum of 1,2")
        t.equal("request_subject_in_the_exporter", requests[0].subject, "svc.add")
        t.equal("request_headers_cross", (requests[0].headers or {}).get("H"), "v")
        t.true("reply_subject_is_rewritten", not requests[0].reply.startswith("_INBOX"), requests[0].reply)
        many = await asyncio.gather(*[beta.request("remote.add", str(n).encode(), timeout=8) for n in range(50)])
        t.equal("many_at_once", texts(many), [f"sum of {n}" for n in range(50)])
        await t.raises("not_imported", errors.NoRespondersError, gamma.request("svc.add", b"", timeout=5))
        await t.raises("not_under_the_original_name", errors.NoRespondersError, beta.request("svc.add", b"", timeout=5))
    finally:
        serving.cancel()


@scenario
async def service_import_without_responder(t):
    beta = await as_account(t, "beta")
    await t.raises("no_responders_crosses", errors.NoRespondersError, beta.request("remote.nobody", b"", timeout=5))


@scenario
async def service_with_many_answers(t):
    alpha, beta = await as_account(t, "alpha"), await as_account(t, "beta")

    async def respond(msg):
        for number in range(5):
            await msg.respond(str(number).encode())

    await alpha.subscribe("svc.many", cb=respond)
    await t.flush(alpha)
    sub, seen = await t.collect(beta, "_INBOX.many")
    await beta.publish("svc.many", b"", reply="_INBOX.many")
    await t.becomes("all_answers_cross", lambda: texts(seen) == ["0", "1", "2", "3", "4"], why=lambda: texts(seen))


@scenario
async def guest(t):
    unknown = await t.connect("accounts")
    told = await account_of(unknown)
    t.equal("account", told["account"], "GUEST")
    t.equal("user", told["user"], "guest")
    guest_too = await as_account(t, "guest")
    sub, seen = await t.collect(guest_too, "lobby")
    await unknown.publish("lobby", b"hello")
    await t.settle(unknown, sub)
    t.equal("shares_the_guest_account", texts(seen), ["hello"])
    await t.refused("wrong_password_is_not_a_guest", "accounts", user="alpha", password="wrong")


@scenario
async def user_info(t):
    alpha = await as_account(t, "alpha")
    told = await account_of(alpha)
    t.equal("user", told["user"], "alpha")
    t.equal("account", told["account"], "ALPHA")
