package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var consumerScenarios = []scenario{
	{"consumers/life", consumerLife},
	{"consumers/errors", consumerErrors},
	{"consumers/fetch", consumerFetch},
	{"consumers/limits", consumerLimits},
	{"consumers/consume", consumerConsume},
	{"consumers/messages", consumerMessages},
	{"consumers/ordered", consumerOrdered},
	{"consumers/push", consumerPush},
	{"consumers/acknowledge", consumerAcknowledge},
	{"consumers/deliver", consumerDeliver},
	{"consumers/pause_and_reset", consumerPause},
	{"consumers/priorities", consumerPriorities},
	{"consumers/workqueue", consumerWorkqueue},
	{"consumers/advisories", consumerAdvisories},
}

func itoa(i int) string { return fmt.Sprint(i) }

func containsCode(data []byte, code string) bool {
	return strings.Contains(string(data), `"err_code":`+code)
}

func delivered(msg jetstream.Msg) uint64 {
	meta, err := msg.Metadata()
	if err != nil {
		return 0
	}
	return meta.NumDelivered
}

func consumerLife(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GCON", Subjects: []string{"gcon.*"}})
	t.store(js, "gcon.a", "1", "2", "3")
	config := jetstream.ConsumerConfig{
		Durable: "one", Name: "one", Description: "of a consumer", DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 2,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, MaxDeliver: 4, BackOff: []time.Duration{5 * time.Second, 6 * time.Second},
		FilterSubject: "gcon.a", ReplayPolicy: jetstream.ReplayOriginalPolicy, SampleFrequency: "50", MaxWaiting: 7, MaxAckPending: 8,
		HeadersOnly: true, MaxRequestBatch: 9, MaxRequestExpires: time.Minute, MaxRequestMaxBytes: 1000, InactiveThreshold: time.Hour,
		Replicas: 1, MemoryStorage: true, Metadata: map[string]string{"colour": "green"},
	}
	consumer, err := stream.CreateConsumer(t.ctx(), config)
	t.must(err, "create")
	read := t.consumerInfo(consumer)
	t.is("pending", read.NumPending == 2 && read.Stream == "GCON" && read.Name == "one" && !read.Created.IsZero(), read)
	read.Config.Metadata = config.Metadata
	t.equal("what_is_read_is_what_was_written", read.Config, config)
	_, err = stream.CreateConsumer(t.ctx(), config)
	t.noError("create_the_same", err)
	changed := config
	changed.Description = "changed"
	_, err = stream.CreateConsumer(t.ctx(), changed)
	t.errorIs("create_another", err, jetstream.ErrConsumerExists)
	_, err = stream.UpdateConsumer(t.ctx(), changed)
	t.noError("update", err)
	t.equal("is_updated", t.consumerInfo(consumer).Config.Description, "changed")
	changed.Durable, changed.Name = "none", "none"
	_, err = stream.UpdateConsumer(t.ctx(), changed)
	t.errorIs("update_of_none", err, jetstream.ErrConsumerDoesNotExist)
	var names []string
	for name := range stream.ConsumerNames(t.ctx()).Name() {
		names = append(names, name)
	}
	t.equal("names", names, []string{"one"})
	for info := range stream.ListConsumers(t.ctx()).Info() {
		t.equal("list", info.Name, "one")
	}
	t.noError("delete", stream.DeleteConsumer(t.ctx(), "one"))
	t.errorIs("delete_again", stream.DeleteConsumer(t.ctx(), "one"), jetstream.ErrConsumerNotFound)
	_, err = stream.Consumer(t.ctx(), "one")
	t.errorIs("bind_to_the_deleted", err, jetstream.ErrConsumerNotFound)
	_, err = js.CreateConsumer(t.ctx(), "NOSTREAM", jetstream.ConsumerConfig{})
	t.errorIs("without_a_stream", err, jetstream.ErrStreamNotFound)
}

