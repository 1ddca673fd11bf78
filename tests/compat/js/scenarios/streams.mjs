// Streams: management, publishing, reading single messages, copies, advisories.

import { headers, nanos } from "@nats-io/nats-core";
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { gather, range, scenario, store } from "../kit.mjs";

scenario("streams/life", async (t) => {
  const { js, jsm } = await t.streams();
  const info = await jsm.streams.add({ name: "JSLIFE", subjects: ["jslife.>"], max_msgs: 10, metadata: { colour: "green" } });
  t.equal("add", [info.config.name, info.config.max_msgs, info.config.storage, info.config.num_replicas], ["JSLIFE", 10, "file", 1]);
  t.equal("metadata", info.config.metadata.colour, "green");
  await t.apiError("add_another", 10058, jsm.streams.add({ name: "JSLIFE", subjects: ["other"] }));
  await t.apiError("overlap", 10065, jsm.streams.add({ name: "JSLIFE2", subjects: ["jslife.a"] }));
  t.equal("update", (await jsm.streams.update("JSLIFE", { max_msgs: 3 })).config.max_msgs, 3);
  t.equal("sequences", await store(js, "jslife.a", "1", "2", "3", "4"), [1, 2, 3, 4]);
  const state = (await jsm.streams.info("JSLIFE", { subjects_filter: ">" })).state;
  t.equal("state", [state.messages, state.first_seq, state.last_seq, state.subjects], [3, 2, 4, { "jslife.a": 3 }]);
  t.equal("names", await gather(jsm.streams.names("jslife.>")), ["JSLIFE"]);
  t.equal("list", (await gather(jsm.streams.list("jslife.a"))).map((found) => found.config.name), ["JSLIFE"]);
  t.equal("find", await jsm.streams.find("jslife.x"), "JSLIFE");
  t.equal("purge", (await jsm.streams.purge("JSLIFE", { keep: 1 })).purged, 2);
  t.equal("delete", await jsm.streams.delete("JSLIFE"), true);
  await t.apiError("deleted", 10059, jsm.streams.info("JSLIFE"));
  const account = await jsm.getAccountInfo();
  t.true("account", account.api.level >= 1 && account.limits.max_streams === -1, account);
});

scenario("streams/publish", async (t) => {
  const { js, jsm } = await t.streams();
  await jsm.streams.add({ name: "JSPUB", subjects: ["jspub.>"], allow_rollup_hdrs: true });
  const ack = await js.publish("jspub.a", "1", { msgID: "one" });
  t.equal("ack", [ack.stream, ack.seq, ack.duplicate], ["JSPUB", 1, false]);
  t.equal("duplicate", (await js.publish("jspub.a", "1", { msgID: "one" })).duplicate, true);
  await t.apiError("expect_stream", 10060, js.publish("jspub.a", "", { expect: { streamName: "OTHER" } }));
  await t.apiError("expect_last_sequence", 10071, js.publish("jspub.a", "", { expect: { lastSequence: 9 } }));
  await t.apiError("expect_last_id", 10070, js.publish("jspub.a", "", { expect: { lastMsgID: "two" } }));
  await t.apiError("expect_subject_sequence", 10071, js.publish("jspub.a", "", { expect: { lastSubjectSequence: 9 } }));
  t.equal("expected", (await js.publish("jspub.a", "", { expect: { lastSubjectSequence: 1, lastSequence: 1, streamName: "JSPUB" } })).seq, 2);
  const rollup = headers();
  rollup.set("Nats-Rollup", "all");
  await js.publish("jspub.b", "sum", { headers: rollup });
  t.equal("rollup", (await jsm.streams.info("JSPUB")).state.messages, 1);
  const acks = await Promise.all(range(500).map((number) => js.publish("jspub.c", `${number}`)));
  t.equal("many_at_once", acks.map((one) => one.seq), range(500).map((number) => number + 4));
  await t.rejects("nobody_stores_this", "no responders", js.publish("jspub_nobody", ""));
});

scenario("streams/limits", async (t) => {
  const { js, jsm } = await t.streams();
  await jsm.streams.add({ name: "JSLIM", subjects: ["jslim"], max_msgs: 2, discard: DiscardPolicy.New });
  await store(js, "jslim", "1", "2");
  const error = await t.apiError("discard_new", 10077, js.publish("jslim", "3"));
  t.equal("discard_new_says", error?.message, "maximum messages exceeded");
  await jsm.streams.add({ name: "JSLIMSUBJ", subjects: ["jslimsubj.*"], max_msgs_per_subject: 1, storage: StorageType.Memory });
  await store(js, "jslimsubj.a", "1", "2");
  t.equal("per_subject", (await jsm.streams.info("JSLIMSUBJ")).state.messages, 1);
  await jsm.streams.add({ name: "JSLIMAGE", subjects: ["jslimage"], max_age: nanos(300), duplicate_window: nanos(100) });
  await store(js, "jslimage", "1");
  await t.becomes("age", async () => (await jsm.streams.info("JSLIMAGE")).state.messages === 0);
  await jsm.streams.add({ name: "JSLIMSIZE", subjects: ["jslimsize"], max_msg_size: 5 });
  await t.apiError("size", 10054, js.publish("jslimsize", "123456"));
  await jsm.streams.add({ name: "JSTTL", subjects: ["jsttl"], allow_msg_ttl: true });
  await js.publish("jsttl", "short", { ttl: "1s" });
  await t.becomes("message_ttl", async () => (await jsm.streams.info("JSTTL")).state.messages === 0);
  await t.apiError("where_ttl_is_not_allowed", 10166, js.publish("jslim", "", { ttl: "1s" }));
});

