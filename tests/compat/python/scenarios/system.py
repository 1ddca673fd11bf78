"""The system account: events about connections, questions to servers."""

import json

from nats import errors

from kit import scenario
from scenarios.accounts import as_account


async def _ask(client, subject, body=b""):
    return json.loads((await client.request(subject, body, timeout=5)).data)


@scenario
async def connect_and_disconnect_events(t):
    watcher = await as_account(t, "sys")
    come, arrivals = await t.collect(watcher, "$SYS.ACCOUNT.*.CONNECT")
    go, departures = await t.collect(watcher, "$SYS.ACCOUNT.GAMMA.DISCONNECT")
    client = await as_account(t, "gamma", name="watched")
    await client.publish("counted", b"12345")
    await t.flush(client)
    client_id = client.client_id

    def of_client(messages):
        return [event for event in (json.loads(m.data) for m in messages) if event["client"]["id"] == client_id]

    await t.becomes("connect_event", lambda: of_client(arrivals))
    event = of_client(arrivals)[0]
    t.equal("connect_type", event["type"], "io.nats.server.advisory.v1.client_connect")
    t.equal("connect_client", {key: event["client"].get(key) for key in ("acc", "user", "name", "lang")},
            {"acc": "GAMMA", "user": "gamma", "name": "watched", "lang": "python3"})
    t.equal("connect_server", event["server"]["name"], "compat-accounts")
    await client.close()
    await t.becomes("disconnect_event", lambda: of_client(departures))
    event = of_client(departures)[0]
    t.equal("disconnect_type", event["type"], "io.nats.server.advisory.v1.client_disconnect")
    t.equal("disconnect_reason", event["reason"], "Client Closed")
    t.equal("disconnect_counts", (event["sent"]["msgs"], event["sent"]["bytes"]), (1, 5))


@scenario
async def failed_login_event(t):
    watcher = await as_account(t, "sys")
    sub, seen = await t.collect(watcher, "$SYS.SERVER.*.CLIENT.AUTH.ERR")
    try:
        await t.connect("accounts", user="alpha", password="wrong")
    except Exception:
        pass
    await t.becomes("event", lambda: len(seen) == 1)
    t.equal("reason", json.loads(seen[0].data)["reason"], "Authentication Failure")


@scenario
async def server_ping(t):
    client = await as_account(t, "sys")
    answer = await _ask(client, "$SYS.REQ.SERVER.PING")
    t.equal("server_name", answer["server"]["name"], "compat-accounts")
    t.true("statsz", answer["statsz"]["connections"] >= 1 and "mem" in answer["statsz"], answer)


@scenario
async def monitoring_by_request(t):
    client = await as_account(t, "sys")
    varz = await _ask(client, "$SYS.REQ.SERVER.PING.VARZ")
    t.equal("varz", varz["data"]["server_name"], "compat-accounts")
    server_id = varz["server"]["id"]
    connz = await _ask(client, f"$SYS.REQ.SERVER.{server_id}.CONNZ", json.dumps({"cid": client.client_id}).encode())
    t.equal("connz_of_this_connection", [c["cid"] for c in connz["data"]["connections"]], [client.client_id])
    healthz = await _ask(client, f"$SYS.REQ.SERVER.{server_id}.HEALTHZ")
    t.equal("healthz", healthz["data"]["status"], "ok")
    account = await _ask(client, "$SYS.REQ.ACCOUNT.ALPHA.INFO")
    t.equal("account_info", account["data"]["account_name"], "ALPHA")


@scenario
async def only_for_the_system_account(t):
    client, watcher = await as_account(t, "gamma"), await as_account(t, "sys")
    sub, seen = await t.collect(client, "$SYS.>")
    late = await as_account(t, "gamma")
    come, arrivals = await t.collect(watcher, "$SYS.ACCOUNT.GAMMA.>")
    await late.close()
    await t.until("system account hears", lambda: len(arrivals) >= 1)
    await t.flush(client)
    t.equal("others_hear_no_events", len(seen), 0)
    try:
        answer = await client.request("$SYS.REQ.SERVER.PING.VARZ", b"", timeout=0.5)
        t.true("others_get_no_answers", False, answer.data[:100])
    except (errors.NoRespondersError, errors.TimeoutError):
        t.true("others_get_no_answers", True)


@scenario
async def user_info(t):
    client = await as_account(t, "sys")
    told = await _ask(client, "$SYS.REQ.USER.INFO")
    t.equal("account", told["data"]["account"], "SYS")
    t.equal("server", told["server"]["name"], "compat-accounts")
