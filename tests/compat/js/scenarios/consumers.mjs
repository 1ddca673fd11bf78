// Consumers: pull, ordered and push; acknowledgements; pause; limits.

import { AckPolicy, DeliverPolicy, RetentionPolicy } from "@nats-io/jetstream";
import { nanos } from "@nats-io/nats-core";
import { gather, range, scenario, store } from "../kit.mjs";

async function begin(t, name, payloads, config = {}) {
  const streams = await t.streams();
  await streams.jsm.streams.add({ name, subjects: [`${name.toLowerCase()}.*`] });
  await store(streams.js, `${name.toLowerCase()}.a`, ...payloads);
  await streams.jsm.consumers.add(name, { durable_name: "one", ack_policy: AckPolicy.Explicit, ...config });
  return { ...streams, consumer: await streams.js.consumers.get(name, "one") };
}

const texts = (messages) => messages.map((msg) => msg.string());

scenario("consumers/life", async (t) => {
  const { js, jsm, consumer } = await begin(t, "JSCON", ["1", "2", "3"], { description: "of a consumer", ack_wait: nanos(9000) });
  const info = await consumer.info();
  t.equal("info", [info.name, info.stream_name, info.num_pending, info.config.description, info.config.ack_wait], ["one", "JSCON", 3, "of a consumer", nanos(9000)]);
  t.equal("update", (await jsm.consumers.update("JSCON", "one", { description: "changed" })).config.description, "changed");
  t.equal("list", (await gather(jsm.consumers.list("JSCON"))).map((found) => found.name), ["one"]);
  await t.apiError("two_kinds_of_filter", 10136, jsm.consumers.add("JSCON", { name: "bad", filter_subject: "jscon.a", filter_subjects: ["jscon.b"] }));
  await t.apiError("add_another", 10148, jsm.consumers.add("JSCON", { durable_name: "one", ack_policy: AckPolicy.All }));
  t.equal("delete", await jsm.consumers.delete("JSCON", "one"), true);
  await t.apiError("deleted", 10014, jsm.consumers.info("JSCON", "one"));
  await t.apiError("get_the_deleted", 10014, js.consumers.get("JSCON", "one"));
});

scenario("consumers/fetch", async (t) => {
  const { js, consumer } = await begin(t, "JSFETCH", ["1", "2", "3"]);
  const first = await gather(await consumer.fetch({ max_messages: 2, expires: 5000 }));
  t.equal("batch", texts(first), ["1", "2"]);
  t.equal("info", [first[1].info.stream, first[1].info.consumer, first[1].info.streamSequence, first[1].info.pending, first[1].redelivered], ["JSFETCH", "one", 2, 1, false]);
  t.equal("rest", texts(await gather(await consumer.fetch({ max_messages: 5, expires: 1000 }))), ["3"]);
  t.equal("next_is_none", await consumer.next({ expires: 1000 }), null);
  const waiting = consumer.next({ expires: 5000 });
  await js.publish("jsfetch.a", "4");
  t.equal("next", (await waiting).string(), "4");
  t.equal("ack_ack", await first[0].ackAck(), true);
  t.equal("pending_acks", (await consumer.info()).num_ack_pending, 3);
});

scenario("consumers/consume", async (t) => {
  const { js, jsm, consumer } = await begin(t, "JSCONSUME", []);
  const messages = await consumer.consume({ max_messages: 10 });
  const seen = [];
  (async () => {
    for await (const msg of messages) {
      seen.push(msg.string());
      msg.ack();
    }
  })();
  await Promise.all(range(100).map((number) => js.publish("jsconsume.a", `${number}`)));
  await t.becomes("all_arrive", () => seen.length === 100, () => seen.length);
  t.equal("in_order", seen, range(100).map(String));
  await t.becomes("all_are_acknowledged", async () => (await consumer.info()).ack_floor.stream_seq === 100);
  const statuses = [];
  (async () => {
    for await (const status of messages.status()) statuses.push(status.type);
  })();
  await jsm.consumers.delete("JSCONSUME", "one");
  await t.becomes("a_deletion_is_told", () => statuses.includes("consumer_deleted") || statuses.includes("consumer_not_found"), () => statuses);
  await messages.close();
});

scenario("consumers/ordered", async (t) => {
  const { js, jsm } = await begin(t, "JSORD", range(50).map(String));
  const consumer = await js.consumers.get("JSORD", { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: 11 });
  const messages = await consumer.consume({ max_messages: 10, expires: 2000, idle_heartbeat: 500 });
  const seen = [];
  for await (const msg of messages) {
    seen.push(msg.string());
    if (seen.length === 15) {
      const ordered = (await gather(jsm.consumers.list("JSORD"))).filter((found) => found.name !== "one");
      t.equal("is_made_so", [ordered[0].config.ack_policy, ordered[0].config.mem_storage, ordered[0].config.num_replicas], ["none", true, 1]);
      await jsm.consumers.delete("JSORD", ordered[0].name);
    }
    if (seen.length === 40) break;
  }
  t.equal("in_order_though_it_is_deleted", seen, range(40).map((number) => `${number + 10}`));
});

