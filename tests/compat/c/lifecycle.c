// Drain, limits, stale connections, reconnects, lame duck.

#include "check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A handler that waits for a gate, then counts.
typedef struct {
    atomic_bool open;
    atomic_int handled;
} gate;

static void wait_at_gate(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)nc, (void)sub;
    gate *g = closure;
    for (int64_t deadline = nats_Now() + PATIENCE_MS; !atomic_load(&g->open) && nats_Now() < deadline;)
        nats_Sleep(1);
    atomic_fetch_add(&g->handled, 1);
    natsMsg_Destroy(msg);
}

static bool handled_twenty(void *closure) { return atomic_load(&((gate *)closure)->handled) == 20; }

static bool not_valid(void *sub) { return !natsSubscription_IsValid(sub); }

static void drain_subscription(void) {
    static gate g; // the handler may outlive the scenario
    natsConnection *nc = join("plain", options(NULL)), *sender = join("plain", options(NULL));
    natsSubscription *sub = answer(nc, "c.drain", wait_at_gate, &g), *other = listen_on(nc, "c.drain.other", NULL);
    for (int i = 0; i < 20; i++)
        say(sender, "c.drain", "x");
    flush(sender);
    flush(nc);
    must(natsSubscription_Drain(sub), "drain");
    flush(nc);
    say(sender, "c.drain", "late");
    say(sender, "c.drain.other", "end");
    text_is("the_connection_stays_open", texts(other), "");
    atomic_store(&g.open, true);
    status_is("completes", natsSubscription_WaitForDrainCompletion(sub, PATIENCE_MS), NATS_OK);
    eventually("handles_what_had_arrived_and_nothing_new", handled_twenty, &g);
    eventually("then_ends", not_valid, sub);
}

static void forward(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)sub, (void)closure;
    natsConnection_PublishString(nc, "c.drain.answers", data(msg));
    natsMsg_Destroy(msg);
}

static void drain_connection(void) {
    watch *life = new_watch();
    natsConnection *nc = join("plain", options(life)), *sender = join("plain", options(NULL));
    natsSubscription *answers = listen_on(sender, "c.drain.answers", NULL);
    answer(nc, "c.drain.work", forward, NULL);
    say(sender, "c.drain.work", "1");
    say(sender, "c.drain.work", "2");
    say(sender, "c.drain.work", "3");
    flush(sender);
    flush(nc);
    must(natsConnection_Drain(nc), "drain");
    eventually("closes_in_the_end", was_closed, life);
    say(sender, "c.drain.answers", "end");
    text_is("answers_leave_before_it_closes", texts(answers), "1 2 3");
    status_is("publishing_is_over", natsConnection_PublishString(nc, "c.x", ""), NATS_CONNECTION_CLOSED);
    natsMsg *reply = NULL;
    status_is("the_interest_is_gone", natsConnection_RequestString(&reply, sender, "c.drain.work", "", PATIENCE_MS), NATS_NO_RESPONDERS);
}

static void limits(void) {
    watch *seen = new_watch();
    natsConnection *nc = join("limits", options(seen));
    number_is("max_payload_is_announced", natsConnection_GetMaxPayload(nc), 1024);
    char big[1025] = {0};
    status_is("max_payload_is_allowed", natsConnection_Publish(nc, "c.limit", big, 1024), NATS_OK);
    status_is("more_is_the_librarys_error", natsConnection_Publish(nc, "c.limit", big, 1025), NATS_MAX_PAYLOAD);
    for (int i = 0; i < 5; i++) {
        char subject[32];
        snprintf(subject, sizeof subject, "c.limit.%d", i);
        listen_on(nc, subject, NULL);
    }
    number_is("five_subscriptions_are_allowed", count_errors(seen), 0);
    natsSubscription *sixth = NULL;
    must(natsConnection_SubscribeSync(&sixth, nc, "c.limit.5"), "subscribe");
    natsConnection_FlushTimeout(nc, PATIENCE_MS);
    natsSubscription_Destroy(sixth);
    const char *text = NULL;
    natsConnection_GetLastError(nc, &text);
    is("the_sixth_is_refused", text != NULL && strcasestr(text, "maximum subscriptions exceeded") != NULL, "last error %s", text ? text : "none");

    natsConnection *third = NULL;
    join("full", options(NULL));
    natsConnection *leaver = join("full", options(NULL));
    natsStatus status = try_join(&third, "full", options(NULL));
    is("a_connection_too_many_is_refused", status != NATS_OK, "got %s", natsStatus_GetText(status));
    natsConnection_Close(leaver);
    for (int64_t deadline = nats_Now() + PATIENCE_MS; status != NATS_OK && nats_Now() < deadline; nats_Sleep(5))
        status = try_join(&third, "full", options(NULL));
    status_is("a_free_place_is_given_again", status, NATS_OK);
}

static bool dropped_some(void *sub) {
    int64_t n = 0;
    return natsSubscription_GetDropped(sub, &n) == NATS_OK && n > 0;
}

