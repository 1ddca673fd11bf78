// A smoke of the older `nats` 2.x package, which many applications still carry.

import { readFileSync } from "node:fs";
import legacy from "nats";
import { contract, range, scenario } from "../kit.mjs";

const { connect, StringCodec, headers, nkeyAuthenticator, credsAuthenticator } = legacy;
const codec = StringCodec();

async function open(t, server, options = {}) {
  const { host, port } = contract.servers[server];
  const client = await connect({ servers: `${host}:${port}`, reconnect: false, ...options });
  t.connections.push(client);
  return client;
}

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  return "let in";
}

scenario("legacy/messages", async (t) => {
  const client = await open(t, "plain");
  const sub = client.subscribe("old.*", { max: 3 });
  const sent = headers();
  sent.set("Key", "value");
  for (const number of range(3)) client.publish(`old.${number}`, codec.encode(`n${number}`), { headers: sent });
  const seen = [];
  for await (const msg of sub) seen.push([msg.subject, codec.decode(msg.data), msg.headers.get("Key")]);
  t.equal("arrive", seen, range(3).map((n) => [`old.${n}`, `n${n}`, "value"]));
  t.true("rtt", (await client.rtt()) >= 0);
});

scenario("legacy/requests", async (t) => {
  const [service, client] = [await open(t, "plain"), await open(t, "plain")];
  service.subscribe("old.echo", { callback: (_, msg) => msg.respond(msg.data) });
  await service.flush();
  t.equal("answer", codec.decode((await client.request("old.echo", codec.encode("hi"))).data), "hi");
  t.equal("no_responders", await refusal(client.request("old.nobody")), "503");
  service.subscribe("old.silent", { callback: () => {} });
  await service.flush();
  t.equal("timeout", await refusal(client.request("old.silent", undefined, { timeout: 200 })), "TIMEOUT");
});

scenario("legacy/queues", async (t) => {
  const client = await open(t, "plain");
  const counts = [0, 0];
  for (const index of range(2)) client.subscribe("old.work", { queue: "q", callback: () => counts[index]++ });
  for (const _ of range(200)) client.publish("old.work");
  await client.flush();
  t.equal("each_message_once", counts[0] + counts[1], 200);
  t.true("even", Math.min(...counts) > 50, counts);
});

async function logIn(t, what, server, good, bad) {
  const client = await open(t, server, good);
  await client.flush();
  t.true(`${what}_right`, !client.isClosed());
  if (bad) t.equal(`${what}_wrong`, await refusal(open(t, server, bad)), "AUTHORIZATION_VIOLATION");
}

scenario("legacy/logins", async (t) => {
  const { auth, tls } = contract;
  const signer = (seed) => ({ authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) });
  await logIn(t, "token", "token", { token: auth.token }, { token: "wrong" });
  await logIn(t, "password", "users", { user: "alice", pass: "wonderland" }, { user: "alice", pass: "wrong" });
  await logIn(t, "nkey", "nkey", signer(auth.nkey_seed), signer(auth.nkey_seed_unknown));
  await logIn(t, "tls", "tls", { tls: { caFile: tls.ca } });
});

scenario("legacy/credentials", async (t) => {
  const signer = (file) => ({ authenticator: credsAuthenticator(readFileSync(file)) });
  await logIn(t, "creds", "jwt", signer(contract.auth.creds), signer(contract.auth.creds_unknown));
});

scenario("legacy/permissions", async (t) => {
  const client = await open(t, "permissions", { user: "limited", pass: "pw" });
  const told = [];
  (async () => {
    for await (const status of client.status()) told.push([status.type, status.data, status.permissionContext?.subject]);
  })();
  client.publish("elsewhere");
  await client.flush();
  await t.becomes("refusal_is_told", () => told.some(([type, data, subject]) =>
    type === "error" && data === "PERMISSIONS_VIOLATION" && subject === "elsewhere"), () => told);
});

scenario("legacy/reconnect_and_drain", async (t) => {
  const client = await open(t, "restart", { reconnect: true, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  const seen = [];
  client.subscribe("old.back", { callback: (_, msg) => seen.push(codec.decode(msg.data)) });
  await client.flush();
  let reconnected = false;
  (async () => {
    for await (const status of client.status()) if (status.type === "reconnect") reconnected = true;
  })();
  await t.control("/restart/restart");
  await t.becomes("reconnects", () => reconnected);
  client.publish("old.back", codec.encode("again"));
  await client.flush();
  t.equal("subscription_is_back", seen, ["again"]);
  await client.drain();
  t.true("drained", client.isClosed());
});
