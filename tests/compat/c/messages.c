// Publish, subscribe, wildcards, queue groups, headers, requests.

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void echo(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)sub, (void)closure;
    natsMsg *reply = NULL;
    const char *header = NULL;
    if (natsMsg_Create(&reply, natsMsg_GetReply(msg), NULL, natsMsg_GetData(msg), natsMsg_GetDataLength(msg)) == NATS_OK) {
        if (natsMsgHeader_Get(msg, "Ask", &header) == NATS_OK)
            natsMsgHeader_Set(reply, "Echo", header);
        natsConnection_PublishMsg(nc, reply);
        natsMsg_Destroy(reply);
    }
    natsMsg_Destroy(msg);
}

static void connect_info(void) {
    natsConnection *nc = join("plain", options(NULL)), *later = join("plain", options(NULL));
    char id[128] = "";
    uint64_t first = 0, second = 0;
    char *ip = NULL;
    must(natsConnection_GetConnectedServerId(nc, id, sizeof id), "server id");
    is("server_id_looks_like_an_nkey", strlen(id) == 56 && id[0] == 'N', "%s", id);
    number_is("default_max_payload", natsConnection_GetMaxPayload(nc), 1 << 20);
    status_is("headers_supported", natsConnection_HasHeaderSupport(nc), NATS_OK);
    must(natsConnection_GetClientID(nc, &first), "client id");
    must(natsConnection_GetClientID(later, &second), "client id");
    is("client_ids_grow", second > first, "%llu then %llu", (unsigned long long)first, (unsigned long long)second);
    must(natsConnection_GetClientIP(nc, &ip), "client ip");
    text_is("client_ip_is_loopback", ip, "127.0.0.1");
    free(ip);
    int64_t rtt = 0;
    status_is("rtt_is_answered", natsConnection_GetRTT(nc, &rtt), NATS_OK);
    is("rtt_is_measured", rtt > 0, "%lld", (long long)rtt);
}

static void publish_delivery(void) {
    natsConnection *nc = join("plain", options(NULL)), *other = join("plain", options(NULL));
    natsSubscription *here = listen_on(nc, "c.pub", NULL), *there = listen_on(other, "c.pub", NULL);
    must(natsConnection_PublishRequestString(nc, "c.pub", "back.here", "hello"), "publish");
    text_is("to_the_publisher", data(next(here)), "hello");
    natsMsg *msg = next(there);
    text_is("to_another_connection", data(msg), "hello");
    text_is("with_its_subject", natsMsg_GetSubject(msg), "c.pub");
    text_is("with_its_reply_subject", natsMsg_GetReply(msg), "back.here");

    say(nc, "c.pub", "");
    number_is("empty_payload", natsMsg_GetDataLength(next(there)), 0);
    int length = (int)natsConnection_GetMaxPayload(nc);
    char *big = malloc((size_t)length + 1);
    if (big == NULL)
        give_up("out of memory");
    for (int i = 0; i < length; i++)
        big[i] = (char)(i * 31);
    must(natsConnection_Publish(nc, "c.pub", big, length), "publish");
    msg = next(there);
    is("payload_of_exactly_the_limit", natsMsg_GetDataLength(msg) == length && memcmp(data(msg), big, (size_t)length) == 0,
       "%d bytes came", natsMsg_GetDataLength(msg));
    status_is("one_byte_more_is_the_librarys_error", natsConnection_Publish(nc, "c.pub", big, length + 1), NATS_MAX_PAYLOAD);
    free(big);
    // libnats 3.4 frees a subscription under the thread that is reading a message for it.
    next(here), next(here);
}

static void publish_headers(void) {
    natsConnection *nc = join("plain", options(NULL));
    natsSubscription *sub = listen_on(nc, "c.headers", NULL);
    natsMsg *msg = NULL;
    must(natsMsg_Create(&msg, "c.headers", NULL, "body", 4), "create");
    must(natsMsgHeader_Set(msg, "Alpha", "1"), "header");
    must(natsMsgHeader_Add(msg, "Beta", "two"), "header");
    must(natsMsgHeader_Add(msg, "Beta", "three"), "header");
    natsStatus status = natsConnection_PublishMsg(nc, msg);
    natsMsg_Destroy(msg);
    must(status, "publish");
    natsMsg *got = next(sub);
    const char *one = NULL, **many = NULL;
    int count = 0;
    natsMsgHeader_Get(got, "Alpha", &one);
    text_is("arrive", one, "1");
    status_is("have_values", natsMsgHeader_Values(got, "Beta", &many, &count), NATS_OK);
    is("all_of_them", count == 2 && strcmp(many[0], "two") == 0 && strcmp(many[1], "three") == 0, "%d values", count);
    free((void *)many);
    text_is("leave_the_payload_alone", data(got), "body");
    status_is("absent_ones_are_not_found", natsMsgHeader_Get(got, "Gamma", &one), NATS_NOT_FOUND);
}