func consumerErrors(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GCONERR", Subjects: []string{"gconerr.*"}})
	for _, c := range []struct {
		what   string
		config jetstream.ConsumerConfig
		code   int
	}{
		{"two_kinds_of_filter", jetstream.ConsumerConfig{FilterSubject: "gconerr.a", FilterSubjects: []string{"gconerr.b"}}, 10136},
		{"overlapping_filters", jetstream.ConsumerConfig{FilterSubjects: []string{"gconerr.a", "gconerr.*"}}, 10138},
		{"empty_filter", jetstream.ConsumerConfig{FilterSubjects: []string{"gconerr.a", ""}}, 10139},
		{"sequence_without_policy", jetstream.ConsumerConfig{OptStartSeq: 1}, 10094},
		{"rate_on_pull", jetstream.ConsumerConfig{RateLimit: 1000}, 10086},
		{"short_expiry", jetstream.ConsumerConfig{MaxRequestExpires: time.Microsecond}, 10115},
		{"long_backoff", jetstream.ConsumerConfig{MaxDeliver: 1, BackOff: []time.Duration{1, 2}}, 10116},
		{"no_group", jetstream.ConsumerConfig{PriorityPolicy: jetstream.PriorityPolicyOverflow}, 10159},
		{"bad_group", jetstream.ConsumerConfig{PriorityPolicy: jetstream.PriorityPolicyOverflow, PriorityGroups: []string{"not allowed"}}, 10162},
		{"long_description", jetstream.ConsumerConfig{Description: strings.Repeat("x", 5000)}, 10107},
		{"too_many_replicas", jetstream.ConsumerConfig{Replicas: 3}, 10074},
	} {
		c.config.Name = "bad"
		_, err := stream.CreateConsumer(t.ctx(), c.config)
		t.errorCode(c.what, err, c.code)
	}
}

func consumerFetch(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GFETCH", Subjects: []string{"gfetch"}})
	t.store(js, "gfetch", "1", "2", "3", "4", "5")
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one"})
	t.equal("a_batch", payloads(t.fetch(consumer, 3, patience)), []string{"1", "2", "3"})
	batch, err := consumer.FetchNoWait(10)
	t.must(err, "fetch")
	var rest []jetstream.Msg
	for msg := range batch.Messages() {
		rest = append(rest, msg)
	}
	t.equal("no_wait", payloads(rest), []string{"4", "5"})
	t.noError("no_wait_without_error", batch.Error())
	t.equal("nothing_in_time", len(t.fetch(consumer, 1, 100*time.Millisecond)), 0)
	began := time.Now()
	_, err = consumer.Next(jetstream.FetchMaxWait(200 * time.Millisecond))
	t.is("next_times_out", errors.Is(err, nats.ErrTimeout) && time.Since(began) > 150*time.Millisecond, err)
	t.store(js, "gfetch", strings.Repeat("x", 300), strings.Repeat("x", 300), strings.Repeat("x", 300))
	batch, err = consumer.FetchBytes(900, jetstream.FetchMaxWait(2*time.Second))
	t.must(err, "fetch bytes")
	count := 0
	for range batch.Messages() {
		count++
	}
	t.equal("bytes", count, 2)
	info := t.consumerInfo(consumer)
	t.is("position", info.Delivered.Stream == 7 && info.NumAckPending == 7 && info.NumPending == 1, info)
	waiting := make(chan error, 1)
	go func() {
		batch, err := consumer.Fetch(5, jetstream.FetchMaxWait(patience))
		if err == nil {
			for range batch.Messages() {
			}
			err = batch.Error()
		}
		waiting <- err
	}()
	t.eventually("a_request_waits", func() bool { return t.consumerInfo(consumer).NumWaiting == 1 })
	t.must(stream.DeleteConsumer(t.ctx(), "one"), "delete")
	t.errorIs("deleted_while_waiting", <-waiting, jetstream.ErrConsumerDeleted)
}

func consumerLimits(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GPULLLIM", Subjects: []string{"gpulllim"}})
	t.store(js, "gpulllim", "1", "2", "3")
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one", MaxAckPending: 2, MaxRequestBatch: 5, MaxRequestExpires: time.Second, MaxRequestMaxBytes: 1000})
	first := t.fetch(consumer, 3, 300*time.Millisecond)
	t.equal("max_ack_pending", len(first), 2)
	t.must(first[0].DoubleAck(t.ctx()), "ack")
	t.equal("room_after_an_ack", len(t.fetch(consumer, 3, 300*time.Millisecond)), 1)
	for _, c := range []struct {
		what string
		ask  func() (jetstream.MessageBatch, error)
		says string
	}{
		{"max_batch", func() (jetstream.MessageBatch, error) {
			return consumer.Fetch(6, jetstream.FetchMaxWait(500*time.Millisecond))
		}, "exceeded maxrequestbatch of 5"},
		{"max_expires", func() (jetstream.MessageBatch, error) {
			return consumer.Fetch(1, jetstream.FetchMaxWait(2*time.Second))
		}, "exceeded maxrequestexpires of 1s"},
		{"max_bytes", func() (jetstream.MessageBatch, error) {
			return consumer.FetchBytes(2000, jetstream.FetchMaxWait(500*time.Millisecond))
		}, ""},
	} {
		batch, err := c.ask()
		t.must(err, "fetch")
		for range batch.Messages() {
		}
		t.errorHas(c.what, batch.Error(), c.says)
	}
}

