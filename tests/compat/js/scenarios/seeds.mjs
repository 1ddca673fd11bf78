// The flows by which people get to know the product, each under the name of the flow.
//
// Subjects and numbers are those that introductions use. The other files look closer; this
// one, which every language has, says that each of the flows works at all. It runs in the
// account `GAMMA`, where nobody else speaks, for the sake of `>`.

import { createInbox } from "@nats-io/nats-core";
import { range, scenario, texts } from "../kit.mjs";
import { as } from "./accounts.mjs";

const join = (t, count) => Promise.all(range(count).map(() => as(t, "gamma")));

scenario("seeds/publish_subscribe", async (t) => {
  const [publisher, subscriber] = await join(t, 2);
  const seen = await t.collect(subscriber, "intros");
  publisher.publish("intros", "Hello World!");
  await t.settle(publisher, subscriber);
  t.equal("arrives", seen.map((m) => [m.subject, m.string()]), [["intros", "Hello World!"]]);
});

scenario("seeds/at_most_once", async (t) => {
  const [publisher, subscriber] = await join(t, 2);
  publisher.publish("intros", "before anybody listens");
  await publisher.flush();
  const seen = await t.collect(subscriber, "intros");
  publisher.publish("intros", "now");
  await t.settle(publisher, subscriber);
  t.equal("nothing_is_kept_for_latecomers", texts(seen), ["now"]);
});

scenario("seeds/fan_in", async (t) => {
  const [subscriber, ...publishers] = await join(t, 4);
  const seen = await t.collect(subscriber, "hello.world");
  for (const publisher of publishers) {
    for (const _ of range(10)) publisher.publish("hello.world", "Johan");
    await publisher.flush();
  }
  await subscriber.flush();
  t.equal("one_hears_all_publishers", texts(seen), range(30).map(() => "Johan"));
});

scenario("seeds/fan_out", async (t) => {
  const [publisher, ...subscribers] = await join(t, 4);
  const kept = [];
  for (const subscriber of subscribers) kept.push(await t.collect(subscriber, "hello.world"));
  for (const _ of range(10)) publisher.publish("hello.world", "Johan");
  await t.settle(publisher, ...subscribers);
  t.equal("all_subscribers_hear_all", kept.map(texts), range(3).map(() => range(10).map(() => "Johan")));
});

scenario("seeds/request_reply", async (t) => {
  const [service, client] = await join(t, 2);
  await t.reply(service, "hello.johan", "Hello Johan :)");
  const answer = await client.request("hello.johan", "", { timeout: 5000 });
  t.equal("is_answered", answer.string(), "Hello Johan :)");
});

scenario("seeds/one_to_many_request", async (t) => {
  const [client, ...services] = await join(t, 4);
  for (const [number, service] of services.entries()) await t.reply(service, "hello.all", String(number));
  const inbox = createInbox();
  const seen = await t.collect(client, inbox);
  client.publish("hello.all", "", { reply: inbox });
  await t.becomes("all_answer_into_the_inbox", () => texts(seen).sort().join() === "0,1,2", () => texts(seen));
});

scenario("seeds/queue_group", async (t) => {
  const [publisher, ...members] = await join(t, 3);
  const kept = [];
  for (const member of members) kept.push(await t.collect(member, "hello.world", { queue: "greeter" }));
  for (const number of range(1000)) publisher.publish("hello.world", String(number));
  await t.settle(publisher, ...members);
  const heard = kept.flatMap(texts).map(Number).sort((a, b) => a - b);
  t.equal("each_message_once", heard, range(1000));
  const shares = kept.map((seen) => seen.length);
  // 500 expected each; six standard deviations of a fair draw are 95.
  t.true("evenly", shares.every((share) => share > 405 && share < 595), shares);
});

scenario("seeds/wildcards", async (t) => {
  const [publisher, subscriber] = await join(t, 2);
  const table = [
    ["one_token", "hello.*", ["hello.world", "hello.johan"]],
    ["token_in_the_middle", "first.*.third", ["first.second.third"]],
    ["all_that_follows", "first.>", ["first.second", "first.second.third", "first.second.third.fourth"]],
    ["wiretap", ">", ["hello", "hello.world", "hello.johan", "hello.big.world", "first", "first.second",
      "first.second.third", "first.second.third.fourth"]],
  ];
  const kept = [];
  for (const [, subject] of table) kept.push(await t.collect(subscriber, subject));
  for (const subject of table.at(-1)[2]) publisher.publish(subject);
  await t.settle(publisher, subscriber);
  for (const [index, [name, , expected]] of table.entries()) {
    t.equal(name, kept[index].map((m) => m.subject), expected);
  }
});
