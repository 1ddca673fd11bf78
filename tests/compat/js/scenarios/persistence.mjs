// What is left after a restart of the server.

import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { range, scenario, store } from "../kit.mjs";

for (const [what, how] of [["killed", "restart"], ["asked_to_stop", "relaunch"]]) {
  scenario(`persistence/${what}`, async (t) => {
    const name = `JS${how.toUpperCase()}`;
    const { client, js, jsm } = await t.streams("streams_restart", { reconnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 50, reconnectJitter: 0 });
    await jsm.streams.add({ name, subjects: [`${name}.*`], description: "stays" });
    await store(js, `${name}.a`, ...range(10).map(String));
    await jsm.consumers.add(name, { durable_name: "one", ack_policy: "explicit", ack_wait: 1_000_000_000 });
    const consumer = await js.consumers.get(name, "one");
    for (let i = 0; i < 3; i += 1) await (await consumer.next({ expires: 5000 })).ackAck();
    const kv = await new Kvm(client).create(name);
    await kv.put("a", "1");
    const objects = await new Objm(client).create(name);
    await objects.putBlob({ name: "a" }, new Uint8Array(300_000));
    await t.control(`/${how}/streams_restart`);
    await t.until("reconnects", () => client.events.count("reconnect") === 1);
    const info = await jsm.streams.info(name);
    t.equal("stream", [info.config.description, info.state.messages, info.state.last_seq], ["stays", 10, 10]);
    const seen = new Set();
    while (!range(7).every((number) => seen.has(`${number + 3}`))) {
      const msg = await consumer.next({ expires: 5000 });
      seen.add(msg.string());
      await msg.ackAck();
    }
    t.true("consumer", how === "restart" || seen.size === 7, seen);
    t.equal("key", (await kv.get("a")).string(), "1");
    t.equal("object", (await objects.getBlob("a")).length, 300_000);
    t.equal("next_sequence", (await js.publish(`${name}.a`, "x")).seq, 11);
  });
}
