// Publish and subscribe: delivery, wildcards, queue groups, headers, echo, unsubscribe.

import { randomBytes } from "node:crypto";
import { headers } from "@nats-io/nats-core";
import { range, scenario, texts } from "../kit.mjs";

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

scenario("messaging/pub_sub", async (t) => {
  const [publisher, subscriber] = [await t.connect("plain"), await t.connect("plain")];
  const seen = await t.collect(subscriber, "intros");
  publisher.publish("intros", "Hello World!");
  publisher.publish("other", "not for you");
  publisher.publish("intros", "x", { reply: "answers.here" });
  await t.settle(publisher, subscriber);
  t.equal("payload", texts(seen), ["Hello World!", "x"]);
  t.equal("subject", seen[0].subject, "intros");
  t.true("reply_is_empty", !seen[0].reply, seen[0].reply);
  t.equal("reply_is_carried", seen[1].reply, "answers.here");
});

scenario("messaging/order_is_kept", async (t) => {
  const [publisher, subscriber] = [await t.connect("plain"), await t.connect("plain")];
  const seen = await t.collect(subscriber, "ordered.>");
  for (const number of range(5000)) publisher.publish(`ordered.${number % 3}`, String(number));
  await t.settle(publisher, subscriber);
  t.equal("all_in_order", texts(seen), range(5000).map(String));
});

scenario("messaging/fan_in_and_out", async (t) => {
  const publishers = [await t.connect("plain"), await t.connect("plain"), await t.connect("plain")];
  const subscribers = [await t.connect("plain"), await t.connect("plain"), await t.connect("plain")];
  const kept = [];
  for (const subscriber of subscribers) kept.push(await t.collect(subscriber, "fan"));
  for (const [index, publisher] of publishers.entries()) {
    publisher.publish("fan", String(index));
    await publisher.flush();
  }
  await t.settle(publishers[0], ...subscribers);
  for (const [index, seen] of kept.entries()) t.equal(`subscriber_${index}_hears_all`, texts(seen), ["0", "1", "2"]);
});

scenario("messaging/payloads", async (t) => {
  const client = await t.connect("plain");
  const seen = await t.collect(client, "payload");
  const everything = Uint8Array.from(range(1024), (value) => value % 256);
  const protocolLike = "\r\nMSG foo 1 3\r\nbar\r\nPING\r\n";
  const big = new Uint8Array(randomBytes(client.info.max_payload));
  for (const body of [undefined, everything, protocolLike, big, ""]) client.publish("payload", body);
  await t.settle(client, client);
  t.equal("count", seen.length, 5);
  t.equal("empty", seen[0].data.length, 0);
  t.true("all_bytes", Buffer.from(seen[1].data).equals(Buffer.from(everything)));
  t.equal("protocol_text_is_only_text", seen[2].string(), protocolLike);
  t.true("exactly_max_payload", Buffer.from(seen[3].data).equals(Buffer.from(big)));
  t.equal("empty_after_big", seen[4].data.length, 0);
});

scenario("messaging/json", async (t) => {
  const client = await t.connect("plain");
  const seen = await t.collect(client, "json");
  const value = { hello: "wörld", list: [1, 2, 3], nested: { deep: null } };
  client.publish("json", JSON.stringify(value));
  await t.settle(client, client);
  t.equal("value", seen[0].json(), value);
});

scenario("messaging/wildcards", async (t) => {
  const [publisher, subscriber] = [await t.connect("plain"), await t.connect("plain")];
  const table = [
    ["star_at_end", "hello.*", ["hello.world", "hello.johan"]],
    ["star_inside", "first.*.third", ["first.second.third"]],
    ["tail", "first.>", ["first.second", "first.second.third", "first.second.third.fourth"]],
    ["two_stars", "*.*", ["hello.world", "hello.johan", "first.second"]],
    ["star_and_tail", "*.second.>", ["first.second.third", "first.second.third.fourth"]],
    ["wiretap", ">", ["hello", "hello.world", "hello.johan", "hello.a.b", "first", "first.second",
      "first.second.third", "first.second.third.fourth"]],
  ];
  const kept = [];
  for (const [, subject] of table) kept.push(await t.collect(subscriber, subject));
  for (const subject of table.at(-1)[2]) publisher.publish(subject);
  await t.settle(publisher, subscriber);
  for (const [index, [name, , expected]] of table.entries()) {
    // The server may speak on its own subjects meanwhile.
    t.equal(name, kept[index].map((m) => m.subject).filter((subject) => !/^[_$]/.test(subject)), expected);
  }
});

