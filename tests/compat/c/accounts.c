// Accounts: isolation, imports and exports, mappings, and what the system account hears.

#include "check.h"

#include <stdio.h>
#include <string.h>

static natsConnection *member(const char *name) { return join("accounts", user(name, name, NULL)); }

static void tell_subject(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)sub, (void)closure;
    natsConnection_PublishString(nc, natsMsg_GetReply(msg), natsMsg_GetSubject(msg));
    natsMsg_Destroy(msg);
}

static void respond_many(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)sub, (void)closure;
    natsConnection_PublishString(nc, natsMsg_GetReply(msg), "1");
    natsConnection_PublishString(nc, natsMsg_GetReply(msg), "2");
    natsConnection_PublishString(nc, natsMsg_GetReply(msg), "end");
    natsMsg_Destroy(msg);
}

static void imports(void) {
    natsConnection *alpha = member("alpha"), *beta = member("beta"), *gamma = member("gamma");
    natsSubscription *prefixed = listen_on(beta, "from_alpha.events.>", NULL), *renamed = listen_on(beta, "hidden.*", NULL);
    natsSubscription *outside = listen_on(gamma, "events.>", NULL);
    say(alpha, "events.a.b", "one");
    natsMsg *msg = next(prefixed);
    text_is("stream_arrives_under_its_prefix", natsMsg_GetSubject(msg), "from_alpha.events.a.b");
    text_is("with_its_payload", data(msg), "one");
    say(alpha, "private.x", "two");
    text_is("stream_arrives_under_another_name", natsMsg_GetSubject(next(renamed)), "hidden.x");
    flush(alpha);
    say(gamma, "events.x", "end");
    text_is("a_third_account_hears_nothing", texts(outside), "");

    natsMsg *none = NULL;
    status_is("service_without_responder", natsConnection_RequestString(&none, beta, "remote.nobody", "", PATIENCE_MS), NATS_NO_RESPONDERS);
    answer(alpha, "svc.add", tell_subject, NULL);
    text_is("service_answers_across", data(ask(beta, "remote.add", "")), "svc.add");
    status_is("service_is_not_for_others", natsConnection_RequestString(&none, gamma, "svc.add", "", PATIENCE_MS), NATS_NO_RESPONDERS);
    answer(alpha, "svc.many", respond_many, NULL);
    natsSubscription *inbox = listen_on(beta, "c.answers", NULL);
    must(natsConnection_PublishRequestString(beta, "svc.many", "c.answers", ""), "publish request");
    text_is("a_streamed_response_comes_whole", texts(inbox), "1 2");
}

static void mappings(void) {
    natsConnection *nc = member("gamma");
    natsSubscription *mapped = listen_on(nc, "new.*", NULL), *swapped = listen_on(nc, "swapped.>", NULL), *parts = listen_on(nc, "part.*.*", NULL);
    say(nc, "old.x", "1");
    text_is("by_dollar", natsMsg_GetSubject(next(mapped)), "new.x");
    say(nc, "swap.a.b", "2");
    text_is("by_wildcard_function", natsMsg_GetSubject(next(swapped)), "swapped.b.a");
    say(nc, "part.key0", "3");
    text_is("by_partition", natsMsg_GetSubject(next(parts)), "part.key0.0");
    say(nc, "part.key1", "3");
    text_is("by_another_partition", natsMsg_GetSubject(next(parts)), "part.key1.3");
}

static void system_account(void) {
    natsConnection *sys = member("sys");
    natsSubscription *connects = listen_on(sys, "$SYS.ACCOUNT.GAMMA.CONNECT", NULL), *disconnects = listen_on(sys, "$SYS.ACCOUNT.GAMMA.DISCONNECT", NULL);
    natsConnection *gamma = member("gamma");
    const char *event = data(next(connects));
    is("hears_a_connect", strstr(event, "io.nats.server.advisory.v1.client_connect") && strstr(event, "\"user\":\"gamma\"") &&
                              strstr(event, "\"lang\":\"C\""), "%s", event);
    natsConnection_Close(gamma);
    event = data(next(disconnects));
    is("hears_a_disconnect", strstr(event, "io.nats.server.advisory.v1.client_disconnect") && strstr(event, "Client Closed"), "%s", event);
    const char *statsz = data(ask(sys, "$SYS.REQ.SERVER.PING", ""));
    is("may_ask_the_server", strstr(statsz, "\"statsz\"") != NULL, "%s", statsz);
    natsConnection *alpha = member("alpha");
    const char *info = data(ask(alpha, "$SYS.REQ.USER.INFO", ""));
    is("anybody_may_ask_who_he_is", strstr(info, "\"account\":\"ALPHA\"") != NULL, "%s", info);
    natsMsg *none = NULL;
    status_is("but_nothing_else", natsConnection_RequestString(&none, alpha, "$SYS.REQ.SERVER.PING", "", PATIENCE_MS), NATS_NO_RESPONDERS);
}

const scenario account_scenarios[] = {
    {"accounts/imports", imports},
    {"mapping/subjects", mappings},
    {"system/account", system_account},
    {NULL, NULL},
};
