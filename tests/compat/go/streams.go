package main

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var streamScenarios = []scenario{
	{"streams/life", streamLife},
	{"streams/lists", streamLists},
	{"streams/errors", streamErrors},
	{"streams/limits", streamLimits},
	{"streams/publish", streamPublish},
	{"streams/publish_async", streamPublishAsync},
	{"streams/message_ttl", streamMessageTTL},
	{"streams/messages", streamMessages},
	{"streams/purge", streamPurge},
	{"streams/copies", streamCopies},
	{"streams/transform_and_republish", streamTransforms},
	{"streams/counters", streamCounters},
	{"streams/schedules", streamSchedules},
	{"streams/atomic_batches", streamBatches},
	{"streams/accounts", streamAccounts},
}

func streamLife(t *T) {
	_, js := t.streams("streams")
	config := jetstream.StreamConfig{
		Name: "GLIFE", Subjects: []string{"glife.>"}, Description: "of a stream", MaxMsgs: 100, MaxBytes: 1 << 20,
		MaxAge: time.Hour, MaxMsgsPerSubject: 50, MaxMsgSize: 1000, Discard: jetstream.DiscardNew, Duplicates: time.Minute,
		Compression: jetstream.S2Compression, AllowRollup: true, AllowDirect: true, FirstSeq: 10, AllowMsgTTL: true,
		ConsumerLimits: jetstream.StreamConsumerLimits{MaxAckPending: 10, InactiveThreshold: time.Minute},
		Metadata:       map[string]string{"colour": "green"}, MaxConsumers: 5,
	}
	stream := t.stream(js, config)
	read := t.info(stream).Config
	t.equal("metadata", read.Metadata["colour"], "green")
	read.Metadata, config.Replicas = config.Metadata, 1
	t.equal("what_is_read_is_what_was_written", read, config)
	_, err := js.CreateStream(t.ctx(), config)
	t.noError("create_the_same", err)
	changed := config
	changed.MaxMsgs = 7
	_, err = js.CreateStream(t.ctx(), changed)
	t.errorIs("create_another", err, jetstream.ErrStreamNameAlreadyInUse)
	stream, err = js.CreateOrUpdateStream(t.ctx(), changed)
	t.must(err, "update")
	t.equal("update", t.info(stream).Config.MaxMsgs, int64(7))
	t.store(js, "glife.a", "1")
	state := t.info(stream).State
	t.is("state", state.Msgs == 1 && state.FirstSeq == 10 && state.LastSeq == 10 && !state.LastTime.IsZero(), state)
	t.noError("delete", js.DeleteStream(t.ctx(), "GLIFE"))
	t.errorIs("delete_again", js.DeleteStream(t.ctx(), "GLIFE"), jetstream.ErrStreamNotFound)
	_, err = js.Stream(t.ctx(), "GLIFE")
	t.errorIs("bind_to_the_deleted", err, jetstream.ErrStreamNotFound)
	_, err = js.UpdateStream(t.ctx(), config)
	t.errorIs("update_of_the_deleted", err, jetstream.ErrStreamNotFound)
	_, err = js.Publish(t.ctx(), "glife.a", nil, jetstream.WithRetryAttempts(0))
	t.errorIs("publish_to_the_deleted", err, jetstream.ErrNoStreamResponse)
}

