// Who gets in, by what, over which kind of connection, and what he may do there.

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void admitted(const char *what, const char *server, natsOptions *opts) {
    natsConnection *nc = NULL;
    natsStatus status = try_join(&nc, server, opts);
    if (status == NATS_OK)
        status = natsConnection_FlushTimeout(nc, PATIENCE_MS);
    status_is(what, status, NATS_OK);
}

static void refused(const char *what, const char *server, natsOptions *opts, natsStatus want) {
    natsConnection *nc = NULL;
    status_is(what, try_join(&nc, server, opts), want);
}

static natsOptions *token(const char *text) {
    natsOptions *opts = options(NULL);
    must(natsOptions_SetToken(opts, text), "token");
    return opts;
}

static void auth_tokens_and_users(void) {
    const natsStatus no = NATS_CONNECTION_AUTH_FAILED;
    const char *right = contract("AUTH_TOKEN");
    admitted("token", "token", token(right));
    admitted("token_stored_as_bcrypt", "token_bcrypt", token(right));
    refused("wrong_token", "token", token("not-it"), no);
    refused("wrong_token_stored_as_bcrypt", "token_bcrypt", token("not-it"), no);
    refused("no_token", "token", options(NULL), no);
    admitted("user", "users", user("alice", "wonderland", NULL));
    admitted("user_stored_as_bcrypt", "users", user("bob", "builder", NULL));
    refused("wrong_password", "users", user("alice", "builder", NULL), no);
    refused("wrong_password_stored_as_bcrypt", "users", user("bob", "wonderland", NULL), no);
    refused("unknown_user", "users", user("carol", "wonderland", NULL), no);
    refused("no_user", "users", options(NULL), no);
}

static natsStatus sign(char **error, unsigned char **signature, int *length, const char *nonce, void *seed) {
    (void)error;
    return nats_Sign(seed, nonce, signature, length);
}

static natsOptions *nkey(const char *public, const char *seed) {
    natsOptions *opts = options(NULL);
    must(natsOptions_SetNKey(opts, public, sign, (void *)seed), "nkey");
    return opts;
}

static natsOptions *credentials(const char *leaf) {
    natsOptions *opts = options(NULL);
    must(natsOptions_SetUserCredentialsFromFiles(opts, contract(leaf), NULL), "credentials");
    return opts;
}

static void auth_keys(void) {
    const natsStatus no = NATS_CONNECTION_AUTH_FAILED;
    admitted("nkey", "nkey", nkey(contract("AUTH_NKEY_PUBLIC"), contract("AUTH_NKEY_SEED")));
    refused("nkey_signed_by_another", "nkey", nkey(contract("AUTH_NKEY_PUBLIC"), contract("AUTH_NKEY_SEED_UNKNOWN")), no);
    refused("no_nkey", "nkey", options(NULL), no);
    admitted("no_auth_user_needs_nothing", "accounts", options(NULL));
    refused("and_still_knows_a_wrong_password", "accounts", user("alpha", "nope", NULL), no);
}

static void auth_credentials(void) {
    const natsStatus no = NATS_CONNECTION_AUTH_FAILED;
    admitted("right", "jwt", credentials("AUTH_CREDS"));
    refused("of_an_unknown_account", "jwt", credentials("AUTH_CREDS_UNKNOWN"), no);
    refused("expired", "jwt", credentials("AUTH_CREDS_EXPIRED"), no);
}

static natsOptions *secure(const char *authority) {
    natsOptions *opts = options(NULL);
    must(natsOptions_SetSecure(opts, true), "secure");
    if (authority != NULL)
        must(natsOptions_LoadCATrustedCertificates(opts, contract(authority)), "authority");
    return opts;
}

static natsOptions *with_certificate(const char *whose) {
    char cert[32], key[32];
    snprintf(cert, sizeof cert, "TLS_%s_CERT", whose);
    snprintf(key, sizeof key, "TLS_%s_KEY", whose);
    natsOptions *opts = secure("TLS_CA");
    must(natsOptions_LoadCertificatesChain(opts, contract(cert), contract(key)), "certificate");
    return opts;
}

// A refused client certificate shows after the client's half of the handshake,
// as an alert or as a closed connection, depending on who was faster.
static void not_admitted(const char *what, const char *server, natsOptions *opts) {
    natsConnection *nc = NULL;
    natsStatus status = try_join(&nc, server, opts);
    is(what, status == NATS_SSL_ERROR || status == NATS_CONNECTION_CLOSED || status == NATS_PROTOCOL_ERROR || status == NATS_IO_ERROR, "got %s", natsStatus_GetText(status));
}

