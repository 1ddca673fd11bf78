"""The flows by which people get to know the product, each under the name of the flow.

Subjects and numbers are those that introductions use. The other files look closer; this
one, which every language has, says that each of the flows works at all. It runs in the
account `GAMMA`, where nobody else speaks, for the sake of `>`.
"""

from kit import scenario, texts
from scenarios.accounts import as_account


async def _join(t, count):
    return [await as_account(t, "gamma") for _ in range(count)]


@scenario
async def publish_subscribe(t):
    publisher, subscriber = await _join(t, 2)
    sub, seen = await t.collect(subscriber, "intros")
    await publisher.publish("intros", b"Hello World!")
    await t.settle(publisher, sub)
    t.equal("arrives", [(m.subject, m.data) for m in seen], [("intros", b"Hello World!")])


@scenario
async def at_most_once(t):
    publisher, subscriber = await _join(t, 2)
    await publisher.publish("intros", b"before anybody listens")
    await t.flush(publisher)
    sub, seen = await t.collect(subscriber, "intros")
    await publisher.publish("intros", b"now")
    await t.settle(publisher, sub)
    t.equal("nothing_is_kept_for_latecomers", texts(seen), ["now"])


@scenario
async def fan_in(t):
    subscriber, *publishers = await _join(t, 4)
    sub, seen = await t.collect(subscriber, "hello.world")
    for publisher in publishers:
        for _ in range(10):
            await publisher.publish("hello.world", b"Johan")
        await t.flush(publisher)
    await t.settle(subscriber, sub)
    t.equal("one_hears_all_publishers", texts(seen), ["Johan"] * 30)


@scenario
async def fan_out(t):
    publisher, *subscribers = await _join(t, 4)
    kept = [await t.collect(subscriber, "hello.world") for subscriber in subscribers]
    for _ in range(10):
        await publisher.publish("hello.world", b"Johan")
    await t.settle(publisher, *[sub for sub, _ in kept])
    t.equal("all_subscribers_hear_all", [texts(seen) for _, seen in kept], [["Johan"] * 10] * 3)


@scenario
async def request_reply(t):
    service, client = await _join(t, 2)
    await t.reply(service, "hello.johan", b"Hello Johan :)")
    answer = await client.request("hello.johan", b"", timeout=5)
    t.equal("is_answered", answer.data, b"Hello Johan :)")


@scenario
async def one_to_many_request(t):
    client, *services = await _join(t, 4)
    for number, service in enumerate(services):
        await t.reply(service, "hello.all", str(number).encode())
    inbox = client.new_inbox()
    _, seen = await t.collect(client, inbox)
    await client.publish("hello.all", b"", reply=inbox)
    await t.becomes("all_answer_into_the_inbox", lambda: sorted(texts(seen)) == ["0", "1", "2"], why=lambda: texts(seen))


@scenario
async def queue_group(t):
    publisher, *members = await _join(t, 3)
    kept = [await t.collect(member, "hello.world", queue="greeter") for member in members]
    for number in range(1000):
        await publisher.publish("hello.world", str(number).encode())
    await t.settle(publisher, *[sub for sub, _ in kept])
    heard = sorted(int(text) for _, seen in kept for text in texts(seen))
    t.true("each_message_once", heard == list(range(1000)), len(heard))
    shares = [len(seen) for _, seen in kept]
    # 500 expected each; six standard deviations of a fair draw are 95.
    t.true("evenly", all(405 < share < 595 for share in shares), shares)


@scenario
async def wildcards(t):
    publisher, subscriber = await _join(t, 2)
    table = {
        "hello.*": ("one_token", ["hello.world", "hello.johan"]),
        "first.*.third": ("token_in_the_middle", ["first.second.third"]),
        "first.>": ("all_that_follows", ["first.second", "first.second.third", "first.second.third.fourth"]),
        ">": ("wiretap", ["hello", "hello.world", "hello.johan", "hello.big.world", "first", "first.second",
                          "first.second.third", "first.second.third.fourth"]),
    }
    kept = {subject: await t.collect(subscriber, subject) for subject in table}
    for subject in table[">"][1]:
        await publisher.publish(subject, b"")
    await t.settle(publisher, *[sub for sub, _ in kept.values()])
    for subject, (name, expected) in table.items():
        t.equal(name, [msg.subject for msg in kept[subject][1]], expected)
