"""Subject mappings inside an account: rename, reorder, split by weight, partition."""

from scenarios.accounts import as_account
from kit import scenario


def _fnv1a(data):
    """The hash partitions are documented to use, 32 bit."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


@scenario
async def rename(t):
    client = await as_account(t, "gamma")
    new, new_seen = await t.collect(client, "new.*")
    old, old_seen = await t.collect(client, "old.*")
    await client.publish("old.name", b"x")
    await t.settle(client, new, old)
    t.equal("new_subject", [m.subject for m in new_seen], ["new.name"])
    t.equal("old_subject_hears_nothing", len(old_seen), 0)


@scenario
async def reorder(t):
    client = await as_account(t, "gamma")
    sub, seen = await t.collect(client, "swapped.>")
    await client.publish("swap.first.second", b"")
    await t.settle(client, sub)
    t.equal("tokens_change_places", [m.subject for m in seen], ["swapped.second.first"])


@scenario
async def weights(t):
    client = await as_account(t, "gamma")
    one, one_seen = await t.collect(client, "split.a")
    two, two_seen = await t.collect(client, "split.b")
    for _ in range(1000):
        await client.publish("split", b"")
    await t.settle(client, one, two)
    t.equal("nothing_is_lost", len(one_seen) + len(two_seen), 1000)
    t.true("about_half_each", 380 < len(one_seen) < 620, (len(one_seen), len(two_seen)))


@scenario
async def partitions(t):
    client = await as_account(t, "gamma")
    sub, seen = await t.collect(client, "part.*.*")
    keys = [f"key{number}" for number in range(40)]
    for key in keys * 2:
        await client.publish(f"part.{key}", b"")
    await t.settle(client, sub)
    heard = [tuple(m.subject.split(".")[1:]) for m in seen]
    t.equal("same_key_same_partition", heard[:40], heard[40:])
    t.equal("partition_is_fnv1a", heard[:40], [(key, str(_fnv1a(key.encode()) % 4)) for key in keys])


@scenario
async def requests_are_mapped(t):
    client, service = await as_account(t, "gamma"), await as_account(t, "gamma")
    await t.reply(service, "new.service", b"mapped")
    t.equal("answer", (await client.request("old.service", timeout=5)).data, b"mapped")