scenario("messaging/overlapping_subscriptions", async (t) => {
  const client = await t.connect("plain");
  const kept = [];
  for (const subject of ["over.lap", "over.lap", "over.*", "over.>"]) kept.push(await t.collect(client, subject));
  client.publish("over.lap", "1");
  await t.settle(client, client);
  t.equal("each_gets_a_copy", kept.map((seen) => seen.length), [1, 1, 1, 1]);
});

scenario("messaging/queue_groups", async (t) => {
  const total = 1500;
  const publisher = await t.connect("plain");
  const join = async (subject, options) => {
    const client = await t.connect("plain");
    const seen = await t.collect(client, subject, options);
    seen.client = client;
    return seen;
  };
  const members = [], others = [];
  for (const _ of range(3)) members.push(await join("work.item", { queue: "greeter" }));
  for (const _ of range(2)) others.push(await join("work.*", { queue: "second" }));
  const plain = await join("work.item");
  const everyone = [...members, ...others, plain].map((seen) => seen.client);
  for (const number of range(total)) publisher.publish("work.item", String(number));
  await t.settle(publisher, ...everyone);
  const heard = members.flatMap(texts);
  t.equal("each_message_once_per_group", [heard.length, new Set(heard).size], [total, total]);
  const shares = members.map((seen) => seen.length);
  t.true("even_distribution", shares.every((share) => share > total / 3 * 0.7 && share < total / 3 * 1.3), shares);
  t.equal("second_group_gets_its_own", sum(others.map((seen) => seen.length)), total);
  t.equal("plain_subscriber_gets_all", plain.length, total);

  members[0].sub.unsubscribe();
  await members[0].client.flush();
  await members[1].client.close();
  await t.forgotten("plain", "work.item", 2); // the last member and the plain subscriber
  const before = members.map((seen) => seen.length);
  for (const _ of range(50)) publisher.publish("work.item", "late");
  await t.settle(publisher, members[2].client);
  t.equal("the_last_member_gets_all", members.map((seen, index) => seen.length - before[index]), [0, 0, 50]);
});

scenario("messaging/headers", async (t) => {
  const [publisher, subscriber] = [await t.connect("plain"), await t.connect("plain")];
  const seen = await t.collect(subscriber, "headed");
  const sent = headers();
  sent.append("Trace-Id", "abc");
  sent.append("Many", "one");
  sent.append("Many", "two");
  sent.append("Colon", "a:b:c");
  publisher.publish("headed", "body", { headers: sent });
  const only = headers();
  only.set("Only", "header");
  publisher.publish("headed", undefined, { headers: only });
  publisher.publish("headed", "bare");
  await t.settle(publisher, subscriber);
  t.equal("value", seen[0].headers.get("Trace-Id"), "abc");
  t.equal("values_of_one_key", seen[0].headers.values("Many"), ["one", "two"]);
  t.equal("colons", seen[0].headers.get("Colon"), "a:b:c");
  t.equal("keys", seen[0].headers.keys().sort(), ["Colon", "Many", "Trace-Id"]);
  t.equal("body_beside_headers", seen[0].string(), "body");
  t.equal("without_body", [seen[1].headers.get("Only"), seen[1].data.length], ["header", 0]);
  t.equal("none_when_none_were_sent", seen[2].headers, undefined);
});

scenario("messaging/echo_off", async (t) => {
  const [quiet, other] = [await t.connect("plain", { noEcho: true }), await t.connect("plain")];
  const own = await t.collect(quiet, "echo");
  const others = await t.collect(other, "echo");
  quiet.publish("echo", "mine");
  await t.settle(quiet, other);
  t.equal("own_message_is_not_heard", texts(own), []);
  t.equal("others_hear_it", texts(others), ["mine"]);
  other.publish("echo", "theirs");
  await t.settle(other, quiet);
  t.equal("foreign_messages_are_heard", texts(own), ["theirs"]);
});

