package main

import (
	"errors"
	"sort"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// The library's older interface to streams, which most programs in use still speak.
var olderStreamScenarios = []scenario{
	{"older/streams", olderStreams},
	{"older/publish", olderPublish},
	{"older/pull", olderPull},
	{"older/push", olderPush},
	{"older/queue", olderQueue},
	{"older/ordered", olderOrdered},
	{"older/keyvalue", olderKeyValue},
	{"older/objects", olderObjects},
}

func (t *T) older(options ...nats.Option) (*nats.Conn, nats.JetStreamContext) {
	connection := t.connect("streams", options...)
	js, err := connection.JetStream(nats.MaxWait(patience))
	t.must(err, "jetstream")
	return connection, js
}

func olderStreams(t *T) {
	_, js := t.older()
	info, err := js.AddStream(&nats.StreamConfig{Name: "OLDER", Subjects: []string{"older.*"}, MaxMsgs: 5})
	t.is("add", err == nil && info.Config.MaxMsgs == 5 && info.Config.Replicas == 1, info, err)
	info, err = js.UpdateStream(&nats.StreamConfig{Name: "OLDER", Subjects: []string{"older.*"}, MaxMsgs: 7})
	t.is("update", err == nil && info.Config.MaxMsgs == 7, info, err)
	_, err = js.AddStream(&nats.StreamConfig{Name: "OLDER", Subjects: []string{"other"}})
	t.errorIs("add_another", err, nats.ErrStreamNameAlreadyInUse)
	ack, err := js.Publish("older.a", []byte("1"))
	t.is("publish", err == nil && ack.Sequence == 1, ack, err)
	info, err = js.StreamInfo("OLDER", &nats.StreamInfoRequest{SubjectsFilter: ">"})
	t.is("info_with_subjects", err == nil && info.State.Subjects["older.a"] == 1, info, err)
	names := []string{}
	for name := range js.StreamNames(nats.StreamListFilter("older.>")) {
		names = append(names, name)
	}
	t.equal("names", names, []string{"OLDER"})
	msg, err := js.GetMsg("OLDER", 1)
	t.is("get", err == nil && string(msg.Data) == "1", msg, err)
	msg, err = js.GetLastMsg("OLDER", "older.a")
	t.is("get_last", err == nil && msg.Sequence == 1, msg, err)
	t.noError("delete_message", js.SecureDeleteMsg("OLDER", 1))
	_, err = js.GetMsg("OLDER", 1)
	t.errorIs("is_gone", err, nats.ErrMsgNotFound)
	t.noError("purge", js.PurgeStream("OLDER", &nats.StreamPurgeRequest{Subject: "older.a"}))
	t.noError("delete", js.DeleteStream("OLDER"))
	_, err = js.StreamInfo("OLDER")
	t.errorIs("info_of_the_deleted", err, nats.ErrStreamNotFound)
	account, err := js.AccountInfo()
	t.is("account", err == nil && account.API.Total > 0 && account.API.Errors > 0, account, err)
}

func olderPublish(t *T) {
	_, js := t.older()
	_, err := js.AddStream(&nats.StreamConfig{Name: "OLDERPUB", Subjects: []string{"olderpub.*"}})
	t.must(err, "add")
	_, err = js.Publish("olderpub.a", nil, nats.MsgId("one"))
	t.must(err, "publish")
	ack, err := js.Publish("olderpub.a", nil, nats.MsgId("one"))
	t.is("duplicate", err == nil && ack.Duplicate, ack, err)
	_, err = js.Publish("olderpub.a", nil, nats.ExpectStream("OTHER"))
	t.errorCode("expect_stream", err, 10060)
	_, err = js.Publish("olderpub.a", nil, nats.ExpectLastSequence(7))
	t.errorCode("expect_last_sequence", err, 10071)
	_, err = js.Publish("olderpub.a", nil, nats.ExpectLastSequencePerSubject(7))
	t.errorCode("expect_last_sequence_per_subject", err, 10071)
	_, err = js.Publish("olderpub.a", nil, nats.ExpectLastMsgId("two"))
	t.errorCode("expect_last_id", err, 10070)
	_, err = js.Publish("olderpub_nobody", nil, nats.RetryAttempts(1), nats.RetryWait(10*time.Millisecond))
	t.errorIs("nobody_stores_this", err, nats.ErrNoStreamResponse)
	for i := range 200 {
		_, err := js.PublishAsync("olderpub.b", []byte(itoa(i)))
		t.must(err, "publish")
	}
	select {
	case <-js.PublishAsyncComplete():
		t.is("asynchronously", js.PublishAsyncPending() == 0)
	case <-time.After(2 * patience):
		t.is("asynchronously", false, js.PublishAsyncPending())
	}
}

func olderPull(t *T) {
	_, js := t.older()
	_, err := js.AddStream(&nats.StreamConfig{Name: "OLDERPULL", Subjects: []string{"olderpull"}})
	t.must(err, "add")
	for i := range 5 {
		_, err := js.Publish("olderpull", []byte(itoa(i)))
		t.must(err, "publish")
	}
	sub, err := js.PullSubscribe("olderpull", "one", nats.AckWait(time.Second), nats.MaxAckPending(10))
	t.must(err, "pull subscribe")
	msgs, err := sub.Fetch(3, nats.MaxWait(patience))
	t.is("fetch", err == nil && len(msgs) == 3 && string(msgs[2].Data) == "2", len(msgs), err)
	for _, msg := range msgs {
		t.must(msg.AckSync(), "ack")
	}
	rest, err := sub.Fetch(10, nats.MaxWait(300*time.Millisecond))
	t.is("the_rest", err == nil && len(rest) == 2, len(rest), err)
	_, err = sub.Fetch(1, nats.MaxWait(100*time.Millisecond))
	t.errorIs("nothing_more", err, nats.ErrTimeout)
	again, err := sub.Fetch(2, nats.MaxWait(patience))
	t.is("redelivered", err == nil && len(again) > 0, len(again), err)
	meta, err := again[0].Metadata()
	t.is("metadata", err == nil && meta.NumDelivered == 2 && meta.Sequence.Stream == 4, meta, err)
	info, err := sub.ConsumerInfo()
	t.is("info", err == nil && info.AckFloor.Stream == 3 && info.NumAckPending == 2, info, err)
	bound, err := js.PullSubscribe("olderpull", "", nats.Bind("OLDERPULL", "one"))
	t.must(err, "bind")
	t.noError("unsubscribe_of_a_bound_one", bound.Unsubscribe())
	_, err = js.ConsumerInfo("OLDERPULL", "one")
	t.noError("leaves_the_consumer", err)
	batch, err := js.PullSubscribe("olderpull", "two")
	t.must(err, "pull subscribe")
	got, err := batch.FetchBatch(5, nats.MaxWait(patience))
	t.must(err, "fetch batch")
	count := 0
	for range got.Messages() {
		count++
	}
	t.equal("fetch_batch", count, 5)
}

func olderPush(t *T) {
	_, js := t.older()
	_, err := js.AddStream(&nats.StreamConfig{Name: "OLDERPUSH", Subjects: []string{"olderpush"}})
	t.must(err, "add")
	sub, err := js.SubscribeSync("olderpush", nats.Durable("one"), nats.ManualAck(), nats.AckWait(500*time.Millisecond), nats.EnableFlowControl(), nats.IdleHeartbeat(time.Second))
	t.must(err, "subscribe")
	_, err = js.Publish("olderpush", []byte("1"))
	t.must(err, "publish")
	first := t.next(sub)
	second := t.next(sub)
	meta, err := second.Metadata()
	t.is("redelivered", err == nil && string(first.Data) == string(second.Data) && meta.NumDelivered == 2, meta, err)
	t.must(second.Ack(nats.AckWait(patience)), "ack")
	_, err = js.SubscribeSync("olderpush", nats.Durable("one"))
	t.errorHas("bound_once", err, "already bound")
	var seen atomic.Int32
	_, err = js.Subscribe("olderpush", func(msg *nats.Msg) { seen.Add(1) }, nats.DeliverAll())
	t.must(err, "subscribe")
	t.eventually("ephemeral", func() bool { return seen.Load() == 1 })
	t.eventually("acknowledges_by_itself", func() bool {
		for info := range js.Consumers("OLDERPUSH") {
			if info.Config.Durable == "" && info.AckFloor.Stream == 1 {
				return true
			}
		}
		return false
	})
	t.must(sub.Unsubscribe(), "unsubscribe")
	_, err = js.ConsumerInfo("OLDERPUSH", "one")
	t.errorIs("a_durable_it_made_goes_with_it", err, nats.ErrConsumerNotFound)
	info, err := js.AddConsumer("OLDERPUSH", &nats.ConsumerConfig{Durable: "made", AckPolicy: nats.AckExplicitPolicy, Description: "by hand"})
	t.is("add_consumer", err == nil && info.Config.Description == "by hand", info, err)
	info, err = js.UpdateConsumer("OLDERPUSH", &nats.ConsumerConfig{Durable: "made", AckPolicy: nats.AckExplicitPolicy, Description: "changed"})
	t.is("update_consumer", err == nil && info.Config.Description == "changed", info, err)
	t.noError("delete_consumer", js.DeleteConsumer("OLDERPUSH", "made"))
}

func olderQueue(t *T) {
	_, js := t.older()
	_, err := js.AddStream(&nats.StreamConfig{Name: "OLDERQ", Subjects: []string{"olderq"}})
	t.must(err, "add")
	var counts [2]atomic.Int32
	for i := range counts {
		_, member := t.older()
		_, err := member.QueueSubscribe("olderq", "workers", func(*nats.Msg) { counts[i].Add(1) })
		t.must(err, "queue subscribe")
	}
	for i := range 60 {
		_, err := js.Publish("olderq", []byte(itoa(i)))
		t.must(err, "publish")
	}
	t.eventually("each_message_once", func() bool { return counts[0].Load()+counts[1].Load() == 60 })
	t.is("shared", counts[0].Load() > 5 && counts[1].Load() > 5, counts[0].Load(), counts[1].Load())
}

func olderOrdered(t *T) {
	_, js := t.older()
	_, err := js.AddStream(&nats.StreamConfig{Name: "OLDERORD", Subjects: []string{"olderord"}})
	t.must(err, "add")
	for i := range 100 {
		_, err := js.PublishAsync("olderord", []byte(itoa(i)))
		t.must(err, "publish")
	}
	<-js.PublishAsyncComplete()
	sub, err := js.SubscribeSync("olderord", nats.OrderedConsumer())
	t.must(err, "subscribe")
	ordered := true
	for i := range 100 {
		if i == 50 {
			info, err := sub.ConsumerInfo()
			t.must(err, "info")
			t.must(js.DeleteConsumer("OLDERORD", info.Name), "delete")
			_, err = js.Publish("olderord", []byte("100"))
			t.must(err, "publish")
		}
		ordered = ordered && string(t.next(sub).Data) == itoa(i)
	}
	t.is("in_order", ordered)
}

func olderKeyValue(t *T) {
	_, js := t.older()
	kv, err := js.CreateKeyValue(&nats.KeyValueConfig{Bucket: "OLDERKV", History: 3})
	t.must(err, "create")
	_, err = kv.PutString("a", "1")
	t.must(err, "put")
	revision, err := kv.Update("a", []byte("2"), 1)
	t.is("update", err == nil && revision == 2, revision, err)
	_, err = kv.Update("a", []byte("3"), 1)
	t.errorCode("update_of_an_old_revision", err, 10071)
	_, err = kv.Create("a", nil)
	t.errorIs("create_again", err, nats.ErrKeyExists)
	entry, err := kv.Get("a")
	t.is("get", err == nil && string(entry.Value()) == "2", entry, err)
	entry, err = kv.GetRevision("a", 1)
	t.is("get_revision", err == nil && string(entry.Value()) == "1", entry, err)
	watcher, err := kv.Watch("a", nats.IncludeHistory())
	t.must(err, "watch")
	got := []string{}
	for entry := range watcher.Updates() {
		if entry == nil {
			break
		}
		got = append(got, string(entry.Value()))
	}
	t.equal("watch", got, []string{"1", "2"})
	_, err = kv.PutString("b", "x")
	t.must(err, "put")
	t.must(kv.Delete("a"), "delete")
	keys, err := kv.Keys()
	t.is("keys", err == nil && len(keys) == 1 && keys[0] == "b", keys, err)
	t.noError("purge_deletes", kv.PurgeDeletes(nats.DeleteMarkersOlderThan(-1)))
	status, err := kv.Status()
	t.is("status", err == nil && status.Values() == 1 && status.History() == 3, status, err)
	t.noError("delete_bucket", js.DeleteKeyValue("OLDERKV"))
	_, err = js.KeyValue("OLDERKV")
	t.errorIs("deleted_bucket", err, nats.ErrBucketNotFound)
}

func olderObjects(t *T) {
	_, js := t.older()
	store, err := js.CreateObjectStore(&nats.ObjectStoreConfig{Bucket: "OLDEROBJ"})
	t.must(err, "create")
	data := make([]byte, 300<<10)
	info, err := store.PutBytes("a", data)
	t.is("put", err == nil && info.Chunks == 3 && info.Digest == digestOf(data), info, err)
	got, err := store.GetBytes("a")
	t.is("get", err == nil && len(got) == len(data), err)
	_, err = store.PutString("b", "small")
	t.must(err, "put")
	list, err := store.List()
	t.must(err, "list")
	names := []string{list[0].Name, list[len(list)-1].Name}
	sort.Strings(names)
	t.equal("list", names, []string{"a", "b"})
	t.noError("delete", store.Delete("a"))
	_, err = store.GetInfo("a")
	t.is("deleted", errors.Is(err, nats.ErrObjectNotFound), err)
}