static void publish_echo(void) {
    natsOptions *opts = options(NULL);
    must(natsOptions_SetNoEcho(opts, true), "no echo");
    natsConnection *silent = join("plain", opts), *other = join("plain", options(NULL));
    natsSubscription *own = listen_on(silent, "c.echo", NULL), *foreign = listen_on(other, "c.echo", NULL);
    say(silent, "c.echo", "mine");
    flush(silent);
    say(other, "c.echo", "end");
    text_is("off_hides_own_messages", texts(own), "");
    text_is("off_does_not_hide_them_from_others", texts(foreign), "mine");
}

static void subscribe_wildcards(void) {
    static const struct {
        const char *what, *filter, *marker, *want;
    } cases[] = {
        {"star_last", "hello.*", "hello.a", "hello.a hello.b"},
        {"star_first", "*.tail", "x.tail", "x.tail"},
        {"star_middle", "first.*.third", "first.a.third", "first.a.third"},
        {"tail", "first.>", "first.a.third", "first.a first.a.third first.a.b.c"},
        {"star_and_tail", "first.*.>", "first.a.third", "first.a.third first.a.b.c"},
        {"literal", "hello", "hello", "hello"},
    };
    static const char *subjects[] = {"hello", "hello.a", "hello.b", "hello.a.b", "x.tail", "x.y.tail", "first", "first.a",
                                     "first.a.third", "first.a.b.c", "firsts.a"};
    natsConnection *nc = join("plain", options(NULL)), *sender = join("plain", options(NULL));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        natsSubscription *sub = listen_on(nc, cases[i].filter, NULL);
        for (size_t j = 0; j < sizeof subjects / sizeof subjects[0]; j++)
            say(sender, subjects[j], subjects[j]);
        say(sender, cases[i].marker, "end");
        text_is(cases[i].what, texts(sub), cases[i].want);
    }
    natsConnection *gamma = join("accounts", user("gamma", "gamma", NULL));
    natsSubscription *all = listen_on(gamma, ">", NULL);
    say(gamma, "one", "one");
    say(gamma, "one.two.three", "one.two.three");
    say(gamma, "z", "end");
    text_is("everything", texts(all), "one one.two.three");
}

static void subscribe_unsubscribe(void) {
    natsConnection *nc = join("plain", options(NULL));
    natsSubscription *limited = listen_on(nc, "c.limited", NULL), *gone = listen_on(nc, "c.gone", NULL), *marker = listen_on(nc, "c.>", NULL);
    must(natsSubscription_AutoUnsubscribe(limited, 2), "auto-unsubscribe");
    must(natsSubscription_Unsubscribe(gone), "unsubscribe");
    for (int i = 0; i < 5; i++)
        say(nc, "c.limited", "x");
    say(nc, "c.gone", "y");
    say(nc, "c.end", "end");
    text_is("others_go_on", texts(marker), "x x x x x y");
    next(limited);
    next(limited);
    natsMsg *none = NULL;
    status_is("after_the_count_is_the_librarys_error", natsSubscription_NextMsg(&none, limited, PATIENCE_MS), NATS_MAX_DELIVERED_MSGS);
    status_is("after_unsubscribe_too", natsSubscription_NextMsg(&none, gone, PATIENCE_MS), NATS_INVALID_SUBSCRIPTION);
    natsStatistics *statistics = NULL;
    uint64_t in = 0;
    must(natsStatistics_Create(&statistics), "statistics");
    must(natsConnection_GetStats(nc, statistics), "statistics");
    natsStatistics_GetCounts(statistics, &in, NULL, NULL, NULL, NULL);
    natsStatistics_Destroy(statistics);
    number_is("the_server_sent_no_more_than_asked_for", (long long)in, 2 + 7);
}

