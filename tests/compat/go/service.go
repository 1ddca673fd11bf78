package main

import (
	"encoding/json"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

var serviceScenarios = []scenario{
	{"service/endpoints", serviceEndpoints},
	{"service/discovery", serviceDiscovery},
	{"service/instances", serviceInstances},
	{"service/stop", serviceStop},
}

// service starts a micro service whose default endpoint echoes.
func (t *T) service(nc *nats.Conn, name string) micro.Service {
	s, err := micro.AddService(nc, micro.Config{
		Name: name, Version: "1.2.3", Description: "a test service", Metadata: map[string]string{"colour": "green"},
		Endpoint: &micro.EndpointConfig{
			Subject: name + ".echo", Metadata: map[string]string{"kind": "echo"},
			Handler: micro.HandlerFunc(func(r micro.Request) { _ = r.Respond(r.Data()) }),
		},
	})
	t.must(err, "add service")
	t.flush(nc)
	return s
}

func serviceEndpoints(t *T) {
	nc, asker := t.connect("plain"), t.connect("plain")
	s := t.service(nc, "svcend")
	t.equal("default_endpoint_answers", string(t.request(asker, "svcend.echo", "hi").Data), "hi")
	group := s.AddGroup("svcend.v1").AddGroup("math")
	t.must(group.AddEndpoint("add", micro.HandlerFunc(func(r micro.Request) {
		var n []int
		if err := json.Unmarshal(r.Data(), &n); err != nil {
			_ = r.Error("400", "not numbers", []byte(err.Error()))
			return
		}
		_ = r.RespondJSON(map[string]int{"sum": sum(n)}, micro.WithHeaders(micro.Headers{"Unit": {"apples"}}))
	})), "add endpoint")
	t.flush(nc)
	reply := t.request(asker, "svcend.v1.math.add", "[1,2,3]")
	t.equal("grouped_endpoint_answers", string(reply.Data), `{"sum":6}`)
	t.equal("with_headers", reply.Header.Get("Unit"), "apples")
	failed := t.request(asker, "svcend.v1.math.add", "nonsense")
	t.equal("an_error_has_its_headers", failed.Header.Get(micro.ErrorCodeHeader)+failed.Header.Get(micro.ErrorHeader), "400not numbers")
	stats := s.Stats()
	counts := map[string]string{}
	for _, e := range stats.Endpoints {
		counts[e.Subject] = fmt.Sprint(e.NumRequests, e.NumErrors)
	}
	t.equal("are_counted", counts, map[string]string{"svcend.echo": "1 0", "svcend.v1.math.add": "2 1"})
	s.Reset()
	t.equal("reset_counts_from_zero", s.Stats().Endpoints[0].NumRequests, 0)
}

func serviceDiscovery(t *T) {
	nc, asker := t.connect("plain"), t.connect("plain")
	s := t.service(nc, "svcdisc")
	other := t.service(nc, "svcother")
	ask := func(verb micro.Verb, name, id string, into any) {
		subject, err := micro.ControlSubject(verb, name, id)
		t.must(err, "control subject")
		t.must(json.Unmarshal(t.request(asker, subject, "").Data, into), "parse")
	}
	var ping micro.Ping
	ask(micro.PingVerb, "svcdisc", "", &ping)
	t.equal("ping", ping.Type+" "+ping.ID+" "+ping.Version, micro.PingResponseType+" "+s.Info().ID+" 1.2.3")
	var info micro.Info
	ask(micro.InfoVerb, "svcdisc", s.Info().ID, &info)
	t.equal("info", info, s.Info())
	t.equal("info_endpoint", info.Endpoints, []micro.EndpointInfo{{
		Name: "default", Subject: "svcdisc.echo", QueueGroup: "q", Metadata: map[string]string{"kind": "echo"}}})
	t.request(asker, "svcdisc.echo", "x")
	var stats micro.Stats
	ask(micro.StatsVerb, "svcdisc", "", &stats)
	t.is("stats", stats.Type == micro.StatsResponseType && len(stats.Endpoints) == 1 && stats.Endpoints[0].NumRequests == 1, stats)

	// Everybody answers the request that names nobody.
	inbox := asker.NewInbox()
	answers := t.subscribe(asker, inbox)
	t.must(asker.PublishRequest("$SRV.PING", inbox, nil), "publish request")
	ids := map[string]bool{}
	for len(ids) < 2 {
		t.must(json.Unmarshal(t.next(answers).Data, &ping), "parse")
		ids[ping.ID] = true
	}
	t.equal("ping_of_all", ids, map[string]bool{s.Info().ID: true, other.Info().ID: true})
}

func serviceInstances(t *T) {
	asker := t.connect("plain")
	var handled [2]atomic.Int32
	var everybody atomic.Int32
	for i := range handled {
		nc := t.connect("plain")
		s, err := micro.AddService(nc, micro.Config{Name: "svcmany", Version: "0.0.1"})
		t.must(err, "add service")
		t.must(s.AddEndpoint("shared", micro.HandlerFunc(func(r micro.Request) { handled[i].Add(1); _ = r.Respond(nil) }),
			micro.WithEndpointSubject("svcmany.shared")), "add endpoint")
		t.must(s.AddEndpoint("all", micro.HandlerFunc(func(r micro.Request) { everybody.Add(1); _ = r.Respond(nil) }),
			micro.WithEndpointSubject("svcmany.all"), micro.WithEndpointQueueGroupDisabled()), "add endpoint")
		t.flush(nc)
	}
	for range 200 {
		t.request(asker, "svcmany.shared", "")
	}
	a, b := handled[0].Load(), handled[1].Load()
	t.is("share_the_requests", a+b == 200 && a > 50 && b > 50, a, " ", b)
	t.request(asker, "svcmany.all", "")
	t.eventually("without_a_queue_group_all_get_it", func() bool { return everybody.Load() == 2 })
}

func serviceStop(t *T) {
	nc, asker := t.connect("plain"), t.connect("plain")
	s := t.service(nc, "svcstop")
	t.request(asker, "svcstop.echo", "x")
	t.must(s.Stop(), "stop")
	t.flush(nc)
	t.is("is_stopped", s.Stopped())
	_, err := asker.Request("svcstop.echo", nil, patience)
	t.errorIs("endpoint_is_gone", err, nats.ErrNoResponders)
	_, err = asker.Request("$SRV.PING.svcstop", nil, patience)
	t.errorIs("discovery_is_gone", err, nats.ErrNoResponders)
	t.noError("the_connection_stays", nc.FlushTimeout(patience))
}