func consumerConsume(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GCONSUME", Subjects: []string{"gconsume"}})
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one"})
	var mu sync.Mutex
	var seen []string
	running, err := consumer.Consume(func(msg jetstream.Msg) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(msg.Data()))
		_ = msg.Ack()
	}, jetstream.PullMaxMessages(20), jetstream.PullExpiry(2*time.Second))
	t.must(err, "consume")
	var want []string
	for i := range 300 {
		_, err := js.PublishAsync("gconsume", []byte(itoa(i)))
		t.must(err, "publish")
		want = append(want, itoa(i))
	}
	t.eventually("all_arrive", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == 300 })
	mu.Lock()
	t.equal("in_order", seen, want)
	mu.Unlock()
	t.eventually("all_are_acknowledged", func() bool { return t.consumerInfo(consumer).AckFloor.Stream == 300 })
	running.Drain()
	select {
	case <-running.Closed():
		t.is("drains", true)
	case <-time.After(patience):
		t.is("drains", false)
	}
	other := t.consumer(stream, jetstream.ConsumerConfig{Durable: "two"})
	told := make(chan error, 10)
	running, err = other.Consume(func(jetstream.Msg) {}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { told <- err }))
	t.must(err, "consume")
	t.eventually("it_asks", func() bool { return t.consumerInfo(other).NumWaiting > 0 })
	t.must(stream.DeleteConsumer(t.ctx(), "two"), "delete")
	select {
	case err = <-told:
	case <-time.After(patience):
	}
	t.errorIs("a_deleted_consumer_is_told", err, jetstream.ErrConsumerDeleted)
	running.Stop()
}

func consumerMessages(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GITER", Subjects: []string{"giter.*"}})
	for i := range 50 {
		t.store(js, "giter."+itoa(i%2), itoa(i))
	}
	consumer := t.consumer(stream, jetstream.ConsumerConfig{FilterSubjects: []string{"giter.1"}, AckPolicy: jetstream.AckNonePolicy})
	messages, err := consumer.Messages(jetstream.PullMaxBytes(2000))
	t.must(err, "messages")
	sum := 0
	for range 25 {
		msg, err := messages.Next()
		t.must(err, "next")
		var number int
		_, _ = fmt.Sscan(string(msg.Data()), &number)
		sum += number
	}
	t.equal("every_odd_one", sum, 625)
	messages.Stop()
	_, err = messages.Next()
	t.errorIs("stopped", err, jetstream.ErrMsgIteratorClosed)
	info := t.consumerInfo(consumer)
	t.is("nothing_is_awaited", info.NumAckPending == 0 && info.NumPending == 0, info)
}

func consumerOrdered(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GORD", Subjects: []string{"gord.*"}})
	for i := range 100 {
		t.store(js, "gord."+itoa(i%2), itoa(i))
	}
	consumer, err := stream.OrderedConsumer(t.ctx(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{"gord.0"}})
	t.must(err, "ordered consumer")
	messages, err := consumer.Messages()
	t.must(err, "messages")
	var got []uint64
	read := func(count int) {
		for range count {
			msg, err := messages.Next()
			t.must(err, "next")
			meta, err := msg.Metadata()
			t.must(err, "metadata")
			got = append(got, meta.Sequence.Stream)
		}
	}
	read(20)
	info := consumer.CachedInfo()
	t.is("is_made_so", info.Config.AckPolicy == jetstream.AckNonePolicy && info.Config.MemoryStorage && info.Config.Replicas == 1, info.Config)
	t.must(stream.DeleteConsumer(t.ctx(), info.Name), "delete")
	read(30)
	want := []uint64{}
	for i := range 50 {
		want = append(want, uint64(i*2+1))
	}
	t.equal("goes_on_when_it_is_deleted", got, want)
	messages.Stop()
}

