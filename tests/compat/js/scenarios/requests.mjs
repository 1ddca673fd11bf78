// Request and reply: one answer, many, none, late.

import { createInbox, headers } from "@nats-io/nats-core";
import { range, scenario, texts } from "../kit.mjs";

scenario("requests/simple", async (t) => {
  const [service, client] = [await t.connect("plain"), await t.connect("plain")];
  await t.reply(service, "hello.johan", "Hello Johan :)");
  t.equal("answer", (await client.request("hello.johan", "", { timeout: 5000 })).string(), "Hello Johan :)");
  const own = await client.request("hello.johan", "", { timeout: 5000, noMux: true, reply: createInbox("own") });
  t.equal("with_own_inbox", own.string(), "Hello Johan :)");
});

scenario("requests/many_at_once", async (t) => {
  const [service, client] = [await t.connect("plain"), await t.connect("plain")];
  await t.reply(service, "upper");
  const answers = await Promise.all(range(500).map((n) => client.request("upper", String(n), { timeout: 8000 })));
  t.equal("each_gets_its_own", texts(answers), range(500).map(String));
});

scenario("requests/headers_both_ways", async (t) => {
  const [service, client] = [await t.connect("plain"), await t.connect("plain")];
  service.subscribe("headers.ask", {
    callback: (_, msg) => {
      const answer = headers();
      answer.set("Echo", msg.headers.get("Ask"));
      msg.respond("", { headers: answer });
    },
  });
  await service.flush();
  const ask = headers();
  ask.set("Ask", "why");
  const answer = await client.request("headers.ask", "", { timeout: 5000, headers: ask });
  t.equal("header_in_answer", answer.headers.get("Echo"), "why");
});

scenario("requests/no_responders", async (t) => {
  const client = await t.connect("plain");
  const began = Date.now();
  await t.rejects("raised", "no responders", client.request("nobody.home", "", { timeout: 10000 }));
  t.true("at_once", Date.now() - began < 5000, Date.now() - began);
  const seen = await t.collect(client, "my.inbox");
  client.publish("nobody.home", "body", { reply: "my.inbox" });
  await t.becomes("status_message_on_the_reply_subject", () => seen.length === 1);
  t.equal("status_503", [seen[0].headers.code, seen[0].data.length], [503, 0]);
});

scenario("requests/responder_leaves", async (t) => {
  const [service, client] = [await t.connect("plain"), await t.connect("plain")];
  await t.reply(service, "sometimes", "here");
  t.equal("while_present", (await client.request("sometimes")).string(), "here");
  await service.close();
  await t.forgotten("plain", "sometimes");
  await t.rejects("after_leaving", "no responders", client.request("sometimes"));
});

scenario("requests/timeout", async (t) => {
  const [service, client] = [await t.connect("plain"), await t.connect("plain")];
  const seen = await t.collect(service, "silent");
  await t.rejects("raised", "timeout", client.request("silent", "?", { timeout: 200 }));
  t.equal("the_request_did_arrive", texts(seen), ["?"]);
});

async function gather(iterable) {
  const answers = [];
  for await (const msg of iterable) answers.push(msg.string());
  return answers.sort();
}

scenario("requests/request_many", async (t) => {
  const client = await t.connect("plain");
  for (const number of range(3)) await t.reply(await t.connect("plain"), "who.is.there", String(number));
  const byCount = await client.requestMany("who.is.there", "", { strategy: "count", maxMessages: 3, maxWait: 5000 });
  t.equal("by_count", await gather(byCount), ["0", "1", "2"]);
  const byStall = await client.requestMany("who.is.there", "", { strategy: "stall", stall: 300, maxWait: 5000 });
  t.equal("by_stall", await gather(byStall), ["0", "1", "2"]);
  const byTimer = await client.requestMany("who.is.there", "", { strategy: "timer", maxWait: 500 });
  t.equal("by_timer", await gather(byTimer), ["0", "1", "2"]);
  await t.rejects("nobody", "no responders", (async () => gather(await client.requestMany("no.one", "", { maxWait: 5000 })))());
});

scenario("requests/request_many_until_sentinel", async (t) => {
  const client = await t.connect("plain");
  const service = await t.connect("plain");
  service.subscribe("stream.me", {
    callback: (_, msg) => {
      for (const number of range(5)) msg.respond(String(number));
      msg.respond("");
    },
  });
  await service.flush();
  const answers = [];
  const began = Date.now();
  for await (const msg of await client.requestMany("stream.me", "", { strategy: "sentinel", maxWait: 8000 })) {
    answers.push(msg.string());
  }
  t.equal("all_before_the_empty_one", answers.filter(Boolean), ["0", "1", "2", "3", "4"]);
  t.true("ends_at_the_empty_one", Date.now() - began < 4000, Date.now() - began);
});

scenario("requests/queue_of_responders", async (t) => {
  const client = await t.connect("plain");
  for (const number of range(3)) await t.reply(await t.connect("plain"), "balanced", String(number), { queue: "workers" });
  const answers = await Promise.all(range(120).map(() => client.request("balanced", "", { timeout: 8000 })));
  t.equal("every_responder_answers", [...new Set(texts(answers))].sort(), ["0", "1", "2"]);
});

scenario("requests/custom_inbox_prefix", async (t) => {
  const [service, client] = [await t.connect("plain"), await t.connect("plain", { inboxPrefix: "_MINE.x" })];
  const seen = await t.collect(service, "prefixed");
  const asking = client.request("prefixed", "", { timeout: 5000 });
  await t.until("request arrives", () => seen.length === 1);
  seen[0].respond("fine");
  t.equal("answer", (await asking).string(), "fine");
  t.true("reply_subject", seen[0].reply.startsWith("_MINE.x."), seen[0].reply);
});
