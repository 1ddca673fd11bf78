// The flows by which people get to know the product, each under the name of the
// flow. Subjects and numbers are those that introductions use. The other files
// look closer; this one, which every language has, says that each of the flows
// works at all. It runs in the account GAMMA, where nobody else speaks, for the
// sake of ">".

#include "check.h"

#include <stdio.h>
#include <string.h>

static natsConnection *gamma(void) { return join("accounts", user("gamma", "gamma", NULL)); }

static void say_times(natsConnection *nc, const char *subject, const char *text, int count) {
    for (int i = 0; i < count; i++)
        say(nc, subject, text);
    flush(nc);
}

// The text `count` times, joined as `texts` joins.
static const char *times(int count, const char *text) {
    static char joined[512];
    joined[0] = 0;
    for (int i = 0; i < count && strlen(joined) + strlen(text) + 2 < sizeof joined; i++) {
        strcat(joined, i > 0 ? " " : "");
        strcat(joined, text);
    }
    return joined;
}

static void publish_subscribe(void) {
    natsConnection *publisher = gamma();
    natsSubscription *sub = listen_on(gamma(), "intros", NULL);
    say(publisher, "intros", "Hello World!");
    text_is("arrives", data(next(sub)), "Hello World!");
}

static void at_most_once(void) {
    natsConnection *publisher = gamma(), *subscriber = gamma();
    say_times(publisher, "intros", "before anybody listens", 1);
    natsSubscription *sub = listen_on(subscriber, "intros", NULL);
    say(publisher, "intros", "now");
    say(publisher, "intros", "end");
    text_is("nothing_is_kept_for_latecomers", texts(sub), "now");
}

static void fan_in(void) {
    natsSubscription *sub = listen_on(gamma(), "hello.world", NULL);
    natsConnection *last = gamma(), *publishers[] = {gamma(), gamma(), last};
    for (int i = 0; i < 3; i++)
        say_times(publishers[i], "hello.world", "Johan", 10);
    say(last, "hello.world", "end");
    text_is("one_hears_all_publishers", texts(sub), times(30, "Johan"));
}

static void fan_out(void) {
    natsConnection *publisher = gamma();
    natsSubscription *subs[3];
    for (int i = 0; i < 3; i++)
        subs[i] = listen_on(gamma(), "hello.world", NULL);
    say_times(publisher, "hello.world", "Johan", 10);
    say(publisher, "hello.world", "end");
    text_is("the_first_hears_all", texts(subs[0]), times(10, "Johan"));
    text_is("the_second_hears_all", texts(subs[1]), times(10, "Johan"));
    text_is("the_third_hears_all", texts(subs[2]), times(10, "Johan"));
}

static void answer_with(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *text) {
    (void)sub;
    natsConnection_PublishString(nc, natsMsg_GetReply(msg), text);
    natsMsg_Destroy(msg);
}

static void request_reply(void) {
    answer(gamma(), "hello.johan", answer_with, "Hello Johan :)");
    text_is("is_answered", data(ask(gamma(), "hello.johan", "")), "Hello Johan :)");
}

static void one_to_many_request(void) {
    static char *names[] = {"0", "1", "2"};
    natsConnection *client = gamma();
    for (int i = 0; i < 3; i++)
        answer(gamma(), "hello.all", answer_with, names[i]);
    natsSubscription *inbox = listen_on(client, "_INBOX.seeds", NULL);
    must(natsConnection_PublishRequestString(client, "hello.all", "_INBOX.seeds", ""), "publish request");
    int heard[3] = {0};
    for (int i = 0; i < 3; i++) {
        int from = data(next(inbox))[0] - '0';
        if (from >= 0 && from < 3)
            heard[from]++;
    }
    is("all_answer_into_the_inbox", heard[0] == 1 && heard[1] == 1 && heard[2] == 1, "%d %d %d", heard[0], heard[1], heard[2]);
}

static uint64_t queued(natsSubscription *sub) {
    uint64_t n = 0;
    must(natsSubscription_QueuedMsgs(sub, &n), "queued messages");
    return n;
}

static bool thousand_arrived(void *closure) {
    natsSubscription **members = closure;
    return queued(members[0]) + queued(members[1]) >= 1000;
}

static void queue_group(void) {
    natsConnection *publisher = gamma();
    natsSubscription *members[] = {listen_on(gamma(), "hello.world", "greeter"), listen_on(gamma(), "hello.world", "greeter")};
    say_times(publisher, "hello.world", "Johan", 1000);
    eventually("nothing_is_lost", thousand_arrived, members);
    int first = (int)queued(members[0]), second = (int)queued(members[1]);
    number_is("each_message_once", first + second, 1000);
    // 500 expected each; six standard deviations of a fair draw are 95.
    is("evenly", first > 405 && second > 405, "%d %d", first, second);
}

static void wildcards(void) {
    static const char *subjects[] = {"hello", "hello.world", "hello.johan", "hello.big.world", "first", "first.second",
                                     "first.second.third", "first.second.third.fourth"};
    static const struct {
        const char *what, *filter, *marker, *want;
    } cases[] = {
        {"one_token", "hello.*", "hello.world", "hello.world hello.johan"},
        {"token_in_the_middle", "first.*.third", "first.second.third", "first.second.third"},
        {"all_that_follows", "first.>", "first.second", "first.second first.second.third first.second.third.fourth"},
        {"wiretap", ">", "z",
         "hello hello.world hello.johan hello.big.world first first.second first.second.third first.second.third.fourth"},
    };
    natsConnection *publisher = gamma(), *subscriber = gamma();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        natsSubscription *sub = listen_on(subscriber, cases[i].filter, NULL);
        for (size_t j = 0; j < sizeof subjects / sizeof subjects[0]; j++)
            say(publisher, subjects[j], subjects[j]);
        say(publisher, cases[i].marker, "end");
        text_is(cases[i].what, texts(sub), cases[i].want);
    }
}

const scenario seed_scenarios[] = {
    {"seeds/publish_subscribe", publish_subscribe},
    {"seeds/at_most_once", at_most_once},
    {"seeds/fan_in", fan_in},
    {"seeds/fan_out", fan_out},
    {"seeds/request_reply", request_reply},
    {"seeds/one_to_many_request", one_to_many_request},
    {"seeds/queue_group", queue_group},
    {"seeds/wildcards", wildcards},
    {NULL, NULL},
};