func consumerPush(t *T) {
	nc, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GPUSH", Subjects: []string{"gpush"}})
	t.store(js, "gpush", "1", "2")
	consumer, err := stream.CreateOrUpdatePushConsumer(t.ctx(), jetstream.ConsumerConfig{
		Durable: "one", DeliverSubject: "gpush_out", DeliverGroup: "g", AckPolicy: jetstream.AckExplicitPolicy,
		FlowControl: true, IdleHeartbeat: 500 * time.Millisecond})
	t.must(err, "create push consumer")
	var count atomic.Int32
	running, err := consumer.Consume(func(msg jetstream.Msg) { count.Add(1); _ = msg.Ack() })
	t.must(err, "consume")
	t.eventually("delivers", func() bool { return count.Load() == 2 })
	t.store(js, "gpush", "3")
	t.eventually("follows", func() bool { return count.Load() == 3 })
	info, err := consumer.Info(t.ctx())
	t.is("is_bound", err == nil && info.PushBound && info.Config.DeliverGroup == "g" && info.Config.FlowControl, info, err)
	running.Stop()
	t.eventually("is_unbound", func() bool { info, err := consumer.Info(t.ctx()); return err == nil && !info.PushBound })
	_, err = stream.Consumer(t.ctx(), "one")
	t.errorIs("is_no_pull_consumer", err, jetstream.ErrNotPullConsumer)
	for _, c := range []struct {
		what   string
		config jetstream.ConsumerConfig
		code   int
	}{
		{"wildcard", jetstream.ConsumerConfig{DeliverSubject: "gpush_out.*"}, 10079},
		{"cycle", jetstream.ConsumerConfig{DeliverSubject: "gpush"}, 10081},
		{"flow_control_alone", jetstream.ConsumerConfig{DeliverSubject: "gpush_x", FlowControl: true}, 10108},
		{"short_heartbeat", jetstream.ConsumerConfig{DeliverSubject: "gpush_x", IdleHeartbeat: time.Millisecond}, 10083},
	} {
		c.config.Name = "bad"
		_, err := stream.CreatePushConsumer(t.ctx(), c.config)
		t.errorCode(c.what, err, c.code)
	}
	idle := t.subscribe(nc, "gpush_idle")
	_, err = stream.CreatePushConsumer(t.ctx(), jetstream.ConsumerConfig{Name: "idle", DeliverSubject: "gpush_idle", DeliverPolicy: jetstream.DeliverNewPolicy, IdleHeartbeat: 100 * time.Millisecond})
	t.must(err, "create")
	beat := t.next(idle)
	t.is("heartbeat", beat.Header.Get("Status") == "100" && beat.Header.Get("Nats-Last-Stream") == "3", beat.Header)
}

func consumerAcknowledge(t *T) {
	nc, js := t.streams("streams")
	naks := t.subscribe(nc, "$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.GACK.one")
	terms := t.subscribe(nc, "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.GACK.one")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GACK", Subjects: []string{"gack"}})
	t.store(js, "gack", "1", "2", "3", "4")
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one", AckWait: 2 * time.Second})
	msgs := t.fetch(consumer, 4, patience)
	t.noError("double_ack", msgs[0].DoubleAck(t.ctx()))
	t.errorIs("only_once", msgs[0].Ack(), jetstream.ErrMsgAlreadyAckd)
	t.must(msgs[1].Nak(), "nak")
	again := t.fetch(consumer, 1, time.Second)
	t.is("nak", len(again) == 1 && string(again[0].Data()) == "2" && delivered(again[0]) == 2, payloads(again))
	t.is("nak_is_advised", strings.Contains(string(t.next(naks).Data), "io.nats.jetstream.advisory.v1.nak"))
	t.must(msgs[2].TermWithReason("enough"), "term")
	t.is("term_is_advised", strings.Contains(string(t.next(terms).Data), `"reason":"enough"`))
	began := time.Now()
	t.must(msgs[3].NakWithDelay(600*time.Millisecond), "nak")
	late := t.fetch(consumer, 1, patience)
	t.is("nak_with_delay", len(late) == 1 && string(late[0].Data()) == "4" && time.Since(began) > 500*time.Millisecond, payloads(late), time.Since(began))
	t.must(late[0].InProgress(), "in progress")
	t.must(late[0].DoubleAck(t.ctx()), "ack")
	waited := t.fetch(consumer, 1, patience)
	t.is("after_the_ack_wait", len(waited) == 1 && string(waited[0].Data()) == "2" && delivered(waited[0]) == 3, payloads(waited))
	t.must(waited[0].DoubleAck(t.ctx()), "ack")
	info := t.consumerInfo(consumer)
	t.is("all_done", info.NumAckPending == 0 && info.AckFloor.Stream == 4 && info.NumRedelivered == 0, info)
	all := t.consumer(stream, jetstream.ConsumerConfig{Durable: "all", AckPolicy: jetstream.AckAllPolicy})
	t.must(t.fetch(all, 4, patience)[2].DoubleAck(t.ctx()), "ack")
	t.equal("ack_all", t.consumerInfo(all).AckFloor.Stream, uint64(3))
}

