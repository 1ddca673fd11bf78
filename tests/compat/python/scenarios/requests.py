"""Request and reply: one answer, many, none, late."""

import asyncio
import time

from nats import errors

from kit import scenario, texts


@scenario
async def simple(t):
    service, client = await t.connect("plain"), await t.connect("plain")
    await t.reply(service, "hello.johan", b"Hello Johan :)")
    answer = await client.request("hello.johan", b"", timeout=5)
    t.equal("answer", answer.data, b"Hello Johan :)")
    again = await client.request("hello.johan", b"", timeout=5, old_style=True)
    t.equal("old_style_answer", again.data, b"Hello Johan :)")


@scenario
async def many_at_once(t):
    service, client = await t.connect("plain"), await t.connect("plain")
    await t.reply(service, "upper")
    answers = await asyncio.gather(*[client.request("upper", str(n).encode(), timeout=8) for n in range(300)])
    t.equal("each_gets_its_own", texts(answers), [str(n) for n in range(300)])


@scenario
async def headers_both_ways(t):
    service, client = await t.connect("plain"), await t.connect("plain")

    async def respond(msg):
        await service.publish(msg.reply, b"seen", headers={"Echo": msg.headers["Ask"]})

    await service.subscribe("headers.ask", cb=respond)
    await t.flush(service)
    answer = await client.request("headers.ask", b"", timeout=5, headers={"Ask": "why"})
    t.equal("header_in_answer", answer.headers, {"Echo": "why"})


@scenario
async def no_responders(t):
    client = await t.connect("plain")
    began = time.monotonic()
    await t.raises("raised", errors.NoRespondersError, client.request("nobody.home", b"", timeout=10))
    t.true("at_once", time.monotonic() - began < 5, time.monotonic() - began)
    sub, seen = await t.collect(client, "my.inbox")
    await client.publish("nobody.home", b"body", reply="my.inbox")
    await t.becomes("status_message_on_the_reply_subject", lambda: len(seen) == 1)
    t.equal("status_503", (seen[0].headers or {}).get("Status"), "503")
    t.equal("status_has_no_body", seen[0].data, b"")


@scenario
async def responder_appears_and_leaves(t):
    service, client = await t.connect("plain"), await t.connect("plain")
    sub = await t.reply(service, "sometimes", b"here")
    t.equal("while_present", (await client.request("sometimes", timeout=5)).data, b"here")
    await sub.unsubscribe()
    await t.flush(service)
    await t.raises("after_leaving", errors.NoRespondersError, client.request("sometimes", timeout=5))


@scenario
async def timeout(t):
    service, client = await t.connect("plain"), await t.connect("plain")
    sub, seen = await t.collect(service, "silent")
    await t.raises("raised", errors.TimeoutError, client.request("silent", b"?", timeout=0.2))
    t.equal("the_request_did_arrive", texts(seen), ["?"])


@scenario
async def scatter_gather(t):
    client = await t.connect("plain")
    for number in range(3):
        await t.reply(await t.connect("plain"), "who.is.there", str(number).encode())
    inbox = client.new_inbox()
    sub, seen = await t.collect(client, inbox)
    await client.publish("who.is.there", b"", reply=inbox)
    await t.becomes("all_answer", lambda: len(seen) == 3)
    t.equal("each_once", sorted(texts(seen)), ["0", "1", "2"])
    first = await client.request("who.is.there", b"", timeout=5)
    t.true("plain_request_takes_the_first", first.data in (b"0", b"1", b"2"), first.data)


@scenario
async def queue_of_responders(t):
    client = await t.connect("plain")
    for number in range(3):
        await t.reply(await t.connect("plain"), "balanced", str(number).encode(), queue="workers")
    answers = await asyncio.gather(*[client.request("balanced", b"", timeout=8) for _ in range(120)])
    t.equal("every_responder_answers", sorted(set(texts(answers))), ["0", "1", "2"])
    t.equal("one_answer_each", len(answers), 120)


@scenario
async def custom_inbox_prefix(t):
    service, client = await t.connect("plain"), await t.connect("plain", inbox_prefix="_MINE.x")
    sub, seen = await t.collect(service, "prefixed")
    asking = asyncio.ensure_future(client.request("prefixed", b"", timeout=5))
    await t.until("request arrives", lambda: len(seen) == 1)
    await seen[0].respond(b"fine")
    t.equal("answer", (await asking).data, b"fine")
    t.true("reply_subject", seen[0].reply.startswith("_MINE.x."), seen[0].reply)
