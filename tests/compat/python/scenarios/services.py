"""The services framework of the client library, which leans on queue groups and headers."""

import json

import nats.micro
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats

from kit import Trial, scenario, texts


async def _gather(t, client, subject, count):
    """Collects `count` answers to one request."""
    inbox = client.new_inbox()
    sub, seen = await t.collect(client, inbox)
    await client.publish(subject, b"", reply=inbox)
    await t.until(f"{count} answers to {subject}", lambda: len(seen) >= count)
    await t.flush(client)
    return [json.loads(m.data) for m in seen]


async def _start(client, **options):
    async def double(request):
        if not request.data.isdigit():
            await request.respond_error("400", "not a number")
            return
        await request.respond(str(int(request.data) * 2).encode())

    service = await nats.micro.add_service(client, name="doubler", version="1.2.3", description="doubles", **options)
    await service.add_endpoint(name="default", subject="double.it", handler=double)
    group = service.add_group(name="maths")
    await group.add_endpoint(name="twice", handler=double, metadata={"kind": "pure"})
    await Trial.flush(client)
    return service


@scenario
async def endpoints(t):
    client = await t.connect("plain")
    service = await _start(await t.connect("plain"))
    t.equal("answer", (await client.request("double.it", b"21", timeout=5)).data, b"42")
    t.equal("grouped_endpoint", (await client.request("maths.twice", b"4", timeout=5)).data, b"8")
    wrong = await client.request("double.it", b"abc", timeout=5)
    t.equal("error_headers", (wrong.headers.get("Nats-Service-Error-Code"), wrong.headers.get("Nats-Service-Error")),
            ("400", "not a number"))
    await service.stop()


@scenario
async def discovery(t):
    client = await t.connect("plain")
    services = [await _start(await t.connect("plain")) for _ in range(2)]
    pings = [ServicePing.from_dict(answer) for answer in await _gather(t, client, "$SRV.PING", 2)]
    t.equal("ping_reaches_all", sorted(p.id for p in pings), sorted(s.id for s in services))
    t.equal("ping_by_name", len(await _gather(t, client, "$SRV.PING.doubler", 2)), 2)
    one = await _gather(t, client, f"$SRV.PING.doubler.{services[0].id}", 1)
    t.equal("ping_by_id", [(a["id"], a["type"]) for a in one], [(services[0].id, "io.nats.micro.v1.ping_response")])
    info = ServiceInfo.from_dict((await _gather(t, client, f"$SRV.INFO.doubler.{services[0].id}", 1))[0])
    t.equal("info", (info.name, info.version, info.description), ("doubler", "1.2.3", "doubles"))
    t.equal("info_endpoints", [(e.name, e.subject, e.queue_group) for e in info.endpoints],
            [("default", "double.it", "q"), ("twice", "maths.twice", "q")])
    for service in services:
        await service.stop()


@scenario
async def statistics(t):
    client = await t.connect("plain")
    services = [await _start(await t.connect("plain")) for _ in range(2)]
    for number in range(60):
        await client.request("double.it", str(number).encode(), timeout=5)
    await client.request("double.it", b"x", timeout=5)
    answers = [ServiceStats.from_dict(a) for a in await _gather(t, client, "$SRV.STATS.doubler", 2)]
    counts = [next(e.num_requests for e in a.endpoints if e.name == "default") for a in answers]
    t.equal("requests_add_up", sum(counts), 61)
    t.true("both_instances_worked", min(counts) > 5, counts)
    for service in services:
        await service.stop()
    await t.flush(client)
    sub, seen = await t.collect(client, "gone.inbox")
    await client.publish("$SRV.PING", b"", reply="gone.inbox")
    await t.becomes("stopped_services_are_gone", lambda: len(seen) == 1 and (seen[0].headers or {}).get("Status") == "503",
                    why=lambda: texts(seen))


@scenario
async def groups(t):
    client = await t.connect("plain")

    async def who(name, queue_group):
        async def answer(request):
            await request.respond(name.encode(), headers={"Answered-By": name})

        service = await nats.micro.add_service(await t.connect("plain"), name="who", version="0.1.0", metadata={"side": name},
                                               queue_group=queue_group)
        group = service.add_group(name="ask").add_group(name="deep", queue_group="inner")
        await service.add_endpoint(name="outer", handler=answer)
        await group.add_endpoint(name="who", subject="who.*", handler=answer)
        await service.add_endpoint(name="own", handler=answer, queue_group="own")
        return service

    services = [await who("left", "l"), await who("right", "r")]
    for service in services:
        await Trial.flush(service._client)
    info = ServiceInfo.from_dict((await _gather(t, client, f"$SRV.INFO.who.{services[0].id}", 1))[0])
    t.equal("subjects_and_queues", [(e.name, e.subject, e.queue_group) for e in info.endpoints],
            [("outer", "outer", "l"), ("who", "ask.deep.who.*", "inner"), ("own", "own", "own")])
    t.equal("metadata", info.metadata, {"side": "left"})
    inbox = client.new_inbox()
    sub, seen = await t.collect(client, inbox)
    await client.publish("outer", b"", reply=inbox)
    await t.until("each queue answers", lambda: len(seen) == 2)
    t.equal("two_queues_two_answers", sorted((m.data, m.headers["Answered-By"]) for m in seen), [(b"left", "left"), (b"right", "right")])
    await client.publish("ask.deep.who.me", b"", reply=inbox)
    await client.publish("own", b"", reply=inbox)
    await t.until("one queue answers once", lambda: len(seen) >= 4)
    await t.flush(client)
    t.equal("one_queue_one_answer", len(seen), 4)
    stats = [ServiceStats.from_dict(a) for a in await _gather(t, client, "$SRV.STATS", 2)]
    t.equal("counted_where_answered", sum(e.num_requests for a in stats for e in a.endpoints), 4)
    t.true("since_when", all(a.started for a in stats))
    for service in services:
        await service.stop()
    t.true("are_stopped", all(service.stopped.is_set() for service in services))
