// Object stores.

import { Objm } from "@nats-io/obj";
import { scenario } from "../kit.mjs";

async function objects(t, name, options = {}) {
  const client = await t.connect("streams");
  const objm = new Objm(client);
  return { client, objm, store: await objm.create(name, options) };
}

const text = (blob) => new TextDecoder().decode(blob);
const blob = (content) => new TextEncoder().encode(content);

scenario("objects/intro", async (t) => {
  const { store } = await objects(t, "JSOBJ");
  const info = await store.putBlob({ name: "a", description: "an object" }, blob("hello"));
  t.equal("put", [info.name, info.size, info.chunks, info.digest], ["a", 5, 1, "SHA-256=LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="]);
  t.equal("get", text(await store.getBlob("a")), "hello");
  t.equal("info", (await store.info("a")).description, "an object");
  await store.putBlob({ name: "a" }, blob("replaced"));
  t.equal("replaced", text(await store.getBlob("a")), "replaced");
  const large = new Uint8Array(5 << 20).fill(7);
  t.equal("large", (await store.putBlob({ name: "large" }, large)).chunks, 40);
  t.true("large_comes_back", Buffer.compare(await store.getBlob("large"), large) === 0);
  t.equal("small_chunks", (await store.putBlob({ name: "small", options: { max_chunk_size: 100 } }, large.slice(0, 1000))).chunks, 10);
  t.equal("list", (await store.list()).map((found) => found.name).sort(), ["a", "large", "small"]);
  t.equal("delete", (await store.delete("a")).success, true);
  t.equal("deleted", await store.get("a"), null);
  t.equal("deleted_is_known", (await store.info("a")).deleted, true);
  t.equal("never_there", await store.get("nobody"), null);
});

scenario("objects/links_and_meta", async (t) => {
  const { objm, store } = await objects(t, "JSOBJL");
  const other = await objm.create("JSOBJL2");
  const target = await other.putBlob({ name: "target" }, blob("linked"));
  await store.link("alias", target);
  t.equal("link", text(await store.getBlob("alias")), "linked");
  await store.putBlob({ name: "a" }, blob("1"));
  await store.update("a", { name: "b", description: "renamed" });
  t.equal("rename", [(await store.info("b")).description, text(await store.getBlob("b"))], ["renamed", "1"]);
  t.true("seal", (await store.seal()).sealed);
  await t.rejects("sealed", "sealed", store.putBlob({ name: "c" }, blob("1")));
  const status = await other.status();
  t.equal("status", [status.bucket, status.sealed, status.backingStore, status.streamInfo.config.name], ["JSOBJL2", false, "JetStream", "OBJ_JSOBJL2"]);
  t.equal("destroy", await other.destroy(), true);
});

scenario("objects/watch", async (t) => {
  const { store } = await objects(t, "JSOBJW");
  await store.putBlob({ name: "a" }, blob("1"));
  const seen = [];
  const watch = await store.watch({ includeHistory: false });
  (async () => {
    for await (const info of watch) if (info) seen.push([info.name, info.deleted]);
  })();
  await store.putBlob({ name: "b" }, blob("2"));
  await store.delete("a");
  await t.becomes("tells", () => seen.length >= 3 || seen.some(([name, deleted]) => name === "a" && deleted), () => seen);
  t.true("all_names", seen.some(([name]) => name === "b"), seen);
});
