package main

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// patience is how long a scenario waits for something that should happen.
const patience = 5 * time.Second

// T is the context of one running scenario: assertions, waits, and what has to
// be closed at the end.
type T struct {
	env      *environment
	scenario string
	failed   bool
	cleanups []func()
}

// notBuilt is in what the product answers to a request for a part it has not.
const notBuilt = "not part of this release"

// abort ends a scenario whose next step would make no sense.
type abort struct{ why string }

// unbuilt ends a scenario as skipped: it needs a server this product does not have yet.
type unbuilt struct{ sentence string }

// runScenario reports whether every assertion held. A panic, be it ours or the
// library's, is one failed assertion named after the scenario.
func runScenario(env *environment, s scenario) bool {
	t := &T{env: env, scenario: s.name}
	func() {
		defer func() {
			switch cause := recover().(type) {
			case nil:
			case abort:
				if strings.Contains(cause.why, notBuilt) {
					t.skip(cause.why)
				} else {
					t.report("completes", false, cause.why)
				}
			case unbuilt:
				t.skip(cause.sentence)
			default:
				t.report("completes", false, fmt.Sprint("panic: ", cause))
			}
		}()
		defer func() {
			for i := len(t.cleanups) - 1; i >= 0; i-- {
				t.cleanups[i]()
			}
		}()
		s.run(t)
	}()
	return !t.failed
}

func (t *T) report(what string, ok bool, why string) {
	name := t.scenario + "/" + what
	if ok {
		fmt.Printf("ok %s\n", name)
		return
	}
	t.failed = true
	fmt.Printf("not ok %s: %s\n", name, strings.ReplaceAll(why, "\n", " "))
}

func (t *T) skip(why string) { fmt.Printf("skip %s: %s\n", t.scenario, why) }

func (t *T) cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// must ends the scenario if a step that is not the subject of the test went wrong.
func (t *T) must(err error, doing string) {
	if err != nil {
		panic(abort{doing + ": " + err.Error()})
	}
}

func (t *T) is(what string, ok bool, detail ...any) {
	t.report(what, ok, "does not hold "+fmt.Sprint(detail...))
}

func (t *T) equal(what string, got, want any) {
	t.report(what, reflect.DeepEqual(got, want), fmt.Sprintf("got %#v, want %#v", got, want))
}

func (t *T) errorIs(what string, got, want error) {
	t.report(what, errors.Is(got, want), fmt.Sprintf("got error %v, want %v", got, want))
}

func (t *T) errorHas(what string, got error, part string) {
	ok := got != nil && strings.Contains(strings.ToLower(got.Error()), strings.ToLower(part))
	t.report(what, ok, fmt.Sprintf("got error %v, want one with %q", got, part))
}

func (t *T) noError(what string, err error) {
	t.report(what, err == nil, fmt.Sprint("got error ", err))
}

// eventually asserts that cond holds before patience runs out.
func (t *T) eventually(what string, cond func() bool) bool {
	ok := await(patience, cond)
	t.report(what, ok, fmt.Sprintf("not within %s", patience))
	return ok
}

func await(limit time.Duration, cond func() bool) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// control drives the harness; a refusal ends the scenario.
func (t *T) control(path string) { t.must(t.env.control(path), "control "+path) }

func (t *T) server(name string) server {
	s, ok := t.env.Servers[name]
	if !ok {
		panic(abort{"the harness has no server " + name})
	}
	if s.Unbuilt != "" {
		panic(unbuilt{s.Unbuilt})
	}
	return s
}

// dial connects to a named server and leaves the outcome to the caller.
func (t *T) dial(name string, options ...nats.Option) (*nats.Conn, error) {
	all := append([]nats.Option{nats.Timeout(patience), nats.NoReconnect(), nats.Name(t.scenario)}, options...)
	connection, err := nats.Connect(t.server(name).URL, all...)
	if err == nil {
		t.cleanup(connection.Close)
	}
	return connection, err
}

// connect is dial where a refusal ends the scenario.
func (t *T) connect(name string, options ...nats.Option) *nats.Conn {
	connection, err := t.dial(name, options...)
	t.must(err, "connect to "+name)
	return connection
}

// subscribe returns a synchronous subscription that the server knows about.
func (t *T) subscribe(connection *nats.Conn, subject string) *nats.Subscription {
	subscription, err := connection.SubscribeSync(subject)
	t.must(err, "subscribe "+subject)
	t.flush(connection)
	return subscription
}

func (t *T) queueSubscribe(connection *nats.Conn, subject, group string) *nats.Subscription {
	subscription, err := connection.QueueSubscribeSync(subject, group)
	t.must(err, "queue subscribe "+subject)
	t.flush(connection)
	return subscription
}

func (t *T) flush(connection *nats.Conn) {
	t.must(connection.FlushTimeout(patience), "flush")
}

func (t *T) publish(connection *nats.Conn, subject, data string) {
	t.must(connection.Publish(subject, []byte(data)), "publish "+subject)
}

// next returns the next message, which has to come.
func (t *T) next(subscription *nats.Subscription) *nats.Msg {
	msg, err := subscription.NextMsg(patience)
	t.must(err, "next message on "+subscription.Subject)
	return msg
}

// texts reads the payloads of the messages up to the one that says "end".
func (t *T) texts(subscription *nats.Subscription) []string {
	got := []string{}
	for {
		text := string(t.next(subscription).Data)
		if text == "end" {
			return got
		}
		got = append(got, text)
	}
}

// asyncErrors collects what the library hands to its error callback.
type asyncErrors struct {
	mu   sync.Mutex
	errs []error
}

func (a *asyncErrors) option() nats.Option {
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.errs = append(a.errs, err)
	})
}

// saw reports whether an error of that value, naming that text, has come in.
func (a *asyncErrors) saw(want error, part string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, err := range a.errs {
		if errors.Is(err, want) && strings.Contains(err.Error(), part) {
			return true
		}
	}
	return false
}

func (a *asyncErrors) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.errs)
}

// events counts the life-cycle callbacks of one connection.
type events struct {
	mu    sync.Mutex
	names []string
	cause error
}

func (e *events) note(name string, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names = append(e.names, name)
	if cause != nil {
		e.cause = cause
	}
}

func (e *events) saw(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.names {
		if n == name {
			return true
		}
	}
	return false
}

// disconnectCause is the last error a disconnect came with.
func (e *events) disconnectCause() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cause
}

func (e *events) options() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { e.note("disconnected", err) }),
		nats.ReconnectHandler(func(*nats.Conn) { e.note("reconnected", nil) }),
		nats.ClosedHandler(func(*nats.Conn) { e.note("closed", nil) }),
		nats.LameDuckModeHandler(func(*nats.Conn) { e.note("lame duck", nil) }),
		nats.DiscoveredServersHandler(func(*nats.Conn) { e.note("discovered", nil) }),
	}
}
