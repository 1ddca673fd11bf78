// What INFO tells a client, as the client surfaces it.

import { nkeyAuthenticator } from "@nats-io/nats-core";
import { contract, scenario, tlsOptions } from "../kit.mjs";

scenario("information/fields", async (t) => {
  const { info } = await t.connect("plain");
  t.equal("server_name", info.server_name, "compat-plain");
  t.true("server_id", /^N[A-Z2-7]{55}$/.test(info.server_id), info.server_id);
  t.true("version", /^[2-9]\d*\.\d+\.\d+/.test(info.version), info.version);
  t.equal("max_payload", info.max_payload, 1024 * 1024);
  t.equal("headers", info.headers, true);
  t.equal("proto", info.proto, 1);
  t.equal("client_ip", info.client_ip, "127.0.0.1");
  t.equal("port", info.port, contract.servers.plain.port);
  t.true("nothing_demanded", !info.auth_required && !info.tls_required && !info.tls_verify, info);
  const other = await t.connect("plain");
  t.true("client_ids_grow", info.client_id > 0 && other.info.client_id > info.client_id, other.info);
});

scenario("information/told_after_connect", async (t) => {
  // The first PING is answered by one more INFO, which says whose account this is.
  const client = await t.connect("accounts", { user: "alpha", pass: "alpha" });
  await client.flush();
  t.equal("connect_info", client.info.connect_info, true);
  t.equal("account", client.info.remote_account, "ALPHA");
  const system = await t.connect("accounts", { user: "sys", pass: "sys" });
  await system.flush();
  t.equal("system_account", [system.info.remote_account, system.info.acc_is_sys], ["SYS", true]);
});

scenario("information/connection_is_listed", async (t) => {
  const client = await t.connect("plain", { name: "listed one" });
  const { connections } = await t.monitor("plain", `/connz?cid=${client.info.client_id}`);
  t.equal("name_and_language", [connections[0].name, connections[0].lang], ["listed one", "nats.js"]);
});

scenario("information/flags_of_demanding_servers", async (t) => {
  const users = await t.connect("users", { user: "alice", pass: "wonderland" });
  t.equal("auth_required", users.info.auth_required, true);
  const seed = new TextEncoder().encode(contract.auth.nkey_seed);
  const sign = nkeyAuthenticator(seed);
  let given;
  await t.connect("nkey", { authenticator: (nonce) => sign((given = nonce)) });
  t.true("nonce", given?.length >= 11, given);
  const tls = await t.connect("tls", { tls: tlsOptions() });
  t.equal("tls_required", tls.info.tls_required, true);
  const verify = await t.connect("tls_verify", { tls: tlsOptions("client") });
  t.equal("tls_verify", verify.info.tls_verify, true);
  const limits = await t.connect("limits");
  t.equal("small_max_payload", limits.info.max_payload, 1024);
});

scenario("information/advertised_address", async (t) => {
  const { info } = await t.connect("advertise");
  t.equal("host_and_port", [info.host, info.port], ["127.0.0.2", 4999]);
});

scenario("information/other_servers_of_the_cluster", async (t) => {
  const address = (name) => `127.0.0.1:${contract.servers[name].port}`;
  const both = [address("pair_a"), address("pair_b")].sort();
  await t.until("the pair has met", async () => {
    const { info } = await t.connect("pair_a");
    return (info.connect_urls ?? []).length === 2;
  });
  const client = await t.connect("pair_a", { reconnect: true, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  t.equal("connect_urls", [...client.info.connect_urls].sort(), both);
  t.equal("cluster_name", client.info.cluster, "pair");
  const seen = await t.collect(client, "across");
  await t.control("/stop/pair_a");
  await t.becomes("finds_the_other", () => client.events.count("reconnect") === 1 && client.getServer() === address("pair_b"),
    () => client.getServer());
  await client.flush();
  client.publish("across", "hi");
  await t.settle(client, client);
  t.equal("subscription_moved_along", seen.length, 1);
  await t.until("the one that left is forgotten", async () => {
    const { info } = await t.connect("pair_b");
    return (info.connect_urls ?? []).length < 2;
  });
  const watcher = await t.connect("pair_b");
  await t.control("/start/pair_a");
  await t.becomes("newcomer_is_announced",
    () => watcher.events.all.some((status) => status.type === "update" && status.added?.includes(address("pair_a"))),
    () => watcher.events.all);
  t.true("watcher_stays", !watcher.isClosed());
});

scenario("information/messages_cross_the_cluster", async (t) => {
  const [here, there] = [await t.connect("pair_a"), await t.connect("pair_b")];
  const seen = await t.collect(there, "crossing.*");
  await t.reply(there, "crossing.echo");
  await t.until("interest crosses", async () => {
    here.publish("crossing.probe");
    await here.flush();
    return seen.length > 0;
  });
  const answer = await here.request("crossing.echo", "over", { timeout: 5000 });
  t.equal("answer", answer.string(), "over");
});
