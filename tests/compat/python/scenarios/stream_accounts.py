"""What an account may store, what it is told about it, and the domain."""

from nats.js.api import StorageType
from nats.js.errors import APIError, ServiceUnavailableError

from kit import api, scenario, store


@scenario
async def information(t):
    _, js = await t.streams("streams_accounts", userinfo="all:all")
    before = await js.account_info()
    t.equal("has_a_domain", before.domain, "hub")
    t.true("has_a_level", before.api.level >= 1, before.api)
    t.equal("unlimited_is_minus_one", (before.limits.max_streams, before.limits.max_consumers, before.limits.max_ack_pending), (-1, -1, -1))
    await js.add_stream(name="INFOMEM", subjects=["infomem"], storage=StorageType.MEMORY)
    await js.add_stream(name="INFOFILE", subjects=["infofile"])
    await js.add_consumer("INFOFILE", durable_name="one")
    ack = await js.publish("infomem", b"x" * 1000)
    t.equal("acknowledgements_name_the_domain", ack.domain, "hub")
    await store(js, "infofile", "x" * 2000)
    after = await js.account_info()
    t.equal("counts_streams_and_consumers", (after.streams - before.streams, after.consumers - before.consumers), (2, 1))
    t.true("counts_memory", 1000 <= after.memory - before.memory < 1200, after.memory)
    t.true("counts_storage", 2000 <= after.storage - before.storage < 2200, after.storage)
    t.true("counts_requests", after.api.total >= before.api.total + 3, (before.api, after.api))
    await t.api_error("info_of_nothing", 10059, js.stream_info("NOTHING"))
    t.true("counts_errors", (await js.account_info()).api.errors > before.api.errors)


@scenario
async def domain(t):
    client, js = await t.streams("streams_accounts", userinfo="all:all", domain="hub")
    await js.add_stream(name="DOMAIN", subjects=["domain"])
    t.equal("the_domain_is_a_way_in", (await js.publish("domain", b"x")).domain, "hub")
    t.equal("to_the_same_stream", (await client.jetstream().stream_info("DOMAIN")).state.messages, 1)
    sub = await js.pull_subscribe("domain", durable="reader", stream="DOMAIN")
    t.equal("consumers_too", (await sub.fetch(1, timeout=5))[0].data, b"x")
    await t.raises("another_domain_is_not_there", ServiceUnavailableError, client.jetstream(domain="elsewhere").account_info())


@scenario
async def limits(t):
    _, js = await t.streams("streams_accounts", userinfo="some:some")
    info = (await js.account_info()).limits
    t.equal("are_told", (info.max_storage, info.max_memory, info.max_streams, info.max_consumers), (4000000, 1000000, 2, 2)
            if info.max_storage == 4000000 else (4 << 20, 1 << 20, 2, 2))
    await js.add_stream(name="LIMA", subjects=["lima"])
    await t.api_error("too_much_reserved", 10047, js.add_stream(name="LIMB", subjects=["limb"], max_bytes=8 << 20))
    await t.api_error("too_much_memory_reserved", 10028, js.add_stream(
        name="LIMB", subjects=["limb"], max_bytes=8 << 20, storage=StorageType.MEMORY))
    await js.add_stream(name="LIMB", subjects=["limb"], storage=StorageType.MEMORY)
    await t.api_error("one_stream_too_many", 10027, js.add_stream(name="LIMC", subjects=["limc"]))
    await js.add_consumer("LIMA", durable_name="a")
    await js.add_consumer("LIMA", durable_name="b")
    await t.api_error("one_consumer_too_many", 10026, js.add_consumer("LIMA", durable_name="c"))
    refused = None
    for _ in range(12):
        try:
            await js.publish("limb", b"x" * 100_000)
        except APIError as error:
            refused = error
            break
    t.equal("too_much_stored", (refused.code, refused.err_code), (400, 10002))
    await js.purge_stream("LIMB")
    t.true("room_again", (await js.publish("limb", b"x" * 100_000)).seq > 1)


@scenario
async def none(t):
    client, js = await t.streams("streams_accounts", userinfo="nothing:nothing")
    await t.api_error("info_says_so", 10039, js.account_info())
    await t.raises("nobody_else_answers", ServiceUnavailableError, js.add_stream(name="NONE", subjects=["none"]))


@scenario
async def apart(t):
    _, js = await t.streams("streams_accounts", userinfo="all:all")
    await js.add_stream(name="APART", subjects=["apart"])
    other, _ = await t.streams("streams_accounts", userinfo="some:some")
    answer = await api(other, "STREAM.INFO.APART")
    t.equal("other_accounts_do_not_see_it", answer["error"]["err_code"], 10059)