func consumerDeliver(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GDELIVER", Subjects: []string{"gdeliver.*"}})
	t.store(js, "gdeliver.a", "1")
	t.store(js, "gdeliver.b", "2")
	t.store(js, "gdeliver.a", "3")
	third, err := stream.GetMsg(t.ctx(), 3)
	t.must(err, "get")
	t.store(js, "gdeliver.c", "4")
	for _, c := range []struct {
		what   string
		config jetstream.ConsumerConfig
		want   []string
	}{
		{"all", jetstream.ConsumerConfig{}, []string{"1", "2", "3", "4"}},
		{"last", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPolicy}, []string{"4"}},
		{"last_filtered", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPolicy, FilterSubject: "gdeliver.a"}, []string{"3"}},
		{"sequence", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 2}, []string{"2", "3", "4"}},
		{"time", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &third.Time}, []string{"3", "4"}},
		{"last_per_subject", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: ">"}, []string{"2", "3", "4"}},
		{"new", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy}, []string{}},
	} {
		consumer := t.consumer(stream, c.config)
		t.is(c.what+"_pending", int(t.consumerInfo(consumer).NumPending) == len(c.want), t.consumerInfo(consumer).NumPending)
		batch, err := consumer.FetchNoWait(10)
		t.must(err, "fetch")
		var got []jetstream.Msg
		for msg := range batch.Messages() {
			got = append(got, msg)
		}
		t.equal(c.what, payloads(got), c.want)
	}
	bare := t.consumer(stream, jetstream.ConsumerConfig{HeadersOnly: true})
	msg := t.fetch(bare, 1, patience)[0]
	t.is("headers_only", len(msg.Data()) == 0 && msg.Headers().Get("Nats-Msg-Size") == "1", msg.Headers())
	meta, err := msg.Metadata()
	t.is("metadata", err == nil && meta.Stream == "GDELIVER" && meta.Sequence.Stream == 1 && meta.NumPending == 3 && meta.NumDelivered == 1, meta, err)
}

func consumerPause(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GPAUSE", Subjects: []string{"gpause"}})
	t.store(js, "gpause", "1", "2", "3")
	until := time.Now().Add(time.Hour)
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one", PauseUntil: &until})
	info := t.consumerInfo(consumer)
	t.is("born_paused", info.Paused && info.PauseRemaining > 50*time.Minute, info)
	t.equal("nothing_comes", len(t.fetch(consumer, 1, 200*time.Millisecond)), 0)
	resumed, err := stream.ResumeConsumer(t.ctx(), "one")
	t.is("resume", err == nil && !resumed.Paused, resumed, err)
	msgs := t.fetch(consumer, 3, patience)
	t.equal("comes_now", len(msgs), 3)
	paused, err := stream.PauseConsumer(t.ctx(), "one", until)
	t.is("pause", err == nil && paused.Paused && paused.PauseUntil.Equal(until), paused, err)
	_, err = stream.ResumeConsumer(t.ctx(), "one")
	t.must(err, "resume")
	for _, msg := range msgs {
		t.must(msg.DoubleAck(t.ctx()), "ack")
	}
	reset, err := stream.ResetConsumerToSequence(t.ctx(), "one", 2)
	t.is("reset", err == nil && reset.ResetSeq == 2, reset, err)
	t.equal("delivers_again", payloads(t.fetch(consumer, 2, patience)), []string{"2", "3"})
}

