#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

static const char *current;
static bool failed;
static jmp_buf way_out;

// What the running scenario has to give back, newest last.
#define OWNED_MAX 512
static struct {
    void *thing;
    void (*destroy)(void *);
} owned[OWNED_MAX];
static int owned_count;

static void own(void *thing, void (*destroy)(void *)) {
    if (owned_count == OWNED_MAX)
        give_up("a scenario owns more than %d things", OWNED_MAX);
    owned[owned_count].thing = thing;
    owned[owned_count++].destroy = destroy;
}

static void report(const char *what, bool holds, const char *format, va_list arguments) {
    if (holds) {
        printf("ok %s/%s\n", current, what);
    } else {
        char why[1024];
        vsnprintf(why, sizeof why, format, arguments);
        for (char *c = why; *c; c++)
            if (*c == '\n' || *c == '\r')
                *c = ' ';
        printf("not ok %s/%s: %s\n", current, what, why);
        failed = true;
    }
    fflush(stdout);
}

void is(const char *what, bool holds, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    report(what, holds, format, arguments);
    va_end(arguments);
}

void status_is(const char *what, natsStatus got, natsStatus want) {
    is(what, got == want, "got \"%s\", want \"%s\"", natsStatus_GetText(got), natsStatus_GetText(want));
}

void text_is(const char *what, const char *got, const char *want) {
    is(what, got != NULL && strcmp(got, want) == 0, "got \"%s\", want \"%s\"", got ? got : "(nothing)", want);
}

void number_is(const char *what, long long got, long long want) { is(what, got == want, "got %lld, want %lld", got, want); }

static bool await(bool (*holds)(void *), void *closure) {
    for (int64_t deadline = nats_Now() + PATIENCE_MS; !holds(closure); nats_Sleep(2))
        if (nats_Now() > deadline)
            return false;
    return true;
}

bool eventually(const char *what, bool (*holds)(void *), void *closure) {
    bool held = await(holds, closure);
    is(what, held, "not within %d ms", PATIENCE_MS);
    return held;
}

void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    report("completes", false, format, arguments);
    va_end(arguments);
    longjmp(way_out, 1);
}

void must(natsStatus status, const char *doing) {
    if (status != NATS_OK) {
        const char *detail = nats_GetLastError(NULL);
        give_up("%s: %s (%s)", doing, natsStatus_GetText(status), detail ? detail : "");
    }
}

bool any_failed(void) { return failed; }

void run_scenario(const scenario *one) {
    current = one->name;
    if (setjmp(way_out) == 0)
        one->run();
    while (owned_count > 0) {
        owned_count--;
        owned[owned_count].destroy(owned[owned_count].thing);
    }
}

const char *contract(const char *leaf) {
    char name[128];
    snprintf(name, sizeof name, "COMPAT_%s", leaf);
    const char *value = getenv(name);
    if (value == NULL)
        give_up("the environment has no %s", name);
    return value;
}

static const char *server_leaf(const char *server, const char *leaf) {
    char path[96], without[128];
    snprintf(path, sizeof path, "SERVERS_%s_%s", server, leaf);
    for (char *c = path; *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    snprintf(without, sizeof without, "COMPAT_%.*s_UNBUILT", (int)(strlen(path) - strlen(leaf) - 1), path);
    const char *sentence = getenv(without);
    if (sentence != NULL) {
        printf("skip %s: %s\n", current, sentence);
        fflush(stdout);
        longjmp(way_out, 1);
    }
    return contract(path);
}

// A server this product does not have yet ends the scenario as skipped.
const char *server_url(const char *server) { return server_leaf(server, "URL"); }

// One HTTP GET; the harness answers when the thing has happened and closes.
void control(const char *path) {
    const char *colon = strrchr(contract("CONTROL"), ':');
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int door = socket(AF_INET, SOCK_STREAM, 0);
    char line[256], head[64] = "", rest[512];
    int length = snprintf(line, sizeof line, "GET %s HTTP/1.0\r\n\r\n", path);
    bool sent = door >= 0 && connect(door, (struct sockaddr *)&address, sizeof address) == 0 &&
                send(door, line, (size_t)length, 0) == length;
    ssize_t got = sent ? recv(door, head, sizeof head - 1, MSG_WAITALL) : -1;
    while (got > 0 && recv(door, rest, sizeof rest, 0) > 0)
        ; // to its end, else closing would look like a reset
    if (door >= 0)
        close(door);
    if (got < 12 || strncmp(head + 9, "200", 3) != 0)
        give_up("control %s: %.40s", path, head);
}

// --- what callbacks saw -------------------------------------------------------

// A watch lives as long as the process: a last callback may come after the
// connection it belongs to has been destroyed.
watch *new_watch(void) {
    watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        give_up("out of memory");
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

static void count(watch *w, int *counter) {
    pthread_mutex_lock(&w->lock);
    (*counter)++;
    pthread_mutex_unlock(&w->lock);
}

static int counted(watch *w, const int *counter) {
    pthread_mutex_lock(&w->lock);
    int n = *counter;
    pthread_mutex_unlock(&w->lock);
    return n;
}

static void on_disconnected(natsConnection *nc, void *w) { (void)nc, count(w, &((watch *)w)->disconnected); }
static void on_reconnected(natsConnection *nc, void *w) { (void)nc, count(w, &((watch *)w)->reconnected); }
static void on_closed(natsConnection *nc, void *w) { (void)nc, count(w, &((watch *)w)->closed); }
static void on_lame_duck(natsConnection *nc, void *w) { (void)nc, count(w, &((watch *)w)->lame_duck); }

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure) {
    (void)sub;
    watch *w = closure;
    const char *text = NULL;
    natsConnection_GetLastError(nc, &text);
    pthread_mutex_lock(&w->lock);
    if (w->errors < WATCH_ERRORS_MAX) {
        w->error_status[w->errors] = status;
        snprintf(w->error_text[w->errors], sizeof w->error_text[0], "%s", text ? text : "");
        w->errors++;
    }
    pthread_mutex_unlock(&w->lock);
}

bool was_disconnected(void *w) { return counted(w, &((watch *)w)->disconnected) > 0; }
bool was_reconnected(void *w) { return counted(w, &((watch *)w)->reconnected) > 0; }
bool was_closed(void *w) { return counted(w, &((watch *)w)->closed) > 0; }
bool was_lame_duck(void *w) { return counted(w, &((watch *)w)->lame_duck) > 0; }
int count_errors(watch *w) { return counted(w, &w->errors); }

bool saw_error(void *closure) {
    expected_error *expected = closure;
    watch *w = expected->on;
    bool found = false;
    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < w->errors; i++)
        found = found || (w->error_status[i] == expected->status && strstr(w->error_text[i], expected->part) != NULL);
    pthread_mutex_unlock(&w->lock);
    return found;
}

