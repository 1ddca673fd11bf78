// Losing a server and coming back: resubscription, other servers, reload.

import { contract, range, scenario, texts } from "../kit.mjs";

const PATIENT = { reconnect: true, reconnectTimeWait: 50, reconnectJitter: 10, maxReconnectAttempts: -1 };
const address = (name) => `127.0.0.1:${contract.servers[name].port}`;

scenario("reconnecting/resubscribes", async (t) => {
  const [client, other] = [await t.connect("restart", PATIENT), await t.connect("restart", PATIENT)];
  const seen = await t.collect(client, "back.*");
  const queued = await t.collect(client, "back.q", { queue: "g" });
  await t.reply(client, "back.echo");
  await t.control("/stop/restart");
  await t.becomes("disconnect_is_told", () => client.events.count("disconnect") === 1 && other.events.count("disconnect") === 1);
  await t.control("/start/restart");
  await t.becomes("reconnect_is_told", () => client.events.count("reconnect") === 1 && other.events.count("reconnect") === 1);
  // This library forgets what was published while away; the others' suites look at that.
  await client.flush();
  other.publish("back.q", "again");
  await t.settle(other, client);
  t.equal("subscription_is_back", texts(seen), ["again"]);
  t.equal("queue_subscription_is_back", texts(queued), ["again"]);
  t.equal("requests_work_again", (await other.request("back.echo", "hi", { timeout: 5000 })).string(), "hi");
});

scenario("reconnecting/auto_unsubscribe_survives", async (t) => {
  const client = await t.connect("restart", PATIENT);
  const seen = await t.collect(client, "rest", { max: 3 });
  client.publish("rest", "1");
  await t.settle(client, client);
  await t.control("/restart/restart");
  await t.until("reconnects", () => client.events.count("reconnect") === 1);
  await client.flush();
  for (const number of [2, 3, 4, 5]) client.publish("rest", String(number));
  await t.settle(client, client);
  t.equal("only_the_rest", texts(seen), ["1", "2", "3"]);
});

scenario("reconnecting/again_and_again", async (t) => {
  const client = await t.connect("restart", PATIENT);
  const seen = await t.collect(client, "rounds");
  for (const number of range(3)) {
    await t.control("/restart/restart");
    await t.until("reconnects", () => client.events.count("reconnect") === number + 1);
    await client.flush();
    client.publish("rounds", String(number));
    await t.settle(client, client);
  }
  t.equal("works_after_every_restart", texts(seen), ["0", "1", "2"]);
});

scenario("reconnecting/goes_to_another_server", async (t) => {
  const client = await t.connect("restart", { ...PATIENT, servers: [address("restart"), address("plain")], noRandomize: true });
  t.equal("first_in_the_list", client.info.server_name, "compat-restart");
  const seen = await t.collect(client, "moved");
  await t.control("/stop/restart");
  await t.becomes("reconnects_elsewhere", () => client.events.count("reconnect") === 1);
  t.equal("second_in_the_list", client.info.server_name, "compat-plain");
  await client.flush();
  client.publish("moved", "here");
  await t.settle(client, client);
  t.equal("subscription_moved_along", texts(seen), ["here"]);
  await t.control("/start/restart");
});

scenario("reconnecting/first_connect_waits", async (t) => {
  await t.control("/stop/restart");
  await t.rejects("refused_when_not_waiting", "refused", t.connect("restart"));
  const connecting = t.connect("restart", { ...PATIENT, waitOnFirstConnect: true });
  await t.control("/start/restart");
  const client = await connecting;
  await client.flush();
  t.true("connects_when_the_server_is_there", !client.isClosed());
});

scenario("reconnecting/gives_up", async (t) => {
  const client = await t.connect("restart", { ...PATIENT, reconnectTimeWait: 10, maxReconnectAttempts: 2 });
  await t.control("/stop/restart");
  await t.becomes("closes_in_the_end", () => client.events.closed);
  await t.control("/start/restart");
});

scenario("reconnecting/forced", async (t) => {
  const client = await t.connect("restart", PATIENT);
  const seen = await t.collect(client, "forced");
  const before = client.info.client_id;
  await client.reconnect();
  await t.until("reconnects", () => client.events.count("reconnect") === 1);
  await client.flush();
  t.true("a_new_connection", client.info.client_id > before, [before, client.info.client_id]);
  client.publish("forced", "x");
  await t.settle(client, client);
  t.equal("subscription_is_back", seen.length, 1);
});

scenario("reconnecting/reload", async (t) => {
  const stays = await t.connect("reload", { user: "first", pass: "first" });
  const seen = await t.collect(stays, "kept");
  const login = { user: "second", pass: "second" };
  await t.rejects("second_is_unknown_at_first", "authorization violation", t.connect("reload", login));
  await t.control("/config/reload/more");
  const second = await t.connect("reload", login);
  second.publish("kept", "hi");
  await t.settle(second, stays);
  t.equal("second_is_let_in_after_reload", texts(seen), ["hi"]);
  await t.control("/config/reload/base");
  await t.becomes("removed_user_is_put_out", () => second.events.closed);
  await stays.flush();
  t.true("first_was_not_disturbed", !stays.isClosed() && stays.events.count("disconnect") === 0);
});