func streamLists(t *T) {
	_, js := t.streams("streams")
	for _, name := range []string{"GLISTB", "GLISTA", "GLISTC"} {
		t.stream(js, jetstream.StreamConfig{Name: name, Subjects: []string{"glist." + name}})
	}
	var names []string
	lister := js.StreamNames(t.ctx(), jetstream.WithStreamListSubject("glist.*"))
	for name := range lister.Name() {
		names = append(names, name)
	}
	t.noError("names_have_no_error", lister.Err())
	t.equal("names", names, []string{"GLISTA", "GLISTB", "GLISTC"})
	names = nil
	infos := js.ListStreams(t.ctx(), jetstream.WithStreamListSubject("glist.GLISTB"))
	for info := range infos.Info() {
		names = append(names, info.Config.Name)
	}
	t.equal("list", names, []string{"GLISTB"})
	name, err := js.StreamNameBySubject(t.ctx(), "glist.GLISTC")
	t.is("by_subject", err == nil && name == "GLISTC", name, err)
	_, err = js.StreamNameBySubject(t.ctx(), "nobody.has.this")
	t.errorIs("by_a_subject_of_none", err, jetstream.ErrStreamNotFound)
	// More than one page of names and of infos.
	for i := range 300 {
		t.stream(js, jetstream.StreamConfig{Name: "GPAGE" + itoa(i), Subjects: []string{"gpage." + itoa(i)}, Storage: jetstream.MemoryStorage})
	}
	count := 0
	for range js.ListStreams(t.ctx(), jetstream.WithStreamListSubject("gpage.*")).Info() {
		count++
	}
	t.equal("several_pages", count, 300)
	for i := range 300 {
		t.must(js.DeleteStream(t.ctx(), "GPAGE"+itoa(i)), "delete")
	}
}

func streamErrors(t *T) {
	_, js := t.streams("streams")
	t.stream(js, jetstream.StreamConfig{Name: "GERR", Subjects: []string{"gerr.>"}, DenyDelete: true, DenyPurge: true})
	for _, c := range []struct {
		what   string
		config jetstream.StreamConfig
		code   int
	}{
		{"overlap", jetstream.StreamConfig{Name: "GERR2", Subjects: []string{"gerr.a"}}, 10065},
		{"replicas", jetstream.StreamConfig{Name: "GERR2", Subjects: []string{"gerr2"}, Replicas: 3}, 10074},
		{"mirror_with_subjects", jetstream.StreamConfig{Name: "GERR2", Subjects: []string{"gerr2"}, Mirror: &jetstream.StreamSource{Name: "GERR"}}, 10034},
		{"mirror_with_first_sequence", jetstream.StreamConfig{Name: "GERR2", FirstSeq: 5, Mirror: &jetstream.StreamSource{Name: "GERR"}}, 10143},
		{"bad_transform", jetstream.StreamConfig{Name: "GERR2", Subjects: []string{"gerr2.*"},
			SubjectTransform: &jetstream.SubjectTransformConfig{Source: "gerr2.*", Destination: "x.{{wildcard(3)}}"}}, 10156},
		{"short_marker", jetstream.StreamConfig{Name: "GERR2", Subjects: []string{"gerr2"}, SubjectDeleteMarkerTTL: time.Millisecond}, 10052},
		{"counter_with_ttl", jetstream.StreamConfig{Name: "GERR2", Subjects: []string{"gerr2"}, AllowMsgCounter: true, AllowMsgTTL: true}, 10052},
		{"long_description", jetstream.StreamConfig{Name: "GERR2", Subjects: []string{"gerr2"}, Description: string(make([]byte, 5000))}, 10052},
	} {
		_, err := js.CreateStream(t.ctx(), c.config)
		t.errorCode(c.what, err, c.code)
	}
	stream, err := js.Stream(t.ctx(), "GERR")
	t.must(err, "bind")
	t.store(js, "gerr.a", "1")
	t.errorHas("delete_denied", stream.DeleteMsg(t.ctx(), 1), "err_code=10057 description=message delete not permitted")
	t.errorCode("purge_denied", stream.Purge(t.ctx()), 10110)
}

