package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

var drainScenarios = []scenario{
	{"drain/subscription", drainSubscription},
	{"drain/connection", drainConnection},
}

func drainSubscription(t *T) {
	nc, sender := t.connect("plain"), t.connect("plain")
	var handled atomic.Int32
	gate := make(chan struct{})
	subscription := t.respond(nc, "drain.sub", func(*nats.Msg) { <-gate; handled.Add(1) })
	other := t.subscribe(nc, "drain.other")
	for range 50 {
		t.publish(sender, "drain.sub", "x")
	}
	t.flush(sender)
	t.eventually("messages_wait", func() bool { n, _ := subscription.QueuedMsgs(); return n >= 49 })
	t.must(subscription.Drain(), "drain")
	t.flush(nc)
	t.publish(sender, "drain.sub", "too late")
	t.publish(sender, "drain.other", "end")
	t.equal("the_connection_stays_open", t.texts(other), []string{})
	close(gate)
	t.eventually("handles_what_had_arrived", func() bool { return handled.Load() == 50 })
	t.eventually("then_ends", func() bool { return !subscription.IsValid() })
	t.equal("and_takes_nothing_new", handled.Load(), int32(50))
}

func drainConnection(t *T) {
	life := new(events)
	nc, sender := t.connect("plain", life.options()...), t.connect("plain")
	answers := t.subscribe(sender, "drain.answers")
	t.respond(nc, "drain.work", func(m *nats.Msg) { _ = nc.Publish("drain.answers", m.Data) })
	want := []string{}
	for i := range 100 {
		t.publish(sender, "drain.work", fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
	}
	t.flush(sender)
	t.flush(nc)
	t.must(nc.Drain(), "drain")
	_, err := nc.SubscribeSync("drain.more")
	t.is("refuses_new_subscriptions", errors.Is(err, nats.ErrConnectionDraining) || errors.Is(err, nats.ErrConnectionClosed), err)
	t.eventually("closes_in_the_end", func() bool { return life.saw("closed") && nc.IsClosed() })
	t.publish(sender, "drain.answers", "end")
	t.equal("answers_leave_before_it_closes", t.texts(answers), want)
	t.noError("without_an_error", nc.LastError())
	t.errorIs("a_second_drain_is_refused", nc.Drain(), nats.ErrConnectionClosed)
	_, err = sender.Request("drain.work", nil, patience)
	t.errorIs("the_interest_is_gone", err, nats.ErrNoResponders)
}