scenario("streams/messages", async (t) => {
  const { js, jsm } = await t.streams();
  await jsm.streams.add({ name: "JSMSG", subjects: ["jsmsg.*"], allow_direct: true });
  const coloured = headers();
  coloured.append("Colour", "green");
  await store(js, "jsmsg.a", "1", "2");
  await js.publish("jsmsg.b", "3", { headers: coloured });
  const stored = await jsm.streams.getMessage("JSMSG", { seq: 3 });
  t.equal("get", [stored.subject, stored.seq, stored.string(), stored.header.get("Colour")], ["jsmsg.b", 3, "3", "green"]);
  t.equal("last", (await jsm.streams.getMessage("JSMSG", { last_by_subj: "jsmsg.a" })).string(), "2");
  t.equal("none", await jsm.streams.getMessage("JSMSG", { seq: 9 }), null);
  t.equal("direct", (await jsm.direct.getMessage("JSMSG", { seq: 2 })).string(), "2");
  t.equal("direct_last", (await jsm.direct.getMessage("JSMSG", { last_by_subj: "jsmsg.b" })).seq, 3);
  t.equal("direct_none", await jsm.direct.getMessage("JSMSG", { seq: 9 }), null);
  const batch = await gather(await jsm.direct.getBatch("JSMSG", { seq: 1, batch: 5, next_by_subj: "jsmsg.>" }));
  t.equal("direct_batch", batch.map((one) => one.string()), ["1", "2", "3"]);
  const last = await gather(await jsm.direct.getLastMessagesFor("JSMSG", { multi_last: ["jsmsg.*"] }));
  t.equal("direct_last_of_many", last.map((one) => one.seq), [2, 3]);
  t.equal("delete", await jsm.streams.deleteMessage("JSMSG", 1), true);
  t.equal("delete_without_erasing", await jsm.streams.deleteMessage("JSMSG", 2, false), true);
  await t.rejects("delete_again", "no message found", jsm.streams.deleteMessage("JSMSG", 1));
});

scenario("streams/copies", async (t) => {
  const { client, js, jsm } = await t.streams();
  await jsm.streams.add({ name: "JSORIGIN", subjects: ["jsorigin.*"] });
  await store(js, "jsorigin.a", "1", "2");
  await jsm.streams.add({ name: "JSMIRROR", mirror: { name: "JSORIGIN" } });
  await jsm.streams.add({
    name: "JSSOURCED",
    sources: [{ name: "JSORIGIN", subject_transforms: [{ src: "jsorigin.*", dest: "sourced.{{wildcard(1)}}" }] }],
  });
  for (const name of ["JSMIRROR", "JSSOURCED"]) {
    await t.becomes(`${name.toLowerCase()}_follows`, async () => (await jsm.streams.info(name)).state.messages === 2);
  }
  t.equal("mirror", (await jsm.streams.getMessage("JSMIRROR", { seq: 2 })).subject, "jsorigin.a");
  t.equal("source", (await jsm.streams.getMessage("JSSOURCED", { seq: 2 })).subject, "sourced.a");
  t.equal("mirror_info", (await jsm.streams.info("JSMIRROR")).mirror.name, "JSORIGIN");
  const heard = await t.collect(client, "jsrepub.>");
  await jsm.streams.add({
    name: "JSTRANS", subjects: ["jstrans.*"], republish: { src: "jsdone.>", dest: "jsrepub.>" },
    subject_transform: { src: "jstrans.*", dest: "jsdone.{{wildcard(1)}}" },
  });
  await store(js, "jstrans.x", "1");
  await t.becomes("republished", () => heard.length === 1);
  t.equal("transformed", [heard[0].subject, heard[0].headers.get("Nats-Subject")], ["jsrepub.x", "jsdone.x"]);
  await jsm.streams.add({ name: "JSINT", subjects: ["jsint"], retention: RetentionPolicy.Interest });
  await store(js, "jsint", "1");
  t.equal("interest", (await jsm.streams.info("JSINT")).state.messages, 0);
});

scenario("streams/advisories", async (t) => {
  const { jsm } = await t.streams();
  const kinds = [];
  const advisories = jsm.advisories();
  (async () => {
    for await (const advisory of advisories) kinds.push(advisory.kind);
  })();
  await jsm.streams.add({ name: "JSADV", subjects: ["jsadv"] });
  await jsm.consumers.add("JSADV", { durable_name: "one", ack_policy: "explicit" });
  await t.becomes("arrive", () => ["api_audit", "stream_action", "consumer_action"].every((kind) => kinds.includes(kind)), () => kinds);
});

scenario("streams/batch", async (t) => {
  const { js, jsm } = await t.streams();
  await jsm.streams.add({ name: "JSBATCH", subjects: ["jsbatch"], allow_atomic: true });
  const batch = await js.startBatch("jsbatch", "1");
  batch.add("jsbatch", "2");
  t.equal("nothing_before_the_end", (await jsm.streams.info("JSBATCH")).state.messages, 0);
  const ack = await batch.commit("jsbatch", "3");
  t.equal("commit", [ack.count, ack.seq, ack.batch], [3, 3, batch.id]);
  t.equal("all_at_the_end", (await jsm.streams.info("JSBATCH")).state.messages, 3);
});
