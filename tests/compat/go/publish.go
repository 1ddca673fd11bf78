package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

var publishScenarios = []scenario{
	{"connect/info", connectInfo},
	{"publish/delivery", publishDelivery},
	{"publish/order", publishOrder},
	{"publish/payloads", publishPayloads},
	{"publish/headers", publishHeaders},
	{"publish/echo", publishEcho},
	{"publish/flush", publishFlush},
}

func connectInfo(t *T) {
	nc := t.connect("plain")
	t.equal("server_name", nc.ConnectedServerName(), t.server("plain").Name)
	t.is("server_id_looks_like_an_nkey", len(nc.ConnectedServerId()) == 56 && nc.ConnectedServerId()[0] == 'N', nc.ConnectedServerId())
	t.is("server_version_is_2", strings.HasPrefix(nc.ConnectedServerVersion(), "2."), nc.ConnectedServerVersion())
	t.equal("default_max_payload", nc.MaxPayload(), int64(1<<20))
	t.is("headers_supported", nc.HeadersSupported())
	t.is("auth_not_required", !nc.AuthRequired())
	t.is("tls_not_required", !nc.TLSRequired())
	first, err := nc.GetClientID()
	t.must(err, "client id")
	second, err := t.connect("plain").GetClientID()
	t.must(err, "client id")
	t.is("client_ids_grow", second > first, first, second)
	ip, err := nc.GetClientIP()
	t.is("client_ip_is_loopback", err == nil && ip.Equal(net.IPv4(127, 0, 0, 1)), ip, err)
}

func publishDelivery(t *T) {
	nc, other := t.connect("plain"), t.connect("plain")
	here, there := t.subscribe(nc, "pub.delivery"), t.subscribe(other, "pub.delivery")
	t.publish(nc, "pub.delivery", "hello")
	for name, subscription := range map[string]*nats.Subscription{"to_the_publisher": here, "to_another_connection": there} {
		msg := t.next(subscription)
		t.equal(name, msg.Subject+"|"+msg.Reply+"|"+string(msg.Data), "pub.delivery||hello")
	}

	replied := t.subscribe(other, "pub.replied")
	t.must(nc.PublishRequest("pub.replied", "back.here", []byte("x")), "publish with reply")
	t.equal("reply_subject_travels", t.next(replied).Reply, "back.here")

	// One subject, three subscriptions on one connection: three copies.
	for range 2 {
		t.subscribe(nc, "pub.delivery")
	}
	before := nc.Stats().InMsgs
	t.publish(other, "pub.delivery", "thrice")
	t.eventually("one_copy_per_subscription", func() bool { return nc.Stats().InMsgs == before+3 })
}

func publishOrder(t *T) {
	const count = 10000
	nc, sender := t.connect("plain"), t.connect("plain")
	subscription := t.subscribe(nc, "pub.order.*")
	for i := range count {
		t.publish(sender, "pub.order."+[]string{"a", "b", "c"}[i%3], string(rune(i)))
	}
	for i := range count {
		if got := string(t.next(subscription).Data); got != string(rune(i)) {
			t.is("of_one_publisher_is_kept", false, " at message ", i)
			return
		}
	}
	t.is("of_one_publisher_is_kept", true)
}

func publishPayloads(t *T) {
	nc := t.connect("plain")
	subscription := t.subscribe(nc, "pub.payload")
	big := make([]byte, nc.MaxPayload())
	for i := range big {
		big[i] = byte(i * 31)
	}
	for _, c := range []struct {
		what string
		data []byte
	}{
		{"empty", nil},
		{"protocol_text", []byte("\r\nPUB x 1\r\n+OK\r\n-ERR 'no'\r\n")},
		{"all_byte_values", big[:256]},
		{"of_64_KiB", big[:1<<16]},
		{"of_exactly_max_payload", big},
	} {
		t.must(nc.Publish("pub.payload", c.data), "publish")
		t.is(c.what, bytes.Equal(t.next(subscription).Data, c.data))
	}
	t.errorIs("one_byte_too_many_is_refused", nc.Publish("pub.payload", append(big, 0)), nats.ErrMaxPayload)
}

func publishHeaders(t *T) {
	nc, other := t.connect("plain"), t.connect("plain")
	subscription := t.subscribe(other, "pub.headers")
	send := func(header nats.Header, data string) *nats.Msg {
		t.must(nc.PublishMsg(&nats.Msg{Subject: "pub.headers", Reply: "r.s", Header: header, Data: []byte(data)}), "publish")
		return t.next(subscription)
	}
	got := send(nats.Header{"Alpha": {"1"}, "Beta": {"two", "three"}}, "body")
	t.equal("arrive_with_all_values", got.Header, nats.Header{"Alpha": {"1"}, "Beta": {"two", "three"}})
	t.equal("leave_the_payload_alone", string(got.Data)+"|"+got.Reply, "body|r.s")
	t.equal("keep_their_case", send(nats.Header{"x-MiXed": {"v"}}, "").Header, nats.Header{"x-MiXed": {"v"}})
	t.equal("with_empty_payload", len(send(nats.Header{"A": {"b"}}, "").Data), 0)
	t.equal("with_empty_value", send(nats.Header{"A": {""}}, "x").Header.Values("A"), []string{""})
	long := strings.Repeat("h", 4000)
	t.equal("long_value", send(nats.Header{"Long": {long}}, "x").Header.Get("Long"), long)
	t.equal("utf8_value", send(nats.Header{"U": {"žluťoučký 馬"}}, "x").Header.Get("U"), "žluťoučký 馬")
}

func publishEcho(t *T) {
	silent, other := t.connect("plain", nats.NoEcho()), t.connect("plain")
	own := t.subscribe(silent, "pub.echo")
	foreign := t.subscribe(other, "pub.echo")
	t.publish(silent, "pub.echo", "mine")
	t.flush(silent)
	t.publish(other, "pub.echo", "end")
	t.equal("off_hides_own_messages", t.texts(own), []string{})
	t.equal("off_does_not_hide_them_from_others", t.texts(foreign), []string{"mine"})
}

func publishFlush(t *T) {
	nc := t.connect("plain")
	for range 1000 {
		t.publish(nc, "pub.flush", "x")
	}
	t.noError("answers", nc.Flush())
	t.equal("leaves_nothing_buffered", t.buffered(nc), 0)
	rtt, err := nc.RTT()
	t.is("rtt_is_measured", err == nil && rtt > 0 && rtt < patience, rtt, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	t.noError("with_context", nc.FlushWithContext(ctx))
	nc.Close()
	t.errorIs("after_close_is_refused", nc.Flush(), nats.ErrConnectionClosed)
	t.errorIs("publish_after_close_is_refused", nc.Publish("pub.flush", nil), nats.ErrConnectionClosed)
}

func (t *T) buffered(nc *nats.Conn) int {
	count, err := nc.Buffered()
	t.must(err, "buffered")
	return count
}
