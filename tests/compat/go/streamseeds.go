package main

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The flows by which people get to know streams, under the names introductions give them.
var streamSeedScenarios = []scenario{
	{"streamseeds/limits_stream", seedLimits},
	{"streamseeds/pull_consumer", seedPull},
	{"streamseeds/api_migration", seedMigration},
	{"streamseeds/ack_ack", seedAckAck},
	{"streamseeds/list_subjects", seedSubjects},
	{"streamseeds/multi_stream_consumption", seedMulti},
}

func seedLimits(t *T) {
	_, js := t.streams("streams")
	config := jetstream.StreamConfig{Name: "GSEEDEVENTS", Subjects: []string{"gseedevents.>"}}
	stream := t.stream(js, config)
	t.store(js, "gseedevents.page_loaded", "1", "2")
	t.store(js, "gseedevents.mouse_clicked", "3", "4", "5")
	state := t.info(stream).State
	t.is("all_are_kept", state.Msgs == 5 && state.FirstSeq == 1 && state.LastSeq == 5 && state.NumSubjects == 2, state)
	config.MaxMsgs = 3
	stream, err := js.UpdateStream(t.ctx(), config)
	t.must(err, "update")
	t.equal("max_msgs", t.info(stream).State.Msgs, uint64(3))
	config.MaxBytes = 150
	stream, err = js.UpdateStream(t.ctx(), config)
	t.must(err, "update")
	t.is("max_bytes", t.info(stream).State.Bytes <= 150, t.info(stream).State)
	config.MaxAge, config.Duplicates = 200*time.Millisecond, 200*time.Millisecond
	stream, err = js.UpdateStream(t.ctx(), config)
	t.must(err, "update")
	t.eventually("max_age", func() bool { return t.info(stream).State.Msgs == 0 })
}

func seedPull(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GSEEDPULL", Subjects: []string{"gseedpull.>"}})
	t.store(js, "gseedpull.1", "1")
	t.store(js, "gseedpull.2", "2")
	t.store(js, "gseedpull.3", "3")
	ephemeral := t.consumer(stream, jetstream.ConsumerConfig{InactiveThreshold: time.Minute})
	t.equal("fetch", len(t.fetch(ephemeral, 2, patience)), 2)
	batch, err := ephemeral.FetchNoWait(100)
	t.must(err, "fetch")
	count := 0
	for range batch.Messages() {
		count++
	}
	t.equal("what_is_left", count, 1)
	began := time.Now()
	t.equal("nothing_for_a_second", len(t.fetch(ephemeral, 1, time.Second)), 0)
	t.is("waits_that_long", time.Since(began) >= 900*time.Millisecond, time.Since(began))
	one := t.consumer(stream, jetstream.ConsumerConfig{Durable: "processor"})
	two, err := stream.Consumer(t.ctx(), "processor")
	t.must(err, "bind")
	first, second := t.fetch(one, 1, patience), t.fetch(two, 1, patience)
	t.equal("a_durable_is_shared", payloads(append(first, second...)), []string{"1", "2"})
	t.must(stream.DeleteConsumer(t.ctx(), "processor"), "delete")
}

func seedMigration(t *T) {
	nc, js := t.streams("streams")
	older, err := nc.JetStream()
	t.must(err, "older interface")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GSEEDMIG", Subjects: []string{"gseedmig.>"}})
	t.store(js, "gseedmig.a", "1", "2", "3")
	t.consumer(stream, jetstream.ConsumerConfig{Durable: "shared"})
	sub, err := older.PullSubscribe("", "shared", nats.Bind("GSEEDMIG", "shared"))
	t.must(err, "bind")
	msgs, err := sub.Fetch(1)
	t.is("older_reads_what_newer_made", err == nil && string(msgs[0].Data) == "1", err)
	consumer, err := stream.Consumer(t.ctx(), "shared")
	t.must(err, "bind")
	t.equal("newer_goes_on_from_there", payloads(t.fetch(consumer, 1, patience)), []string{"2"})
	kv, err := older.CreateKeyValue(&nats.KeyValueConfig{Bucket: "GSEEDMIG"})
	t.must(err, "create bucket")
	_, err = kv.PutString("a", "1")
	t.must(err, "put")
	same, err := js.KeyValue(t.ctx(), "GSEEDMIG")
	t.must(err, "bind")
	entry, err := same.Get(t.ctx(), "a")
	t.is("buckets_too", err == nil && string(entry.Value()) == "1", err)
}

func seedAckAck(t *T) {
	nc, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GSEEDACK", Subjects: []string{"gseedack"}})
	t.store(js, "gseedack", "1", "2")
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one"})
	msgs := t.fetch(consumer, 2, patience)
	t.must(msgs[0].Ack(), "ack")
	t.must(msgs[1].DoubleAck(t.ctx()), "double ack")
	t.flush(nc)
	info := t.consumerInfo(consumer)
	t.is("both_are_known", info.NumAckPending == 0 && info.AckFloor.Stream == 2, info)
}

func seedSubjects(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GSEEDSUBJ", Subjects: []string{"gplain", "ggreater.>", "gstar.*"}})
	for _, subject := range []string{"gplain", "ggreater.a.b", "gstar.x", "gstar.x"} {
		t.store(js, subject, "x")
	}
	info, err := stream.Info(t.ctx(), jetstream.WithSubjectFilter(">"))
	t.is("all", err == nil && len(info.State.Subjects) == 3 && info.State.Subjects["gstar.x"] == 2, info, err)
	info, err = stream.Info(t.ctx(), jetstream.WithSubjectFilter("ggreater.*"))
	t.is("none_matches", err == nil && len(info.State.Subjects) == 0, info, err)
}

func seedMulti(t *T) {
	nc, js := t.streams("streams")
	sub := t.subscribe(nc, "gseedmulti.deliver")
	for _, name := range []string{"GSEEDEU", "GSEEDUS"} {
		stream := t.stream(js, jetstream.StreamConfig{Name: name, Subjects: []string{strings.ToLower(name) + ".*"}})
		_, err := stream.CreatePushConsumer(t.ctx(), jetstream.ConsumerConfig{Durable: "all", DeliverSubject: "gseedmulti.deliver", AckPolicy: jetstream.AckExplicitPolicy})
		t.must(err, "create consumer")
		t.store(js, strings.ToLower(name)+".a", name)
	}
	got := map[string]bool{string(t.next(sub).Data): true, string(t.next(sub).Data): true}
	t.equal("one_subject_carries_both", got, map[string]bool{"GSEEDEU": true, "GSEEDUS": true})
}