func consumerPriorities(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GPRIO", Subjects: []string{"gprio"}})
	t.store(js, "gprio", "1", "2", "3", "4")
	overflow := t.consumer(stream, jetstream.ConsumerConfig{Durable: "overflow", PriorityPolicy: jetstream.PriorityPolicyOverflow, PriorityGroups: []string{"g"}})
	get := func(consumer jetstream.Consumer, wait time.Duration, options ...jetstream.FetchOpt) []jetstream.Msg {
		batch, err := consumer.Fetch(1, append(options, jetstream.FetchMaxWait(wait), jetstream.FetchPriorityGroup("g"))...)
		t.must(err, "fetch")
		var got []jetstream.Msg
		for msg := range batch.Messages() {
			got = append(got, msg)
		}
		return got
	}
	t.equal("too_little_pending", len(get(overflow, 200*time.Millisecond, jetstream.FetchMinPending(10))), 0)
	t.equal("enough_pending", len(get(overflow, patience, jetstream.FetchMinPending(4))), 1)
	t.equal("too_few_unacknowledged", len(get(overflow, 200*time.Millisecond, jetstream.FetchMinAckPending(5))), 0)
	t.equal("everybody_else", len(get(overflow, patience)), 1)
	pinned := t.consumer(stream, jetstream.ConsumerConfig{Durable: "pinned", PriorityPolicy: jetstream.PriorityPolicyPinned, PinnedTTL: time.Minute, PriorityGroups: []string{"g"}})
	first := get(pinned, patience)
	t.is("pinned", len(first) == 1 && first[0].Headers().Get("Nats-Pin-Id") != "", first)
	info := t.consumerInfo(pinned)
	t.is("is_told", len(info.PriorityGroups) == 1 && info.PriorityGroups[0].PinnedClientID != "", info.PriorityGroups)
	t.noError("unpin", stream.UnpinConsumer(t.ctx(), "pinned", "g"))
	t.errorCode("unpin_of_another_group", stream.UnpinConsumer(t.ctx(), "pinned", "x"), 10160)
}

func consumerWorkqueue(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GWORK", Subjects: []string{"gwork.>"}, Retention: jetstream.WorkQueuePolicy})
	t.store(js, "gwork.a", "1", "2")
	worker := t.consumer(stream, jetstream.ConsumerConfig{Durable: "a", FilterSubject: "gwork.a"})
	_, err := stream.CreateConsumer(t.ctx(), jetstream.ConsumerConfig{Durable: "b", FilterSubject: "gwork.*"})
	t.errorCode("overlap", err, 10100)
	_, err = stream.CreateConsumer(t.ctx(), jetstream.ConsumerConfig{Durable: "b"})
	t.errorCode("unfiltered_beside_filtered", err, 10099)
	_, err = stream.CreateConsumer(t.ctx(), jetstream.ConsumerConfig{Durable: "b", FilterSubject: "gwork.b", DeliverPolicy: jetstream.DeliverLastPolicy})
	t.errorCode("not_from_the_start", err, 10101)
	_, err = stream.CreateConsumer(t.ctx(), jetstream.ConsumerConfig{Durable: "b", FilterSubject: "gwork.b", AckPolicy: jetstream.AckNonePolicy})
	t.errorCode("without_acks", err, 10084)
	for _, msg := range t.fetch(worker, 2, patience) {
		t.must(msg.DoubleAck(t.ctx()), "ack")
	}
	t.equal("done_is_gone", t.info(stream).State.Msgs, uint64(0))
}

func consumerAdvisories(t *T) {
	nc, js := t.streams("streams")
	all := t.subscribe(nc, "$JS.EVENT.ADVISORY.*.*.GADV.>")
	ofStream := t.subscribe(nc, "$JS.EVENT.ADVISORY.STREAM.*.GADV")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GADV", Subjects: []string{"gadv"}})
	t.store(js, "gadv", "1")
	consumer := t.consumer(stream, jetstream.ConsumerConfig{Durable: "one", AckWait: 200 * time.Millisecond, MaxDeliver: 1})
	t.fetch(consumer, 1, patience)
	var kinds []string
	kinds = append(kinds, strings.Split(t.next(ofStream).Subject, ".")[4])
	for range 2 {
		kinds = append(kinds, strings.Split(t.next(all).Subject, ".")[4])
	}
	t.must(stream.DeleteConsumer(t.ctx(), "one"), "delete")
	kinds = append(kinds, strings.Split(t.next(all).Subject, ".")[4])
	t.must(js.DeleteStream(t.ctx(), "GADV"), "delete")
	kinds = append(kinds, strings.Split(t.next(ofStream).Subject, ".")[4])
	t.is("all_come", slices.Equal(kinds, []string{"CREATED", "CREATED", "MAX_DELIVERIES", "DELETED", "DELETED"}), kinds)
}
