package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The management library of the tools, with every answer held against its JSON schema.
var managerScenarios = []scenario{
	{"manager/streams", managerStreams},
	{"manager/consumers", managerConsumers},
	{"manager/direct_get", managerDirectGet},
	{"manager/pages", managerPages},
	{"manager/pedantic", managerPedantic},
	{"manager/schemas", managerSchemas},
	{"manager/advisory_schemas", managerAdvisories},
}

// schemas checks documents against the published schemas.
type schemas struct{ compiled map[string]*jsonschema.Schema }

// Load lets one schema refer to another by its address.
func (s *schemas) Load(address string) (any, error) {
	_, path, _ := strings.Cut(address, "/schemas/")
	text, err := api.Schema("io.nats." + strings.ReplaceAll(strings.TrimSuffix(path, ".json"), "/", "."))
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

func (s *schemas) check(document []byte, schemaType string) error {
	if s.compiled[schemaType] == nil {
		text, err := api.Schema(schemaType)
		if err != nil {
			return err
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		compiler := jsonschema.NewCompiler()
		compiler.UseLoader(s)
		if err := compiler.AddResource(schemaType+".json", schema); err != nil {
			return err
		}
		compiled, err := compiler.Compile(schemaType + ".json")
		if err != nil {
			return err
		}
		s.compiled[schemaType] = compiled
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return s.compiled[schemaType].Validate(value)
}

// ValidateStruct is what the library asks about each request and answer.
func (s *schemas) ValidateStruct(data any, schemaType string) (bool, []string) {
	text, err := json.Marshal(data)
	if err == nil {
		err = s.check(text, schemaType)
	}
	if err != nil {
		return false, []string{err.Error()}
	}
	return true, nil
}

func newSchemas() *schemas { return &schemas{compiled: map[string]*jsonschema.Schema{}} }

func (t *T) manager(options ...jsm.Option) (*nats.Conn, *jsm.Manager) {
	connection := t.connect("streams", nats.UseOldRequestStyle()) // which its pulls need
	manager, err := jsm.New(connection, append([]jsm.Option{jsm.WithTimeout(patience), jsm.WithAPIValidation(newSchemas())}, options...)...)
	t.must(err, "manager")
	return connection, manager
}

func managerStreams(t *T) {
	nc, mgr := t.manager()
	t.is("is_enabled", mgr.IsJetStreamEnabled())
	level, err := mgr.MetaApiLevel(true)
	t.is("level", err == nil && level >= 1, level, err)
	stream, err := mgr.NewStream("JSM", jsm.Subjects("jsm.>"), jsm.FileStorage(), jsm.MaxMessages(100), jsm.MaxAge(time.Hour), jsm.AllowDirect(),
		jsm.StreamDescription("managed"), jsm.AllowRollup(), jsm.DuplicateWindow(time.Minute), jsm.StreamMetadata(map[string]string{"colour": "green"}))
	t.must(err, "new stream")
	t.is("new", stream.Name() == "JSM" && stream.MaxMsgs() == 100 && stream.Description() == "managed" && stream.DirectAllowed(), stream.Configuration())
	_, err = mgr.NewStream("JSM", jsm.Subjects("other.>"), jsm.FileStorage())
	t.is("new_another", jsm.IsNatsError(err, 10058), err)
	known, err := mgr.IsKnownStream("JSM")
	t.is("is_known", err == nil && known, err)
	known, err = mgr.IsKnownStream("JSMNONE")
	t.is("is_not_known", err == nil && !known, err)
	for i := range 4 {
		msg, err := nc.Request("jsm."+itoa(i%2), []byte(itoa(i)), patience)
		t.must(err, "request")
		ack, err := jsm.ParsePubAck(msg)
		t.is("ack_"+itoa(i), err == nil && ack.Stream == "JSM" && int(ack.Sequence) == i+1, ack, err)
	}
	subjects, err := stream.ContainedSubjects()
	t.is("subjects", err == nil && subjects["jsm.0"] == 2 && subjects["jsm.1"] == 2, subjects, err)
	msg, err := stream.ReadMessage(2)
	t.is("read", err == nil && string(msg.Data) == "1" && msg.Subject == "jsm.1", msg, err)
	msg, err = stream.ReadLastMessageForSubject("jsm.0")
	t.is("read_last", err == nil && msg.Sequence == 3, msg, err)
	t.noError("delete_message", stream.DeleteMessageRequest(api.JSApiMsgDeleteRequest{Seq: 1}))
	t.noError("delete_fast", stream.FastDeleteMessage(2))
	state, err := stream.State(api.JSApiStreamInfoRequest{DeletedDetails: true})
	t.is("state", err == nil && state.Msgs == 2 && state.FirstSeq == 3, state, err)
	purged, err := stream.PurgeExt(&api.JSApiStreamPurgeRequest{Subject: "jsm.1"})
	t.is("purge", err == nil && purged.Purged == 1, purged, err)
	t.noError("update", stream.UpdateConfiguration(stream.Configuration(), jsm.MaxMessages(7)))
	t.equal("is_updated", stream.MaxMsgs(), int64(7))
	names, err := mgr.StreamNames(&jsm.StreamNamesFilter{Subject: "jsm.>"})
	t.is("names", err == nil && len(names) == 1 && names[0] == "JSM", names, err)
	streams, missing, _, err := mgr.Streams(&jsm.StreamNamesFilter{Subject: "jsm.>"})
	t.is("list", err == nil && len(streams) == 1 && len(missing) == 0, err)
	account, err := mgr.JetStreamAccountInfo()
	t.is("account", err == nil && account.Streams >= 1 && account.API.Level == level, account, err)
	t.is("step_down_is_for_clusters", jsm.IsNatsError(stream.LeaderStepDown(), 10010))
	t.noError("delete", stream.Delete())
	_, err = mgr.LoadStream("JSM")
	t.is("deleted", jsm.IsNatsError(err, 10059), err)
}

func managerConsumers(t *T) {
	nc, mgr := t.manager()
	stream, err := mgr.NewStream("JSMCON", jsm.Subjects("jsmcon"), jsm.MemoryStorage())
	t.must(err, "new stream")
	for i := range 5 {
		_, err := nc.Request("jsmcon", []byte(itoa(i)), patience)
		t.must(err, "request")
	}
	consumer, err := stream.NewConsumer(jsm.DurableName("one"), jsm.AcknowledgeExplicit(), jsm.AckWait(time.Second), jsm.MaxDeliveryAttempts(3),
		jsm.ConsumerDescription("managed"), jsm.BackoffIntervals(time.Second, 2*time.Second), jsm.SamplePercent(100))
	t.must(err, "new consumer")
	t.is("new", consumer.Name() == "one" && consumer.IsPullMode() && consumer.IsDurable() && consumer.SampleFrequency() == "100%", consumer.Configuration())
	msg, err := consumer.NextMsg()
	t.must(err, "next")
	t.is("next", string(msg.Data) == "0", msg)
	info, err := jsm.ParseJSMsgMetadata(msg)
	t.is("metadata", err == nil && info.Stream() == "JSMCON" && info.Consumer() == "one" && info.StreamSequence() == 1 && info.Pending() == 4, info, err)
	t.must(msg.AckSync(), "ack")
	state, err := consumer.State()
	t.is("state", err == nil && state.AckFloor.Stream == 1 && state.NumPending == 4, state, err)
	t.noError("update", consumer.UpdateConfiguration(jsm.ConsumerDescription("changed")))
	t.equal("is_updated", consumer.Description(), "changed")
	names, err := stream.ConsumerNames()
	t.is("names", err == nil && len(names) == 1 && names[0] == "one", names, err)
	consumers, _, _, err := mgr.Consumers("JSMCON")
	t.is("list", err == nil && len(consumers) == 1, err)
	paused, err := consumer.Pause(time.Now().Add(time.Hour))
	t.is("pause", err == nil && paused.Paused, paused, err)
	t.noError("resume", consumer.Resume())
	reset, err := consumer.ResetConsumerState(3)
	t.is("reset", err == nil && reset == 3, reset, err)
	msg, err = consumer.NextMsg()
	t.is("next_after_reset", err == nil && string(msg.Data) == "2", msg, err)
	_, err = stream.NewConsumer(jsm.ConsumerName("bad"), jsm.FilterStreamBySubject("jsmcon", "jsmcon"))
	t.is("refused", jsm.IsNatsError(err, 10138) || err != nil, err)
	t.noError("delete", consumer.Delete())
	known, err := mgr.IsKnownConsumer("JSMCON", "one")
	t.is("deleted", err == nil && !known, err)
}

func managerDirectGet(t *T) {
	nc, mgr := t.manager()
	stream, err := mgr.NewStream("JSMDIRECT", jsm.Subjects("jsmdirect.*"), jsm.AllowDirect(), jsm.FileStorage())
	t.must(err, "new stream")
	for i := range 9 {
		_, err := nc.Request("jsmdirect."+itoa(i%3), []byte(itoa(i)), patience)
		t.must(err, "request")
	}
	ask := func(request api.JSApiMsgGetRequest) (got []string) {
		_, _, _, err := stream.DirectGet(t.ctx(), request, func(msg *nats.Msg) { got = append(got, string(msg.Data)) })
		t.must(err, "direct get")
		return got
	}
	t.equal("batch", ask(api.JSApiMsgGetRequest{Seq: 4, Batch: 3, NextFor: ">"}), []string{"3", "4", "5"})
	t.equal("filtered", ask(api.JSApiMsgGetRequest{Seq: 1, Batch: 5, NextFor: "jsmdirect.1"}), []string{"1", "4", "7"})
	t.equal("last_of_several", ask(api.JSApiMsgGetRequest{MultiLastFor: []string{"jsmdirect.0", "jsmdirect.2"}}), []string{"6", "8"})
	t.equal("last_up_to", ask(api.JSApiMsgGetRequest{MultiLastFor: []string{"jsmdirect.*"}, UpToSeq: 5}), []string{"2", "3", "4"})
}

func managerPages(t *T) {
	nc, mgr := t.manager()
	stream, err := mgr.NewStream("JSMPAGE", jsm.Subjects("jsmpage"), jsm.FileStorage())
	t.must(err, "new stream")
	for i := range 12 {
		_, err := nc.Request("jsmpage", []byte(itoa(i)), patience)
		t.must(err, "request")
	}
	pager, err := stream.PageContents(jsm.PagerSize(5), jsm.PagerTimeout(patience))
	t.must(err, "page")
	defer pager.Close()
	got, pages := 0, 0
	for got < 12 {
		_, last, err := pager.NextMsg(t.ctx())
		t.must(err, "next")
		got++
		if last {
			pages++
		}
	}
	t.is("all_in_pages", pages >= 2, pages)
	for _, seq := range []uint64{3, 4, 5, 9} {
		t.must(stream.DeleteMessageRequest(api.JSApiMsgDeleteRequest{Seq: seq}), "delete")
	}
	gaps := 0
	err = stream.DetectGaps(t.ctx(), func(uint64, uint64) {}, func(first, last uint64) { gaps += int(last - first + 1) })
	t.is("gaps", err == nil && gaps == 4, gaps, err)
}

func managerPedantic(t *T) {
	_, mgr := t.manager(jsm.WithPedanticRequests())
	_, err := mgr.NewStream("JSMPED", jsm.Subjects("jsmped"), jsm.FileStorage(), jsm.MaxAge(time.Second), jsm.DuplicateWindow(2*time.Second))
	t.is("says_what_it_would_change", err != nil, err)
	stream, err := mgr.NewStream("JSMPED", jsm.Subjects("jsmped"), jsm.FileStorage(), jsm.ConsumerLimits(api.StreamConsumerLimits{MaxAckPending: 5}))
	t.must(err, "new stream")
	_, err = stream.NewConsumer(jsm.DurableName("one"), jsm.AcknowledgeExplicit())
	t.is("limits_must_be_named", jsm.IsNatsError(err, 10157), err)
	_, err = stream.NewConsumer(jsm.DurableName("one"), jsm.AcknowledgeExplicit(), jsm.MaxAckPending(5))
	t.noError("named_limits", err)
}

// managerSchemas asks every request once, well and badly, and holds the answers as
// they are on the wire against the schema that they name.
func managerSchemas(t *T) {
	nc := t.connect("streams")
	checker := newSchemas()
	for _, c := range []struct{ what, subject, body, schema string }{
		{"account_info", "INFO", "", "account_info"},
		{"stream_create", "STREAM.CREATE.JSMSCHEMA", `{"name":"JSMSCHEMA","subjects":["jsmschema.*"],"retention":"limits","storage":"file","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"num_replicas":1,"allow_direct":true,"republish":{"src":"jsmschema.x","dest":"jsmrepub"},"metadata":{"a":"b"}}`, "stream_create"},
		{"stream_create_refused", "STREAM.CREATE.JSMSCHEMA2", `{"name":"JSMSCHEMA2","subjects":["jsmschema.*"],"retention":"limits","storage":"file","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"num_replicas":1}`, "stream_create"},
		{"stream_update", "STREAM.UPDATE.JSMSCHEMA", `{"name":"JSMSCHEMA","subjects":["jsmschema.*"],"retention":"limits","storage":"file","max_consumers":-1,"max_msgs":50,"max_bytes":-1,"max_age":0,"num_replicas":1,"allow_direct":true}`, "stream_update"},
		{"publish", "", "", "pub_ack"},
		{"stream_info", "STREAM.INFO.JSMSCHEMA", `{"subjects_filter":">","deleted_details":true}`, "stream_info"},
		{"stream_info_refused", "STREAM.INFO.JSMNONE", "", "stream_info"},
		{"mirror_create", "STREAM.CREATE.JSMSCHEMAM", `{"name":"JSMSCHEMAM","retention":"limits","storage":"file","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"num_replicas":1,"mirror":{"name":"JSMSCHEMA"}}`, "stream_create"},
		{"mirror_info", "STREAM.INFO.JSMSCHEMAM", "", "stream_info"},
		{"stream_names", "STREAM.NAMES", `{"subject":"jsmschema.>"}`, "stream_names"},
		{"stream_list", "STREAM.LIST", `{"subject":"jsmschema.>"}`, "stream_list"},
		{"stream_msg_get", "STREAM.MSG.GET.JSMSCHEMA", `{"seq":1}`, "stream_msg_get"},
		{"stream_msg_get_refused", "STREAM.MSG.GET.JSMSCHEMA", `{"seq":99}`, "stream_msg_get"},
		{"consumer_create", "CONSUMER.CREATE.JSMSCHEMA.one", `{"stream_name":"JSMSCHEMA","config":{"name":"one","durable_name":"one","ack_policy":"explicit","deliver_policy":"all","replay_policy":"instant","backoff":[1000000000],"max_deliver":5}}`, "consumer_create"},
		{"consumer_create_refused", "CONSUMER.CREATE.JSMSCHEMA.two", `{"stream_name":"JSMSCHEMA","config":{"name":"two","deliver_policy":"all","ack_policy":"explicit","replay_policy":"instant","filter_subjects":["a",""]}}`, "consumer_create"},
		{"push_consumer_create", "CONSUMER.CREATE.JSMSCHEMA.push", `{"stream_name":"JSMSCHEMA","config":{"name":"push","ack_policy":"none","deliver_policy":"last_per_subject","filter_subject":"jsmschema.x","replay_policy":"instant","deliver_subject":"jsmschema_push","idle_heartbeat":1000000000,"flow_control":true}}`, "consumer_create"},
		{"consumer_info", "CONSUMER.INFO.JSMSCHEMA.one", "", "consumer_info"},
		{"consumer_info_refused", "CONSUMER.INFO.JSMSCHEMA.none", "", "consumer_info"},
		{"consumer_names", "CONSUMER.NAMES.JSMSCHEMA", "", "consumer_names"},
		{"consumer_list", "CONSUMER.LIST.JSMSCHEMA", "", "consumer_list"},
		{"consumer_pause", "CONSUMER.PAUSE.JSMSCHEMA.one", `{"pause_until":"2100-01-01T00:00:00Z"}`, "consumer_pause"},
		{"consumer_resume", "CONSUMER.PAUSE.JSMSCHEMA.one", "", "consumer_pause"},
		{"consumer_reset", "CONSUMER.RESET.JSMSCHEMA.one", "", "consumer_reset"},
		{"consumer_step_down", "CONSUMER.LEADER.STEPDOWN.JSMSCHEMA.one", "", "consumer_leader_stepdown"},
		{"consumer_delete", "CONSUMER.DELETE.JSMSCHEMA.one", "", "consumer_delete"},
		{"consumer_delete_refused", "CONSUMER.DELETE.JSMSCHEMA.one", "", "consumer_delete"},
		{"stream_msg_delete", "STREAM.MSG.DELETE.JSMSCHEMA", `{"seq":1}`, "stream_msg_delete"},
		{"stream_msg_delete_refused", "STREAM.MSG.DELETE.JSMSCHEMA", `{"seq":1}`, "stream_msg_delete"},
		{"stream_purge", "STREAM.PURGE.JSMSCHEMA", "", "stream_purge"},
		{"stream_step_down", "STREAM.LEADER.STEPDOWN.JSMSCHEMA", "", "stream_leader_stepdown"},
		{"stream_peer_remove", "STREAM.PEER.REMOVE.JSMSCHEMA", `{"peer":"x"}`, "stream_remove_peer"},
		{"stream_delete", "STREAM.DELETE.JSMSCHEMA", "", "stream_delete"},
		{"stream_delete_refused", "STREAM.DELETE.JSMSCHEMA", "", "stream_delete"},
	} {
		subject := "$JS.API." + c.subject
		if c.subject == "" {
			subject = "jsmschema.x"
		}
		answer, err := nc.Request(subject, []byte(c.body), patience)
		t.must(err, "request "+c.what)
		schemaType := "io.nats.jetstream.api.v1." + c.schema + "_response"
		if c.subject != "" {
			var envelope struct {
				Type  string         `json:"type"`
				Error map[string]any `json:"error"`
			}
			t.must(json.Unmarshal(answer.Data, &envelope), "parse "+c.what)
			t.equal(c.what+"_type", envelope.Type, schemaType)
			if refusal := strings.HasSuffix(c.what, "_refused") || strings.Contains(c.what, "step_down") || strings.Contains(c.what, "peer_remove"); refusal != (envelope.Error != nil) {
				t.is(c.what+"_outcome", false, string(answer.Data))
			}
		}
		t.noError(c.what+"_schema", checker.check(answer.Data, schemaType))
	}
}

// managerAdvisories holds what the server says by itself against its schemas.
func managerAdvisories(t *T) {
	nc, mgr := t.manager()
	heard := t.subscribe(nc, "$JS.EVENT.>")
	stream, err := mgr.NewStream("JSMADV", jsm.Subjects("jsmadv"), jsm.FileStorage())
	t.must(err, "new stream")
	for range 3 {
		_, err = nc.Request("jsmadv", nil, patience)
		t.must(err, "publish")
	}
	consumer, err := stream.NewConsumer(jsm.DurableName("one"), jsm.AcknowledgeExplicit(), jsm.AckWait(200*time.Millisecond), jsm.MaxDeliveryAttempts(2), jsm.SamplePercent(100))
	t.must(err, "new consumer")
	ctx, cancel := context.WithTimeout(t.ctx(), patience)
	defer cancel()
	for _, verb := range []string{"+ACK", "-NAK", "+TERM"} {
		msg, err := consumer.NextMsgContext(ctx)
		t.must(err, "next")
		t.must(msg.Respond([]byte(verb)), "respond")
	}
	once, err := stream.NewConsumer(jsm.DurableName("once"), jsm.AcknowledgeExplicit(), jsm.AckWait(200*time.Millisecond), jsm.MaxDeliveryAttempts(1))
	t.must(err, "new consumer")
	_, err = once.NextMsgContext(ctx)
	t.must(err, "next")
	wanted := map[string]bool{"advisory.v1.api_audit": false, "advisory.v1.stream_action": false, "advisory.v1.consumer_action": false,
		"advisory.v1.max_deliver": false, "metric.v1.consumer_ack": false, "advisory.v1.consumer_pause": false}
	// The schemas of nak and terminated want a text for consumer_seq, which no server has ever sent.
	checker := newSchemas()
	for left := len(wanted); left > 0; {
		if left == 1 && !wanted["advisory.v1.consumer_pause"] { // a paused consumer gives up on nothing
			_, err = consumer.Pause(time.Now().Add(time.Minute))
			t.must(err, "pause")
		}
		msg := t.next(heard)
		schemaType, err := api.SchemaTypeForMessage(msg.Data)
		t.must(err, "type")
		kind := strings.TrimPrefix(schemaType, "io.nats.jetstream.")
		if done, known := wanted[kind]; known && !done {
			wanted[kind] = true
			left--
			t.noError(strings.ReplaceAll(kind, ".v1.", "_"), checker.check(msg.Data, schemaType))
		}
	}
}
