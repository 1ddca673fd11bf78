package main

import (
	"errors"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var keyValueScenarios = []scenario{
	{"keyvalue/intro", kvIntro},
	{"keyvalue/create_and_update", kvCreate},
	{"keyvalue/history", kvHistory},
	{"keyvalue/keys", kvKeys},
	{"keyvalue/watch", kvWatch},
	{"keyvalue/purge_deletes", kvPurgeDeletes},
	{"keyvalue/time_to_live", kvTTL},
	{"keyvalue/buckets", kvBuckets},
	{"keyvalue/copies", kvCopies},
}

func (t *T) bucket(js jetstream.JetStream, config jetstream.KeyValueConfig) jetstream.KeyValue {
	kv, err := js.CreateKeyValue(t.ctx(), config)
	t.must(err, "create bucket "+config.Bucket)
	return kv
}

func (t *T) put(kv jetstream.KeyValue, key, value string) uint64 {
	revision, err := kv.PutString(t.ctx(), key, value)
	t.must(err, "put "+key)
	return revision
}

// update reads one update, nil for the end of what there was.
func (t *T) update(watcher jetstream.KeyWatcher) jetstream.KeyValueEntry {
	select {
	case entry := <-watcher.Updates():
		return entry
	case <-time.After(patience):
		panic(abort{"no update in time"})
	}
}

// initial reads what a watcher tells until it says that this was all there is.
func (t *T) initial(watcher jetstream.KeyWatcher, err error) []string {
	t.must(err, "watch")
	t.cleanup(func() { _ = watcher.Stop() })
	got := []string{}
	for entry := t.update(watcher); entry != nil; entry = t.update(watcher) {
		got = append(got, entry.Key()+"="+string(entry.Value())+operation(entry))
	}
	return got
}

func operation(entry jetstream.KeyValueEntry) string {
	return map[jetstream.KeyValueOp]string{jetstream.KeyValuePut: "", jetstream.KeyValueDelete: " deleted", jetstream.KeyValuePurge: " purged"}[entry.Operation()]
}

func kvIntro(t *T) {
	_, js := t.streams("streams")
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: "profiles"})
	t.equal("put", t.put(kv, "sue.color", "blue"), uint64(1))
	entry, err := kv.Get(t.ctx(), "sue.color")
	t.must(err, "get")
	t.is("get", string(entry.Value()) == "blue" && entry.Revision() == 1 && entry.Bucket() == "profiles" && time.Since(entry.Created()) < time.Minute, entry)
	t.put(kv, "sue.color", "green")
	_, err = kv.Update(t.ctx(), "sue.color", []byte("red"), 1)
	t.errorCode("update_of_an_old_revision", err, 10071)
	_, err = kv.Update(t.ctx(), "sue.color", []byte("red"), 2)
	t.noError("update_of_the_last", err)
	name := ""
	for found := range js.StreamNames(t.ctx(), jetstream.WithStreamListSubject("$KV.profiles.>")).Name() {
		name = found
	}
	t.equal("is_a_stream", name, "KV_profiles")
	t.must(kv.Delete(t.ctx(), "sue.color"), "delete")
	_, err = kv.Get(t.ctx(), "sue.color")
	t.errorIs("deleted", err, jetstream.ErrKeyNotFound)
	stream, err := js.Stream(t.ctx(), "KV_profiles")
	t.must(err, "bind")
	last, err := stream.GetLastMsgForSubject(t.ctx(), "$KV.profiles.sue.color")
	t.is("a_deletion_is_a_message", err == nil && last.Header.Get("KV-Operation") == "DEL" && last.Sequence == 4, last, err)
}

func kvCreate(t *T) {
	_, js := t.streams("streams")
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVCAS", History: 5})
	revision, err := kv.Create(t.ctx(), "a", []byte("1"))
	t.is("create", err == nil && revision == 1, revision, err)
	_, err = kv.Create(t.ctx(), "a", []byte("2"))
	t.errorIs("create_again", err, jetstream.ErrKeyExists)
	t.must(kv.Delete(t.ctx(), "a", jetstream.LastRevision(1)), "delete")
	revision, err = kv.Create(t.ctx(), "a", []byte("3"))
	t.is("create_after_delete", err == nil && revision == 3, revision, err)
	t.must(kv.Purge(t.ctx(), "a"), "purge")
	revision, err = kv.Create(t.ctx(), "a", []byte("4"))
	t.is("create_after_purge", err == nil && revision == 5, revision, err)
	t.errorCode("delete_of_an_old_revision", kv.Delete(t.ctx(), "a", jetstream.LastRevision(3)), 10071)
	t.errorCode("purge_of_an_old_revision", kv.Purge(t.ctx(), "a", jetstream.LastRevision(3)), 10071)
	results := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := kv.Create(t.env.background(), "race", nil)
			results <- err
		}()
	}
	won := 0
	for range 8 {
		if err := <-results; err == nil {
			won++
		} else if !errors.Is(err, jetstream.ErrKeyExists) {
			t.must(err, "create")
		}
	}
	t.equal("one_of_many_wins", won, 1)
}

