"""What INFO tells a client, as the client surfaces it."""

import nats

from kit import Events, scenario


@scenario
async def fields(t):
    client = await t.connect("plain", name="curious")
    info = client._server_info
    t.equal("server_name", info.get("server_name"), "compat-plain")
    t.true("server_id", len(info.get("server_id", "")) == 56 and info["server_id"].startswith("N"), info.get("server_id"))
    t.true("version_at_least_2", client.connected_server_version.major >= 2, client.connected_server_version)
    t.equal("max_payload", client.max_payload, 1024 * 1024)
    t.equal("headers", info.get("headers"), True)
    t.equal("proto", info.get("proto"), 1)
    t.equal("client_ip", str(client.client_ip), "127.0.0.1")
    t.equal("port", info.get("port"), t.contract.server("plain")["port"])
    t.true("no_auth_required", not info.get("auth_required"), info)
    t.true("no_tls_required", not info.get("tls_required"), info)
    other = await t.connect("plain")
    t.true("client_ids_grow", 0 < client.client_id < other.client_id, (client.client_id, other.client_id))


@scenario
async def connection_is_listed(t):
    client = await t.connect("plain", name="listed one")
    listed = await t.monitor("plain", f"/connz?cid={client.client_id}")
    found = listed["connections"]
    t.equal("one", len(found), 1)
    t.equal("name", found[0].get("name"), "listed one")
    t.equal("language", found[0].get("lang"), "python3")
    t.equal("version", found[0].get("version"), nats.aio.client.__version__)


@scenario
async def flags_of_demanding_servers(t):
    users = await t.connect("users", user="alice", password="wonderland")
    t.equal("auth_required", users._server_info.get("auth_required"), True)
    nkey = await t.connect("nkey", nkeys_seed_str=t.contract.auth["nkey_seed"])
    t.true("nonce", len(nkey._server_info.get("nonce", "")) >= 11, nkey._server_info)
    tls = await t.connect("tls", tls=t.contract.tls_context())
    t.equal("tls_required", tls._server_info.get("tls_required"), True)
    verify = await t.connect("tls_verify", tls=t.contract.tls_context(client="client"))
    t.equal("tls_verify", verify._server_info.get("tls_verify"), True)
    limits = await t.connect("limits")
    t.equal("small_max_payload", limits.max_payload, 1024)


@scenario
async def advertised_address(t):
    client = await t.connect("advertise")
    t.equal("host_and_port", (client._server_info["host"], client._server_info["port"]), ("127.0.0.2", 4999))


@scenario
async def other_servers_of_the_cluster(t):
    """Each INFO lists both members; a client of one finds the other, and goes there when it must."""
    expected = {f"127.0.0.1:{t.contract.server(name)['port']}" for name in ("pair_a", "pair_b")}
    events, newcomer_events = Events(), Events()

    async def both_known():
        probe = await t.connect("pair_a")
        return set(probe._server_info.get("connect_urls") or []) == expected

    await t.until_asked("the pair has met", both_known)
    client = await t.connect("pair_a", events, allow_reconnect=True, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    t.equal("connect_urls", set(client._server_info["connect_urls"]), expected)
    other = f"127.0.0.1:{t.contract.server('pair_b')['port']}"
    t.equal("discovered_servers", [url.netloc for url in client.discovered_servers], [other])
    sub, seen = await t.collect(client, "across")
    await t.control("/stop/pair_a")
    await t.becomes("finds_the_other", lambda: events.reconnected == 1 and client.connected_url.netloc == other)
    await t.flush(client)
    await client.publish("across", b"hi")
    await t.settle(client, sub)
    t.equal("subscription_moved_along", len(seen), 1)

    async def one_forgotten():
        probe = await t.connect("pair_b")
        return set(probe._server_info.get("connect_urls") or []) <= {other}

    await t.until_asked("the one that left is forgotten", one_forgotten)
    watcher = await t.connect("pair_b", newcomer_events)
    await t.control("/start/pair_a")
    await t.becomes("newcomer_is_announced", lambda: newcomer_events.discovered >= 1)
    t.true("watcher_stays", watcher.is_connected)
