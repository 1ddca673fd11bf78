package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var objectScenarios = []scenario{
	{"objects/intro", objIntro},
	{"objects/sizes", objSizes},
	{"objects/links", objLinks},
	{"objects/watch", objWatch},
	{"objects/buckets", objBuckets},
}

func (t *T) objects(js jetstream.JetStream, config jetstream.ObjectStoreConfig) jetstream.ObjectStore {
	store, err := js.CreateObjectStore(t.ctx(), config)
	t.must(err, "create object store "+config.Bucket)
	return store
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "SHA-256=" + base64.URLEncoding.EncodeToString(sum[:])
}

func objIntro(t *T) {
	_, js := t.streams("streams")
	store := t.objects(js, jetstream.ObjectStoreConfig{Bucket: "GOBJ"})
	info, err := store.PutString(t.ctx(), "a", "hello")
	t.is("put", err == nil && info.Size == 5 && info.Chunks == 1 && info.Digest == digestOf([]byte("hello")), info, err)
	text, err := store.GetString(t.ctx(), "a")
	t.is("get", err == nil && text == "hello", text, err)
	read, err := store.GetInfo(t.ctx(), "a")
	t.is("info", err == nil && read.NUID == info.NUID && time.Since(read.ModTime) < time.Minute, read, err)
	_, err = store.PutString(t.ctx(), "a", "replaced")
	t.must(err, "put")
	text, err = store.GetString(t.ctx(), "a")
	t.is("replaced", err == nil && text == "replaced", text, err)
	_, err = store.PutString(t.ctx(), "b", "other")
	t.must(err, "put")
	list, err := store.List(t.ctx())
	t.is("list", err == nil && len(list) == 2, list, err)
	t.must(store.Delete(t.ctx(), "a"), "delete")
	_, err = store.Get(t.ctx(), "a")
	t.errorIs("deleted", err, jetstream.ErrObjectNotFound)
	read, err = store.GetInfo(t.ctx(), "a", jetstream.GetObjectInfoShowDeleted())
	t.is("deleted_is_known", err == nil && read.Deleted && read.Size == 0, read, err)
	list, err = store.List(t.ctx())
	t.is("list_without_the_deleted", err == nil && len(list) == 1, list, err)
	stream, err := js.Stream(t.ctx(), "OBJ_GOBJ")
	t.must(err, "bind")
	state := t.info(stream).State
	t.equal("chunks_are_gone", state.Msgs, uint64(3))
	t.must(store.UpdateMeta(t.ctx(), "b", jetstream.ObjectMeta{Name: "c", Description: "renamed"}), "update meta")
	read, err = store.GetInfo(t.ctx(), "c")
	t.is("renamed", err == nil && read.Description == "renamed", read, err)
	text, err = store.GetString(t.ctx(), "c")
	t.is("with_its_data", err == nil && text == "other", text, err)
}

func objSizes(t *T) {
	_, js := t.streams("streams")
	store := t.objects(js, jetstream.ObjectStoreConfig{Bucket: "GOBJSIZE"})
	info, err := store.PutBytes(t.ctx(), "empty", nil)
	t.is("empty", err == nil && info.Size == 0 && info.Chunks == 0, info, err)
	large := bytes.Repeat([]byte("0123456789abcdef"), 512<<10)
	info, err = store.PutBytes(t.ctx(), "large", large)
	t.is("eight_megabytes", err == nil && info.Size == 8<<20 && info.Chunks == 64, info, err)
	got, err := store.GetBytes(t.ctx(), "large")
	t.is("come_back", err == nil && bytes.Equal(got, large), err)
	info, err = store.Put(t.ctx(), jetstream.ObjectMeta{Name: "small chunks", Headers: nats.Header{"Colour": {"green"}}, Metadata: map[string]string{"a": "b"},
		Opts: &jetstream.ObjectMetaOptions{ChunkSize: 100}}, bytes.NewReader(large[:5000]))
	t.is("chunk_size", err == nil && info.Chunks == 50, info, err)
	read, err := store.GetInfo(t.ctx(), "small chunks")
	t.is("headers_and_metadata", err == nil && read.Headers.Get("Colour") == "green" && read.Metadata["a"] == "b", read, err)
	_, err = store.Put(t.ctx(), jetstream.ObjectMeta{Name: "broken"}, brokenReader{})
	t.errorHas("a_failing_reader", err, "broken")
	_, err = store.GetInfo(t.ctx(), "broken")
	t.errorIs("leaves_nothing", err, jetstream.ErrObjectNotFound)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, abort{"broken"} }