scenario("messaging/auto_unsubscribe", async (t) => {
  const [publisher, subscriber] = [await t.connect("plain"), await t.connect("plain")];
  const seen = await t.collect(subscriber, "auto", { max: 5 });
  for (const number of range(10)) publisher.publish("auto", String(number));
  await t.settle(publisher, subscriber);
  t.equal("stops_at_the_limit", texts(seen), ["0", "1", "2", "3", "4"]);
  t.true("client_closed_it", seen.sub.isClosed());
  await t.forgotten("plain", "auto");
});

scenario("messaging/unsubscribe", async (t) => {
  const [publisher, subscriber] = [await t.connect("plain"), await t.connect("plain")];
  const leaving = await t.collect(subscriber, "leave");
  const staying = await t.collect(subscriber, "leave");
  publisher.publish("leave", "before");
  await t.settle(publisher, subscriber);
  leaving.sub.unsubscribe();
  await subscriber.flush();
  publisher.publish("leave", "after");
  await t.settle(publisher, subscriber);
  t.equal("nothing_after_leaving", texts(leaving), ["before"]);
  t.equal("the_other_stays", texts(staying), ["before", "after"]);
});

scenario("messaging/iteration", async (t) => {
  const client = await t.connect("plain");
  const sub = client.subscribe("iterated", { max: 3 });
  for (const number of range(4)) client.publish("iterated", String(number));
  const seen = [];
  for await (const msg of sub) seen.push(msg.string());
  t.equal("ends_at_the_limit", seen, ["0", "1", "2"]);
  t.equal("sid", sub.getID() > 0, true);
});

scenario("messaging/subscription_timeout", async (t) => {
  const client = await t.connect("plain");
  const sub = client.subscribe("nothing.comes", { timeout: 50 });
  await t.rejects("is_told", "timeout", (async () => {
    for await (const _ of sub) t.true("nothing_comes", false);
  })());
});

scenario("messaging/verbose_and_pedantic", async (t) => {
  const client = await t.connect("plain", { verbose: true, pedantic: true });
  const seen = await t.collect(client, "strict.*");
  for (const number of range(20)) client.publish(`strict.${number}`, "ok?");
  await t.settle(client, client);
  t.equal("messages_flow_between_oks", seen.length, 20);
});

scenario("messaging/flush_and_rtt", async (t) => {
  const client = await t.connect("plain");
  const rtt = await client.rtt();
  t.true("rtt_is_measured", rtt >= 0 && rtt < 5000, rtt);
  await Promise.all(range(50).map(() => client.flush()));
  t.true("many_flushes", !client.isClosed());
});

scenario("messaging/statistics", async (t) => {
  const client = await t.connect("plain");
  await t.collect(client, "counted");
  for (const _ of range(10)) client.publish("counted", "12345");
  await t.settle(client, client);
  const { inMsgs, outMsgs, inBytes, outBytes } = client.stats();
  t.equal("messages", [inMsgs, outMsgs], [10, 10]);
  t.true("bytes", inBytes >= 50 && outBytes >= 50, [inBytes, outBytes]);
  const { connections } = await t.monitor("plain", `/connz?cid=${client.info.client_id}`);
  const { in_msgs, out_msgs, in_bytes, out_bytes, subscriptions } = connections[0];
  t.equal("server_counts_the_same", [in_msgs, out_msgs, in_bytes, out_bytes, subscriptions], [10, 10, 50, 50, 1]);
});

scenario("messaging/republish_and_forward", async (t) => {
  const client = await t.connect("plain");
  const seen = await t.collect(client, "forwarded");
  client.subscribe("original", {
    callback: (_, msg) => client.publishMessage({ ...msg, subject: "forwarded", data: msg.data, headers: msg.headers, reply: msg.reply }),
  });
  const sent = headers();
  sent.set("Kept", "yes");
  client.publish("original", "body", { headers: sent, reply: "r" });
  await t.becomes("arrives", () => seen.length === 1);
  t.equal("whole", [seen[0].string(), seen[0].headers.get("Kept"), seen[0].reply], ["body", "yes", "r"]);
});
