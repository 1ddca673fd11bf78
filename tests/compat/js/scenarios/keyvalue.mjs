// Key-value buckets.

import { Kvm } from "@nats-io/kv";
import { gather, scenario } from "../kit.mjs";

async function bucket(t, name, options = {}) {
  const client = await t.connect("streams");
  const kvm = new Kvm(client);
  return { client, kvm, kv: await kvm.create(name, options) };
}

const entries = (found) => found.map((entry) => [entry.key, entry.string(), entry.operation]);

scenario("keyvalue/intro", async (t) => {
  const { kv } = await bucket(t, "profiles");
  t.equal("put", await kv.put("sue.color", "blue"), 1);
  const entry = await kv.get("sue.color");
  t.equal("get", [entry.string(), entry.revision, entry.operation], ["blue", 1, "PUT"]);
  await kv.put("sue.color", "green");
  await t.apiError("update_of_an_old_revision", 10071, kv.update("sue.color", "red", 1));
  t.equal("update", await kv.update("sue.color", "red", 2), 3);
  await kv.delete("sue.color");
  t.equal("deleted", (await kv.get("sue.color")).operation, "DEL");
  t.equal("never_there", await kv.get("nobody"), null);
  const status = await kv.status();
  t.equal("status", [status.bucket, status.values, status.history, status.streamInfo.config.name], ["profiles", 1, 1, "KV_profiles"]);
});

scenario("keyvalue/create", async (t) => {
  const { kv } = await bucket(t, "JSKVC", { history: 5 });
  t.equal("create", await kv.create("a", "1"), 1);
  await t.apiError("create_again", 10071, kv.create("a", "2"));
  await kv.delete("a");
  t.equal("create_after_delete", await kv.create("a", "3"), 3);
  await kv.purge("a");
  t.equal("create_after_purge", await kv.create("a", "4"), 5);
  await t.apiError("delete_of_an_old_revision", 10071, kv.delete("a", { previousSeq: 3 }));
  const results = await Promise.allSettled([1, 2, 3, 4].map((number) => kv.create("race", `${number}`)));
  t.equal("one_of_many_wins", results.filter((result) => result.status === "fulfilled").length, 1);
});

scenario("keyvalue/history_and_keys", async (t) => {
  const { kv } = await bucket(t, "JSKVH", { history: 3 });
  for (const value of ["1", "2", "3", "4"]) await kv.put("a", value);
  await kv.put("b.c", "x");
  await kv.put("gone", "x");
  await kv.delete("gone");
  t.equal("history", entries(await gather(await kv.history({ key: "a" }))), [["a", "2", "PUT"], ["a", "3", "PUT"], ["a", "4", "PUT"]]);
  t.equal("revision", (await kv.get("a", { revision: 3 })).string(), "3");
  t.equal("keys", (await gather(await kv.keys())).sort(), ["a", "b.c"]);
  t.equal("keys_filtered", await gather(await kv.keys("b.>")), ["b.c"]);
  await kv.purge("a");
  t.equal("purge", entries(await gather(await kv.history({ key: "a" }))), [["a", "", "PURGE"]]);
});

scenario("keyvalue/watch", async (t) => {
  const { kv } = await bucket(t, "JSKVW", { history: 3 });
  await kv.put("a", "1");
  await kv.put("a", "2");
  await kv.put("b", "3");
  const follow = async (options) => {
    const seen = [];
    const watch = await kv.watch(options);
    (async () => {
      for await (const entry of watch) seen.push(entry);
    })();
    return seen;
  };
  const all = await follow({});
  const history = await follow({ include: "history" });
  const updates = await follow({ include: "updates" });
  const some = await follow({ key: "b" });
  const resumed = await follow({ resumeFromRevision: 3 });
  await t.becomes("the_last_of_each", () => all.length === 2, () => entries(all));
  await kv.delete("b");
  await t.becomes("follows", () => all.length === 3 && all[2].operation === "DEL" && all[2].isUpdate, () => entries(all));
  await t.becomes("history", () => history.length === 4, () => entries(history));
  await t.becomes("updates_only", () => updates.length === 1 && updates[0].operation === "DEL", () => entries(updates));
  await t.becomes("one_key", () => some.length === 2, () => entries(some));
  await t.becomes("from_a_revision", () => resumed.length === 2, () => entries(resumed));
});

scenario("keyvalue/time_and_buckets", async (t) => {
  const { kvm, kv } = await bucket(t, "JSKVT", { ttl: 500, max_bytes: 1 << 20, maxValueSize: 10, description: "short" });
  await kv.put("a", "1");
  await t.becomes("ttl", async () => (await kv.get("a")) === null);
  await t.apiError("too_large_a_value", 10054, kv.put("a", "far too large"));
  const names = (await gather(kvm.list())).map((status) => status.bucket);
  t.true("list", names.includes("JSKVT"), names);
  const opened = await kvm.open("JSKVT");
  t.equal("open", (await opened.status()).description, "short");
  t.equal("destroy", await kv.destroy(), true);
  await t.apiError("destroyed", 10059, opened.status());
  const marked = await kvm.create("JSKVM", { markerTTL: 60_000 });
  const seen = [];
  const watch = await marked.watch();
  (async () => {
    for await (const entry of watch) seen.push(entry.operation);
  })();
  await marked.create("short", "x", "1s");
  await t.becomes("a_key_with_its_own_end", () => seen.length === 2 && seen[1] !== "PUT", () => seen);
});
