"""Every way to say who one is, with right and wrong answers."""

import base64

import nkeys

from kit import Events, scenario


async def _accepts(t, what, server, **options):
    client = await t.connect(server, **options)
    sub, seen = await t.collect(client, "after.auth")
    await client.publish("after.auth", b"in")
    await t.settle(client, sub)
    t.equal(what, len(seen), 1)


@scenario
async def token(t):
    secret = t.contract.auth["token"]
    for server in ("token", "token_bcrypt"):
        await _accepts(t, f"{server}_right", server, token=secret)
        await t.refused(f"{server}_wrong", server, token=secret + "x")
        await t.refused(f"{server}_missing", server)
    await _accepts(t, "token_in_url", "token", userinfo=secret)


@scenario
async def user_and_password(t):
    await _accepts(t, "plain_right", "users", user="alice", password="wonderland")
    await t.refused("plain_wrong", "users", user="alice", password="builder")
    await t.refused("plain_empty", "users", user="alice", password="")
    await _accepts(t, "bcrypt_right", "users", user="bob", password="builder")
    await t.refused("bcrypt_wrong", "users", user="bob", password="wonderland")
    await t.refused("unknown_user", "users", user="carol", password="wonderland")
    await t.refused("nothing", "users")
    await _accepts(t, "in_url", "users", userinfo="alice:wonderland")
    await t.refused("wrong_in_url", "users", userinfo="alice:nope")
    await t.refused("token_instead", "users", token="wonderland")


@scenario
async def nkey(t):
    auth = t.contract.auth
    await _accepts(t, "right", "nkey", nkeys_seed_str=auth["nkey_seed"])
    await t.refused("unknown_key", "nkey", nkeys_seed_str=auth["nkey_seed_unknown"])
    await t.refused("nothing", "nkey")
    await t.refused("user_instead", "nkey", user="alice", password="wonderland")


@scenario
async def jwt(t):
    auth = t.contract.auth
    await _accepts(t, "right", "jwt", user_credentials=auth["creds"])
    await t.refused("unknown_account", "jwt", user_credentials=auth["creds_unknown"])
    await t.refused("expired", "jwt", user_credentials=auth["creds_expired"])
    await t.refused("nothing", "jwt")

    def only_jwt():
        with open(auth["creds"], encoding="utf-8") as file:
            return file.read().split("-----")[2].strip().encode()

    def signed_by_another(nonce):
        return base64.b64encode(nkeys.from_seed(auth["nkey_seed_unknown"].encode()).sign(nonce.encode()))

    await t.refused("signature_of_another_key", "jwt", user_jwt_cb=only_jwt, signature_cb=signed_by_another)


@scenario
async def jwt_permissions(t):
    events = Events()
    client = await t.connect("jwt", events, user_credentials=t.contract.auth["creds"])
    await client.publish("denied.x", b"")
    await t.flush(client)
    await t.becomes("denied_publish_is_told", lambda: events.has_error('permissions violation for publish to "denied.x"'),
                    why=lambda: events.errors)
    t.true("connection_stays", client.is_connected)


@scenario
async def jwt_limits(t):
    client = await t.connect("jwt", user_credentials=t.contract.auth["creds_limited"])
    sub, seen = await t.collect(client, "small")
    await client.publish("small", b"x" * 1000)
    await t.settle(client, sub)
    t.equal("exactly_the_limit", len(seen), 1)
    await client.publish("small", b"x" * 1001)
    await t.becomes("beyond_closes", lambda: client.is_closed)
    t.true("beyond_is_told", "maximum payload" in str(client.last_error).lower(), client.last_error)
    client = await t.connect("jwt", user_credentials=t.contract.auth["creds_limited"])
    for number in range(4):
        await client.subscribe(f"limited.{number}")
    await t.becomes("subscriptions", lambda: "maximum subscriptions" in str(client.last_error).lower(),
                    why=lambda: client.last_error)


@scenario
async def jwt_expires_while_connected(t):
    brief = (await t.control("/creds/3"))["creds"]
    client = await t.connect("jwt", user_credentials=brief)
    await t.flush(client)
    t.true("works_before", client.is_connected)
    await t.becomes("is_put_out", lambda: client.is_closed)
    t.true("is_told_why", "user authentication expired" in str(client.last_error).lower(), client.last_error)


@scenario
async def server_survives_refusals(t):
    for _ in range(20):
        try:
            await t.connect("users", user="alice", password="wrong")
        except Exception:
            pass
    await _accepts(t, "still_lets_the_right_one_in", "users", user="alice", password="wonderland")
