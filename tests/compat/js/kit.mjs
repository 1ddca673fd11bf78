// What every scenario is given: the contract, connections, conditions, assertions.
//
// A scenario is an async function registered with `scenario(name, function)`. It
// receives a `Trial`, makes named assertions through it, and never sleeps to let
// things settle: it waits on a condition with a deadline (`until`, `becomes`) or
// on round trips (`settle`).

import { readFileSync } from "node:fs";
import { inspect, isDeepStrictEqual } from "node:util";
import { jetstream } from "@nats-io/jetstream";
import { connect as natsConnect } from "@nats-io/transport-node";

const DEADLINE_MS = 8000;
const SCENARIO_LIMIT_MS = 30000;

const scenarios = [];
const printed = new Set();
const failed = [];

/** Ends a scenario as skipped: it needs a server this product does not have yet. */
class Unbuilt extends Error {}

export const contract = JSON.parse(readFileSync(process.env.NATTER_COMPAT, "utf8"));
contract.servers = new Proxy(contract.servers, {
  get(servers, name) {
    const server = servers[name];
    if (server?.unbuilt) throw new Unbuilt(server.unbuilt);
    return server;
  },
});

/** Registers a scenario under `group/name`. */
export function scenario(name, run) {
  scenarios.push({ name, run });
}

/** Payloads as text, in order of arrival. */
export const texts = (messages) => messages.map((m) => m.string());

/** An array from 0 to `count` - 1. */
export const range = (count) => Array.from({ length: count }, (_, index) => index);

/** Everything an asynchronous iterator has until it ends or `most` are there. */
export async function gather(iterator, most = Infinity) {
  const found = [];
  if (most === 0) return found;
  for await (const one of iterator) {
    found.push(one);
    if (found.length >= most) break;
  }
  return found;
}