func streamLimits(t *T) {
	_, js := t.streams("streams")
	old := t.stream(js, jetstream.StreamConfig{Name: "GLIMOLD", Subjects: []string{"glimold.*"}, MaxMsgs: 3})
	t.store(js, "glimold.a", "1", "2", "3", "4")
	state := t.info(old).State
	t.is("discard_old", state.Msgs == 3 && state.FirstSeq == 2 && state.NumSubjects == 1, state)
	t.stream(js, jetstream.StreamConfig{Name: "GLIMNEW", Subjects: []string{"glimnew.*"}, MaxMsgs: 2, Discard: jetstream.DiscardNew})
	t.store(js, "glimnew.a", "1", "2")
	_, err := js.Publish(t.ctx(), "glimnew.a", nil)
	t.errorCode("discard_new", err, 10077)
	t.errorHas("discard_new_says", err, "maximum messages exceeded")
	t.stream(js, jetstream.StreamConfig{Name: "GLIMPER", Subjects: []string{"glimper.*"}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true})
	t.store(js, "glimper.a", "1")
	t.store(js, "glimper.b", "1")
	_, err = js.Publish(t.ctx(), "glimper.a", nil)
	t.errorHas("discard_new_per_subject", err, "maximum messages per subject exceeded")
	aged := t.stream(js, jetstream.StreamConfig{Name: "GLIMAGE", Subjects: []string{"glimage"}, MaxAge: 300 * time.Millisecond, Duplicates: 100 * time.Millisecond})
	t.store(js, "glimage", "1", "2")
	t.eventually("age", func() bool { return t.info(aged).State.Msgs == 0 })
	interest := t.stream(js, jetstream.StreamConfig{Name: "GLIMINT", Subjects: []string{"glimint"}, Retention: jetstream.InterestPolicy})
	reader := t.consumer(interest, jetstream.ConsumerConfig{Durable: "reader"})
	t.store(js, "glimint", "1", "2")
	t.equal("interest_keeps", t.info(interest).State.Msgs, uint64(2))
	for _, msg := range t.fetch(reader, 2, patience) {
		t.must(msg.DoubleAck(t.ctx()), "ack")
	}
	t.equal("until_acknowledged", t.info(interest).State.Msgs, uint64(0))
}

func streamPublish(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GPUB", Subjects: []string{"gpub.>"}, AllowRollup: true})
	publish := func(subject string, options ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
		return js.Publish(t.ctx(), "gpub."+subject, []byte("x"), options...)
	}
	ack, err := publish("a", jetstream.WithMsgID("one"), jetstream.WithExpectStream("GPUB"))
	t.is("ack", err == nil && ack.Stream == "GPUB" && ack.Sequence == 1 && !ack.Duplicate && ack.Domain == "", ack, err)
	ack, err = publish("a", jetstream.WithMsgID("one"))
	t.is("duplicate", err == nil && ack.Duplicate && ack.Sequence == 1, ack, err)
	_, err = publish("a", jetstream.WithExpectStream("OTHER"))
	t.errorCode("another_stream", err, 10060)
	_, err = publish("a", jetstream.WithExpectLastMsgID("two"))
	t.errorCode("another_last_id", err, 10070)
	_, err = publish("b", jetstream.WithExpectLastMsgID("one"), jetstream.WithMsgID("two"))
	t.noError("the_last_id", err)
	_, err = publish("a", jetstream.WithExpectLastSequence(1))
	t.errorCode("another_last_sequence", err, 10071)
	_, err = publish("a", jetstream.WithExpectLastSequence(2))
	t.noError("the_last_sequence", err)
	_, err = publish("b", jetstream.WithExpectLastSequencePerSubject(1))
	t.errorCode("another_subject_sequence", err, 10071)
	_, err = publish("b", jetstream.WithExpectLastSequencePerSubject(2))
	t.noError("the_subject_sequence", err)
	_, err = publish("c", jetstream.WithExpectLastSequenceForSubject(4, "gpub.*"))
	t.noError("the_sequence_of_other_subjects", err)
	msg := nats.NewMsg("gpub.c")
	msg.Header.Set("Nats-Rollup", "all")
	_, err = js.PublishMsg(t.ctx(), msg)
	t.noError("rollup", err)
	state := t.info(stream).State
	t.is("rollup_leaves_one", state.Msgs == 1 && state.FirstSeq == 6 && state.LastSeq == 6, state)
	large := nats.NewMsg("gpub.d")
	large.Header.Set("Large", string(make([]byte, 65536)))
	_, err = js.PublishMsg(t.ctx(), large)
	t.errorCode("headers_too_large", err, 10097)
}

