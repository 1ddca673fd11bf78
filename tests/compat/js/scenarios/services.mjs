// The services framework of the client library, which leans on queue groups and headers.

import { Svcm } from "@nats-io/services";
import { range, scenario } from "../kit.mjs";

async function start(client) {
  const double = (error, msg) => {
    const number = Number(msg.string());
    if (Number.isNaN(number)) msg.respondError(400, "not a number");
    else msg.respond(String(number * 2));
  };
  const service = await new Svcm(client).add({ name: "doubler", version: "1.2.3", description: "doubles", metadata: { team: "one" } });
  service.addEndpoint("default", { subject: "double.it", handler: double });
  service.addGroup("maths").addEndpoint("twice", { handler: double, metadata: { kind: "pure" } });
  await client.flush();
  return service;
}

async function gather(iterator) {
  const answers = [];
  for await (const answer of await iterator) answers.push(answer);
  return answers;
}

scenario("services/endpoints", async (t) => {
  const client = await t.connect("plain");
  await start(await t.connect("plain"));
  t.equal("answer", (await client.request("double.it", "21")).string(), "42");
  t.equal("grouped_endpoint", (await client.request("maths.twice", "4")).string(), "8");
  const wrong = await client.request("double.it", "abc");
  t.equal("error_headers", [wrong.headers.get("Nats-Service-Error-Code"), wrong.headers.get("Nats-Service-Error")], ["400", "not a number"]);
});

scenario("services/discovery", async (t) => {
  const client = await t.connect("plain");
  const services = [await start(await t.connect("plain")), await start(await t.connect("plain"))];
  const ids = services.map((service) => service.ping().id).sort();
  const finder = new Svcm(client).client({ strategy: "stall", stall: 300, maxWait: 3000 });
  t.equal("ping_reaches_all", (await gather(finder.ping())).map((p) => p.id).sort(), ids);
  t.equal("ping_by_name", (await gather(finder.ping("doubler"))).length, 2);
  t.equal("ping_by_id", (await gather(finder.ping("doubler", ids[0]))).map((p) => p.id), [ids[0]]);
  const [info] = await gather(finder.info("doubler", ids[0]));
  t.equal("info", [info.name, info.version, info.description, info.metadata.team], ["doubler", "1.2.3", "doubles", "one"]);
  t.equal("info_endpoints", info.endpoints.map((e) => [e.name, e.subject, e.queue_group]),
    [["default", "double.it", "q"], ["twice", "maths.twice", "q"]]);
  await t.rejects("unknown_name", "no responders", gather(finder.ping("nobody")));
});

scenario("services/statistics", async (t) => {
  const client = await t.connect("plain");
  const services = [await start(await t.connect("plain")), await start(await t.connect("plain"))];
  for (const number of range(60)) await client.request("double.it", String(number));
  await client.request("double.it", "x");
  const finder = new Svcm(client).client({ strategy: "stall", stall: 300, maxWait: 3000 });
  const answers = await gather(finder.stats("doubler"));
  const counts = answers.map((a) => a.endpoints.find((e) => e.name === "default").num_requests);
  t.equal("requests_add_up", counts.reduce((a, b) => a + b, 0), 61);
  t.true("both_instances_worked", counts.length === 2 && Math.min(...counts) > 5, counts);
  for (const service of services) await service.stop();
  await t.becomes("stopped_services_are_gone", () => client.request("$SRV.PING").then(() => false, (error) => /no responders/i.test(error.message)));
});
