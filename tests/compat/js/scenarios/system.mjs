// The system account: events about connections, questions to servers.

import { scenario } from "../kit.mjs";
import { as, whoAmI } from "./accounts.mjs";

const ask = async (client, subject, body) => (await client.request(subject, body, { timeout: 5000 })).json();

scenario("system/connect_and_disconnect_events", async (t) => {
  const watcher = await as(t, "sys");
  const arrivals = await t.collect(watcher, "$SYS.ACCOUNT.*.CONNECT");
  const departures = await t.collect(watcher, "$SYS.ACCOUNT.GAMMA.DISCONNECT");
  const client = await as(t, "gamma", { name: "watched" });
  client.publish("counted", "12345");
  await client.flush();
  const id = client.info.client_id;
  const find = (messages) => messages.map((m) => m.json()).find((event) => event.client.id === id);
  await t.becomes("connect_event", () => find(arrivals));
  let event = find(arrivals);
  t.equal("connect_type", event.type, "io.nats.server.advisory.v1.client_connect");
  const { acc, user, name, lang } = event.client;
  t.equal("connect_client", [acc, user, name, lang], ["GAMMA", "gamma", "watched", "nats.js"]);
  t.equal("connect_server", event.server.name, "compat-accounts");
  await client.close();
  await t.becomes("disconnect_event", () => find(departures));
  event = find(departures);
  t.equal("disconnect_type", event.type, "io.nats.server.advisory.v1.client_disconnect");
  t.equal("disconnect_reason", event.reason, "Client Closed");
  t.equal("disconnect_counts", [event.sent.msgs, event.sent.bytes], [1, 5]);
});

scenario("system/server_ping", async (t) => {
  const client = await as(t, "sys");
  const answer = await ask(client, "$SYS.REQ.SERVER.PING");
  t.equal("server_name", answer.server.name, "compat-accounts");
  t.true("statsz", answer.statsz.connections >= 1, answer);
});

scenario("system/monitoring_by_request", async (t) => {
  const client = await as(t, "sys");
  const varz = await ask(client, "$SYS.REQ.SERVER.PING.VARZ");
  t.equal("varz", varz.data.server_name, "compat-accounts");
  const connz = await ask(client, `$SYS.REQ.SERVER.${varz.server.id}.CONNZ`, JSON.stringify({ cid: client.info.client_id }));
  t.equal("connz_of_this_connection", connz.data.connections.map((c) => c.cid), [client.info.client_id]);
  const account = await ask(client, "$SYS.REQ.ACCOUNT.ALPHA.CONNZ");
  t.equal("connz_of_an_account", account.data.connections.length, 0);
  const subsz = await ask(client, `$SYS.REQ.SERVER.${varz.server.id}.SUBSZ`);
  t.true("subsz", subsz.data.num_subscriptions > 0, subsz);
});

scenario("system/user_info", async (t) => {
  const [system, alpha] = [await whoAmI(await as(t, "sys")), await whoAmI(await as(t, "alpha"))];
  t.equal("system_user", [system.user, system.account], ["sys", "SYS"]);
  t.equal("other_user", [alpha.user, alpha.account], ["alpha", "ALPHA"]);
});

scenario("system/only_for_the_system_account", async (t) => {
  const [client, watcher] = [await as(t, "gamma"), await as(t, "sys")];
  const seen = await t.collect(client, "$SYS.>");
  const heard = await t.collect(watcher, "$SYS.ACCOUNT.GAMMA.DISCONNECT");
  await (await as(t, "gamma")).close();
  await t.until("the system account hears", () => heard.length > 0);
  await client.flush();
  t.equal("others_hear_no_events", seen.length, 0);
});