func streamPublishAsync(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GASYNC", Subjects: []string{"gasync"}})
	var futures []jetstream.PubAckFuture
	for i := range 1000 {
		future, err := js.PublishAsync("gasync", []byte(itoa(i)))
		t.must(err, "publish")
		futures = append(futures, future)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(20 * time.Second):
	}
	ordered := true
	for i, future := range futures {
		select {
		case ack := <-future.Ok():
			ordered = ordered && ack.Sequence == uint64(i+1)
		case err := <-future.Err():
			t.must(err, "future")
		default:
			ordered = false
		}
	}
	t.is("acknowledged_in_order", ordered)
	t.equal("all_are_stored", t.info(stream).State.Msgs, uint64(1000))
	future, err := js.PublishAsync("gasync", nil, jetstream.WithExpectLastSequence(5))
	t.must(err, "publish")
	select {
	case err = <-future.Err():
	case <-time.After(patience):
	}
	t.errorCode("a_refusal_comes_too", err, 10071)
}

func streamMessageTTL(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GTTL", Subjects: []string{"gttl.*"}, AllowMsgTTL: true, SubjectDeleteMarkerTTL: time.Hour})
	_, err := js.Publish(t.ctx(), "gttl.a", []byte("short"), jetstream.WithMsgTTL(time.Second))
	// Without a limit of one per subject a short life is stretched to the marker's.
	t.noError("publish", err)
	got, err := stream.GetMsg(t.ctx(), 1)
	t.must(err, "get")
	t.equal("is_raised_to_the_markers", got.Header.Get("Nats-TTL"), "3600")
	one := t.stream(js, jetstream.StreamConfig{Name: "GTTLONE", Subjects: []string{"gttlone.*"}, AllowMsgTTL: true, SubjectDeleteMarkerTTL: time.Hour, MaxMsgsPerSubject: 1})
	_, err = js.Publish(t.ctx(), "gttlone.a", []byte("short"), jetstream.WithMsgTTL(time.Second))
	t.must(err, "publish")
	var marker *jetstream.RawStreamMsg
	t.eventually("a_marker_takes_its_place", func() bool {
		marker, err = one.GetLastMsgForSubject(t.ctx(), "gttlone.a")
		return err == nil && marker.Sequence == 2
	})
	t.is("the_marker", marker.Header.Get("Nats-Marker-Reason") == "MaxAge" && marker.Header.Get("Nats-Rollup") == "sub", marker.Header)
	t.stream(js, jetstream.StreamConfig{Name: "GTTLNONE", Subjects: []string{"gttlnone"}})
	_, err = js.Publish(t.ctx(), "gttlnone", nil, jetstream.WithMsgTTL(time.Second))
	t.errorCode("where_it_is_not_allowed", err, 10166)
}

