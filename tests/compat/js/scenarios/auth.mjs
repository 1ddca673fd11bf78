// Every way to say who one is, with right and wrong answers.

import { readFileSync } from "node:fs";
import { credsAuthenticator, jwtAuthenticator, nkeyAuthenticator, tokenAuthenticator, usernamePasswordAuthenticator } from "@nats-io/nats-core";
import { contract, range, scenario, told } from "../kit.mjs";

const { auth } = contract;
const bytes = (text) => new TextEncoder().encode(text);
const creds = (name) => ({ authenticator: credsAuthenticator(readFileSync(auth[name])) });
const nkey = (seed) => ({ authenticator: nkeyAuthenticator(bytes(seed)) });

async function accepts(t, what, server, options) {
  const client = await t.connect(server, options);
  const seen = await t.collect(client, "after.auth");
  client.publish("after.auth", "in");
  await t.settle(client, client);
  t.equal(what, seen.length, 1);
}

/** Refusal means the server's own `Authorization Violation`, not some other trouble. */
async function refuses(t, what, server, options) {
  await t.rejects(what, "authorization violation", t.connect(server, options));
}

scenario("auth/token", async (t) => {
  for (const server of ["token", "token_bcrypt"]) {
    await accepts(t, `${server}_right`, server, { token: auth.token });
    await refuses(t, `${server}_wrong`, server, { token: `${auth.token}x` });
    await refuses(t, `${server}_missing`, server, {});
  }
  await accepts(t, "authenticator", "token", { authenticator: tokenAuthenticator(() => auth.token) });
});

scenario("auth/user_and_password", async (t) => {
  await accepts(t, "plain_right", "users", { user: "alice", pass: "wonderland" });
  await refuses(t, "plain_wrong", "users", { user: "alice", pass: "builder" });
  await refuses(t, "plain_empty", "users", { user: "alice", pass: "" });
  await accepts(t, "bcrypt_right", "users", { user: "bob", pass: "builder" });
  await refuses(t, "bcrypt_wrong", "users", { user: "bob", pass: "wonderland" });
  await refuses(t, "unknown_user", "users", { user: "carol", pass: "wonderland" });
  await refuses(t, "nothing", "users", {});
  await refuses(t, "token_instead", "users", { token: "wonderland" });
  await accepts(t, "authenticator", "users", { authenticator: usernamePasswordAuthenticator("bob", "builder") });
});

scenario("auth/nkey", async (t) => {
  await accepts(t, "right", "nkey", nkey(auth.nkey_seed));
  await refuses(t, "unknown_key", "nkey", nkey(auth.nkey_seed_unknown));
  await refuses(t, "nothing", "nkey", {});
});

scenario("auth/jwt", async (t) => {
  await accepts(t, "right", "jwt", creds("creds"));
  await refuses(t, "unknown_account", "jwt", creds("creds_unknown"));
  await refuses(t, "expired", "jwt", creds("creds_expired"));
  await refuses(t, "nothing", "jwt", {});
  const jwt = readFileSync(auth.creds, "utf8").split("\n")[1];
  await refuses(t, "signature_of_another_key", "jwt", { authenticator: jwtAuthenticator(jwt, bytes(auth.nkey_seed_unknown)) });
  await refuses(t, "no_signature", "jwt", { authenticator: jwtAuthenticator(jwt) });
});

scenario("auth/jwt_permissions", async (t) => {
  const client = await t.connect("jwt", creds("creds"));
  client.publish("denied.x");
  await client.flush();
  await t.becomes("denied_publish_is_told", () => client.events.hasError('permissions violation for publish to "denied.x"'),
    () => client.events.all);
  t.true("connection_stays", !client.isClosed());
});

scenario("auth/jwt_limits", async (t) => {
  const client = await t.connect("jwt", creds("creds_limited"));
  const seen = await t.collect(client, "small");
  t.equal("limit_is_in_info", client.info.max_payload, 1000);
  client.publish("small", "x".repeat(1000));
  await t.settle(client, client);
  t.equal("exactly_the_limit", seen.length, 1);
  for (const number of range(3)) client.subscribe(`limited.${number}`, { callback: () => {} }).closed.catch(() => {});
  await t.becomes("subscriptions", () => client.events.hasError("maximum subscriptions"), () => client.events.all);
});

scenario("auth/jwt_expires_while_connected", async (t) => {
  const brief = (await t.control("/creds/3")).creds;
  const client = await t.connect("jwt", { authenticator: credsAuthenticator(readFileSync(brief)) });
  await client.flush();
  t.true("works_before", !client.isClosed());
  await t.becomes("is_told_and_put_out", () => client.events.closed
    && (client.events.hasError("user authentication expired") || told(client.events.closedWith).includes("user authentication expired")),
    () => [client.events.all, client.events.closedWith]);
});

scenario("auth/server_survives_refusals", async (t) => {
  const refusals = await Promise.allSettled(range(20).map(() => t.connect("users", { user: "alice", pass: "wrong" })));
  t.true("all_refused", refusals.every(({ status }) => status === "rejected"), refusals);
  await accepts(t, "still_lets_the_right_one_in", "users", { user: "alice", pass: "wonderland" });
});
