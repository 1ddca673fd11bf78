package main

import "github.com/nats-io/nats.go"

var lameDuckScenarios = []scenario{{"lame_duck/notice", lameDuckNotice}}

func lameDuckNotice(t *T) {
	life, plain := new(events), new(events)
	nc := t.connect("lame", life.options()...)
	other := t.connect("lame", plain.options()...)
	subscription := t.subscribe(nc, "lame.still")
	t.control("/signal/lame/ldm")
	t.eventually("reaches_the_callback", func() bool { return life.saw("lame duck") && plain.saw("lame duck") })
	_, err := t.dial("lame")
	t.errorIs("nobody_new_is_let_in", err, nats.ErrNoServers)
	t.publish(other, "lame.still", "here")
	t.equal("those_inside_still_talk", string(t.next(subscription).Data), "here")
	t.eventually("then_they_are_sent_away", func() bool { return life.saw("closed") || plain.saw("closed") })
}
