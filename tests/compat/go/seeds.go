package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/nats-io/nats.go"
)

// The flows by which people get to know the product, each under the name of the
// flow. Subjects and numbers are those that introductions use. The other files
// look closer; this one, which every language has, says that each of the flows
// works at all. It runs in the account GAMMA, where nobody else speaks, for the
// sake of ">".
var seedScenarios = []scenario{
	{"seeds/publish_subscribe", seedPublishSubscribe},
	{"seeds/at_most_once", seedAtMostOnce},
	{"seeds/fan_in", seedFanIn},
	{"seeds/fan_out", seedFanOut},
	{"seeds/request_reply", seedRequestReply},
	{"seeds/one_to_many_request", seedOneToManyRequest},
	{"seeds/queue_group", seedQueueGroup},
	{"seeds/wildcards", seedWildcards},
}

func (t *T) gamma() *nats.Conn { return t.connect("accounts", nats.UserInfo("gamma", "gamma")) }

func seedPublishSubscribe(t *T) {
	publisher, subscription := t.gamma(), t.subscribe(t.gamma(), "intros")
	t.publish(publisher, "intros", "Hello World!")
	msg := t.next(subscription)
	t.equal("arrives", msg.Subject+": "+string(msg.Data), "intros: Hello World!")
}

func seedAtMostOnce(t *T) {
	publisher, subscriber := t.gamma(), t.gamma()
	t.publish(publisher, "intros", "before anybody listens")
	t.flush(publisher)
	subscription := t.subscribe(subscriber, "intros")
	t.publish(publisher, "intros", "now")
	t.publish(publisher, "intros", "end")
	t.equal("nothing_is_kept_for_latecomers", t.texts(subscription), []string{"now"})
}

// times is a list of count equal texts.
func times(count int, text string) []string {
	return strings.Split(strings.Repeat(text+" ", count-1)+text, " ")
}

func seedFanIn(t *T) {
	subscription := t.subscribe(t.gamma(), "hello.world")
	last := t.gamma()
	for _, publisher := range []*nats.Conn{t.gamma(), t.gamma(), last} {
		for range 10 {
			t.publish(publisher, "hello.world", "Johan")
		}
		t.flush(publisher)
	}
	t.publish(last, "hello.world", "end")
	t.equal("one_hears_all_publishers", t.texts(subscription), times(30, "Johan"))
}

func seedFanOut(t *T) {
	publisher := t.gamma()
	subscriptions := []*nats.Subscription{}
	for range 3 {
		subscriptions = append(subscriptions, t.subscribe(t.gamma(), "hello.world"))
	}
	for _, text := range append(times(10, "Johan"), "end") {
		t.publish(publisher, "hello.world", text)
	}
	heard := []string{}
	for _, subscription := range subscriptions {
		heard = append(heard, t.texts(subscription)...)
	}
	t.equal("all_subscribers_hear_all", heard, times(30, "Johan"))
}

func seedRequestReply(t *T) {
	t.respond(t.gamma(), "hello.johan", func(m *nats.Msg) { _ = m.Respond([]byte("Hello Johan :)")) })
	t.equal("is_answered", string(t.request(t.gamma(), "hello.johan", "").Data), "Hello Johan :)")
}

func seedOneToManyRequest(t *T) {
	for number := range 3 {
		t.respond(t.gamma(), "hello.all", func(m *nats.Msg) { _ = m.Respond([]byte(fmt.Sprint(number))) })
	}
	client := t.gamma()
	inbox := t.subscribe(client, client.NewInbox())
	t.must(client.PublishRequest("hello.all", inbox.Subject, nil), "publish request")
	answers := []string{string(t.next(inbox).Data), string(t.next(inbox).Data), string(t.next(inbox).Data)}
	sort.Strings(answers)
	t.equal("all_answer_into_the_inbox", answers, []string{"0", "1", "2"})
}

func seedQueueGroup(t *T) {
	members := []*nats.Subscription{t.queueSubscribe(t.gamma(), "hello.world", "greeter"), t.queueSubscribe(t.gamma(), "hello.world", "greeter")}
	got := t.tally(t.gamma(), "hello.world", 1000, members)
	t.equal("each_message_once", sum(got), 1000)
	// 500 expected each; six standard deviations of a fair draw are 95.
	t.is("evenly", got[0] > 405 && got[1] > 405, got)
}

func seedWildcards(t *T) {
	publisher, subscriber := t.gamma(), t.gamma()
	subjects := []string{"hello", "hello.world", "hello.johan", "hello.big.world", "first", "first.second",
		"first.second.third", "first.second.third.fourth"}
	for _, c := range []struct {
		what, filter string
		matching     []string
	}{
		{"one_token", "hello.*", []string{"hello.world", "hello.johan"}},
		{"token_in_the_middle", "first.*.third", []string{"first.second.third"}},
		{"all_that_follows", "first.>", []string{"first.second", "first.second.third", "first.second.third.fourth"}},
		{"wiretap", ">", subjects},
	} {
		subscription := t.subscribe(subscriber, c.filter)
		for _, subject := range subjects {
			t.publish(publisher, subject, subject)
		}
		t.publish(publisher, c.matching[0], "end")
		t.equal(c.what, t.texts(subscription), c.matching)
		t.must(subscription.Unsubscribe(), "unsubscribe")
		t.flush(subscriber)
	}
}