func kvHistory(t *T) {
	_, js := t.streams("streams")
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVHIST", History: 3})
	for _, value := range []string{"1", "2", "3", "4"} {
		t.put(kv, "a", value)
	}
	t.must(kv.Delete(t.ctx(), "a"), "delete")
	entries, err := kv.History(t.ctx(), "a")
	t.must(err, "history")
	got := []string{}
	for _, entry := range entries {
		got = append(got, string(entry.Value())+operation(entry))
	}
	t.equal("the_last_few", got, []string{"3", "4", " deleted"})
	entry, err := kv.GetRevision(t.ctx(), "a", 4)
	t.is("by_revision", err == nil && string(entry.Value()) == "4", err)
	_, err = kv.GetRevision(t.ctx(), "a", 1)
	t.errorIs("a_forgotten_revision", err, jetstream.ErrKeyNotFound)
	_, err = kv.History(t.ctx(), "nobody")
	t.errorIs("of_none", err, jetstream.ErrKeyNotFound)
}

func kvKeys(t *T) {
	_, js := t.streams("streams")
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVKEYS"})
	_, err := kv.Keys(t.ctx())
	t.errorIs("none", err, jetstream.ErrNoKeysFound)
	for _, key := range []string{"a", "b.c", "b.d", "e"} {
		t.put(kv, key, "x")
	}
	t.must(kv.Delete(t.ctx(), "e"), "delete")
	keys, err := kv.Keys(t.ctx())
	t.must(err, "keys")
	sort.Strings(keys)
	t.equal("all", keys, []string{"a", "b.c", "b.d"})
	lister, err := kv.ListKeysFiltered(t.ctx(), "b.*", "a")
	t.must(err, "list")
	keys = nil
	for key := range lister.Keys() {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	t.equal("filtered", keys, []string{"a", "b.c", "b.d"})
}

func kvWatch(t *T) {
	_, js := t.streams("streams")
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVWATCH", History: 5})
	live, err := kv.WatchAll(t.ctx())
	t.equal("nothing_at_first", t.initial(live, err), []string{})
	t.put(kv, "a", "1")
	t.put(kv, "a", "2")
	t.put(kv, "b.x", "3")
	t.must(kv.Delete(t.ctx(), "b.x"), "delete")
	got := []string{}
	for range 4 {
		entry := t.update(live)
		got = append(got, entry.Key()+"="+string(entry.Value())+operation(entry))
	}
	t.equal("as_it_comes", got, []string{"a=1", "a=2", "b.x=3", "b.x= deleted"})
	watch := func(keys string, options ...jetstream.WatchOpt) []string {
		watcher, err := kv.Watch(t.ctx(), keys, options...)
		return t.initial(watcher, err)
	}
	t.equal("the_last_of_each", watch(">"), []string{"a=2", "b.x= deleted"})
	t.equal("history", watch(">", jetstream.IncludeHistory()), got)
	t.equal("without_deletions", watch(">", jetstream.IgnoreDeletes()), []string{"a=2"})
	t.equal("without_values", watch("a", jetstream.MetaOnly()), []string{"a="})
	t.equal("some", watch("b.>"), []string{"b.x= deleted"})
	resumed, err := kv.WatchAll(t.ctx(), jetstream.ResumeFromRevision(3))
	t.equal("from_a_revision", t.initial(resumed, err), []string{"b.x=3", "b.x= deleted"})
	many, err := kv.WatchFiltered(t.ctx(), []string{"a", "c"})
	t.equal("several_filters", t.initial(many, err), []string{"a=2"})
	updates, err := kv.WatchAll(t.ctx(), jetstream.UpdatesOnly())
	t.must(err, "watch")
	t.put(kv, "c", "new")
	entry := t.update(updates)
	t.is("updates_only", entry != nil && entry.Key() == "c", entry)
	t.noError("stop", updates.Stop())
}

func kvPurgeDeletes(t *T) {
	_, js := t.streams("streams")
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVPURGE", History: 5})
	for _, key := range []string{"a", "b"} {
		t.put(kv, key, "1")
		t.put(kv, key, "2")
	}
	t.must(kv.Delete(t.ctx(), "a"), "delete")
	values := func() uint64 {
		status, err := kv.Status(t.ctx())
		t.must(err, "status")
		return status.Values()
	}
	t.must(kv.PurgeDeletes(t.ctx()), "purge deletes")
	t.equal("keeps_young_markers", values(), uint64(3))
	t.must(kv.PurgeDeletes(t.ctx(), jetstream.DeleteMarkersOlderThan(-1)), "purge deletes")
	t.equal("or_not", values(), uint64(2))
	t.must(kv.Purge(t.ctx(), "b"), "purge")
	t.equal("purge_leaves_a_marker", values(), uint64(1))
}

func kvTTL(t *T) {
	_, js := t.streams("streams")
	kv := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVTTL", LimitMarkerTTL: time.Hour})
	watcher, err := kv.WatchAll(t.ctx())
	t.initial(watcher, err)
	_, err = kv.Create(t.ctx(), "short", []byte("x"), jetstream.KeyTTL(time.Second))
	t.must(err, "create")
	t.is("is_there", t.update(watcher).Operation() == jetstream.KeyValuePut)
	gone := t.update(watcher)
	t.is("its_end_is_told", gone != nil && gone.Key() == "short" && gone.Operation() == jetstream.KeyValuePurge, gone)
	_, err = kv.Get(t.ctx(), "short")
	t.errorIs("is_gone", err, jetstream.ErrKeyNotFound)
	_, err = kv.Create(t.ctx(), "short", []byte("again"))
	t.noError("may_be_created_again", err)
	t.must(kv.Purge(t.ctx(), "short", jetstream.PurgeTTL(time.Second)), "purge")
	t.eventually("a_purge_marker_goes", func() bool { status, err := kv.Status(t.ctx()); return err == nil && status.Values() == 0 })
	aged := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVAGE", TTL: 400 * time.Millisecond})
	t.put(aged, "a", "1")
	t.eventually("all_grow_old", func() bool { _, err := aged.Get(t.ctx(), "a"); return errors.Is(err, jetstream.ErrKeyNotFound) })
	status, err := kv.Status(t.ctx())
	t.is("status", err == nil && status.LimitMarkerTTL() == time.Hour, err)
}

func kvBuckets(t *T) {
	_, js := t.streams("streams")
	config := jetstream.KeyValueConfig{Bucket: "GKVSTAT", Description: "a bucket", History: 4, TTL: time.Hour, MaxBytes: 1 << 20, MaxValueSize: 10,
		Storage: jetstream.MemoryStorage, Compression: false, Metadata: map[string]string{"colour": "green"}}
	kv := t.bucket(js, config)
	t.put(kv, "a", "1")
	status, err := kv.Status(t.ctx())
	t.must(err, "status")
	t.is("status", status.Bucket() == "GKVSTAT" && status.Values() == 1 && status.History() == 4 && status.TTL() == time.Hour && status.Bytes() > 0 &&
		status.BackingStore() == "JetStream" && !status.IsCompressed() && status.Metadata()["colour"] == "green", status)
	_, err = kv.PutString(t.ctx(), "a", "far too large")
	t.errorCode("too_large_a_value", err, 10054)
	_, err = js.CreateKeyValue(t.ctx(), jetstream.KeyValueConfig{Bucket: "GKVSTAT"})
	t.errorIs("exists", err, jetstream.ErrBucketExists)
	config.History = 8
	_, err = js.UpdateKeyValue(t.ctx(), config)
	t.noError("update", err)
	_, err = js.UpdateKeyValue(t.ctx(), jetstream.KeyValueConfig{Bucket: "GKVNONE"})
	t.errorIs("update_of_none", err, jetstream.ErrBucketNotFound)
	found := false
	for name := range js.KeyValueStoreNames(t.ctx()).Name() {
		found = found || name == "GKVSTAT"
	}
	t.is("is_listed", found)
	squeezed := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVS2", Compression: true})
	status, err = squeezed.Status(t.ctx())
	t.is("compressed", err == nil && status.IsCompressed(), err)
	t.must(js.DeleteKeyValue(t.ctx(), "GKVSTAT"), "delete")
	_, err = js.KeyValue(t.ctx(), "GKVSTAT")
	t.errorIs("deleted", err, jetstream.ErrBucketNotFound)
}

func kvCopies(t *T) {
	_, js := t.streams("streams")
	origin := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVORIGIN"})
	t.put(origin, "a", "1")
	mirror := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVMIRROR", Mirror: &jetstream.StreamSource{Name: "GKVORIGIN"}})
	reads := func(kv jetstream.KeyValue, key, value string) func() bool {
		return func() bool {
			entry, err := kv.Get(t.ctx(), key)
			return err == nil && string(entry.Value()) == value
		}
	}
	// The library reads a mirror of the same account under the mirror's own name, so its stream is asked.
	copied := func(key, value string) func() bool {
		return func() bool {
			stream, err := js.Stream(t.ctx(), "KV_GKVMIRROR")
			t.must(err, "bind")
			msg, err := stream.GetLastMsgForSubject(t.ctx(), "$KV.GKVORIGIN."+key)
			return err == nil && string(msg.Data) == value
		}
	}
	t.eventually("a_mirror_has_the_keys", copied("a", "1"))
	t.put(mirror, "b", "through the mirror")
	t.eventually("a_put_goes_to_the_origin", reads(origin, "b", "through the mirror"))
	t.eventually("and_comes_back", copied("b", "through the mirror"))
	gathered := t.bucket(js, jetstream.KeyValueConfig{Bucket: "GKVSRC", Sources: []*jetstream.StreamSource{{Name: "GKVORIGIN"}}})
	t.eventually("a_source_has_the_keys", reads(gathered, "a", "1"))
	t.put(gathered, "own", "2")
	t.eventually("beside_its_own", reads(gathered, "own", "2"))
}
