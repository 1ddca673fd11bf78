package main

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

var permissionScenarios = []scenario{
	{"permissions/publish", permissionPublish},
	{"permissions/subscribe", permissionSubscribe},
	{"permissions/queue", permissionQueue},
	{"permissions/responses", permissionResponses},
	{"permissions/defaults", permissionDefaults},
}

// restricted connects as a user of the permissions server.
func (t *T) restricted(user string) (*nats.Conn, *asyncErrors) {
	seen := new(asyncErrors)
	return t.connect("permissions", nats.UserInfo(user, "pw"), seen.option()), seen
}

func permissionPublish(t *T) {
	admin, _ := t.restricted("admin")
	all := t.subscribe(admin, ">")
	nc, seen := t.restricted("limited")
	for _, subject := range []string{"allowed.a", "allowed.secret.b", "forbidden", "allowed.b.c"} {
		t.publish(nc, subject, subject)
	}
	t.publish(nc, "allowed.end", "end")
	t.equal("only_what_is_allowed_arrives", t.texts(all), []string{"allowed.a", "allowed.b.c"})
	for what, subject := range map[string]string{"not_allowed": "forbidden", "denied": "allowed.secret.b"} {
		text := fmt.Sprintf("Permissions Violation for Publish to \"%s\"", subject)
		t.eventually(what+"_is_the_librarys_error", func() bool { return seen.saw(nats.ErrPermissionViolation, text) })
	}
	t.errorIs("and_the_last_error", nc.LastError(), nats.ErrPermissionViolation)
	t.noError("the_connection_stays", nc.FlushTimeout(patience))
	t.equal("one_error_per_refusal", seen.count(), 2)
}

func permissionSubscribe(t *T) {
	admin, _ := t.restricted("admin")
	nc, seen := t.restricted("limited")
	for what, filter := range map[string]string{"not_allowed": "forbidden", "denied": "allowed.secret.>", "wider_than_allowed": ">"} {
		t.subscribe(nc, filter)
		text := fmt.Sprintf("Permissions Violation for Subscription to \"%s\"", filter)
		t.eventually(what+"_is_the_librarys_error", func() bool { return seen.saw(nats.ErrPermissionViolation, text) })
	}
	before := nc.Stats().InMsgs
	mixed, wide := t.subscribe(nc, "mixed.*"), t.subscribe(nc, "allowed.>")
	for _, subject := range []string{"forbidden", "mixed.open", "mixed.hidden", "allowed.secret.x", "allowed.y"} {
		t.publish(admin, subject, subject)
	}
	t.publish(admin, "mixed.end", "end")
	t.publish(admin, "allowed.end", "end")
	t.equal("a_wildcard_hides_denied_subjects", t.texts(mixed), []string{"mixed.open"})
	t.equal("a_tail_hides_a_denied_branch", t.texts(wide), []string{"allowed.y"})
	t.equal("refused_ones_get_nothing", nc.Stats().InMsgs, before+4)

	strict := t.connect("permissions", nats.UserInfo("limited", "pw"), nats.PermissionErrOnSubscribe(true))
	refused, err := strict.SubscribeSync("forbidden")
	t.must(err, "subscribe")
	_, err = refused.NextMsg(patience)
	t.errorIs("the_subscription_itself_can_say_so", err, nats.ErrPermissionViolation)
}

func permissionQueue(t *T) {
	for _, c := range []struct{ user, what, subject, group string }{
		{"queuer", "exact_group", "work", "v1"},
		{"queuer", "group_by_wildcard", "work", "v1.2"},
		{"dequeuer", "any_group", "work", "good"},
		{"dequeuer", "plain_beside_a_group", "work", ""},
	} {
		nc, seen := t.restricted(c.user)
		_, err := nc.QueueSubscribeSync(c.subject, c.group)
		t.must(err, "subscribe")
		t.flush(nc)
		t.equal(c.user+"_"+c.what+"_is_allowed", seen.count(), 0)
	}
	for _, c := range []struct{ user, what, subject, group, text string }{
		{"queuer", "other_group", "work", "v2", `Subscription to "work" using queue "v2"`},
		{"queuer", "deeper_group", "work", "v1.2.3", `Subscription to "work" using queue "v1.2.3"`},
		{"queuer", "plain", "work", "", `Subscription to "work"`},
		{"dequeuer", "denied_group", "work", "bad", `Subscription to "work" using queue "bad"`},
	} {
		nc, seen := t.restricted(c.user)
		_, err := nc.QueueSubscribeSync(c.subject, c.group)
		t.must(err, "subscribe")
		t.eventually(c.user+"_"+c.what+"_is_refused", func() bool {
			return seen.saw(nats.ErrPermissionViolation, "Permissions Violation for "+c.text)
		})
	}
	admin, _ := t.restricted("admin")
	nc, _ := t.restricted("queuer")
	member := t.queueSubscribe(nc, "work", "v1.alone")
	t.publish(admin, "work", "job")
	t.equal("an_allowed_member_works", string(t.next(member).Data), "job")
	t.flush(admin)
}

func permissionResponses(t *T) {
	requester, _ := t.restricted("requester")
	responder, seen := t.restricted("responder")
	t.respond(responder, "service.one", func(m *nats.Msg) { _ = m.Respond([]byte("yes")) })
	t.equal("a_response_is_allowed", string(t.request(requester, "service.one", "").Data), "yes")

	t.respond(responder, "service.many", func(m *nats.Msg) {
		for i := range 4 {
			_ = m.Respond([]byte(fmt.Sprint(i)))
		}
	})
	inbox := requester.NewInbox()
	answers := t.subscribe(requester, inbox)
	t.must(requester.PublishRequest("service.many", inbox, nil), "publish request")
	t.eventually("more_than_max_are_refused", func() bool {
		return seen.saw(nats.ErrPermissionViolation, strings.Split(inbox, ".")[0])
	})
	t.equal("the_first_comes", string(t.next(answers).Data), "0")
	t.equal("the_second_comes", string(t.next(answers).Data), "1")
	queued, _, err := answers.Pending()
	t.is("and_no_third", err == nil && queued == 0, queued, err)

	t.publish(responder, "service.one", "unasked")
	t.eventually("nothing_else_may_be_published", func() bool {
		return seen.saw(nats.ErrPermissionViolation, `Publish to "service.one"`)
	})
}

func permissionDefaults(t *T) {
	nc, seen := t.restricted("defaulted")
	subscription := t.subscribe(nc, "open.>")
	t.publish(nc, "open.door", "in")
	t.equal("apply_to_a_user_without_own", string(t.next(subscription).Data), "in")
	t.publish(nc, "closed.door", "in")
	t.eventually("and_restrict_it", func() bool { return seen.saw(nats.ErrPermissionViolation, `Publish to "closed.door"`) })
}
