// Leaving in order: draining subscriptions and connections, closing.

import { range, scenario, texts } from "../kit.mjs";

scenario("draining/subscription", async (t) => {
  const [publisher, client] = [await t.connect("plain"), await t.connect("plain")];
  const sub = client.subscribe("drained");
  await client.flush();
  for (const number of range(20)) publisher.publish("drained", String(number));
  await t.settle(publisher, client);
  const drained = sub.drain();
  await client.flush();
  publisher.publish("drained", "too late");
  await publisher.flush();
  const seen = [];
  for await (const msg of sub) seen.push(msg.string());
  await drained;
  t.equal("what_was_there_is_handled_and_no_more", seen, range(20).map(String));
  t.true("connection_stays", !client.isClosed());
});

scenario("draining/connection", async (t) => {
  const [publisher, client, listener] = [await t.connect("plain"), await t.connect("plain"), await t.connect("plain")];
  const heard = await t.collect(listener, "from.drainer");
  client.subscribe("to.drainer", { callback: (_, msg) => client.publish("from.drainer", msg.data) });
  client.subscribe("to.drainer", { queue: "q", callback: (_, msg) => client.publish("from.drainer", msg.data) });
  await client.flush();
  for (const number of range(50)) publisher.publish("to.drainer", String(number));
  await publisher.flush();
  await client.drain();
  t.true("closes", client.isClosed());
  await t.becomes("closed_promise_resolves", () => client.events.closed);
  await t.becomes("everything_is_handled", () => heard.length === 100, () => heard.length);
  let refused;
  try {
    client.publish("late");
  } catch (error) {
    refused = error;
  }
  t.equal("publish_after_drain", refused?.name, "ClosedConnectionError");
});

scenario("draining/queue_member_loses_nothing", async (t) => {
  const [publisher, one, two] = [await t.connect("plain"), await t.connect("plain"), await t.connect("plain")];
  const first = await t.collect(one, "handover", { queue: "q" });
  const second = await t.collect(two, "handover", { queue: "q" });
  for (const number of range(300)) publisher.publish("handover", String(number));
  await publisher.flush();
  const draining = one.drain();
  for (const number of range(300)) publisher.publish("handover", String(number + 300));
  await draining;
  const drained = first.length;
  for (const number of range(300)) publisher.publish("handover", String(number + 600));
  await t.settle(publisher, two);
  const all = [...texts(first), ...texts(second)].map(Number).sort((a, b) => a - b);
  t.equal("every_message_once", all, range(900));
  t.true("both_had_a_share", first.length > 50 && second.length > 300, [first.length, second.length]);
  t.equal("who_drained_gets_no_more", first.length, drained);
});

scenario("draining/close", async (t) => {
  const client = await t.connect("plain");
  const id = client.info.client_id;
  await client.close();
  await t.becomes("closed_without_error", () => client.events.closed && client.events.closedWith === null);
  await t.rejects("request_after_close", "closed", client.request("x"));
  let reason;
  await t.until("the server knows", async () => {
    const listed = await t.monitor("plain", `/connz?state=closed&cid=${id}`);
    reason = listed.connections[0]?.reason;
    return reason;
  });
  t.equal("server_knows_why", reason, "Client Closed");
});