scenario("consumers/push", async (t) => {
  const { js, jsm } = await begin(t, "JSPUSH", ["1", "2"]);
  await jsm.consumers.add("JSPUSH", { durable_name: "push", deliver_subject: "jspush_out", ack_policy: AckPolicy.Explicit, idle_heartbeat: nanos(1000), flow_control: true });
  const consumer = await js.consumers.getPushConsumer("JSPUSH", "push");
  const messages = await consumer.consume();
  const seen = await gather(messages, 2);
  t.equal("delivers", texts(seen), ["1", "2"]);
  await t.apiError("wildcard", 10079, jsm.consumers.add("JSPUSH", { name: "bad", deliver_subject: "jspush_out.*" }));
  await t.apiError("cycle", 10081, jsm.consumers.add("JSPUSH", { name: "bad", deliver_subject: "jspush.x" }));
  const ordered = await js.consumers.getPushConsumer("JSPUSH");
  t.equal("ordered", texts(await gather(await ordered.consume(), 2)), ["1", "2"]);
});

scenario("consumers/acknowledge", async (t) => {
  const { client, consumer } = await begin(t, "JSACK", ["1", "2", "3"], { ack_wait: nanos(1000), max_deliver: 3 });
  const terminated = await t.collect(client, "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.JSACK.one");
  const msgs = await gather(await consumer.fetch({ max_messages: 3, expires: 5000 }));
  msgs[0].nak();
  const again = await consumer.next({ expires: 5000 });
  t.equal("nak", [again.string(), again.info.deliveryCount, again.redelivered], ["1", 2, true]);
  again.term("enough");
  await t.becomes("term", () => terminated.length === 1 && terminated[0].json().reason === "enough");
  msgs[1].nak(500);
  const began = Date.now();
  const late = await consumer.next({ expires: 5000 });
  t.true("nak_with_delay", late.string() === "2" && Date.now() - began >= 400, Date.now() - began);
  await late.ackAck();
  const waited = await consumer.next({ expires: 5000 });
  t.equal("after_the_ack_wait", [waited.string(), waited.info.deliveryCount], ["3", 2]);
  waited.working();
  t.equal("ack_ack", await waited.ackAck(), true);
  t.equal("all_done", (await consumer.info()).num_ack_pending, 0);
});

scenario("consumers/deliver", async (t) => {
  const { js, jsm } = await begin(t, "JSDEL", ["1", "2"]);
  await store(js, "jsdel.b", "3");
  const sees = async (config) => {
    const { name } = await jsm.consumers.add("JSDEL", { ack_policy: AckPolicy.None, ...config });
    const consumer = await js.consumers.get("JSDEL", name);
    const pending = (await consumer.info()).num_pending;
    return pending ? texts(await gather(await consumer.fetch({ max_messages: pending, expires: 2000 }))) : [];
  };
  t.equal("all", await sees({}), ["1", "2", "3"]);
  t.equal("last", await sees({ deliver_policy: DeliverPolicy.Last }), ["3"]);
  t.equal("new", await sees({ deliver_policy: DeliverPolicy.New }), []);
  t.equal("by_sequence", await sees({ deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: 2 }), ["2", "3"]);
  t.equal("last_per_subject", await sees({ deliver_policy: DeliverPolicy.LastPerSubject, filter_subject: ">" }), ["2", "3"]);
  t.equal("filters", await sees({ filter_subjects: ["jsdel.b", "jsdel.c"] }), ["3"]);
});

scenario("consumers/pause_and_reset", async (t) => {
  const { jsm, consumer } = await begin(t, "JSPAUSE", ["1", "2"]);
  t.equal("pause", (await jsm.consumers.pause("JSPAUSE", "one", new Date(Date.now() + 60_000))).paused, true);
  t.equal("nothing_comes", await consumer.next({ expires: 1000 }), null);
  t.equal("resume", (await jsm.consumers.resume("JSPAUSE", "one")).paused, false);
  const msg = await consumer.next({ expires: 5000 });
  await msg.ackAck();
  t.equal("reset", (await jsm.consumers.reset("JSPAUSE", "one", 1)).reset_seq, 1);
  t.equal("from_there", (await consumer.next({ expires: 5000 })).string(), "1");
});

scenario("consumers/limits", async (t) => {
  const { js, jsm, consumer } = await begin(t, "JSLIMITS", ["1", "2", "3"], { max_ack_pending: 2, max_batch: 5 });
  t.equal("max_ack_pending", (await gather(await consumer.fetch({ max_messages: 3, expires: 1000 }))).length, 2);
  const refused = await consumer.fetch({ max_messages: 6, expires: 1000 });
  const statuses = [];
  (async () => {
    for await (const status of refused.status()) statuses.push(`${status.code} ${status.description}`);
  })();
  await gather(refused).catch((error) => statuses.push(error.message));
  t.true("max_batch", statuses.some((status) => status.toLowerCase().includes("exceeded maxrequestbatch of 5")), statuses);
  await jsm.streams.add({ name: "JSWORK", subjects: ["jswork.*"], retention: RetentionPolicy.Workqueue });
  await jsm.consumers.add("JSWORK", { durable_name: "a", ack_policy: AckPolicy.Explicit, filter_subject: "jswork.a" });
  await t.apiError("workqueue_overlap", 10100, jsm.consumers.add("JSWORK", { durable_name: "b", ack_policy: AckPolicy.Explicit, filter_subject: "jswork.*" }));
  await t.apiError("workqueue_unfiltered", 10099, jsm.consumers.add("JSWORK", { durable_name: "b", ack_policy: AckPolicy.Explicit }));
  await store(js, "jswork.a", "1");
  await (await (await js.consumers.get("JSWORK", "a")).next({ expires: 5000 })).ackAck();
  t.equal("done_work_is_gone", (await jsm.streams.info("JSWORK")).state.messages, 0);
});