/** Publishes in order and waits for each PubAck; returns the sequences. */
export async function store(js, subject, ...payloads) {
  const sequences = [];
  for (const payload of payloads) sequences.push((await js.publish(subject, payload)).seq);
  return sequences;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** TLS options that trust the run's authority and show the client certificate named. */
export function tlsOptions(client, ca = "ca") {
  const options = { caFile: contract.tls[ca] };
  if (client) {
    options.certFile = contract.tls[`${client}_cert`];
    options.keyFile = contract.tls[`${client}_key`];
  }
  return options;
}

/** Everything an error says, its causes included, in lower case. */
export function told(error) {
  const parts = [];
  for (let at = error; at; at = at.cause) parts.push(`${at.name} ${at.code ?? ""} ${at.message ?? at}`);
  return parts.join(" < ").toLowerCase();
}

/** What a connection's status iterator told, by kind. */
export class Events {
  constructor(connection) {
    this.all = [];
    this.closedWith = undefined;
    this.closed = false;
    (async () => {
      for await (const status of connection.status()) this.all.push(status);
    })();
    connection.closed().then((error) => {
      this.closed = true;
      this.closedWith = error ?? null;
    });
  }

  count(type) {
    return this.all.filter((status) => status.type === type).length;
  }

  errors() {
    return this.all.filter((status) => status.type === "error").map((status) => status.error);
  }

  hasError(text) {
    return this.errors().some((error) => told(error).includes(text.toLowerCase()));
  }
}

/** One scenario's run: owns its connections and prints its assertions. */
export class Trial {
  constructor(name) {
    this.name = name;
    this.connections = [];
  }

  // Assertions. Names are `group/scenario/what`.

  #say(what, holds, why) {
    const full = `${this.name}/${what}`;
    if (printed.has(full)) [holds, why] = [false, "two assertions have this name"];
    printed.add(full);
    if (holds) {
      console.log(`ok ${full}`);
    } else {
      failed.push(full);
      console.log(`not ok ${full}: ${String(why).replace(/\s+/g, " ").slice(0, 400)}`);
    }
  }

  equal(what, actual, expected) {
    this.#say(what, isDeepStrictEqual(actual, expected), `expected ${inspect(expected)}, got ${inspect(actual)}`);
  }

  true(what, holds, why = "does not hold") {
    this.#say(what, Boolean(holds), why instanceof Object ? inspect(why) : why);
  }

  /** Asserts that a promise is rejected with an error that says `text`; returns the error. */
  async rejects(what, text, promise) {
    try {
      await promise;
    } catch (error) {
      if (error instanceof Unbuilt) throw error;
      this.#say(what, told(error).includes(text), `expected "${text}", got ${told(error)}`);
      return error;
    }
    this.#say(what, false, `expected "${text}", got no error`);
    return undefined;
  }

  /** Asserts that a condition comes true in time. */
  async becomes(what, condition, why = () => "", deadlineMs = DEADLINE_MS) {
    this.#say(what, await this.#poll(condition, deadlineMs), `not within ${deadlineMs} ms ${inspect(why())}`);
  }

  // Conditions.

  async #poll(condition, deadlineMs = DEADLINE_MS) {
    const end = Date.now() + deadlineMs;
    while (!(await condition())) {
      if (Date.now() > end) return false;
      await pause(5);
    }
    return true;
  }

  /** Waits for a precondition; the scenario cannot go on without it. */
  async until(what, condition, deadlineMs = DEADLINE_MS) {
    if (!(await this.#poll(condition, deadlineMs))) throw new Error(`${what}: not within ${deadlineMs} ms`);
  }

  /**
   * Returns when everything published so far was handed to the callbacks of these
   * connections: the server answers the publisher's PING after routing its messages,
   * and the subscriber's after writing them.
   */
  async settle(publisher, ...subscribers) {
    await publisher.flush();
    for (const subscriber of subscribers) await subscriber.flush();
  }

  // Connections.

  /** Connects without reconnecting (unless asked); `client.events` collects its status. */
  async connect(server, options = {}) {
    const { port, host } = contract.servers[server] ?? {};
    const client = await natsConnect({ servers: `${host}:${port}`, reconnect: false, timeout: 5000, ...options });
    client.events = new Events(client);
    this.connections.push(client);
    return client;
  }

  /** Connects to a server with streams; returns its client, its manager and the connection. */
  async streams(server = "streams", options = {}) {
    const client = await this.connect(server, options);
    const js = jetstream(client, { timeout: DEADLINE_MS });
    return { client, js, jsm: await js.jetstreamManager() };
  }

  /** Asserts that the streams' API refuses with this error code; returns the error. */
  async apiError(what, code, promise) {
    try {
      await promise;
    } catch (error) {
      if (error instanceof Unbuilt) throw error;
      this.#say(what, error.code === code, `expected ${code}, got ${told(error)}`);
      return error;
    }
    this.#say(what, false, `expected ${code}, got no error`);
    return undefined;
  }

  /** Subscribes into an array; returns it once the server knows. `seen.sub` is the subscription. */
  async collect(client, subject, options = {}) {
    const seen = [];
    seen.sub = client.subscribe(subject, {
      ...options,
      // An error here is a refused subscription; it is told through the status, too.
      callback: (error, msg) => error || seen.push(msg),
    });
    seen.sub.closed.catch(() => {});
    await client.flush();
    return seen;
  }

  /** Answers every request with `answer` or, without one, with the request itself. */
  async reply(client, subject, answer, options = {}) {
    const sub = client.subscribe(subject, {
      ...options,
      callback: (error, msg) => error || msg.respond(answer ?? msg.data),
    });
    await client.flush();
    return sub;
  }

  /** Moves a server through the harness; returns its answer when it has happened. */
  async control(path) {
    const answer = await (await fetch(contract.control + path)).json();
    if (!answer.ok) throw new Error(`${path}: ${answer.error}`);
    return answer;
  }

  /** One monitoring endpoint's JSON. */
  async monitor(server, path) {
    return await (await fetch(contract.servers[server].monitor + path)).json();
  }

  /** Returns when the server holds no more than `but` subscriptions to this literal subject. */
  async forgotten(server, subject, but = 0) {
    await this.until(`${subject} is forgotten`, async () => {
      const listed = (await this.monitor(server, `/subsz?subs=1&test=${subject}`)).subscriptions_list ?? [];
      return listed.filter((sub) => sub.subject === subject).length <= but;
    });
  }

  async finish() {
    await Promise.all(this.connections.map((client) => Promise.race([client.close().catch(() => {}), pause(3000)])));
  }
}

/** What the product says of a part it has not, and what a client says that asks for a later version. */
const IS_ABSENT = /not part of this release|requires? server \d/;

/** Runs every registered scenario in order; returns the names of failed assertions. */
export async function runAll(filter) {
  for (const { name, run } of scenarios) {
    if (!name.includes(filter)) continue;
    const trial = new Trial(name);
    let limit;
    const late = new Promise((_, reject) => {
      limit = setTimeout(() => reject(new Error(`not done in ${SCENARIO_LIMIT_MS} ms`)), SCENARIO_LIMIT_MS);
    });
    try {
      await Promise.race([run(trial), late]);
    } catch (error) {
      if (error instanceof Unbuilt || IS_ABSENT.test(error?.message)) console.log(`skip ${name}: ${error.message}`);
      else trial.true("runs_to_its_end", false, told(error));
    } finally {
      clearTimeout(limit);
      await trial.finish();
    }
  }
  return failed;
}
