"""Publish and subscribe: delivery, wildcards, queue groups, headers, echo, unsubscribe."""

import os
from collections import Counter

from kit import scenario, texts


@scenario
async def pub_sub(t):
    publisher, subscriber = await t.connect("plain"), await t.connect("plain")
    sub, seen = await t.collect(subscriber, "intros")
    await publisher.publish("intros", b"Hello World!")
    await publisher.publish("other", b"not for you")
    await t.settle(publisher, sub)
    t.equal("payload", texts(seen), ["Hello World!"])
    t.equal("subject", seen[0].subject, "intros")
    t.equal("reply_is_empty", seen[0].reply, "")
    await publisher.publish("intros", b"x", reply="answers.here")
    await t.settle(publisher, sub)
    t.equal("reply_is_carried", seen[1].reply, "answers.here")


@scenario
async def order_is_kept(t):
    publisher, subscriber = await t.connect("plain"), await t.connect("plain")
    sub, seen = await t.collect(subscriber, "ordered.>")
    for number in range(2000):
        await publisher.publish(f"ordered.{number % 3}", str(number).encode())
    await t.settle(publisher, sub)
    t.equal("all_in_order", texts(seen), [str(number) for number in range(2000)])


@scenario
async def fan_in_and_out(t):
    publishers = [await t.connect("plain") for _ in range(3)]
    subscribers = [await t.connect("plain") for _ in range(3)]
    kept = [await t.collect(client, "fan") for client in subscribers]
    for index, publisher in enumerate(publishers):
        await publisher.publish("fan", str(index).encode())
        await t.flush(publisher)
    await t.settle(publishers[0], *[sub for sub, _ in kept])
    for index, (_, seen) in enumerate(kept):
        t.equal(f"subscriber_{index}_hears_all", texts(seen), ["0", "1", "2"])


@scenario
async def payloads(t):
    client = await t.connect("plain")
    sub, seen = await t.collect(client, "payload")
    everything = bytes(range(256)) * 4
    protocol_like = b"\r\nMSG foo 1 3\r\nbar\r\nPING\r\n"
    big = os.urandom(client.max_payload)
    for body in (b"", everything, protocol_like, big, b""):
        await client.publish("payload", body)
    await t.settle(client, sub)
    t.equal("count", len(seen), 5)
    t.equal("empty", seen[0].data, b"")
    t.equal("all_bytes", seen[1].data, everything)
    t.equal("protocol_text_is_only_text", seen[2].data, protocol_like)
    t.true("exactly_max_payload", seen[3].data == big, "the bytes differ")
    t.equal("empty_after_big", seen[4].data, b"")


@scenario
async def wildcards(t):
    publisher, subscriber = await t.connect("plain"), await t.connect("plain")
    table = {
        "hello.*": ["hello.world", "hello.johan"],
        "first.*.third": ["first.second.third"],
        "first.>": ["first.second", "first.second.third", "first.second.third.fourth"],
        "*.*": ["hello.world", "hello.johan", "first.second"],
        "*.second.>": ["first.second.third", "first.second.third.fourth"],
        ">": ["hello", "hello.world", "hello.johan", "hello.a.b", "first", "first.second",
              "first.second.third", "first.second.third.fourth"],
    }
    kept = {subject: await t.collect(subscriber, subject) for subject in table}
    for subject in table[">"]:
        await publisher.publish(subject, b"")
    await t.settle(publisher, *[sub for sub, _ in kept.values()])
    names = {"hello.*": "star_at_end", "first.*.third": "star_inside", "first.>": "tail", "*.*": "two_stars",
             "*.second.>": "star_and_tail", ">": "wiretap"}
    for subject, expected in table.items():
        # Other scenarios are silent meanwhile, but the server may speak on its own subjects.
        heard = [msg.subject for msg in kept[subject][1] if not msg.subject.startswith(("_", "$"))]
        t.equal(names[subject], heard, expected)


@scenario
async def overlapping_subscriptions(t):
    client = await t.connect("plain")
    kept = [await t.collect(client, subject) for subject in ("over.lap", "over.lap", "over.*", "over.>")]
    await client.publish("over.lap", b"1")
    await t.settle(client, *[sub for sub, _ in kept])
    t.equal("each_gets_a_copy", [len(seen) for _, seen in kept], [1, 1, 1, 1])


@scenario
async def queue_groups(t):
    total = 1500
    publisher = await t.connect("plain")
    members = [await t.collect(await t.connect("plain"), "work.item", queue="greeter") for _ in range(3)]
    others = [await t.collect(await t.connect("plain"), "work.*", queue="second") for _ in range(2)]
    plain = await t.collect(await t.connect("plain"), "work.item")
    for number in range(total):
        await publisher.publish("work.item", str(number).encode())
    await t.settle(publisher, plain[0], *[sub for sub, _ in members + others])
    heard = Counter(text for _, seen in members for text in texts(seen))
    t.equal("each_message_once_per_group", (len(heard), set(heard.values())), (total, {1}))
    shares = [len(seen) for _, seen in members]
    t.true("even_distribution", all(total / 3 * 0.7 < share < total / 3 * 1.3 for share in shares), shares)
    t.equal("second_group_gets_its_own", sum(len(seen) for _, seen in others), total)
    t.true("wildcard_group_is_even", all(total * 0.35 < len(seen) < total * 0.65 for _, seen in others),
           [len(seen) for _, seen in others])
    t.equal("plain_subscriber_gets_all", len(plain[1]), total)

    # Members that leave no longer get a share.
    await members[0][0].unsubscribe()
    await members[1][0]._conn.close()
    await t.flush(members[0][0]._conn)
    await t.forgotten("plain", "work.item", but=2)  # the last member and the plain subscriber
    before = [len(seen) for _, seen in members]
    for _ in range(50):
        await publisher.publish("work.item", b"late")
    await t.settle(publisher, members[2][0])
    t.equal("the_last_member_gets_all", [len(seen) - was for (_, seen), was in zip(members, before)], [0, 0, 50])


