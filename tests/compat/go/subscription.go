package main

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

var subscriptionScenarios = []scenario{
	{"subscribe/wildcards", subscribeWildcards},
	{"subscribe/unsubscribe", subscribeUnsubscribe},
	{"subscribe/auto_unsubscribe", subscribeAutoUnsubscribe},
	{"queue/distribution", queueDistribution},
	{"queue/groups", queueGroups},
	{"queue/wildcards", queueWildcards},
}

func subscribeWildcards(t *T) {
	nc, sender := t.connect("plain"), t.connect("plain")
	for _, c := range []struct {
		what, filter string
		matching     []string
		other        []string
	}{
		{"literal", "hello.world", []string{"hello.world"}, []string{"hello", "hello.World", "hello.world.x"}},
		{"star_last", "hello.*", []string{"hello.a", "hello.b"}, []string{"hello", "hello.a.b", "hell.a"}},
		{"star_first", "*.tail", []string{"x.tail", "y.tail"}, []string{"tail", "x.y.tail", "x.tails"}},
		{"star_middle", "first.*.third", []string{"first.a.third", "first.*.third"}, []string{"first.third", "first.a.b.third", "first.a.fourth"}},
		{"two_stars", "*.two.*", []string{"a.two.b"}, []string{"a.two", "two.b", "a.two.b.c"}},
		{"tail", "first.>", []string{"first.a", "first.a.b.c.d"}, []string{"first", "firsts.a"}},
		{"star_and_tail", "s.*.>", []string{"s.a.b", "s.a.b.c"}, []string{"s.a", "s"}},
		{"not_a_wildcard_inside_a_token", "odd.f*o", []string{"odd.f*o"}, []string{"odd.foo", "odd.f"}},
	} {
		subscription := t.subscribe(nc, c.filter)
		// The last subject is the marker; it has to match.
		marker := c.matching[0]
		for _, subject := range append(append([]string{}, c.other...), c.matching...) {
			t.publish(sender, subject, subject)
		}
		t.publish(sender, marker, "end")
		t.equal(c.what, t.texts(subscription), c.matching)
		t.must(subscription.Unsubscribe(), "unsubscribe")
		t.flush(nc)
	}

	// ">" sees everything, so it looks at an account nobody else uses.
	gamma, quiet := t.connect("accounts", nats.UserInfo("gamma", "gamma")), t.connect("accounts", nats.UserInfo("gamma", "gamma"))
	all := t.subscribe(gamma, ">")
	for _, subject := range []string{"one", "one.two", "one.two.three"} {
		t.publish(quiet, subject, subject)
	}
	t.publish(quiet, "z", "end")
	t.equal("everything", t.texts(all), []string{"one", "one.two", "one.two.three"})
}

func subscribeUnsubscribe(t *T) {
	nc, sender := t.connect("plain"), t.connect("plain")
	gone, stays := t.subscribe(nc, "sub.gone"), t.subscribe(nc, "sub.>")
	t.publish(sender, "sub.gone", "before")
	t.equal("delivers_before", string(t.next(gone).Data), "before")
	t.must(gone.Unsubscribe(), "unsubscribe")
	t.flush(nc)
	before := nc.Stats().InMsgs
	t.publish(sender, "sub.gone", "after")
	t.publish(sender, "sub.end", "end")
	t.equal("leaves_the_others", t.texts(stays), []string{"before", "after"})
	t.equal("server_sends_no_more", nc.Stats().InMsgs, before+2)
	_, err := gone.NextMsg(patience)
	t.errorIs("next_is_refused", err, nats.ErrBadSubscription)
}

func subscribeAutoUnsubscribe(t *T) {
	nc, sender := t.connect("plain"), t.connect("plain")
	limited, marker := t.subscribe(nc, "auto.limited"), t.subscribe(nc, "auto.marker")
	t.must(limited.AutoUnsubscribe(3), "auto-unsubscribe")
	t.flush(nc)
	before := nc.Stats().InMsgs
	for i := range 10 {
		t.publish(sender, "auto.limited", fmt.Sprint(i))
	}
	t.publish(sender, "auto.marker", "end")
	t.texts(marker)
	t.equal("server_stops_at_the_count", nc.Stats().InMsgs, before+4)
	got := []string{string(t.next(limited).Data), string(t.next(limited).Data), string(t.next(limited).Data)}
	t.equal("delivers_the_count", got, []string{"0", "1", "2"})
	_, err := limited.NextMsg(patience)
	t.errorIs("then_says_so", err, nats.ErrMaxMessages)

	// A count that has been reached already removes the subscription at once.
	late := t.subscribe(nc, "auto.late")
	t.publish(sender, "auto.late", "1")
	t.publish(sender, "auto.late", "2")
	t.next(late)
	t.next(late)
	t.must(late.AutoUnsubscribe(2), "auto-unsubscribe")
	t.flush(nc)
	before = nc.Stats().InMsgs
	t.publish(sender, "auto.late", "3")
	t.publish(sender, "auto.marker", "end")
	t.texts(marker)
	t.equal("server_counts_what_was_delivered_before", nc.Stats().InMsgs, before+1)
}

