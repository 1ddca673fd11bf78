package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

var requestScenarios = []scenario{
	{"request/reply", requestReply},
	{"request/no_responders", requestNoResponders},
	{"request/timeout", requestTimeout},
}

// respond answers every request on subject until the connection closes.
func (t *T) respond(nc *nats.Conn, subject string, answer func(*nats.Msg)) *nats.Subscription {
	subscription, err := nc.Subscribe(subject, answer)
	t.must(err, "subscribe "+subject)
	t.flush(nc)
	return subscription
}

func (t *T) request(nc *nats.Conn, subject, data string) *nats.Msg {
	msg, err := nc.Request(subject, []byte(data), patience)
	t.must(err, "request "+subject)
	return msg
}

func requestReply(t *T) {
	nc, server := t.connect("plain"), t.connect("plain")
	t.respond(server, "req.upper", func(m *nats.Msg) { _ = m.Respond([]byte(strings.ToUpper(string(m.Data)))) })
	t.equal("answers", string(t.request(nc, "req.upper", "abc").Data), "ABC")
	t.equal("on_the_same_connection", string(t.request(server, "req.upper", "own").Data), "OWN")

	old := t.connect("plain", nats.UseOldRequestStyle())
	t.equal("with_an_inbox_per_request", string(t.request(old, "req.upper", "old").Data), "OLD")

	prefixed := t.connect("plain", nats.CustomInboxPrefix("_MINE.inbox"))
	seen := t.subscribe(server, "req.upper")
	t.equal("with_a_custom_inbox_prefix", string(t.request(prefixed, "req.upper", "p").Data), "P")
	t.is("the_reply_subject_has_the_prefix", strings.HasPrefix(t.next(seen).Reply, "_MINE.inbox."))

	t.respond(server, "req.headers", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Echo": m.Header["Ask"]}, Data: m.Data})
	})
	reply, err := nc.RequestMsg(&nats.Msg{Subject: "req.headers", Header: nats.Header{"Ask": {"a", "b"}}}, patience)
	t.must(err, "request with headers")
	t.equal("headers_both_ways", reply.Header["Echo"], []string{"a", "b"})

	var all sync.WaitGroup
	wrong := make(chan string, 200)
	for i := range 200 {
		all.Add(1)
		go func() {
			defer all.Done()
			text := fmt.Sprint("n", i)
			msg, err := nc.Request("req.upper", []byte(text), patience)
			if err != nil || string(msg.Data) != strings.ToUpper(text) {
				wrong <- text
			}
		}()
	}
	all.Wait()
	t.equal("two_hundred_at_once_find_their_askers", len(wrong), 0)

	// Several responders: the first answer counts, the rest is dropped quietly.
	for range 3 {
		t.respond(t.connect("plain"), "req.many", func(m *nats.Msg) { _ = m.Respond([]byte("me")) })
	}
	t.equal("first_of_many_answers", string(t.request(nc, "req.many", "").Data), "me")
	inbox := nc.NewInbox()
	answers := t.subscribe(nc, inbox)
	t.must(nc.PublishRequest("req.many", inbox, nil), "publish request")
	t.eventually("scatter_and_gather", func() bool { n, _ := answers.QueuedMsgs(); return n == 3 })
}

func requestNoResponders(t *T) {
	nc := t.connect("plain")
	started := time.Now()
	_, err := nc.Request("nobody.there", nil, patience)
	t.errorIs("is_the_librarys_error", err, nats.ErrNoResponders)
	t.is("comes_at_once", time.Since(started) < patience/2, time.Since(started))

	inbox := nc.NewInbox()
	replies := make(chan *nats.Msg, 1)
	t.respond(nc, inbox, func(m *nats.Msg) { replies <- m })
	t.must(nc.PublishRequest("nobody.there", inbox, []byte("data")), "publish request")
	var status *nats.Msg
	select {
	case status = <-replies:
	case <-time.After(patience):
		panic(abort{"no status message"})
	}
	t.equal("is_a_503_status", status.Header.Get("Status"), "503")
	t.equal("has_no_payload", len(status.Data), 0)
	t.equal("names_the_subject", status.Header.Get("Nats-Subject"), "nobody.there")

	// A responder in a queue group, and one behind a wildcard, count.
	for what, filter := range map[string]string{"a_group": "some.queue", "a_wildcard": "some.*.wild"} {
		subject := strings.Replace(filter, "*", "x", 1)
		member := t.connect("plain")
		subscription, err := member.QueueSubscribe(filter, "g", func(m *nats.Msg) { _ = m.Respond(nil) })
		t.must(err, "subscribe")
		t.flush(member)
		_, err = nc.Request(subject, nil, patience)
		t.noError("not_for_"+what, err)
		t.must(subscription.Unsubscribe(), "unsubscribe")
		t.flush(member)
		_, err = nc.Request(subject, nil, patience)
		t.errorIs("again_without_"+what, err, nats.ErrNoResponders)
	}

	// A requester whose own subscription is hidden by no_echo has no responder.
	silent := t.connect("plain", nats.NoEcho())
	t.subscribe(silent, "only.me")
	_, err = silent.Request("only.me", nil, patience)
	t.errorIs("own_subscription_with_echo_off_is_nobody", err, nats.ErrNoResponders)
}

func requestTimeout(t *T) {
	nc, server := t.connect("plain"), t.connect("plain")
	t.subscribe(server, "req.silent")
	_, err := nc.Request("req.silent", nil, 50*time.Millisecond)
	t.errorIs("is_the_librarys_error", err, nats.ErrTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = nc.RequestWithContext(ctx, "req.silent", nil)
	t.is("of_a_context", errors.Is(err, context.DeadlineExceeded), err)
	t.respond(server, "req.after", func(m *nats.Msg) { _ = m.Respond([]byte("late but fine")) })
	t.equal("leaves_the_connection_usable", string(t.request(nc, "req.after", "").Data), "late but fine")
}