func streamMessages(t *T) {
	_, js := t.streams("streams")
	for _, direct := range []bool{false, true} {
		name, suffix := "GMSG", ""
		if direct {
			name, suffix = "GMSGD", "_direct"
		}
		stream := t.stream(js, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".*"}, AllowDirect: direct})
		t.store(js, name+".a", "1", "2")
		msg := nats.NewMsg(name + ".b")
		msg.Header.Add("Colour", "green")
		msg.Header.Add("Colour", "blue")
		msg.Data = []byte("3")
		_, err := js.PublishMsg(t.ctx(), msg)
		t.must(err, "publish")
		got, err := stream.GetMsg(t.ctx(), 3)
		t.must(err, "get")
		t.is("get"+suffix, got.Subject == name+".b" && got.Sequence == 3 && string(got.Data) == "3" && time.Since(got.Time) < time.Minute, got)
		t.equal("headers"+suffix, got.Header.Values("Colour"), []string{"green", "blue"})
		got, err = stream.GetLastMsgForSubject(t.ctx(), name+".a")
		t.is("last"+suffix, err == nil && got.Sequence == 2, got, err)
		got, err = stream.GetMsg(t.ctx(), 2, jetstream.WithGetMsgSubject(name+".b"))
		t.is("next"+suffix, err == nil && got.Sequence == 3, got, err)
		_, err = stream.GetMsg(t.ctx(), 77)
		t.errorIs("none"+suffix, err, jetstream.ErrMsgNotFound)
		t.noError("delete"+suffix, stream.DeleteMsg(t.ctx(), 1))
		t.noError("delete_securely"+suffix, stream.SecureDeleteMsg(t.ctx(), 2))
		_, err = stream.GetMsg(t.ctx(), 2)
		t.errorIs("deleted"+suffix, err, jetstream.ErrMsgNotFound)
		t.errorIs("delete_again"+suffix, stream.DeleteMsg(t.ctx(), 1), jetstream.ErrMsgDeleteUnsuccessful)
	}
	stream, err := js.Stream(t.ctx(), "GMSG")
	t.must(err, "bind")
	t.store(js, "GMSG.a", "4", "5")
	t.must(stream.DeleteMsg(t.ctx(), 4), "delete")
	info, err := stream.Info(t.ctx(), jetstream.WithDeletedDetails(true), jetstream.WithSubjectFilter(">"))
	t.must(err, "info")
	t.is("details", slices.Equal(info.State.Deleted, []uint64{4}) && info.State.NumDeleted == 1 && info.State.Subjects["GMSG.a"] == 1, info.State)
}

func streamPurge(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GPURGE", Subjects: []string{"gpurge.*"}})
	fill := func() {
		for range 3 {
			t.store(js, "gpurge.a", "x")
			t.store(js, "gpurge.b", "x")
		}
	}
	left := func() int { return int(t.info(stream).State.Msgs) }
	fill()
	t.must(stream.Purge(t.ctx(), jetstream.WithPurgeSubject("gpurge.a")), "purge")
	t.equal("subject", left(), 3)
	t.must(stream.Purge(t.ctx(), jetstream.WithPurgeSequence(6)), "purge")
	t.equal("sequence", left(), 1)
	fill()
	t.must(stream.Purge(t.ctx(), jetstream.WithPurgeKeep(2)), "purge")
	t.equal("keep", left(), 2)
	t.must(stream.Purge(t.ctx(), jetstream.WithPurgeSubject("gpurge.b"), jetstream.WithPurgeKeep(1)), "purge")
	t.equal("subject_and_keep", left(), 2)
	t.must(stream.Purge(t.ctx()), "purge")
	t.equal("all", left(), 0)
	t.equal("the_first_is_the_next", t.info(stream).State.FirstSeq, uint64(13))
}

func streamCopies(t *T) {
	_, js := t.streams("streams")
	origin := t.stream(js, jetstream.StreamConfig{Name: "GORIGIN", Subjects: []string{"gorigin.>"}, AllowDirect: true})
	t.store(js, "gorigin.a", "1", "2")
	t.store(js, "gorigin.b", "3")
	mirror := t.stream(js, jetstream.StreamConfig{Name: "GMIRROR", MirrorDirect: true, Mirror: &jetstream.StreamSource{
		Name: "GORIGIN", SubjectTransforms: []jetstream.SubjectTransformConfig{{Source: "gorigin.a", Destination: "mirrored.a"}}}})
	t.eventually("mirror_with_a_transform", func() bool { return t.info(mirror).State.Msgs == 2 })
	got, err := mirror.GetLastMsgForSubject(t.ctx(), "mirrored.a")
	t.is("mirror_changes_the_subject", err == nil && string(got.Data) == "2" && got.Sequence == 2, got, err)
	gathered := t.stream(js, jetstream.StreamConfig{Name: "GSOURCED", Sources: []*jetstream.StreamSource{
		{Name: "GORIGIN", FilterSubject: "gorigin.b"}, {Name: "GORIGIN", FilterSubject: "gorigin.a"}}})
	t.eventually("sources", func() bool { return t.info(gathered).State.Msgs == 3 })
	t.store(js, "gorigin.b", "4")
	t.eventually("sources_follow", func() bool { return t.info(gathered).State.Msgs == 4 })
	info := t.info(gathered)
	t.is("sources_are_told", len(info.Sources) == 2 && info.Sources[0].Name != "" && info.Sources[0].Lag == 0, info.Sources)
	t.must(origin.Purge(t.ctx()), "purge")
	t.equal("a_purge_of_the_origin_is_not_copied", t.info(gathered).State.Msgs, uint64(4))
	ordered := t.info(mirror).Mirror
	t.is("mirror_is_told", ordered.Name == "GORIGIN" && len(ordered.SubjectTransforms) == 1, ordered)
	sealed := t.info(gathered).Config
	sealed.Sealed = true
	_, err = js.UpdateStream(t.ctx(), sealed)
	t.noError("a_copy_may_be_sealed", err)
}

