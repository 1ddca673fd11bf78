// Every way to say who one is, with right and wrong answers.

import { readFileSync } from "node:fs";
import { credsAuthenticator, jwtAuthenticator, nkeyAuthenticator, tokenAuthenticator, usernamePasswordAuthenticator } from "@nats-io/nats-core";
import { contract, range, scenario } from "../kit.mjs";

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

scenario("auth/server_survives_refusals", async (t) => {
  const refusals = await Promise.allSettled(range(20).map(() => t.connect("users", { user: "alice", pass: "wrong" })));
  t.true("all_refused", refusals.every(({ status }) => status === "rejected"), refusals);
  await accepts(t, "still_lets_the_right_one_in", "users", { user: "alice", pass: "wonderland" });
});
