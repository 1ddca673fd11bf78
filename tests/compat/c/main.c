// Compatibility scenarios for the C client, the system's libnats.
//
// The program connects to servers that somebody else started, drives them only
// through the library's public calls, and prints one result line per assertion;
// ../README.md is the contract. The other files hold scenarios by theme: seeds,
// messages, the life of a connection, security, accounts, streams. `check.h` says what
// they are written with.

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    const char *filter = getenv("NATTER_COMPAT_FILTER");
    const scenario *lists[] = {seed_scenarios, message_scenarios, lifecycle_scenarios, security_scenarios, account_scenarios, stream_scenarios};
    if (nats_Open(-1) != NATS_OK) {
        fprintf(stderr, "libnats does not open\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const scenario *one = lists[i]; one->name != NULL; one++)
            if (filter == NULL || strstr(one->name, filter) != NULL)
                run_scenario(one);
    nats_CloseAndWait(PATIENCE_MS);
    return any_failed() ? 1 : 0;
}
