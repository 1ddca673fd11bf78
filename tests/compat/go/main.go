// Compatibility scenarios for the Go client (nats.go, its micro package, nkeys).
//
// The program connects to servers that somebody else started, drives them only
// through the library's public surface, and prints one result line per
// assertion. ../README.md is the contract; the file names say which part of the
// protocol a scenario belongs to.
//
// Scenarios run one after another and leave nothing behind: connections are
// closed by the scenario context, subjects carry the scenario's own prefix. A
// scenario waits on conditions with a deadline and never on time passing.
package main

import (
	"fmt"
	"os"
	"strings"
)

// scenario is one named story; the name is what the filter is matched with.
type scenario struct {
	name string
	run  func(*T)
}

func main() {
	env, err := loadEnv(os.Getenv("NATTER_COMPAT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	filter := os.Getenv("NATTER_COMPAT_FILTER")
	failed := false
	for _, s := range scenarios() {
		if strings.Contains(s.name, filter) {
			failed = !runScenario(env, s) || failed
		}
	}
	if failed {
		os.Exit(1)
	}
}

// scenarios lists everything in the order in which a reader would ask.
func scenarios() []scenario {
	var all []scenario
	for _, group := range [][]scenario{
		seedScenarios,
		publishScenarios,
		subscriptionScenarios,
		requestScenarios,
		drainScenarios,
		limitScenarios,
		livenessScenarios,
		reconnectScenarios,
		authScenarios,
		tlsScenarios,
		permissionScenarios,
		accountScenarios,
		systemScenarios,
		serviceScenarios,
		natsToolScenarios,
		streamSeedScenarios,
		streamScenarios,
		consumerScenarios,
		keyValueScenarios,
		objectScenarios,
		olderStreamScenarios,
		managerScenarios,
		persistenceScenarios,
		lameDuckScenarios,
	} {
		all = append(all, group...)
	}
	return all
}
