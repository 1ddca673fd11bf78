// Limits: what the server refuses, and what happens to the connection.

import { range, scenario, told } from "../kit.mjs";

const write = (client, text) => client.protocol.transport.send(new TextEncoder().encode(text));

/** Asserts that the connection ends and that its end says `text`. */
async function endsWith(t, what, client, text) {
  await t.becomes(`${what}_closes`, () => client.events.closed);
  t.true(`${what}_is_told`, told(client.events.closedWith).includes(text) || client.events.hasError(text),
    [client.events.closedWith, client.events.all]);
}

scenario("limits/max_payload", async (t) => {
  const [client, other] = [await t.connect("limits"), await t.connect("limits")];
  const seen = await t.collect(other, "size");
  let refused;
  try {
    client.publish("size", "x".repeat(1025));
  } catch (error) {
    refused = error;
  }
  t.true("client_checks_by_info", refused && /max_?payload/i.test(told(refused)), refused);
  client.publish("size", "x".repeat(1024));
  await t.settle(client, other);
  t.equal("exactly_the_limit", seen.map((m) => m.data.length), [1024]);
  write(client, `PUB size 1025\r\n${"x".repeat(1025)}\r\n`); // a client that does not check
  await endsWith(t, "violation", client, "maximum payload violation");
  await other.flush();
  t.equal("nothing_is_delivered", seen.length, 1);
});

scenario("limits/max_subscriptions", async (t) => {
  const client = await t.connect("limits");
  const kept = [];
  for (const number of range(5)) kept.push(await t.collect(client, `sub.${number}`));
  t.true("up_to_the_limit", !client.isClosed() && client.events.errors().length === 0, client.events.all);
  client.subscribe("sub.6", { callback: () => {} }).closed.catch(() => {});
  await t.becomes("one_more_is_told", () => client.events.hasError("maximum subscriptions exceeded")
    || told(client.events.closedWith).includes("maximum subscriptions exceeded"), () => client.events.all);
});

scenario("limits/max_control_line", async (t) => {
  const client = await t.connect("limits");
  client.publish("y".repeat(400));
  await client.flush();
  t.true("within", !client.isClosed());
  client.publish("y".repeat(600));
  await endsWith(t, "beyond", client, "maximum control line exceeded");
});

scenario("limits/max_connections", async (t) => {
  const [first, second] = [await t.connect("full"), await t.connect("full")];
  await t.rejects("one_too_many", "", t.connect("full"));
  await second.flush();
  t.true("the_others_stay", !first.isClosed() && !second.isClosed());
  await first.close();
  await t.becomes("room_after_one_left", () => t.connect("full").catch(() => undefined));
});

scenario("limits/unknown_operation", async (t) => {
  const [client, other] = [await t.connect("plain"), await t.connect("plain")];
  write(client, "SING a song\r\n");
  await endsWith(t, "nonsense", client, "unknown protocol operation");
  await other.flush();
  t.true("others_stay", !other.isClosed());
});

scenario("limits/invalid_subject", async (t) => {
  const client = await t.connect("plain", { pedantic: true });
  write(client, "SUB bad..subject 77\r\n");
  await t.becomes("is_told", () => client.events.hasError("invalid subject") || told(client.events.closedWith).includes("invalid subject"),
    () => client.events.all);
});
