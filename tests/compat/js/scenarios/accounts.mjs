// Accounts: isolation, streams and services across their borders, guests, mappings.

import { headers } from "@nats-io/nats-core";
import { range, scenario, texts } from "../kit.mjs";

/** Connects as a user of the `accounts` server, where passwords equal names. */
export const as = (t, user, options = {}) => t.connect("accounts", { user, pass: user, ...options });

/** Asks the server who this connection is. */
export async function whoAmI(client) {
  return (await client.request("$SYS.REQ.USER.INFO", "", { timeout: 5000 })).json().data;
}

scenario("accounts/isolation", async (t) => {
  const [alpha, gamma] = [await as(t, "alpha"), await as(t, "gamma")];
  const own = await t.collect(alpha, "shared.name");
  const others = await t.collect(gamma, ">");
  alpha.publish("shared.name", "alpha");
  alpha.publish("events.one", "alpha");
  await t.settle(alpha, alpha, gamma);
  t.equal("own_account_hears", texts(own), ["alpha"]);
  t.equal("others_do_not", texts(others), []);
});

scenario("accounts/stream_import_with_prefix", async (t) => {
  const [alpha, beta] = [await as(t, "alpha"), await as(t, "beta")];
  const exact = await t.collect(beta, "from_alpha.events.one");
  const wild = await t.collect(beta, "from_alpha.events.>");
  const raw = await t.collect(beta, "events.>");
  const sent = headers();
  sent.set("Kept", "yes");
  for (const subject of ["events.one", "events.two.deep", "unexported"]) alpha.publish(subject, subject, { headers: sent });
  await t.settle(alpha, beta);
  t.equal("exact", exact.map((m) => [m.subject, m.string()]), [["from_alpha.events.one", "events.one"]]);
  t.equal("wildcard", wild.map((m) => m.subject), ["from_alpha.events.one", "from_alpha.events.two.deep"]);
  t.equal("headers_cross", wild[0].headers.get("Kept"), "yes");
  t.equal("original_name_is_not_used", raw.length, 0);
});

scenario("accounts/private_stream_renamed", async (t) => {
  const [alpha, beta] = [await as(t, "alpha"), await as(t, "beta")];
  const seen = await t.collect(beta, "hidden.*");
  alpha.publish("private.key", "k");
  alpha.publish("private.two.tokens", "n");
  await t.settle(alpha, beta);
  t.equal("arrives_under_the_new_name", seen.map((m) => [m.subject, m.string()]), [["hidden.key", "k"]]);
});

scenario("accounts/service_import", async (t) => {
  const [alpha, beta, gamma] = [await as(t, "alpha"), await as(t, "beta"), await as(t, "gamma")];
  const seen = [];
  alpha.subscribe("svc.add", {
    callback: (_, msg) => {
      seen.push(msg);
      msg.respond(`sum of ${msg.string()}`);
    },
  });
  await alpha.flush();
  t.equal("answer", (await beta.request("remote.add", "1,2", { timeout: 5000 })).string(), "sum of 1,2");
  t.equal("request_subject_in_the_exporter", seen[0].subject, "svc.add");
  t.true("reply_subject_is_rewritten", !seen[0].reply.startsWith("_INBOX"), seen[0].reply);
  const many = await Promise.all(range(50).map((n) => beta.request("remote.add", String(n), { timeout: 8000 })));
  t.equal("many_at_once", texts(many), range(50).map((n) => `sum of ${n}`));
  await t.rejects("not_imported", "no responders", gamma.request("svc.add"));
  await t.rejects("not_under_the_original_name", "no responders", beta.request("svc.add"));
});

scenario("accounts/service_import_without_responder", async (t) => {
  const beta = await as(t, "beta");
  await t.rejects("no_responders_crosses", "no responders", beta.request("remote.nobody", "", { timeout: 5000 }));
});

scenario("accounts/service_with_many_answers", async (t) => {
  const [alpha, beta] = [await as(t, "alpha"), await as(t, "beta")];
  alpha.subscribe("svc.many", { callback: (_, msg) => range(5).forEach((n) => msg.respond(String(n))) });
  await alpha.flush();
  const answers = [];
  for await (const msg of await beta.requestMany("svc.many", "", { strategy: "count", maxMessages: 5, maxWait: 5000 })) {
    answers.push(msg.string());
  }
  t.equal("all_answers_cross", answers, ["0", "1", "2", "3", "4"]);
});

scenario("accounts/guest", async (t) => {
  const unknown = await t.connect("accounts");
  const { user, account } = await whoAmI(unknown);
  t.equal("user_and_account", [user, account], ["guest", "GUEST"]);
  const guest = await as(t, "guest");
  const seen = await t.collect(guest, "lobby");
  unknown.publish("lobby", "hello");
  await t.settle(unknown, guest);
  t.equal("shares_the_guest_account", texts(seen), ["hello"]);
  await t.rejects("wrong_password_is_not_a_guest", "authorization violation", t.connect("accounts", { user: "alpha", pass: "wrong" }));
});

scenario("accounts/mappings", async (t) => {
  const client = await as(t, "gamma");
  const kept = {};
  for (const subject of ["new.*", "old.*", "swapped.>", "split.a", "split.b", "part.*.*"]) kept[subject] = await t.collect(client, subject);
  client.publish("old.name");
  client.publish("swap.first.second");
  for (const _ of range(1000)) client.publish("split");
  const keys = range(40).map((n) => `key${n}`);
  for (const key of [...keys, ...keys]) client.publish(`part.${key}`);
  await t.settle(client, client);
  t.equal("rename", kept["new.*"].map((m) => m.subject), ["new.name"]);
  t.equal("old_subject_hears_nothing", kept["old.*"].length, 0);
  t.equal("tokens_change_places", kept["swapped.>"].map((m) => m.subject), ["swapped.second.first"]);
  const [a, b] = [kept["split.a"].length, kept["split.b"].length];
  t.true("weights", a + b === 1000 && a > 380 && a < 620, [a, b]);
  const parts = kept["part.*.*"].map((m) => m.subject);
  t.equal("same_key_same_partition", parts.slice(0, 40), parts.slice(40));
  t.equal("all_partitions_are_used", new Set(parts.map((s) => s.split(".")[2])).size, 4);
});
