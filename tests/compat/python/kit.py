"""What every scenario is given: the contract, connections, conditions, assertions.

A scenario is an async function registered with `@scenario`. It receives a `Trial`,
makes named assertions through it, and never sleeps to let things settle: it waits
on a condition with a deadline (`Trial.until`) or on a round trip (`Trial.settle`).
"""

import asyncio
import json
import os
import ssl
import time
import urllib.error
import urllib.request

import nats
from nats.js.errors import APIError

DEADLINE_S = 8
SCENARIO_LIMIT_S = 30

SCENARIOS = []
PRINTED = set()
FAILED = []


def scenario(function):
    """Registers a scenario under `file/function`."""
    SCENARIOS.append((f"{function.__module__.rsplit('.', 1)[-1]}/{function.__name__}", function))
    return function


# What the product answers to a request for what it has not.
NOT_BUILT = "not part of this release"


class Unbuilt(BaseException):
    """Ends a scenario as skipped: it needs a server this product does not have yet.

    Not an `Exception`, so that no assertion about errors takes it for one.
    """


class Contract:
    """The harness's JSON, by name."""

    def __init__(self):
        with open(os.environ["NATTER_COMPAT"], encoding="utf-8") as file:
            self.json = json.load(file)
        self.tls, self.auth = self.json["tls"], self.json["auth"]

    def url(self, server, userinfo=""):
        entry = self.server(server)
        return f"nats://{userinfo + '@' if userinfo else ''}{entry['host']}:{entry['port']}"

    def server(self, name):
        entry = self.json["servers"][name]
        if "unbuilt" in entry:
            raise Unbuilt(entry["unbuilt"])
        return entry

    def tls_context(self, ca="ca", client=None):
        context = ssl.create_default_context(cafile=self.tls[ca])
        if client:
            context.load_cert_chain(self.tls[f"{client}_cert"], self.tls[f"{client}_key"])
        return context


class Events:
    """What a connection's callbacks saw."""

    def __init__(self):
        self.errors, self.disconnected, self.reconnected, self.closed, self.lame, self.discovered = [], 0, 0, 0, 0, 0

    def has_error(self, text):
        return any(text.lower() in str(error).lower() for error in self.errors)

    def callbacks(self):
        async def on_error(error):
            self.errors.append(error)

        async def on_disconnected():
            self.disconnected += 1

        async def on_reconnected():
            self.reconnected += 1

        async def on_closed():
            self.closed += 1

        async def on_lame():
            self.lame += 1

        async def on_discovered():
            self.discovered += 1

        return {"error_cb": on_error, "disconnected_cb": on_disconnected, "reconnected_cb": on_reconnected,
                "closed_cb": on_closed, "lame_duck_mode_cb": on_lame, "discovered_server_cb": on_discovered}