static uint64_t queued(natsSubscription *sub) {
    uint64_t n = 0;
    must(natsSubscription_QueuedMsgs(sub, &n), "queued messages");
    return n;
}

typedef struct {
    natsSubscription *members[3];
    uint64_t want;
} group_of_three;

static bool all_arrived(void *closure) {
    group_of_three *group = closure;
    return queued(group->members[0]) + queued(group->members[1]) + queued(group->members[2]) >= group->want;
}

static void queue_distribution(void) {
    natsConnection *sender = join("plain", options(NULL));
    group_of_three group = {.want = 3000};
    for (int i = 0; i < 3; i++)
        group.members[i] = listen_on(join("plain", options(NULL)), "c.queue", "workers");
    natsSubscription *other = listen_on(join("plain", options(NULL)), "c.queue", "others");
    for (int i = 0; i < 3000; i++)
        say(sender, "c.queue", "x");
    say(sender, "c.queue.marker", "x");
    flush(sender);
    eventually("nothing_is_lost", all_arrived, &group);
    uint64_t a = queued(group.members[0]), b = queued(group.members[1]), c = queued(group.members[2]);
    number_is("each_message_once", (long long)(a + b + c), 3000);
    // 1000 expected each; six standard deviations of a fair draw are 155.
    is("evenly", a > 845 && b > 845 && c > 845, "%d %d %d", (int)a, (int)b, (int)c);
    group_of_three alone = {.members = {other, other, other}, .want = 9000};
    eventually("another_group_gets_everything", all_arrived, &alone);
}

static void request_reply(void) {
    natsConnection *nc = join("plain", options(NULL)), *server = join("plain", options(NULL));
    answer(server, "c.echo.service", echo, NULL);
    text_is("answers", data(ask(nc, "c.echo.service", "hi")), "hi");
    text_is("on_the_same_connection", data(ask(server, "c.echo.service", "own")), "own");
    natsOptions *old = options(NULL);
    must(natsOptions_UseOldRequestStyle(old, true), "old style");
    text_is("with_an_inbox_per_request", data(ask(join("plain", old), "c.echo.service", "old")), "old");
    natsMsg *question = NULL, *reply = NULL;
    must(natsMsg_Create(&question, "c.echo.service", NULL, "", 0), "create");
    natsMsgHeader_Set(question, "Ask", "header");
    natsStatus status = natsConnection_RequestMsg(&reply, nc, question, PATIENCE_MS);
    natsMsg_Destroy(question);
    must(status, "request");
    const char *header = NULL;
    natsMsgHeader_Get(reply, "Echo", &header);
    text_is("headers_both_ways", header, "header");
    natsMsg_Destroy(reply);

    int64_t began = nats_Now();
    status_is("nobody_there_is_the_librarys_error", natsConnection_RequestString(&reply, nc, "c.nobody", "x", PATIENCE_MS), NATS_NO_RESPONDERS);
    is("and_comes_at_once", nats_Now() - began < PATIENCE_MS / 2, "after %d ms", (int)(nats_Now() - began));
    natsSubscription *inbox = listen_on(nc, "c.inbox", NULL);
    must(natsConnection_PublishRequestString(nc, "c.nobody", "c.inbox", "x"), "publish request");
    natsMsg *notice = NULL;
    natsStatus got = natsSubscription_NextMsg(&notice, inbox, PATIENCE_MS);
    is("as_a_status_message", got == NATS_NO_RESPONDERS || (got == NATS_OK && natsMsg_IsNoResponders(notice)), "%s", natsStatus_GetText(got));
    natsMsg_Destroy(notice);
    listen_on(server, "c.silent", NULL);
    status_is("silence_is_a_timeout", natsConnection_RequestString(&reply, nc, "c.silent", "x", 50), NATS_TIMEOUT);
    text_is("and_the_connection_goes_on", data(ask(nc, "c.echo.service", "after")), "after");
}

const scenario message_scenarios[] = {
    {"connect/info", connect_info},
    {"publish/delivery", publish_delivery},
    {"publish/headers", publish_headers},
    {"publish/echo", publish_echo},
    {"subscribe/wildcards", subscribe_wildcards},
    {"subscribe/unsubscribe", subscribe_unsubscribe},
    {"queue/distribution", queue_distribution},
    {"request/reply", request_reply},
    {NULL, NULL},
};
