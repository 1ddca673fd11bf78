package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

var limitScenarios = []scenario{
	{"limits/max_payload", limitMaxPayload},
	{"limits/max_subscriptions", limitMaxSubscriptions},
	{"limits/max_control_line", limitMaxControlLine},
	{"limits/max_connections", limitMaxConnections},
	{"limits/slow_reader", limitSlowReader},
	{"limits/slow_callback", limitSlowCallback},
}

func limitMaxPayload(t *T) {
	nc := t.connect("limits")
	t.equal("is_announced", nc.MaxPayload(), int64(1024))
	subscription := t.subscribe(nc, "limit.payload")
	t.noError("allows_exactly_that", nc.Publish("limit.payload", make([]byte, 1024)))
	t.equal("and_delivers_it", len(t.next(subscription).Data), 1024)
	t.errorIs("the_library_refuses_more", nc.Publish("limit.payload", make([]byte, 1025)), nats.ErrMaxPayload)
	msg := &nats.Msg{Subject: "limit.payload", Header: nats.Header{"A": {"b"}}, Data: make([]byte, 1024)}
	t.errorIs("headers_count_too", nc.PublishMsg(msg), nats.ErrMaxPayload)

	// A library that believes a larger limit is told by the server, and closed.
	life := new(events)
	liar := &tamper{old: []byte(`"max_payload":1024`), new: []byte(`"max_payload":9999`)}
	deceived := t.connect("limits", append(life.options(), nats.SetCustomDialer(liar))...)
	t.must(deceived.Publish("limit.payload", make([]byte, 1025)), "publish")
	t.eventually("the_server_closes_a_violator", func() bool { return life.saw("closed") })
	t.errorHas("and_says_why", deceived.LastError(), "maximum payload violation")
}

func limitMaxSubscriptions(t *T) {
	seen := new(asyncErrors)
	nc := t.connect("limits", seen.option())
	for i := range 5 {
		t.subscribe(nc, fmt.Sprint("limit.sub.", i))
	}
	t.equal("five_are_allowed", seen.count(), 0)
	_, err := nc.SubscribeSync("limit.sub.5")
	t.must(err, "subscribe")
	t.eventually("the_sixth_is_the_librarys_error", func() bool { return seen.saw(nats.ErrMaxSubscriptionsExceeded, "") })
	t.noError("the_connection_stays", nc.FlushTimeout(patience))
}

func limitMaxControlLine(t *T) {
	nc := t.connect("limits")
	subscription := t.subscribe(nc, ">")
	subject := strings.Repeat("s", 480)
	t.publish(nc, subject, "fits")
	t.equal("a_line_that_fits_is_delivered", t.next(subscription).Subject, subject)
	life := new(events)
	long := t.connect("limits", life.options()...)
	t.must(long.Publish(strings.Repeat("s", 600), nil), "publish")
	t.eventually("a_longer_one_ends_the_connection", func() bool { return life.saw("closed") })
	t.errorHas("with_its_reason", long.LastError(), "maximum control line exceeded")
}

func limitMaxConnections(t *T) {
	first := t.connect("full")
	t.connect("full")
	_, err := t.dial("full")
	t.is("nobody_else_is_let_in", err != nil)
	// The server refuses and closes at once. Bytes that cross that would make the
	// kernel throw the reason away, so this dialer sends none.
	mute := new(tamper)
	mute.loseWrites.Store(true)
	_, err = t.dial("full", nats.SetCustomDialer(mute))
	t.errorHas("with_the_servers_reason", err, "nats: maximum connections exceeded")
	first.Close()
	t.eventually("a_place_becomes_free_again", func() bool { _, err := t.dial("full"); return err == nil })
}

// limitSlowReader makes a subscriber whose socket nobody reads.
func limitSlowReader(t *T) {
	stalling, life := new(tamper), new(events)
	nc := t.connect("slow", append(life.options(), nats.SetCustomDialer(stalling))...)
	healthy := t.connect("slow")
	t.subscribe(nc, "limit.slow.>")
	survivor := t.subscribe(healthy, "limit.slow.end")
	before := t.slowConsumers()
	resume := stalling.stall()
	t.cleanup(resume)

	sender := t.connect("slow")
	chunk := make([]byte, 256<<10)
	cut := await(4*patience, func() bool {
		t.must(sender.Publish("limit.slow.data", chunk), "publish")
		t.flush(sender)
		return t.slowConsumers() > before
	})
	t.is("the_server_counts_a_slow_consumer", cut)
	resume()
	t.eventually("and_cuts_it_off", func() bool { return life.saw("disconnected") && nc.IsClosed() })
	t.publish(sender, "limit.slow.end", "end")
	t.equal("others_are_unharmed", string(t.next(survivor).Data), "end")
}

func (t *T) slowConsumers() int {
	var varz struct {
		SlowConsumers int `json:"slow_consumers"`
	}
	t.monitor("slow", "/varz", &varz)
	return varz.SlowConsumers
}

// limitSlowCallback lets the library's own queue overflow; no server is to blame.
func limitSlowCallback(t *T) {
	seen := new(asyncErrors)
	nc, sender := t.connect("plain", seen.option()), t.connect("plain")
	gate := make(chan struct{})
	subscription := t.respond(nc, "limit.callback", func(*nats.Msg) { <-gate })
	t.must(subscription.SetPendingLimits(10, -1), "pending limits")
	for range 100 {
		t.publish(sender, "limit.callback", "x")
	}
	t.flush(sender)
	t.eventually("is_the_librarys_error", func() bool { return seen.saw(nats.ErrSlowConsumer, "") })
	t.eventually("counts_what_was_dropped", func() bool { n, _ := subscription.Dropped(); return n == 89 || n == 90 })
	close(gate)
	t.noError("leaves_the_connection_open", nc.FlushTimeout(patience))
	t.is("with_the_error_as_the_last", errors.Is(nc.LastError(), nats.ErrSlowConsumer), nc.LastError())
}