// Error makes an abort an error, for readers that fail on purpose.
func (a abort) Error() string { return a.why }

func objLinks(t *T) {
	_, js := t.streams("streams")
	store, other := t.objects(js, jetstream.ObjectStoreConfig{Bucket: "GOBJLINK"}), t.objects(js, jetstream.ObjectStoreConfig{Bucket: "GOBJLINKED"})
	info, err := other.PutString(t.ctx(), "a", "linked")
	t.must(err, "put")
	link, err := store.AddLink(t.ctx(), "alias", info)
	t.is("add", err == nil && link.Opts != nil && link.Opts.Link.Bucket == "GOBJLINKED", link, err)
	text, err := store.GetString(t.ctx(), "alias")
	t.is("follow", err == nil && text == "linked", text, err)
	_, err = store.AddLink(t.ctx(), "alias2", link)
	t.errorIs("not_to_a_link", err, jetstream.ErrNoLinkToLink)
	_, err = store.AddBucketLink(t.ctx(), "all", other)
	t.noError("to_a_bucket", err)
	_, err = store.Get(t.ctx(), "all")
	t.errorIs("which_is_no_object", err, jetstream.ErrCantGetBucket)
}

func objWatch(t *T) {
	_, js := t.streams("streams")
	store := t.objects(js, jetstream.ObjectStoreConfig{Bucket: "GOBJWATCH"})
	next := func(watcher jetstream.ObjectWatcher) *jetstream.ObjectInfo {
		select {
		case info := <-watcher.Updates():
			return info
		case <-time.After(patience):
			panic(abort{"no update in time"})
		}
	}
	watcher, err := store.Watch(t.ctx())
	t.must(err, "watch")
	t.is("nothing_at_first", next(watcher) == nil)
	_, err = store.PutString(t.ctx(), "a", "1")
	t.must(err, "put")
	t.equal("a_put", next(watcher).Name, "a")
	t.must(store.Delete(t.ctx(), "a"), "delete")
	t.is("a_delete", next(watcher).Deleted)
	_, err = store.PutString(t.ctx(), "b", "2")
	t.must(err, "put")
	later, err := store.Watch(t.ctx(), jetstream.IgnoreDeletes())
	t.must(err, "watch")
	t.equal("what_there_is", next(later).Name, "b")
	t.is("and_no_more", next(later) == nil)
	updates, err := store.Watch(t.ctx(), jetstream.UpdatesOnly())
	t.must(err, "watch")
	_, err = store.PutString(t.ctx(), "c", "3")
	t.must(err, "put")
	t.equal("updates_only", next(updates).Name, "c")
	t.must(watcher.Stop(), "stop")
}

func objBuckets(t *T) {
	_, js := t.streams("streams")
	store := t.objects(js, jetstream.ObjectStoreConfig{Bucket: "GOBJBUCKET", Description: "things", TTL: time.Hour, MaxBytes: 1 << 20, Compression: true,
		Metadata: map[string]string{"colour": "green"}})
	_, err := store.PutString(t.ctx(), "a", "1")
	t.must(err, "put")
	status, err := store.Status(t.ctx())
	t.must(err, "status")
	t.is("status", status.Bucket() == "GOBJBUCKET" && status.Description() == "things" && status.TTL() == time.Hour && status.IsCompressed() &&
		!status.Sealed() && status.Size() > 0 && status.Metadata()["colour"] == "green", status)
	_, err = store.PutBytes(t.ctx(), "large", make([]byte, 2<<20))
	t.errorCode("full", err, 10077)
	t.must(store.Seal(t.ctx()), "seal")
	status, err = store.Status(t.ctx())
	t.is("sealed", err == nil && status.Sealed(), err)
	_, err = store.PutString(t.ctx(), "b", "2")
	t.errorCode("no_more_objects", err, 10109)
	found := false
	for name := range js.ObjectStoreNames(t.ctx()).Name() {
		found = found || name == "GOBJBUCKET"
	}
	t.is("is_listed", found)
	_, err = js.CreateObjectStore(t.ctx(), jetstream.ObjectStoreConfig{Bucket: "GOBJBUCKET"})
	t.errorIs("exists", err, jetstream.ErrBucketExists)
	t.must(js.DeleteObjectStore(t.ctx(), "GOBJBUCKET"), "delete")
	_, err = js.ObjectStore(t.ctx(), "GOBJBUCKET")
	t.errorIs("deleted", err, jetstream.ErrBucketNotFound)
}
