package main

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

var accountScenarios = []scenario{
	{"accounts/isolation", accountIsolation},
	{"accounts/stream_import", accountStreamImport},
	{"accounts/service_import", accountServiceImport},
	{"mapping/subjects", mappingSubjects},
	{"mapping/weights", mappingWeights},
	{"mapping/partitions", mappingPartitions},
}

// member connects as the user of that name, whose account is its upper case.
func (t *T) member(name string, options ...nats.Option) *nats.Conn {
	return t.connect("accounts", append(options, nats.UserInfo(name, name))...)
}

func accountIsolation(t *T) {
	alpha, gamma := t.member("alpha"), t.member("gamma")
	subscription := t.subscribe(gamma, "events.>")
	t.publish(alpha, "events.x", "not for you")
	t.flush(alpha)
	t.publish(gamma, "events.x", "end")
	t.equal("one_account_does_not_hear_another", t.texts(subscription), []string{})
	t.respond(alpha, "iso.service", func(m *nats.Msg) { _ = m.Respond(nil) })
	_, err := gamma.Request("iso.service", nil, patience)
	t.errorIs("nor_find_its_services", err, nats.ErrNoResponders)
}

func accountStreamImport(t *T) {
	alpha, beta := t.member("alpha"), t.member("beta")
	prefixed := t.subscribe(beta, "from_alpha.events.>")
	renamed := t.subscribe(beta, "hidden.*")
	bare := t.subscribe(beta, "events.>")
	group := t.queueSubscribe(beta, "from_alpha.events.q", "g")
	t.must(alpha.PublishMsg(&nats.Msg{Subject: "events.a.b", Reply: "re.ply", Header: nats.Header{"H": {"v"}}, Data: []byte("one")}), "publish")
	msg := t.next(prefixed)
	t.equal("arrives_under_the_prefix", msg.Subject+"|"+string(msg.Data), "from_alpha.events.a.b|one")
	t.equal("with_its_headers", msg.Header.Get("H"), "v")
	t.publish(alpha, "private.x", "two")
	msg = t.next(renamed)
	t.equal("arrives_under_another_name", msg.Subject+"|"+string(msg.Data), "hidden.x|two")
	t.publish(alpha, "events.q", "three")
	t.equal("reaches_a_queue_group", t.next(group).Subject, "from_alpha.events.q")
	t.publish(beta, "events.c", "end")
	t.equal("not_under_its_own_name", t.texts(bare), []string{})
	back := t.subscribe(alpha, "events.>")
	t.publish(beta, "from_alpha.events.d", "wrong way")
	t.flush(beta)
	t.publish(alpha, "events.end", "end")
	t.equal("goes_one_way_only", t.texts(back), []string{})
}

func accountServiceImport(t *T) {
	alpha, beta := t.member("alpha"), t.member("beta")
	_, err := beta.Request("remote.nobody", nil, patience)
	t.errorIs("nobody_there_is_no_responders", err, nats.ErrNoResponders)
	t.respond(alpha, "svc.add", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: m.Header, Data: []byte(m.Subject + ":" + string(m.Data))})
	})
	t.equal("answers_under_the_imported_name", string(t.request(beta, "remote.add", "1+1").Data), "svc.add:1+1")
	reply, err := beta.RequestMsg(&nats.Msg{Subject: "remote.add", Header: nats.Header{"K": {"v"}}}, patience)
	t.is("headers_both_ways", err == nil && reply.Header.Get("K") == "v", err)
	_, err = beta.Request("svc.add", nil, patience)
	t.errorIs("not_under_its_own_name", err, nats.ErrNoResponders)
	for i := range 50 {
		if got := string(t.request(beta, "remote.add", fmt.Sprint(i)).Data); got != fmt.Sprint("svc.add:", i) {
			t.is("many_in_a_row", false, got)
			return
		}
	}
	t.is("many_in_a_row", true)

	t.respond(alpha, "svc.many", func(m *nats.Msg) {
		for i := range 3 {
			_ = m.Respond([]byte(fmt.Sprint(i)))
		}
		_ = m.Respond([]byte("end"))
	})
	inbox := beta.NewInbox()
	answers := t.subscribe(beta, inbox)
	t.must(beta.PublishRequest("svc.many", inbox, nil), "publish request")
	t.equal("a_streamed_response_comes_whole", t.texts(answers), []string{"0", "1", "2"})
}

func mappingSubjects(t *T) {
	nc := t.member("gamma")
	for _, c := range []struct{ what, filter, publish, arrives string }{
		{"by_dollar", "new.*", "old.x", "new.x"},
		{"by_wildcard_function", "swapped.>", "swap.a.b", "swapped.b.a"},
	} {
		old, mapped := t.subscribe(nc, c.publish), t.subscribe(nc, c.filter)
		t.publish(nc, c.publish, "data")
		msg := t.next(mapped)
		t.equal(c.what, msg.Subject+"|"+string(msg.Data), c.arrives+"|data")
		queued, _ := old.QueuedMsgs()
		t.equal(c.what+"_leaves_nothing_behind", queued, 0)
	}
	t.respond(nc, "new.service", func(m *nats.Msg) { _ = m.Respond([]byte(m.Subject)) })
	t.equal("of_requests", string(t.request(nc, "old.service", "").Data), "new.service")
}

func mappingWeights(t *T) {
	nc := t.member("gamma")
	members := []*nats.Subscription{t.subscribe(nc, "split.a"), t.subscribe(nc, "split.b")}
	got := t.tally(nc, "split", 2000, members)
	t.is("half_and_half", sum(got) == 2000 && got[0] > 860 && got[1] > 860, got)
}

func mappingPartitions(t *T) {
	nc := t.member("gamma")
	subscription := t.subscribe(nc, "part.*.*")
	first := map[string]string{}
	used := map[string]bool{}
	stable := true
	for i := range 200 {
		key := fmt.Sprint("key", i%40)
		t.publish(nc, "part."+key, key)
		subject := t.next(subscription).Subject
		if before, ok := first[key]; ok && before != subject {
			stable = false
		}
		first[key] = subject
		used[subject[len(subject)-1:]] = true
	}
	t.is("one_key_always_one_partition", stable)
	t.equal("all_partitions_are_used", used, map[string]bool{"0": true, "1": true, "2": true, "3": true})
	// The hash is part of the contract: other programs compute it as well.
	t.equal("the_hash_is_the_known_one", first["key0"]+" "+first["key1"], "part.key0.0 part.key1.3")
}
