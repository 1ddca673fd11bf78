// Connections in trouble: stale, too slow, or on a server that is leaving.

import { range, scenario, told } from "../kit.mjs";

scenario("health/stale_client", async (t) => {
  const [lively, mute] = [await t.connect("stale"), await t.connect("stale")];
  mute.protocol.processPing = () => {};
  await t.becomes("mute_client_is_put_out", () => mute.events.closed);
  t.true("reason", told(mute.events.closedWith).includes("stale connection") || mute.events.hasError("stale connection"), mute.events.all);
  await lively.flush();
  t.true("answering_client_stays", !lively.isClosed() && lively.events.count("disconnect") === 0);
});

scenario("health/stale_server", async (t) => {
  const client = await t.connect("restart", { reconnect: true, pingInterval: 200, maxPingOut: 2, reconnectTimeWait: 50, maxReconnectAttempts: -1, timeout: 1000 });
  await t.control("/signal/restart/pause");
  try {
    await t.becomes("client_notices", () => client.events.count("staleConnection") >= 1 || client.events.count("disconnect") >= 1);
  } finally {
    await t.control("/signal/restart/resume");
  }
  await t.becomes("client_comes_back", () => client.events.count("reconnect") >= 1);
  await client.flush();
  t.true("connection_works", !client.isClosed());
});

/** A reader that stops reading is cut off for `reason`; the publisher and a lively reader are not. */
async function cutOff(t, server, reason) {
  const [slow, fast, publisher] = [await t.connect(server), await t.connect(server), await t.connect(server)];
  const fastSeen = await t.collect(fast, "flood");
  await t.collect(slow, "flood");
  const id = slow.info.client_id;
  const before = (await t.monitor(server, "/varz")).slow_consumers;
  slow.protocol.transport.socket.pause();
  const chunk = new Uint8Array(65536);
  let sent = 0, noticed = false;
  while (!noticed && sent < 2000) {
    for (const _ of range(8)) publisher.publish("flood", chunk);
    sent += 8;
    await t.settle(publisher, fast);
    noticed = (await t.monitor(server, "/varz")).slow_consumers > before;
  }
  t.true("server_counts_it", noticed, `after ${sent} messages`);
  slow.protocol.transport.socket.resume();
  await t.becomes("it_is_cut_off", () => slow.events.closed);
  await publisher.flush();
  t.true("publisher_stays", !publisher.isClosed() && publisher.events.count("disconnect") === 0);
  t.equal("the_lively_reader_got_all", fastSeen.length, sent);
  let closed;
  await t.until("the server lists it as closed", async () => {
    closed = await t.monitor(server, `/connz?state=closed&cid=${id}`);
    return closed.connections.length > 0;
  });
  t.equal("server_knows_why", closed.connections[0].reason, reason);
}

scenario("health/slow_consumer_by_backlog", (t) => cutOff(t, "slow", "Slow Consumer (Pending Bytes)"));

scenario("health/slow_consumer_by_time", (t) => cutOff(t, "slow_write", "Slow Consumer (Write Deadline)"));

scenario("health/lame_duck", async (t) => {
  const client = await t.connect("lame");
  const seen = await t.collect(client, "still.here");
  t.equal("not_lame_at_first", client.events.count("ldm"), 0);
  await t.control("/signal/lame/ldm");
  await t.becomes("is_told", () => client.events.count("ldm") === 1);
  client.publish("still.here", "x");
  await t.settle(client, client);
  t.equal("works_in_the_grace_period", seen.length, 1);
  await t.rejects("newcomers_are_refused", "refused", t.connect("lame"));
  await t.becomes("is_put_out_after_it", () => client.events.closed, () => client.events.all, 15000);
});
