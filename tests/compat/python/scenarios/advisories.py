"""What the server tells about streams and consumers by itself."""

import json

from kit import scenario, store


def entries(seen):
    return [json.loads(msg.data) for msg in seen]


@scenario
async def of_streams(t):
    client, js = await t.streams()
    _, seen = await t.collect(client, "$JS.EVENT.ADVISORY.STREAM.*.ADVS")
    await js.add_stream(name="ADVS", subjects=["advs"])
    await js.update_stream(name="ADVS", subjects=["advs"], max_msgs=5)
    await js.delete_stream("ADVS")
    await t.until("three advisories", lambda: len(seen) == 3)
    t.equal("subjects", [msg.subject.split(".")[4] for msg in seen], ["CREATED", "UPDATED", "DELETED"])
    t.equal("actions", [entry["action"] for entry in entries(seen)], ["create", "modify", "delete"])
    first = entries(seen)[0]
    t.equal("type_and_stream", (first["type"], first["stream"]), ("io.nats.jetstream.advisory.v1.stream_action", "ADVS"))
    t.true("id_and_time", len({entry["id"] for entry in entries(seen)}) == 3 and all(entry["timestamp"] for entry in entries(seen)))


@scenario
async def of_consumers(t):
    client, js = await t.streams()
    await js.add_stream(name="ADVC", subjects=["advc"])
    _, seen = await t.collect(client, "$JS.EVENT.ADVISORY.CONSUMER.*.ADVC.one")
    await js.add_consumer("ADVC", durable_name="one")
    await js.pause_consumer("ADVC", "one", "2100-01-01T00:00:00Z")
    await js.resume_consumer("ADVC", "one")
    await js.delete_consumer("ADVC", "one")
    await t.until("four advisories", lambda: len(seen) >= 4)
    t.equal("subjects", [msg.subject.split(".")[4] for msg in seen], ["CREATED", "PAUSE", "PAUSE", "DELETED"])
    found = entries(seen)
    t.equal("actions", (found[0]["action"], found[3]["action"]), ("create", "delete"))
    t.equal("types", (found[0]["type"], found[1]["type"]),
            ("io.nats.jetstream.advisory.v1.consumer_action", "io.nats.jetstream.advisory.v1.consumer_pause"))
    t.equal("names", {(entry["stream"], entry["consumer"]) for entry in found}, {("ADVC", "one")})
    t.equal("paused_and_not", (found[1].get("paused"), found[2].get("paused", False)), (True, False))


@scenario
async def of_requests(t):
    client, js = await t.streams(name="the auditor")
    _, seen = await t.collect(client, "$JS.EVENT.ADVISORY.API")
    await js.add_stream(name="ADVA", subjects=["adva"])
    await t.raises("a_refused_request", Exception, js.stream_info("ADVNONE"))
    await store(js, "adva", "1")

    def of(subject):
        return [entry for entry in entries(seen) if entry["subject"] == subject]

    await t.becomes("arrive", lambda: of("$JS.API.STREAM.CREATE.ADVA") and of("$JS.API.STREAM.INFO.ADVNONE"))
    entry = of("$JS.API.STREAM.CREATE.ADVA")[0]
    t.equal("type", entry["type"], "io.nats.jetstream.advisory.v1.api_audit")
    t.equal("tells_the_server", entry["server"], t.contract.server("streams")["name"])
    t.equal("tells_the_client", (entry["client"]["name"], entry["client"]["acc"]), ("the auditor", "$G"))
    t.equal("tells_the_request", json.loads(entry["request"])["name"], "ADVA")
    t.equal("tells_the_response", json.loads(entry["response"])["config"]["name"], "ADVA")
    t.true("tells_an_error_too", "10059" in of("$JS.API.STREAM.INFO.ADVNONE")[0]["response"])


@scenario
async def may_be_stored(t):
    client, js = await t.streams()
    await js.add_stream(name="ADVSTORE", subjects=["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ADVSRC.>"])
    await js.add_stream(name="ADVSRC", subjects=["advsrc"])
    await store(js, "advsrc", "1")
    sub = await js.pull_subscribe("advsrc", durable="one", stream="ADVSRC")
    await js.add_consumer("ADVSRC", durable_name="one", ack_wait=0.2, max_deliver=1, filter_subject="advsrc")
    await sub.fetch(1, timeout=5)

    async def stored():
        return (await js.stream_info("ADVSTORE")).state.messages == 1

    await t.until_asked("it is stored", stored)
    entry = json.loads((await js.get_msg("ADVSTORE", 1)).data)
    t.equal("as_a_message", (entry["consumer"], entry["stream_seq"]), ("one", 1))