@scenario
async def queue_members_on_one_connection(t):
    client = await t.connect("plain")
    members = [await t.collect(client, "local.work", queue="q") for _ in range(4)]
    for _ in range(400):
        await client.publish("local.work", b"")
    await t.settle(client, *[sub for sub, _ in members])
    shares = [len(seen) for _, seen in members]
    t.equal("each_message_once", sum(shares), 400)
    t.true("every_member_works", all(share > 40 for share in shares), shares)


@scenario
async def headers(t):
    publisher, subscriber = await t.connect("plain"), await t.connect("plain")
    sub, seen = await t.collect(subscriber, "headed")
    await publisher.publish("headed", b"body", headers={"Trace-Id": "abc", "lower": "x y  z", "Colon": "a:b:c"})
    await publisher.publish("headed", b"", headers={"Only": "header"})
    await publisher.publish("headed", b"bare")
    await t.settle(publisher, sub)
    t.equal("values", seen[0].headers, {"Trace-Id": "abc", "lower": "x y  z", "Colon": "a:b:c"})
    t.equal("body_beside_headers", seen[0].data, b"body")
    t.equal("without_body", (seen[1].headers, seen[1].data), ({"Only": "header"}, b""))
    t.equal("none_when_none_were_sent", seen[2].headers, None)


@scenario
async def many_headers(t):
    client = await t.connect("plain")
    sub, seen = await t.collect(client, "headed.much")
    sent = {f"Key-{number}": "v" * number for number in range(1, 200)}
    await client.publish("headed.much", b"z" * 5000, headers=sent)
    await t.settle(client, sub)
    t.equal("all_arrive", seen[0].headers, sent)
    t.equal("body_is_whole", len(seen[0].data), 5000)


@scenario
async def echo_off(t):
    quiet, other = await t.connect("plain", no_echo=True), await t.connect("plain")
    own, own_seen = await t.collect(quiet, "echo")
    others, other_seen = await t.collect(other, "echo")
    await quiet.publish("echo", b"mine")
    await t.settle(quiet, own, others)
    t.equal("own_message_is_not_heard", texts(own_seen), [])
    t.equal("others_hear_it", texts(other_seen), ["mine"])
    await other.publish("echo", b"theirs")
    await t.settle(other, own)
    t.equal("foreign_messages_are_heard", texts(own_seen), ["theirs"])


@scenario
async def echo_on(t):
    client = await t.connect("plain")
    sub, seen = await t.collect(client, "echo.on")
    await client.publish("echo.on", b"mine")
    await t.settle(client, sub)
    t.equal("own_message_is_heard", texts(seen), ["mine"])


@scenario
async def auto_unsubscribe(t):
    publisher, subscriber = await t.connect("plain"), await t.connect("plain")
    sub, seen = await t.collect(subscriber, "auto")
    await sub.unsubscribe(limit=5)
    await t.flush(subscriber)
    for number in range(10):
        await publisher.publish("auto", str(number).encode())
    await t.flush(publisher)
    await t.flush(subscriber)
    await t.becomes("stops_at_the_limit", lambda: texts(seen) == ["0", "1", "2", "3", "4"])
    await t.forgotten("plain", "auto")


@scenario
async def unsubscribe(t):
    publisher, subscriber = await t.connect("plain"), await t.connect("plain")
    leaving, leaving_seen = await t.collect(subscriber, "leave")
    staying, staying_seen = await t.collect(subscriber, "leave")
    await publisher.publish("leave", b"before")
    await t.settle(publisher, leaving, staying)
    await leaving.unsubscribe()
    await t.flush(subscriber)
    await publisher.publish("leave", b"after")
    await t.settle(publisher, staying)
    t.equal("nothing_after_leaving", texts(leaving_seen), ["before"])
    t.equal("the_other_stays", texts(staying_seen), ["before", "after"])


@scenario
async def iteration_and_next_message(t):
    client = await t.connect("plain")
    sub = await client.subscribe("pulled")
    for number in range(3):
        await client.publish("pulled", str(number).encode())
    await t.flush(client)
    first = await sub.next_msg(timeout=5)
    t.equal("next_msg", first.data, b"0")
    rest = []
    async for msg in sub.messages:
        rest.append(msg.data)
        if len(rest) == 2:
            break
    t.equal("iteration", rest, [b"1", b"2"])


@scenario
async def verbose_and_pedantic(t):
    client = await t.connect("plain", verbose=True, pedantic=True)
    sub, seen = await t.collect(client, "strict.*")
    for number in range(20):
        await client.publish(f"strict.{number}", b"ok?")
    await t.settle(client, sub)
    t.equal("messages_flow_between_oks", len(seen), 20)


@scenario
async def flush_and_rtt(t):
    client = await t.connect("plain")
    rtt = await client.rtt()
    t.true("rtt_is_measured", 0 < rtt < 5, rtt)
    for _ in range(50):
        await client.flush(timeout=5)
    t.true("many_flushes", client.is_connected)


@scenario
async def unusual_subjects(t):
    client = await t.connect("plain")
    kept = {}
    for subject in ("größe.münchen", "a-b_c.D$e", "x" * 400, "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18"):
        kept[subject] = await t.collect(client, subject)
        await client.publish(subject, b"")
    await t.settle(client, *[sub for sub, _ in kept.values()])
    for name, subject in zip(("utf8", "punctuation", "long", "deep"), kept):
        t.equal(name, [msg.subject for msg in kept[subject][1]], [subject])
