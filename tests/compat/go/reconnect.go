package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

var reconnectScenarios = []scenario{
	{"reconnect/restores", reconnectRestores},
	{"reconnect/auto_unsubscribe", reconnectAutoUnsubscribe},
	{"reconnect/buffer", reconnectBuffer},
	{"reconnect/gives_up", reconnectGivesUp},
	{"reconnect/initial", reconnectInitial},
	{"cluster/discovery", clusterDiscovery},
	{"reload/users", reloadUsers},
}

// allowReconnect undoes the NoReconnect that scenarios start from.
func allowReconnect(o *nats.Options) error {
	o.AllowReconnect = true
	return nil
}

// stubborn tries again at once and for ever.
func stubborn(life *events, more ...nats.Option) []nats.Option {
	options := append(life.options(), allowReconnect, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	return append(options, more...)
}

func reconnectRestores(t *T) {
	life := new(events)
	nc := t.connect("restart", stubborn(life)...)
	plain, wild, queue := t.subscribe(nc, "re.plain"), t.subscribe(nc, "re.wild.*"), t.queueSubscribe(nc, "re.queue", "g")
	gone := t.subscribe(nc, "re.gone")
	t.must(gone.Unsubscribe(), "unsubscribe")
	t.flush(nc)
	oldID := nc.ConnectedServerId()

	t.control("/stop/restart")
	t.eventually("notices_the_loss", func() bool { return life.saw("disconnected") })
	t.eventually("is_reconnecting", nc.IsReconnecting)
	for i := range 10 {
		t.publish(nc, "re.plain", fmt.Sprint(i))
	}
	t.is("keeps_pending_publishes", t.buffered(nc) > 0)
	t.control("/start/restart")
	t.eventually("comes_back", func() bool { return life.saw("reconnected") })
	t.publish(nc, "re.plain", "end")
	t.equal("pending_publishes_arrive_in_order", t.texts(plain), []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})
	t.is("on_a_new_server", nc.ConnectedServerId() != oldID)
	t.equal("counts_one", nc.Stats().Reconnects, uint64(1))

	sender := t.connect("restart")
	t.publish(sender, "re.wild.x", "w")
	t.publish(sender, "re.queue", "q")
	t.equal("wildcard_is_subscribed_again", t.next(wild).Subject, "re.wild.x")
	t.equal("queue_is_subscribed_again", string(t.next(queue).Data), "q")
	_, err := sender.Request("re.gone", nil, patience)
	t.errorIs("what_was_unsubscribed_stays_so", err, nats.ErrNoResponders)

	t.respond(sender, "re.echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	t.equal("requests_work_again", string(t.request(nc, "re.echo", "hi").Data), "hi")
	t.must(nc.ForceReconnect(), "force reconnect")
	t.eventually("forced_counts_two", func() bool { return nc.Stats().Reconnects == 2 && nc.IsConnected() })
	t.equal("requests_work_after_a_forced_one", string(t.request(nc, "re.echo", "again").Data), "again")
}

func reconnectAutoUnsubscribe(t *T) {
	life := new(events)
	nc, before := t.connect("restart", stubborn(life)...), t.connect("restart")
	limited := t.subscribe(nc, "re.limited")
	t.must(limited.AutoUnsubscribe(5), "auto-unsubscribe")
	t.flush(nc)
	t.publish(before, "re.limited", "1")
	t.publish(before, "re.limited", "2")
	t.next(limited)
	t.next(limited)
	t.control("/restart/restart")
	t.eventually("comes_back", func() bool { return life.saw("reconnected") })
	t.flush(nc)
	marker := t.subscribe(nc, "re.marker")
	inMsgs := nc.Stats().InMsgs
	after := t.connect("restart")
	for i := range 10 {
		t.publish(after, "re.limited", fmt.Sprint(i))
	}
	t.publish(after, "re.marker", "end")
	t.texts(marker)
	t.equal("only_the_rest_of_the_count_is_delivered", nc.Stats().InMsgs, inMsgs+4)
}

func reconnectBuffer(t *T) {
	life := new(events)
	nc := t.connect("restart", stubborn(life, nats.ReconnectBufSize(1024))...)
	none := t.connect("restart", append(stubborn(new(events)), nats.ReconnectBufSize(-1))...)
	t.control("/stop/restart")
	t.eventually("is_reconnecting", func() bool { return nc.IsReconnecting() && none.IsReconnecting() })
	t.noError("takes_what_fits", nc.Publish("re.buffer", make([]byte, 512)))
	// The library looks at what is waiting, not at what would be.
	t.noError("and_the_one_that_fills_it", nc.Publish("re.buffer", make([]byte, 1024)))
	t.errorIs("refuses_more", nc.Publish("re.buffer", make([]byte, 1024)), nats.ErrReconnectBufExceeded)
	t.errorIs("none_takes_nothing", none.Publish("re.buffer", []byte("x")), nats.ErrReconnectBufExceeded)
	t.errorIs("flush_times_out_meanwhile", nc.FlushTimeout(50*time.Millisecond), nats.ErrTimeout)
	t.control("/start/restart")
	t.eventually("comes_back", func() bool { return life.saw("reconnected") })
	t.noError("usable", nc.FlushTimeout(patience))
}

func reconnectGivesUp(t *T) {
	never, bounded := new(events), new(events)
	nc := t.connect("restart", never.options()...)
	tries := t.connect("restart", append(bounded.options(), allowReconnect, nats.MaxReconnects(2), nats.ReconnectWait(10*time.Millisecond))...)
	t.control("/stop/restart")
	t.eventually("at_once_without_reconnect", func() bool { return never.saw("closed") && nc.IsClosed() })
	t.eventually("after_the_allowed_tries", func() bool { return bounded.saw("closed") })
	t.errorIs("with_the_librarys_error", tries.LastError(), nats.ErrNoServers)
	_, err := t.dial("restart")
	t.errorIs("a_new_connection_finds_no_server", err, nats.ErrNoServers)
	t.control("/start/restart")
}

func reconnectInitial(t *T) {
	life := new(events)
	t.control("/stop/restart")
	nc := t.connect("restart", stubborn(life, nats.RetryOnFailedConnect(true))...)
	subscription, err := nc.SubscribeSync("re.initial")
	t.must(err, "subscribe")
	t.publish(nc, "re.initial", "early")
	t.control("/start/restart")
	t.equal("what_was_published_before_the_first_connect_arrives", string(t.next(subscription).Data), "early")
	// A second address in the list is used when the first is not there.
	second, err := nats.Connect("nats://127.0.0.1:1,"+t.server("plain").URL, nats.DontRandomize(), nats.Timeout(patience))
	t.must(err, "connect to a list")
	t.cleanup(second.Close)
	t.equal("the_next_server_of_the_list_is_tried", second.ConnectedServerName(), t.server("plain").Name)
}

// clusterDiscovery learns the second server from the first and moves to it.
func clusterDiscovery(t *T) {
	life := new(events)
	nc := t.connect("pair_a", stubborn(life)...)
	there := t.connect("pair_b")
	second := fmt.Sprint(t.server("pair_b").Port)
	t.eventually("the_other_server_is_learned", func() bool {
		for _, address := range nc.DiscoveredServers() {
			if strings.HasSuffix(address, ":"+second) {
				return true
			}
		}
		return false
	})
	subscription := t.subscribe(nc, "cluster.move")
	t.respond(there, "cluster.across", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	across := await(patience, func() bool {
		reply, err := nc.Request("cluster.across", []byte("hi"), patience)
		return err == nil && string(reply.Data) == "hi"
	})
	t.is("requests_cross_it", across)
	t.control("/stop/pair_a")
	t.eventually("and_used_when_the_first_is_gone", func() bool { return life.saw("reconnected") })
	t.equal("under_its_own_name", nc.ConnectedServerName(), t.server("pair_b").Name)
	t.flush(nc)
	t.publish(there, "cluster.move", "moved")
	t.equal("with_the_subscriptions", string(t.next(subscription).Data), "moved")
	t.control("/start/pair_a")
}

func reloadUsers(t *T) {
	first := nats.UserInfo("first", "first")
	life := new(events)
	stays := t.connect("reload", append(life.options(), first)...)
	_, err := t.dial("reload", nats.UserInfo("second", "second"))
	t.errorIs("unknown_before", err, nats.ErrAuthorization)
	t.control("/config/reload/more")
	lost := new(events)
	_, err = t.dial("reload", append(lost.options(), nats.UserInfo("second", "second"))...)
	t.noError("known_after", err)
	t.control("/config/reload/base")
	t.eventually("a_removed_user_is_disconnected", func() bool { return lost.saw("closed") })
	t.noError("others_stay", stays.FlushTimeout(patience))
	t.is("without_a_disconnect", !life.saw("disconnected"))
}