class Trial:
    """One scenario's run: owns its connections and prints its assertions."""

    def __init__(self, name, contract):
        self.name, self.contract, self.connections = name, contract, []

    # Assertions. Names are `file/scenario/what`.

    def _say(self, what, holds, why):
        full = f"{self.name}/{what}"
        if full in PRINTED:
            holds, why = False, "two assertions have this name"
        PRINTED.add(full)
        if holds:
            print(f"ok {full}", flush=True)
        else:
            FAILED.append(full)
            print(f"not ok {full}: {' '.join(str(why).split())[:400]}", flush=True)

    def equal(self, what, actual, expected):
        self._say(what, actual == expected, f"expected {expected!r}, got {actual!r}")

    def true(self, what, holds, why=""):
        self._say(what, bool(holds), why or "does not hold")

    async def raises(self, what, expected, awaitable):
        """Asserts that awaiting raises `expected`; returns the error, or None."""
        try:
            await awaitable
        except expected as error:
            self._say(what, True, "")
            return error
        except Exception as error:  # any other error is the finding
            self._say(what, False, f"expected {expected}, got {error!r}")
        else:
            self._say(what, False, f"expected {expected}, got no error")
        return None

    async def refused(self, what, server, **options):
        """Asserts that the server turns this login away with its own `Authorization Violation`."""
        events = Events()
        try:
            await self.connect(server, events, **options)
        except Exception as error:  # which of its errors the library raises is its own matter
            told = f"{error!r} {events.errors!r}".lower()
            self._say(what, "authorization violation" in told or "authorizationerror" in told, told)
        else:
            self._say(what, False, "was let in")

    async def becomes(self, what, condition, deadline_s=DEADLINE_S, why=lambda: ""):
        """Asserts that a condition comes true in time; returns whether it did."""
        holds = await self._poll(condition, deadline_s)
        self._say(what, holds, f"not within {deadline_s} s {why()}")
        return holds

    async def api_error(self, what, err_code, awaitable):
        """Asserts that the streams' API refuses with this `err_code`; returns the error, or None."""
        error = await self.raises(what, APIError, _coded(err_code, awaitable))
        return error

    # Conditions.

    @staticmethod
    async def _poll(condition, deadline_s):
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.005)
        return True

    async def until(self, what, condition, deadline_s=DEADLINE_S):
        """Waits for a precondition; the scenario cannot go on without it."""
        if not await self._poll(condition, deadline_s):
            raise TimeoutError(f"{what}: not within {deadline_s} s")

    async def settle(self, publisher, *subscriptions):
        """Returns when everything published so far was handed to these subscriptions' callbacks.

        The server answers the publisher's PING after routing its messages, and the
        subscriber's PING after writing them, so two round trips bound the journey.
        """
        await self.flush(publisher)
        for sub in subscriptions:
            await self.flush(sub._conn)
            await self.until(f"{sub.subject} is handled", lambda: sub.pending_msgs == 0)

    async def until_asked(self, what, question, deadline_s=DEADLINE_S):
        """`until` for conditions that must be asked for, such as monitoring endpoints."""
        end = time.monotonic() + deadline_s
        while not await question():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {deadline_s} s")

    @staticmethod
    async def flush(client):
        """A round trip behind everything this client has sent.

        `Client.flush` alone is not that: its PING overtakes what is still buffered.
        """
        await client._flush_pending(force_flush=True)
        await client.flush()

    # Connections.

    async def connect(self, server, events=None, userinfo="", **options):
        """Connects without reconnecting (unless asked); closes at the scenario's end."""
        if not options.setdefault("allow_reconnect", False):
            options.update(max_reconnect_attempts=1, reconnect_time_wait=0.02)  # it retries the first connect, too
        options.setdefault("connect_timeout", 5)
        servers = options.pop("servers", None) or [self.contract.url(server, userinfo)]
        client = nats.NATS()
        self.connections.append(client)
        await client.connect(servers, **(events or Events()).callbacks(), **options)
        return client

    async def streams(self, server="streams", events=None, userinfo="", domain=None, **options):
        """Connects to a server that has streams; returns (client, its JetStream context)."""
        client = await self.connect(server, events, userinfo, **options)
        return client, client.jetstream(domain=domain)

    async def collect(self, client, subject, queue="", **options):
        """Subscribes into a list; returns (subscription, messages) once the server knows it."""
        messages = []

        async def keep(msg):
            messages.append(msg)

        sub = await client.subscribe(subject, queue=queue, cb=keep, **options)
        await self.flush(client)
        return sub, messages

    async def reply(self, client, subject, answer=None, queue=""):
        """Answers every request with `answer` or, without one, with the request itself."""
        async def respond(msg):
            await msg.respond(msg.data if answer is None else answer)

        sub = await client.subscribe(subject, queue=queue, cb=respond)
        await self.flush(client)
        return sub

    async def control(self, path):
        """Moves a server through the harness; returns its answer when it has happened."""
        def call():
            try:
                return json.load(urllib.request.urlopen(self.contract.json["control"] + path, timeout=30))
            except urllib.error.HTTPError as error:
                raise RuntimeError(f"{path}: {error.read().decode()}") from None

        return await asyncio.get_running_loop().run_in_executor(None, call)

    async def monitor(self, server, path):
        """One monitoring endpoint's JSON."""
        def call():
            with urllib.request.urlopen(self.contract.server(server)["monitor"] + path, timeout=5) as answer:
                return json.load(answer)

        return await asyncio.get_running_loop().run_in_executor(None, call)

    async def forgotten(self, server, subject, but=0):
        """Returns when the server holds no more than `but` subscriptions to this literal subject."""
        async def asked():
            listed = (await self.monitor(server, f"/subsz?subs=1&test={subject}")).get("subscriptions_list") or []
            return len([sub for sub in listed if sub["subject"] == subject]) <= but

        await self.until_asked(f"{subject} is forgotten", asked)

    async def finish(self):
        for client in self.connections:
            try:
                await asyncio.wait_for(client.close(), 5)
            except Exception:  # a broken connection is often what the scenario was about
                pass


async def _coded(err_code, awaitable):
    """Lets an API error pass only with the expected code; any other error is told as it is."""
    try:
        await awaitable
    except APIError as error:
        if error.err_code != err_code:
            raise AssertionError(f"expected {err_code}, got {error}") from None
        raise


async def api(client, verb, body=None):
    """One request to the streams' API past the library; returns the answer's JSON."""
    request = b"" if body is None else json.dumps(body).encode()
    return json.loads((await client.request(f"$JS.API.{verb}", request, timeout=DEADLINE_S)).data)


async def store(js, subject, *payloads, **options):
    """Publishes in order and waits for each PubAck; returns the sequences."""
    return [(await js.publish(subject, payload.encode(), **options)).seq for payload in payloads]


async def pull(client, stream, consumer, body):
    """A pull request past the library; returns (messages, the status line that ended it)."""
    return await answers(client, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", body, body.get("batch", 1))


async def answers(client, subject, body, most):
    """Reads what comes back for one request until `most` messages or a status that is no heartbeat."""
    sub = await client.subscribe(client.new_inbox())
    await client.publish(subject, json.dumps(body).encode(), reply=sub.subject)
    messages = []
    try:
        while len(messages) < most:
            msg = await sub.next_msg(DEADLINE_S)
            status = (msg.headers or {}).get("Status")
            if status == "100":
                continue
            if status:
                return messages, f"{status} {msg.headers.get('Description', '')}".strip()
            messages.append(msg)
        return messages, ""
    finally:
        await sub.unsubscribe()


def texts(messages):
    """Payloads as text, in order of arrival."""
    return [msg.data.decode() for msg in messages]


async def run_all(name_filter):
    """Runs every registered scenario in order; returns the names of failed assertions."""
    contract = Contract()
    for name, function in SCENARIOS:
        if name_filter not in name:
            continue
        trial = Trial(name, contract)
        try:
            await asyncio.wait_for(function(trial), SCENARIO_LIMIT_S)
        except Unbuilt as sentence:
            print(f"skip {name}: {sentence}", flush=True)
        except Exception as error:
            # A request for what the product says it has not is skipped, and shown.
            if NOT_BUILT in str(error):
                print(f"skip {name}: {error.args[0] if error.args else error}", flush=True)
            else:
                trial.true("runs_to_its_end", False, repr(error))
        finally:
            await trial.finish()
    return FAILED