static void slow_consumer(void) {
    static gate g;
    watch *seen = new_watch();
    natsConnection *nc = join("plain", options(seen)), *sender = join("plain", options(NULL));
    natsSubscription *sub = answer(nc, "c.slow", wait_at_gate, &g);
    must(natsSubscription_SetPendingLimits(sub, 10, -1), "pending limits");
    for (int i = 0; i < 100; i++)
        say(sender, "c.slow", "x");
    flush(sender);
    eventually("is_the_librarys_error", saw_error, &(expected_error){seen, NATS_SLOW_CONSUMER, ""});
    eventually("counts_what_was_dropped", dropped_some, sub);
    atomic_store(&g.open, true);
    status_is("leaves_the_connection_open", natsConnection_FlushTimeout(nc, PATIENCE_MS), NATS_OK);
}

static void stale(void) {
    watch *quiet = new_watch();
    natsConnection *waiting = join("stale", options(quiet));
    watch *stays = new_watch(), *leaves = new_watch();
    natsOptions *opts = reconnecting(stays), *once = options(leaves);
    must(natsOptions_SetPingInterval(opts, 100), "ping interval");
    must(natsOptions_SetPingInterval(once, 100), "ping interval");
    must(natsOptions_SetMaxPingsOut(opts, 2), "pings out");
    must(natsOptions_SetMaxPingsOut(once, 2), "pings out");
    join("restart", opts);
    natsConnection *nc = join("restart", once);
    control("/signal/restart/pause");
    eventually("unanswered_pings_end_a_connection", was_disconnected, stays);
    eventually("for_good_without_reconnect", was_closed, leaves);
    const char *text = NULL;
    status_is("with_the_librarys_error", natsConnection_GetLastError(nc, &text), NATS_STALE_CONNECTION);
    control("/signal/restart/resume");
    eventually("else_it_comes_back", was_reconnected, stays);
    // The server's pings are answered: three of its intervals have to pass.
    for (int64_t until = nats_Now() + 1200; nats_Now() < until;)
        nats_Sleep(100);
    status_is("answered_pings_keep_a_quiet_connection", natsConnection_FlushTimeout(waiting, PATIENCE_MS), NATS_OK);
    is("without_a_disconnect", !was_disconnected(quiet), "it was disconnected");
}

static bool is_reconnecting(void *nc) { return natsConnection_IsReconnecting(nc); }

static void reconnect(void) {
    watch *life = new_watch(), *never = new_watch();
    natsConnection *nc = join("restart", reconnecting(life));
    join("restart", options(never));
    natsSubscription *plain = listen_on(nc, "c.re", NULL), *wild = listen_on(nc, "c.re.*", NULL), *queue = listen_on(nc, "c.queue", "g");
    natsSubscription *limited = listen_on(nc, "c.limited", NULL);
    must(natsSubscription_AutoUnsubscribe(limited, 2), "auto-unsubscribe");
    say(nc, "c.limited", "1");
    next(limited);
    control("/stop/restart");
    eventually("notices_the_loss", was_disconnected, life);
    eventually("is_reconnecting", is_reconnecting, nc);
    eventually("closes_at_once_without_reconnect", was_closed, never);
    say(nc, "c.re", "1");
    say(nc, "c.re", "2");
    natsConnection *none = NULL;
    status_is("no_server_is_the_librarys_error", try_join(&none, "restart", options(NULL)), NATS_NO_SERVER);
    control("/start/restart");
    eventually("comes_back", was_reconnected, life);
    say(nc, "c.re", "end");
    text_is("pending_publishes_arrive_in_order", texts(plain), "1 2");
    say(nc, "c.re.x", "w");
    say(nc, "c.queue", "q");
    text_is("wildcard_is_subscribed_again", natsMsg_GetSubject(next(wild)), "c.re.x");
    text_is("queue_is_subscribed_again", data(next(queue)), "q");
    say(nc, "c.limited", "2");
    say(nc, "c.limited", "3");
    text_is("the_rest_of_a_count_is_delivered", data(next(limited)), "2");
    natsMsg *reply = NULL;
    status_is("requests_work_again", natsConnection_RequestString(&reply, nc, "c.nobody", "", PATIENCE_MS), NATS_NO_RESPONDERS);
}

static void lame_duck(void) {
    watch *life = new_watch();
    natsConnection *nc = join("lame", options(life)), *late = NULL;
    natsSubscription *sub = listen_on(nc, "c.lame", NULL);
    control("/signal/lame/ldm");
    eventually("reaches_the_callback", was_lame_duck, life);
    status_is("nobody_new_is_let_in", try_join(&late, "lame", options(NULL)), NATS_NO_SERVER);
    say(nc, "c.lame", "still");
    text_is("those_inside_still_talk", data(next(sub)), "still");
    eventually("then_they_are_sent_away", was_closed, life);
}

const scenario lifecycle_scenarios[] = {
    {"drain/subscription", drain_subscription},
    {"drain/connection", drain_connection},
    {"limits/server", limits},
    {"limits/slow_callback", slow_consumer},
    {"liveness/stale", stale},
    {"reconnect/restores", reconnect},
    {"lame_duck/notice", lame_duck},
    {NULL, NULL},
};