func streamTransforms(t *T) {
	nc, js := t.streams("streams")
	heard := t.subscribe(nc, "grepub.>")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GTRANS", Subjects: []string{"gtrans.*"},
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: "gtrans.*", Destination: "gstored.{{wildcard(1)}}"},
		RePublish:        &jetstream.RePublish{Source: "gstored.>", Destination: "grepub.>"}})
	t.store(js, "gtrans.a", "1", "2")
	got, err := stream.GetMsg(t.ctx(), 1)
	t.is("stored_as", err == nil && got.Subject == "gstored.a", got, err)
	t.next(heard)
	msg := t.next(heard)
	t.equal("republished_as", msg.Subject, "grepub.a")
	t.equal("with_its_place", []string{msg.Header.Get(nats.JSStream), msg.Header.Get(nats.JSSequence), msg.Header.Get(nats.JSLastSequence)}, []string{"GTRANS", "2", "1"})
}

func streamCounters(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GCOUNT", Subjects: []string{"gcount.*"}, AllowMsgCounter: true})
	add := func(by string) (*jetstream.PubAck, error) {
		msg := nats.NewMsg("gcount.a")
		msg.Header.Set("Nats-Incr", by)
		return js.PublishMsg(t.ctx(), msg)
	}
	_, err := add("5")
	t.must(err, "add")
	ack, err := add("-2")
	t.is("the_sum_is_acknowledged", err == nil && ack.Value == "3", ack, err)
	got, err := stream.GetLastMsgForSubject(t.ctx(), "gcount.a")
	t.is("the_sum_is_stored", err == nil && string(got.Data) == `{"val":"3"}`, got, err)
	_, err = add("many")
	t.errorCode("nonsense", err, 10171)
	_, err = js.Publish(t.ctx(), "gcount.a", nil)
	t.errorCode("no_number", err, 10169)
	t.equal("level", t.info(stream).Config.Metadata["_nats.req.level"], "2")
}

func streamSchedules(t *T) {
	_, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GSCHED", Subjects: []string{"gsched.>"}, AllowMsgSchedules: true})
	_, err := js.Publish(t.ctx(), "gsched.plan", []byte("later"), jetstream.WithScheduleAt(time.Now().Add(time.Second)), jetstream.WithScheduleTarget("gsched.done"))
	t.noError("is_taken", err)
	var got *jetstream.RawStreamMsg
	t.eventually("comes_when_it_is_time", func() bool {
		got, err = stream.GetLastMsgForSubject(t.ctx(), "gsched.done")
		return err == nil
	})
	t.is("with_payload_and_origin", string(got.Data) == "later" && got.Header.Get("Nats-Scheduler") == "gsched.plan", got)
	_, err = stream.GetLastMsgForSubject(t.ctx(), "gsched.plan")
	t.errorIs("the_plan_is_gone", err, jetstream.ErrMsgNotFound)
	_, err = js.Publish(t.ctx(), "gsched.plan", nil, jetstream.WithScheduleCron("nonsense"), jetstream.WithScheduleTarget("gsched.done"))
	t.errorCode("nonsense", err, 10189)
	t.stream(js, jetstream.StreamConfig{Name: "GNOSCHED", Subjects: []string{"gnosched.>"}})
	_, err = js.Publish(t.ctx(), "gnosched.plan", nil, jetstream.WithScheduleEvery(time.Second), jetstream.WithScheduleTarget("gnosched.done"))
	t.errorCode("where_it_is_not_allowed", err, 10188)
}

