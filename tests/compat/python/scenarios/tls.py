"""TLS: required, verified, mapped to users, before INFO, optional."""

import ssl

from kit import Events, scenario
from scenarios.accounts import account_of


async def _works(t, what, server, **options):
    client = await t.connect(server, **options)
    sub, seen = await t.collect(client, "over.tls")
    await client.publish("over.tls", b"x" * 100_000)
    await t.settle(client, sub)
    t.equal(what, [len(m.data) for m in seen], [100_000])
    return client


async def _fails(t, what, server, expected, **options):
    """`expected`: texts of which one must occur in what the client was told."""
    events = Events()
    try:
        # TLS 1.3 lets a client believe for a moment that its certificate was taken.
        client = await t.connect(server, events, **options)
        await client.flush(timeout=2)
    except Exception as error:
        told = f"{error!r} {events.errors!r}".lower()
        t.true(what, any(text in told for text in expected), told)
    else:
        t.true(what, False, "was let in")


@scenario
async def required(t):
    client = await _works(t, "right_authority", "tls", tls=t.contract.tls_context())
    version = client._transport._io_writer.get_extra_info("ssl_object").version()
    t.equal("tls_1_3", version, "TLSv1.3")
    await _fails(t, "wrong_authority", "tls", ["certificate"], tls=t.contract.tls_context(ca="other_ca"))
    await _fails(t, "wrong_host", "tls", ["certificate", "hostname"], tls=t.contract.tls_context(), tls_hostname="example.com")
    old = t.contract.tls_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client = await _works(t, "tls_1_2", "tls", tls=old)
    t.equal("tls_1_2_is_spoken", client._transport._io_writer.get_extra_info("ssl_object").version(), "TLSv1.2")


@scenario
async def client_certificate(t):
    context = t.contract.tls_context
    await _works(t, "known_authority", "tls_verify", tls=context(client="client"))
    await _works(t, "anyone_of_that_authority", "tls_verify", tls=context(client="stranger"))
    refused = ["certificate", "alert", "eof", "reset", "broken", "closed", "empty response"]
    await _fails(t, "none", "tls_verify", refused, tls=context())
    await _fails(t, "foreign_authority", "tls_verify", refused, tls=context(client="foreign"))


@scenario
async def mapped_to_user(t):
    client = await _works(t, "known_certificate", "tls_map", tls=t.contract.tls_context(client="client"))
    told = await account_of(client)
    t.equal("user", told["user"], "compat@example.com")
    await _fails(t, "unknown_certificate", "tls_map", ["authorization"], tls=t.contract.tls_context(client="stranger"))


@scenario
async def handshake_first(t):
    await _works(t, "asked_for", "tls_first", tls=t.contract.tls_context(), tls_handshake_first=True)
    await _fails(t, "not_asked_for", "tls_first", ["timeout", "empty response", "eof"], tls=t.contract.tls_context(),
                 connect_timeout=1)


@scenario
async def optional(t):
    plain = await _works(t, "plain_connection", "tls_optional")
    t.true("not_required", not plain._server_info.get("tls_required"), plain._server_info)
    t.equal("available", plain._server_info.get("tls_available"), True)


@scenario
async def requests_and_big_payloads(t):
    service = await t.connect("tls", tls=t.contract.tls_context())
    client = await t.connect("tls", tls=t.contract.tls_context())
    await t.reply(service, "tls.echo")
    body = bytes(range(256)) * 4096
    answer = await client.request("tls.echo", body, timeout=8)
    t.true("a_megabyte_there_and_back", answer.data == body, len(answer.data))
