package main

import (
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
)

var livenessScenarios = []scenario{
	{"liveness/answered_pings", livenessAnswered},
	{"liveness/stale_client", livenessStaleClient},
	{"liveness/stale_server", livenessStaleServer},
}

// monitor reads a monitoring endpoint of a server as JSON.
func (t *T) monitor(name, path string, into any) {
	body, err := httpGet(t.server(name).Monitor+path, patience)
	t.must(err, "monitor "+path)
	t.must(json.Unmarshal(body, into), "parse "+path)
}

// livenessAnswered outlives several of the server's ping intervals by waiting
// for its own pings, which are slower than the server's patience.
func livenessAnswered(t *T) {
	life := new(events)
	nc := t.connect("stale", life.options()...)
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for range 15 {
		<-ticks.C
	}
	t.noError("keep_a_quiet_connection_alive", nc.FlushTimeout(patience))
	t.is("without_a_disconnect", !life.saw("disconnected"))
}

// livenessStaleClient hears the server's pings, and its answers get lost.
func livenessStaleClient(t *T) {
	mute, life := new(tamper), new(events)
	nc := t.connect("stale", append(life.options(), nats.SetCustomDialer(mute))...)
	before := t.staleConnections()
	mute.loseWrites.Store(true)
	t.eventually("is_closed_by_the_server", func() bool { return life.saw("closed") })
	t.errorIs("with_the_librarys_error", nc.LastError(), nats.ErrStaleConnection)
	t.eventually("and_counted", func() bool { return t.staleConnections() > before })
}

func (t *T) staleConnections() int {
	var varz struct {
		StaleConnections int `json:"stale_connections"`
	}
	t.monitor("stale", "/varz", &varz)
	return varz.StaleConnections
}

// livenessStaleServer pings a process that is stopped, and finds it again later.
func livenessStaleServer(t *T) {
	life := new(events)
	nc := t.connect("restart", stubborn(life, nats.PingInterval(100*time.Millisecond), nats.MaxPingsOutstanding(2))...)
	t.control("/signal/restart/pause")
	t.eventually("unanswered_pings_end_the_connection", func() bool { return life.saw("disconnected") })
	t.errorIs("with_the_librarys_error", life.disconnectCause(), nats.ErrStaleConnection)
	t.control("/signal/restart/resume")
	t.eventually("and_it_comes_back", func() bool { return life.saw("reconnected") })
	t.noError("usable", nc.FlushTimeout(patience))
}