// --- connections --------------------------------------------------------------

static void destroy_options(void *opts) { natsOptions_Destroy(opts); }
static void destroy_connection(void *nc) { natsConnection_Destroy(nc); }
static void destroy_subscription(void *sub) { natsSubscription_Destroy(sub); }
static void destroy_message(void *msg) { natsMsg_Destroy(msg); }

natsOptions *options(watch *w) {
    natsOptions *opts = NULL;
    must(natsOptions_Create(&opts), "create options");
    own(opts, destroy_options);
    must(natsOptions_SetAllowReconnect(opts, false), "no reconnect");
    must(natsOptions_SetTimeout(opts, PATIENCE_MS), "timeout");
    must(natsOptions_SetName(opts, current), "name");
    if (w != NULL) {
        must(natsOptions_SetDisconnectedCB(opts, on_disconnected, w), "callback");
        must(natsOptions_SetReconnectedCB(opts, on_reconnected, w), "callback");
        must(natsOptions_SetClosedCB(opts, on_closed, w), "callback");
        must(natsOptions_SetLameDuckModeCB(opts, on_lame_duck, w), "callback");
        must(natsOptions_SetErrorHandler(opts, on_error, w), "callback");
    }
    return opts;
}

natsOptions *reconnecting(watch *w) {
    natsOptions *opts = options(w);
    must(natsOptions_SetAllowReconnect(opts, true), "reconnect");
    must(natsOptions_SetMaxReconnect(opts, -1), "reconnect for ever");
    must(natsOptions_SetReconnectWait(opts, 20), "reconnect wait");
    must(natsOptions_SetReconnectJitter(opts, 0, 0), "reconnect jitter");
    return opts;
}

natsOptions *user(const char *name, const char *password, watch *w) {
    natsOptions *opts = options(w);
    must(natsOptions_SetUserInfo(opts, name, password), "user");
    return opts;
}

natsStatus try_join(natsConnection **nc, const char *server, natsOptions *opts) {
    *nc = NULL;
    must(natsOptions_SetURL(opts, server_url(server)), "url");
    natsStatus status = natsConnection_Connect(nc, opts);
    if (status == NATS_OK || status == NATS_NOT_YET_CONNECTED)
        own(*nc, destroy_connection);
    return status;
}

natsConnection *join(const char *server, natsOptions *opts) {
    natsConnection *nc = NULL;
    must(try_join(&nc, server, opts), server);
    return nc;
}

// --- messages -----------------------------------------------------------------

natsSubscription *listen_on(natsConnection *nc, const char *subject, const char *group) {
    natsSubscription *sub = NULL;
    must(group ? natsConnection_QueueSubscribeSync(&sub, nc, subject, group) : natsConnection_SubscribeSync(&sub, nc, subject), subject);
    own(sub, destroy_subscription);
    flush(nc);
    return sub;
}

natsSubscription *answer(natsConnection *nc, const char *subject, natsMsgHandler handler, void *closure) {
    natsSubscription *sub = NULL;
    must(natsConnection_Subscribe(&sub, nc, subject, handler, closure), subject);
    own(sub, destroy_subscription);
    flush(nc);
    return sub;
}

void say(natsConnection *nc, const char *subject, const char *text) { must(natsConnection_PublishString(nc, subject, text), subject); }

void flush(natsConnection *nc) { must(natsConnection_FlushTimeout(nc, PATIENCE_MS), "flush"); }

natsMsg *next(natsSubscription *sub) {
    natsMsg *msg = NULL;
    must(natsSubscription_NextMsg(&msg, sub, PATIENCE_MS), "next message");
    own(msg, destroy_message);
    return msg;
}

natsMsg *ask(natsConnection *nc, const char *subject, const char *text) {
    natsMsg *msg = NULL;
    must(natsConnection_RequestString(&msg, nc, subject, text, PATIENCE_MS), subject);
    own(msg, destroy_message);
    return msg;
}

const char *texts(natsSubscription *sub) {
    static char joined[4096];
    joined[0] = 0;
    for (;;) {
        natsMsg *msg = NULL;
        must(natsSubscription_NextMsg(&msg, sub, PATIENCE_MS), "next message");
        bool end = strcmp(data(msg), "end") == 0;
        if (!end && strlen(joined) + (size_t)natsMsg_GetDataLength(msg) + 2 < sizeof joined) {
            strcat(joined, joined[0] ? " " : "");
            strcat(joined, data(msg));
        }
        natsMsg_Destroy(msg);
        if (end)
            return joined;
    }
}

// The library ends every payload with a zero byte that does not count.
const char *data(natsMsg *msg) { return natsMsg_GetData(msg); }
