// What a user may publish, subscribe to and answer, and how a refusal surfaces.

import { PermissionViolationError } from "@nats-io/nats-core";
import { range, scenario, texts } from "../kit.mjs";

const as = (t, user) => t.connect("permissions", { user, pass: "pw" });

/** The client's own reading of a refusal: operation, subject and queue. */
function refusals(client) {
  return client.events.errors().filter((error) => error instanceof PermissionViolationError)
    .map(({ operation, subject, queue }) => (queue ? [operation, subject, queue] : [operation, subject]));
}

async function publishRefused(t, what, client, subject) {
  const before = refusals(client).length;
  client.publish(subject);
  await client.flush();
  await t.until(`${what} is told`, () => refusals(client).length > before);
  t.equal(what, refusals(client).slice(before), [["publish", subject]]);
}

async function subscribeRefused(t, what, client, subject, queue) {
  const before = refusals(client).length;
  let error;
  const sub = client.subscribe(subject, { queue, callback: (err) => (error = err) });
  sub.closed.catch(() => {});
  await client.flush();
  await t.until(`${what} is told`, () => refusals(client).length > before);
  t.equal(what, refusals(client).slice(before), [queue ? ["subscription", subject, queue] : ["subscription", subject]]);
  t.true(`${what}_reaches_the_subscription`, error instanceof PermissionViolationError, error);
}

scenario("permissions/publish", async (t) => {
  const [admin, limited] = [await as(t, "admin"), await as(t, "limited")];
  const seen = await t.collect(admin, ">");
  await publishRefused(t, "outside_the_allowed", limited, "elsewhere");
  await publishRefused(t, "denied_inside_the_allowed", limited, "allowed.secret.x");
  await publishRefused(t, "system_subject", limited, "$SYS.REQ.SERVER.PING");
  limited.publish("allowed.fine", "in");
  await t.settle(limited, admin);
  t.equal("only_the_allowed_arrives", seen.map((m) => m.subject).filter((s) => !s.startsWith("$")), ["allowed.fine"]);
  t.true("connection_stays", !limited.isClosed());
});

scenario("permissions/subscribe", async (t) => {
  const [admin, limited] = [await as(t, "admin"), await as(t, "limited")];
  await subscribeRefused(t, "outside_the_allowed", limited, "elsewhere");
  await subscribeRefused(t, "denied", limited, "allowed.secret.x");
  await subscribeRefused(t, "wider_than_allowed", limited, ">");
  const wide = await t.collect(limited, "allowed.>");
  const mixed = await t.collect(limited, "mixed.*");
  t.equal("nothing_told_for_the_allowed", refusals(limited).length, 3);
  for (const subject of ["allowed.a", "allowed.secret.b", "mixed.open", "mixed.hidden", "elsewhere"]) admin.publish(subject);
  await t.settle(admin, limited);
  t.equal("denied_subjects_are_left_out_of_a_wildcard", wide.map((m) => m.subject), ["allowed.a"]);
  t.equal("denied_literal_is_left_out_of_a_wildcard", mixed.map((m) => m.subject), ["mixed.open"]);
});

scenario("permissions/responses", async (t) => {
  const [requester, responder] = [await as(t, "requester"), await as(t, "responder")];
  const seen = await t.collect(responder, "service.>");
  const answers = await t.collect(requester, "_INBOX.mine");
  requester.publish("service.ask", "", { reply: "_INBOX.mine" });
  await t.until("request arrives", () => seen.length === 1);
  for (const number of range(4)) seen[0].respond(String(number));
  await t.settle(responder, requester);
  t.equal("two_answers_and_no_more", texts(answers), ["0", "1"]);
  await t.becomes("the_third_is_told", () => refusals(responder).length > 0);
  await publishRefused(t, "unasked", responder, "service.other");
});

scenario("permissions/request", async (t) => {
  const [requester, responder] = [await as(t, "requester"), await as(t, "responder")];
  await t.reply(responder, "service.echo");
  t.equal("answer", (await requester.request("service.echo", "hi")).string(), "hi");
  await t.rejects("refused_request_fails_at_once", "permission", requester.request("elsewhere", "", { timeout: 5000 }));
});

scenario("permissions/queues", async (t) => {
  const [queuer, admin] = [await as(t, "queuer"), await as(t, "admin")];
  const good = await t.collect(queuer, "work", { queue: "v1" });
  const also = await t.collect(queuer, "work", { queue: "v1.west" });
  t.equal("allowed_queues_are_silent", refusals(queuer), []);
  admin.publish("work", "x");
  await t.settle(admin, queuer);
  t.equal("allowed_queues_work", [good.length, also.length], [1, 1]);
  await subscribeRefused(t, "other_queue", queuer, "work", "v2");
  await subscribeRefused(t, "without_a_queue", queuer, "work");
});

scenario("permissions/denied_queue", async (t) => {
  const client = await as(t, "dequeuer");
  await t.collect(client, "work");
  await t.collect(client, "work", { queue: "fine" });
  t.equal("others_are_silent", refusals(client), []);
  await subscribeRefused(t, "denied_queue", client, "work", "bad");
  await publishRefused(t, "no_publishing", client, "work");
});

scenario("permissions/defaults", async (t) => {
  const client = await as(t, "defaulted");
  const seen = await t.collect(client, "open.door");
  client.publish("open.door", "in");
  await t.settle(client, client);
  t.equal("default_allows", texts(seen), ["in"]);
  await publishRefused(t, "default_publish", client, "closed.door");
  await subscribeRefused(t, "default_subscribe", client, "closed.door");
});