func streamBatches(t *T) {
	nc, js := t.streams("streams")
	stream := t.stream(js, jetstream.StreamConfig{Name: "GBATCH", Subjects: []string{"gbatch.*"}, AllowAtomicPublish: true})
	send := func(id string, seq int, commit bool) *nats.Msg {
		msg := nats.NewMsg("gbatch.a")
		msg.Header.Set("Nats-Batch-Id", id)
		msg.Header.Set("Nats-Batch-Sequence", itoa(seq))
		if commit {
			msg.Header.Set("Nats-Batch-Commit", "1")
		}
		reply, err := nc.RequestMsg(msg, patience)
		t.must(err, "batch")
		return reply
	}
	t.equal("the_first_is_answered", len(send("one", 1, false).Data), 0)
	send("one", 2, false)
	t.equal("nothing_is_stored_yet", t.info(stream).State.Msgs, uint64(0))
	ack := send("one", 3, true)
	t.equal("the_commit_is_acknowledged", string(ack.Data), `{"stream":"GBATCH","seq":3,"batch":"one","count":3}`)
	t.equal("all_are_stored", t.info(stream).State.Msgs, uint64(3))
	send("two", 1, false)
	t.is("a_gap_is_refused", containsCode(send("two", 3, true).Data, "10176"))
	t.equal("and_nothing_stored", t.info(stream).State.Msgs, uint64(3))
	t.stream(js, jetstream.StreamConfig{Name: "GNOBATCH", Subjects: []string{"gnobatch"}})
	msg := nats.NewMsg("gnobatch")
	msg.Header.Set("Nats-Batch-Id", "x")
	msg.Header.Set("Nats-Batch-Sequence", "1")
	reply, err := nc.RequestMsg(msg, patience)
	t.must(err, "batch")
	t.is("where_it_is_not_allowed", containsCode(reply.Data, "10174"), string(reply.Data))
}

func streamAccounts(t *T) {
	_, js := t.streams("streams_accounts", nats.UserInfo("all", "all"))
	info, err := js.AccountInfo(t.ctx())
	t.must(err, "account info")
	t.is("info", info.Domain == "hub" && info.Limits.MaxStreams == -1 && info.API.Total >= 0, info)
	nc, limited := t.streams("streams_accounts", nats.UserInfo("some", "some"))
	info, err = limited.AccountInfo(t.ctx())
	t.must(err, "account info")
	t.is("limits", info.Limits.MaxStreams == 2 && info.Limits.MaxConsumers == 2 && info.Limits.MaxStore > 0, info.Limits)
	domain, err := jetstream.NewWithDomain(nc, "hub")
	t.must(err, "domain")
	t.stream(domain, jetstream.StreamConfig{Name: "GDOMAIN", Subjects: []string{"gdomain"}})
	ack, err := domain.Publish(t.ctx(), "gdomain", nil)
	t.is("domain", err == nil && ack.Domain == "hub", ack, err)
	_, err = limited.CreateStream(t.ctx(), jetstream.StreamConfig{Name: "GLARGE", Subjects: []string{"glarge"}, MaxBytes: 8 << 20})
	t.errorCode("storage", err, 10047)
	_, none := t.streams("streams_accounts", nats.UserInfo("nothing", "nothing"))
	_, err = none.AccountInfo(t.ctx())
	t.errorIs("none", err, jetstream.ErrJetStreamNotEnabledForAccount)
}