static void tls(void) {
    natsConnection *nc = join("tls", secure("TLS_CA"));
    natsSubscription *sub = listen_on(nc, "c.tls", NULL);
    say(nc, "c.tls", "secret");
    text_is("messages_travel", data(next(sub)), "secret");
    refused("unknown_authority_is_the_librarys_error", "tls", secure(NULL), NATS_SSL_ERROR);
    refused("another_authority_too", "tls", secure("TLS_OTHER_CA"), NATS_SSL_ERROR);
    natsOptions *elsewhere = secure("TLS_CA");
    must(natsOptions_SetExpectedHostname(elsewhere, "elsewhere.example"), "host name");
    refused("another_host_name_too", "tls", elsewhere, NATS_SSL_ERROR);
    natsOptions *trusting = secure(NULL);
    must(natsOptions_SkipServerVerification(trusting, true), "skip verification");
    admitted("unless_nobody_looks", "tls", trusting);
    refused("who_asks_for_nothing_is_upgraded_and_trusts_nobody", "tls", options(NULL), NATS_SSL_ERROR);
    refused("a_plain_server_cannot", "plain", secure("TLS_CA"), NATS_SECURE_CONNECTION_WANTED);

    admitted("verify_with_a_certificate", "tls_verify", with_certificate("CLIENT"));
    not_admitted("verify_without_one", "tls_verify", secure("TLS_CA"));
    not_admitted("verify_with_another_authoritys", "tls_verify", with_certificate("FOREIGN"));
    admitted("mapped_certificate_is_a_user", "tls_map", with_certificate("CLIENT"));
    refused("unmapped_certificate_is_nobody", "tls_map", with_certificate("STRANGER"), NATS_CONNECTION_AUTH_FAILED);
    admitted("optional_without", "tls_optional", options(NULL));
    // This library only knows `tls_required`; a server that merely offers it says `tls_available`.
    refused("optional_is_not_announced_as_required", "tls_optional", secure("TLS_CA"), NATS_SECURE_CONNECTION_WANTED);
}

static bool violation(watch *seen, const char *what, const char *text) {
    return eventually(what, saw_error, &(expected_error){seen, NATS_NOT_PERMITTED, text});
}

// Subscribes where the refusal is what is looked for.
static void attempt(natsConnection *nc, const char *subject, const char *group) {
    natsSubscription *sub = NULL;
    must(group ? natsConnection_QueueSubscribeSync(&sub, nc, subject, group) : natsConnection_SubscribeSync(&sub, nc, subject), subject);
    natsConnection_FlushTimeout(nc, PATIENCE_MS);
    natsSubscription_Destroy(sub);
}

static void permissions(void) {
    watch *seen = new_watch();
    natsConnection *admin = join("permissions", user("admin", "pw", NULL)), *nc = join("permissions", user("limited", "pw", seen));
    natsSubscription *all = listen_on(admin, ">", NULL);
    // The text is the connection's last error, so one refusal has to be seen before the next.
    say(nc, "allowed.a", "a");
    say(nc, "forbidden", "b");
    violation(seen, "publish_not_allowed", "Permissions Violation for Publish to \"forbidden\"");
    say(nc, "allowed.secret.x", "c");
    violation(seen, "publish_denied", "Permissions Violation for Publish to \"allowed.secret.x\"");
    say(nc, "allowed.d", "end");
    text_is("only_allowed_publishes_arrive", texts(all), "a");
    attempt(nc, "forbidden", NULL);
    violation(seen, "subscribe_not_allowed", "Permissions Violation for Subscription to \"forbidden\"");
    natsSubscription *mixed = listen_on(nc, "mixed.*", NULL);
    say(admin, "mixed.hidden", "hidden");
    say(admin, "mixed.open", "open");
    say(admin, "mixed.end", "end");
    text_is("a_wildcard_hides_denied_subjects", texts(mixed), "open");

    watch *queues = new_watch();
    natsConnection *queuer = join("permissions", user("queuer", "pw", queues));
    listen_on(queuer, "work", "v1");
    listen_on(queuer, "work", "v1.2");
    number_is("allowed_queue_groups", count_errors(queues), 0);
    attempt(queuer, "work", "v2");
    violation(queues, "other_queue_group", "Permissions Violation for Subscription to \"work\" using queue \"v2\"");
}

static void respond_thrice(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)sub, (void)closure;
    for (int i = 0; i < 3; i++)
        natsConnection_PublishString(nc, natsMsg_GetReply(msg), i == 0 ? "first" : i == 1 ? "second" : "third");
    natsMsg_Destroy(msg);
}

static void responses(void) {
    watch *seen = new_watch();
    natsConnection *requester = join("permissions", user("requester", "pw", NULL)), *responder = join("permissions", user("responder", "pw", seen));
    answer(responder, "service.c", respond_thrice, NULL);
    natsSubscription *inbox = listen_on(requester, "_INBOX.compat.c", NULL);
    must(natsConnection_PublishRequestString(requester, "service.c", "_INBOX.compat.c", ""), "publish request");
    text_is("the_first_is_allowed", data(next(inbox)), "first");
    text_is("the_second_too", data(next(inbox)), "second");
    violation(seen, "more_than_max_are_not", "Permissions Violation for Publish to \"_INBOX.compat.c\"");
    say(responder, "service.c", "unasked");
    violation(seen, "nor_is_anything_else", "Permissions Violation for Publish to \"service.c\"");
}

const scenario security_scenarios[] = {
    {"auth/tokens_and_users", auth_tokens_and_users},
    {"auth/keys", auth_keys},
    {"auth/credentials", auth_credentials},
    {"tls/connections", tls},
    {"permissions/rights", permissions},
    {"permissions/responses", responses},
    {NULL, NULL},
};
