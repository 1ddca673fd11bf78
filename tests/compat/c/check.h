// What every scenario is written with: assertions, waits, and connections that
// are closed when the scenario ends.
//
// One scenario runs at a time, on the main thread; the library's callbacks run
// on its own threads and only touch a `watch`. A step that has to work for the
// rest to make sense goes through `must` or `give_up`, which end the scenario
// with one failed assertion.

#ifndef COMPAT_CHECK_H
#define COMPAT_CHECK_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdbool.h>

// How long a scenario waits for something that should happen.
#define PATIENCE_MS 5000

typedef struct {
    const char *name;
    void (*run)(void);
} scenario;

// Each list ends with an entry without a name.
extern const scenario seed_scenarios[], message_scenarios[], lifecycle_scenarios[], security_scenarios[], account_scenarios[], stream_scenarios[];

// Assertions; `what` is the last part of the name.
void is(const char *what, bool holds, const char *format, ...) __attribute__((format(printf, 3, 4)));
void status_is(const char *what, natsStatus got, natsStatus want);
void text_is(const char *what, const char *got, const char *want);
void number_is(const char *what, long long got, long long want);
// Asserts that `holds(closure)` becomes true within PATIENCE_MS.
bool eventually(const char *what, bool (*holds)(void *), void *closure);

void must(natsStatus status, const char *doing);
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool any_failed(void);
void run_scenario(const scenario *one);

// The contract: a leaf of the JSON by its path ("TLS_CA"), and the control door.
const char *contract(const char *leaf);
const char *server_url(const char *server);
void control(const char *path);

// What the library told its callbacks about one connection.
#define WATCH_ERRORS_MAX 64
typedef struct {
    pthread_mutex_t lock;
    int disconnected, reconnected, closed, lame_duck;
    int errors;
    natsStatus error_status[WATCH_ERRORS_MAX];
    char error_text[WATCH_ERRORS_MAX][256];
} watch;

watch *new_watch(void);
bool was_disconnected(void *w);
bool was_reconnected(void *w);
bool was_closed(void *w);
bool was_lame_duck(void *w);
int count_errors(watch *w);

// Asks whether a watch saw an error of that status whose text has that part.
typedef struct {
    watch *on;
    natsStatus status;
    const char *part;
} expected_error;
bool saw_error(void *expected);

// Options that do not reconnect; with a watch, its callbacks are set.
natsOptions *options(watch *w);
natsOptions *reconnecting(watch *w);
natsOptions *user(const char *name, const char *password, watch *w);
natsStatus try_join(natsConnection **nc, const char *server, natsOptions *opts);
natsConnection *join(const char *server, natsOptions *opts);

natsSubscription *listen_on(natsConnection *nc, const char *subject, const char *group);
natsSubscription *answer(natsConnection *nc, const char *subject, natsMsgHandler handler, void *closure);
void say(natsConnection *nc, const char *subject, const char *text);
void flush(natsConnection *nc);
natsMsg *next(natsSubscription *sub);
natsMsg *ask(natsConnection *nc, const char *subject, const char *text);
// The payloads up to the one that says "end", joined by spaces.
const char *texts(natsSubscription *sub);
const char *data(natsMsg *msg);

#endif
