// TLS: required, verified, mapped to users, before INFO, optional.

import { contract, scenario, tlsOptions, told } from "../kit.mjs";
import { whoAmI } from "./accounts.mjs";

async function works(t, what, server, tls) {
  const client = await t.connect(server, { tls });
  const seen = await t.collect(client, "over.tls");
  client.publish("over.tls", "x".repeat(100_000));
  await t.settle(client, client);
  t.equal(what, seen.map((m) => m.data.length), [100_000]);
  return client;
}

/** `expected`: texts of which one must occur in what the client was told. */
async function fails(t, what, server, options, expected) {
  try {
    // TLS 1.3 lets a client believe for a moment that its certificate was taken.
    const client = await t.connect(server, options);
    await client.flush();
  } catch (error) {
    t.true(what, expected.some((text) => told(error).includes(text)), told(error));
    return;
  }
  t.true(what, false, "was let in");
}

const transport = (client) => client.protocol.transport;

scenario("tls/required", async (t) => {
  const client = await works(t, "right_authority", "tls", tlsOptions());
  t.true("is_encrypted", transport(client).isEncrypted());
  t.equal("tls_1_3", transport(client).socket.getProtocol(), "TLSv1.3");
  const old = await works(t, "tls_1_2", "tls", { ...tlsOptions(), maxVersion: "TLSv1.2" });
  t.equal("tls_1_2_is_spoken", transport(old).socket.getProtocol(), "TLSv1.2");
  await fails(t, "wrong_authority", "tls", { tls: tlsOptions(undefined, "other_ca") }, ["certificate"]);
  await fails(t, "refused_by_the_client", "tls", { tls: null }, ["tls"]);
});

scenario("tls/client_certificate", async (t) => {
  await works(t, "known_authority", "tls_verify", tlsOptions("client"));
  await works(t, "anyone_of_that_authority", "tls_verify", tlsOptions("stranger"));
  const refused = ["certificate", "alert", "econnreset", "epipe", "closed", "disconnect"];
  await fails(t, "none", "tls_verify", { tls: tlsOptions() }, refused);
  await fails(t, "foreign_authority", "tls_verify", { tls: tlsOptions("foreign") }, refused);
});

scenario("tls/mapped_to_user", async (t) => {
  const client = await works(t, "known_certificate", "tls_map", tlsOptions("client"));
  t.equal("user", (await whoAmI(client)).user, "compat@example.com");
  await fails(t, "unknown_certificate", "tls_map", { tls: tlsOptions("stranger") }, ["authorization violation"]);
});

scenario("tls/handshake_first", async (t) => {
  await works(t, "asked_for", "tls_first", { ...tlsOptions(), handshakeFirst: true });
  await fails(t, "not_asked_for", "tls_first", { tls: tlsOptions(), timeout: 1000 }, ["timeout"]);
});

scenario("tls/optional", async (t) => {
  const encrypted = await works(t, "with_tls", "tls_optional", tlsOptions());
  t.true("is_encrypted", transport(encrypted).isEncrypted());
  const plain = await works(t, "without_tls", "tls_optional", null);
  t.true("is_plain", !transport(plain).isEncrypted());
  t.equal("flags", [plain.info.tls_available, plain.info.tls_required ?? false], [true, false]);
  const seen = await t.collect(plain, "between");
  encrypted.publish("between", "both");
  await t.settle(encrypted, plain);
  t.equal("they_hear_each_other", seen.length, 1);
});

scenario("tls/big_payloads", async (t) => {
  const [service, client] = [await t.connect("tls", { tls: tlsOptions() }), await t.connect("tls", { tls: tlsOptions() })];
  await t.reply(service, "tls.echo");
  const body = Buffer.alloc(client.info.max_payload, "0123456789abcdef");
  const answer = await client.request("tls.echo", body, { timeout: 8000 });
  t.true("there_and_back", Buffer.from(answer.data).equals(body), answer.data.length);
  t.true("server_is_known", contract.servers.tls.port === client.info.port, client.info);
});
