package main

import (
	"errors"
	"bytes"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var persistenceScenarios = []scenario{
	{"persistence/killed", func(t *T) { persistence(t, "restart", "GKILLED") }},
	{"persistence/asked_to_stop", func(t *T) { persistence(t, "relaunch", "GASKED") }},
	{"persistence/consume_goes_on", persistenceConsume},
}

func patient() []nats.Option {
	return []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), func(o *nats.Options) error { o.AllowReconnect = true; return nil }}
}

// over moves the server and returns when the connection is back.
func (t *T) over(nc *nats.Conn, how string) {
	before := nc.Stats().Reconnects
	t.control("/" + how + "/streams_restart")
	if !await(patience*2, func() bool { return nc.Stats().Reconnects > before && nc.IsConnected() }) {
		panic(abort{"does not reconnect"})
	}
}

func persistence(t *T, how, name string) {
	nc, js := t.streams("streams_restart", patient()...)
	config := jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Description: "stays", MaxMsgsPerSubject: 10, AllowDirect: true,
		Compression: jetstream.S2Compression, Metadata: map[string]string{"colour": "green"}}
	stream := t.stream(js, config)
	for i := range 20 {
		t.store(js, name+"."+itoa(i%2), itoa(i))
	}
	t.must(stream.DeleteMsg(t.ctx(), 5), "delete")
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one", AckWait: 10 * time.Second, FilterSubjects: []string{name + ".0"}})
	for _, msg := range t.fetch(consumer, 2, patience) {
		t.must(msg.DoubleAck(t.ctx()), "ack")
	}
	before := t.info(stream)
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: name, History: 2})
	t.put(kv, "a", "1")
	t.put(kv, "a", "2")
	store := t.objects(js, jetstream.ObjectStoreConfig{Bucket: name})
	data := bytes.Repeat([]byte("x"), 1<<20)
	_, err := store.PutBytes(t.ctx(), "large", data)
	t.must(err, "put")
	memory := t.stream(js, jetstream.StreamConfig{Name: name + "MEM", Subjects: []string{name + "mem"}, Storage: jetstream.MemoryStorage})
	t.store(js, name+"mem", "1")
	t.over(nc, how)
	after := t.info(stream)
	t.equal("configuration", after.Config, before.Config)
	t.is("state", after.State.Msgs == 19 && after.State.LastSeq == 20 && after.State.NumDeleted == 1 && after.State.Bytes == before.State.Bytes &&
		after.State.LastTime.Equal(before.State.LastTime) && after.Created.Equal(before.Created), before.State, after.State)
	got, err := stream.GetMsg(t.ctx(), 20)
	t.is("messages", err == nil && string(got.Data) == "19", got, err)
	seen := map[string]bool{}
	first := t.fetch(consumer, 20, 2*time.Second)
	for _, msg := range first {
		seen[string(msg.Data())] = true
		t.must(msg.DoubleAck(t.ctx()), "ack")
	}
	missing := 0
	for _, want := range []string{"6", "8", "10", "12", "14", "16", "18"} {
		if !seen[want] {
			missing++
		}
	}
	t.equal("consumer_goes_on", missing, 0)
	if how == "relaunch" {
		t.equal("where_it_was", len(first), 7)
	}
	entry, err := kv.Get(t.ctx(), "a")
	t.is("keys", err == nil && string(entry.Value()) == "2" && entry.Revision() == 2, entry, err)
	back, err := store.GetBytes(t.ctx(), "large")
	t.is("objects", err == nil && bytes.Equal(back, data), err)
	// Natter keeps the stream, empty: its publishers and consumers find it again.
	left, err := memory.Info(t.ctx())
	t.is("memory_is_gone", errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && left.State.Msgs == 0, left, err)
	t.store(js, name+".new", "next")
	t.equal("the_next_sequence", t.info(stream).State.LastSeq, uint64(21))
}

func persistenceConsume(t *T) {
	nc, js := t.streams("streams_restart", patient()...)
	stream := t.stream(js, jetstream.StreamConfig{Name: "GCROSS", Subjects: []string{"gcross"}})
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one", AckWait: 2 * time.Second})
	ordered, err := stream.OrderedConsumer(t.ctx(), jetstream.OrderedConsumerConfig{})
	t.must(err, "ordered consumer")
	got, inOrder := make(chan string, 100), make(chan string, 100)
	running, err := consumer.Consume(func(msg jetstream.Msg) { _ = msg.Ack(); got <- string(msg.Data()) }, jetstream.PullExpiry(2*time.Second))
	t.must(err, "consume")
	defer running.Stop()
	following, err := ordered.Consume(func(msg jetstream.Msg) { inOrder <- string(msg.Data()) }, jetstream.PullExpiry(2*time.Second))
	t.must(err, "consume")
	defer following.Stop()
	t.store(js, "gcross", "before")
	wait := func(from chan string, want string) bool {
		deadline := time.After(4 * patience)
		for {
			select {
			case text := <-from:
				if text == want {
					return true
				}
			case <-deadline:
				return false
			}
		}
	}
	t.is("before", wait(got, "before") && wait(inOrder, "before"))
	t.over(nc, "relaunch")
	t.store(js, "gcross", "after")
	t.is("a_durable_consumer", wait(got, "after"))
	t.is("an_ordered_consumer", wait(inOrder, "after"))
}