// tally publishes count messages and returns how many each member received
// when all of them have arrived.
func (t *T) tally(sender *nats.Conn, subject string, count int, members []*nats.Subscription) []int {
	for range count {
		t.publish(sender, subject, "x")
	}
	t.flush(sender)
	got := make([]int, len(members))
	arrived := await(patience, func() bool {
		total := 0
		for i, member := range members {
			got[i], _ = member.QueuedMsgs()
			total += got[i]
		}
		return total >= count
	})
	if !arrived {
		panic(abort{fmt.Sprint("messages lost in a queue group: ", got)})
	}
	return got
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

func queueDistribution(t *T) {
	const count = 4000
	sender := t.connect("plain")
	var members []*nats.Subscription
	for range 4 {
		members = append(members, t.queueSubscribe(t.connect("plain"), "queue.even", "workers"))
	}
	got := t.tally(sender, "queue.even", count, members)
	t.equal("each_message_once", sum(got), count)
	// 1000 expected each; six standard deviations of a fair draw are 165.
	for i, n := range got {
		t.is(fmt.Sprintf("member_%d_has_its_share", i), n > 835 && n < 1165, got)
	}

	one := t.connect("plain")
	local := []*nats.Subscription{t.queueSubscribe(one, "queue.local", "workers"), t.queueSubscribe(one, "queue.local", "workers")}
	got = t.tally(sender, "queue.local", 2000, local)
	t.is("two_members_of_one_connection_share", sum(got) == 2000 && got[0] > 800 && got[1] > 800, got)
}

func queueGroups(t *T) {
	sender := t.connect("plain")
	red := t.queueSubscribe(t.connect("plain"), "queue.groups", "red")
	blue := t.queueSubscribe(t.connect("plain"), "queue.groups", "blue")
	plain := t.subscribe(t.connect("plain"), "queue.groups")
	for range 10 {
		t.publish(sender, "queue.groups", "x")
	}
	for name, member := range map[string]*nats.Subscription{"red": red, "blue": blue, "without_a_group": plain} {
		t.eventually("every_message_reaches_"+name, func() bool { n, _ := member.QueuedMsgs(); return n == 10 })
	}

	// A member that leaves takes no message with it.
	leaverConn := t.connect("plain")
	leaver := t.queueSubscribe(leaverConn, "queue.leave", "g")
	stayer := t.queueSubscribe(t.connect("plain"), "queue.leave", "g")
	had := t.tally(sender, "queue.leave", 100, []*nats.Subscription{leaver, stayer})[1]
	t.must(leaver.Unsubscribe(), "unsubscribe")
	t.flush(leaverConn)
	for range 100 {
		t.publish(sender, "queue.leave", "x")
	}
	t.eventually("the_last_member_gets_everything", func() bool { n, _ := stayer.QueuedMsgs(); return n == had+100 })
}

func queueWildcards(t *T) {
	sender := t.connect("plain")
	narrow := t.queueSubscribe(t.connect("plain"), "queue.wild.one", "g")
	wide := t.queueSubscribe(t.connect("plain"), "queue.wild.*", "g")
	got := t.tally(sender, "queue.wild.one", 1000, []*nats.Subscription{narrow, wide})
	t.equal("one_group_over_two_filters_gets_it_once", sum(got), 1000)
	t.is("and_both_filters_take_part", got[0] > 300 && got[1] > 300, got)
	for range 50 {
		t.publish(sender, "queue.wild.two", "x")
	}
	t.eventually("a_filter_only_takes_its_own_subjects", func() bool { n, _ := wide.QueuedMsgs(); return n == got[1]+50 })
}
