// Streams and key-value buckets as the library offers them.

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jsCtx *context(natsConnection *nc) {
    jsCtx *js = NULL;
    must(natsConnection_JetStream(&js, nc, NULL), "JetStream context");
    return js;
}

static void add_stream(jsCtx *js, const char *name, const char *subject) {
    jsStreamConfig cfg;
    jsErrCode code = 0;
    jsStreamConfig_Init(&cfg);
    cfg.Name = name;
    cfg.Subjects = &subject;
    cfg.SubjectsLen = 1;
    must(js_AddStream(NULL, js, &cfg, NULL, &code), "add stream");
}

static uint64_t put(jsCtx *js, const char *subject, const char *text) {
    jsPubAck *ack = NULL;
    must(js_Publish(&ack, js, subject, text, (int)strlen(text), NULL, NULL), "publish");
    uint64_t seq = ack->Sequence;
    jsPubAck_Destroy(ack);
    return seq;
}

static void life(void) {
    natsConnection *nc = join("streams", options(NULL));
    jsCtx *js = context(nc);
    jsStreamConfig cfg;
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    const char *subjects[] = {"clife.*", "clives"};
    jsStreamConfig_Init(&cfg);
    cfg.Name = "CLIFE";
    cfg.Subjects = subjects;
    cfg.SubjectsLen = 2;
    cfg.MaxMsgs = 10;
    status_is("add", js_AddStream(&info, js, &cfg, NULL, &code), NATS_OK);
    is("configuration", info != NULL && info->Config->MaxMsgs == 10 && info->Config->SubjectsLen == 2 && info->Config->Replicas == 1, "another");
    jsStreamInfo_Destroy(info);
    cfg.SubjectsLen = 1;
    js_AddStream(NULL, js, &cfg, NULL, &code);
    number_is("add_another", code, 10058);
    cfg.MaxMsgs = 2;
    status_is("update", js_UpdateStream(NULL, js, &cfg, NULL, &code), NATS_OK);
    for (int i = 0; i < 3; i++)
        number_is(i == 0 ? "first" : i == 1 ? "second" : "third", (long long)put(js, "clife.a", "x"), i + 1);
    must(js_GetStreamInfo(&info, js, "CLIFE", NULL, &code), "info");
    is("state", info->State.Msgs == 2 && info->State.FirstSeq == 2 && info->State.LastSeq == 3, "%llu messages", (unsigned long long)info->State.Msgs);
    jsStreamInfo_Destroy(info);
    status_is("purge", js_PurgeStream(js, "CLIFE", NULL, &code), NATS_OK);
    status_is("delete", js_DeleteStream(js, "CLIFE", NULL, &code), NATS_OK);
    js_GetStreamInfo(&info, js, "CLIFE", NULL, &code);
    number_is("deleted", code, 10059);
    jsAccountInfo *account = NULL;
    status_is("account", js_GetAccountInfo(&account, js, NULL, &code), NATS_OK);
    is("account_counts", account != NULL && account->API.Total > 0 && account->API.Errors > 0, "nothing");
    jsAccountInfo_Destroy(account);
    jsCtx_Destroy(js);
}

static void publish(void) {
    natsConnection *nc = join("streams", options(NULL));
    jsCtx *js = context(nc);
    add_stream(js, "CPUB", "cpub.*");
    jsPubOptions opts;
    jsPubAck *ack = NULL;
    jsErrCode code = 0;
    jsPubOptions_Init(&opts);
    opts.MsgId = "one";
    must(js_Publish(&ack, js, "cpub.a", "1", 1, &opts, NULL), "publish");
    is("new", !ack->Duplicate && ack->Sequence == 1 && strcmp(ack->Stream, "CPUB") == 0, "%s", ack->Stream);
    jsPubAck_Destroy(ack);
    must(js_Publish(&ack, js, "cpub.a", "1", 1, &opts, NULL), "publish");
    is("duplicate", ack->Duplicate && ack->Sequence == 1, "it is new");
    jsPubAck_Destroy(ack);
    struct {
        const char *what, *stream, *id;
        uint64_t seq, subject_seq;
        int code;
    } wrong[] = {{"wrong_stream", "OTHER", NULL, 0, 0, 10060}, {"wrong_id", NULL, "two", 0, 0, 10070},
                 {"wrong_sequence", NULL, NULL, 9, 0, 10071}, {"wrong_subject_sequence", NULL, NULL, 0, 9, 10071}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        jsPubOptions_Init(&opts);
        opts.ExpectStream = wrong[i].stream;
        opts.ExpectLastMsgId = wrong[i].id;
        opts.ExpectLastSeq = wrong[i].seq;
        opts.ExpectLastSubjectSeq = wrong[i].subject_seq;
        js_Publish(NULL, js, "cpub.a", "x", 1, &opts, &code);
        number_is(wrong[i].what, code, wrong[i].code);
    }
    for (int i = 0; i < 200; i++)
        must(js_PublishAsync(js, "cpub.b", "x", 1, NULL), "publish");
    jsPubOptions_Init(&opts);
    opts.MaxWait = PATIENCE_MS;
    status_is("asynchronously", js_PublishAsyncComplete(js, &opts), NATS_OK);
    natsMsg *msg = NULL;
    must(js_GetLastMsg(&msg, js, "CPUB", "cpub.b", NULL, NULL), "last message");
    number_is("all_are_stored", (long long)natsMsg_GetSequence(msg), 201);
    natsMsg_Destroy(msg);
    must(js_GetMsg(&msg, js, "CPUB", 1, NULL, NULL), "message");
    text_is("get", natsMsg_GetSubject(msg), "cpub.a");
    natsMsg_Destroy(msg);
    status_is("erase", js_EraseMsg(js, "CPUB", 1, NULL, &code), NATS_OK);
    js_GetMsg(&msg, js, "CPUB", 1, NULL, &code);
    number_is("is_gone", code, 10037);
    jsCtx_Destroy(js);
}

static void pull(void) {
    natsConnection *nc = join("streams", options(NULL));
    jsCtx *js = context(nc);
    add_stream(js, "CPULL", "cpull");
    for (int i = 0; i < 3; i++)
        put(js, "cpull", "x");
    natsSubscription *sub = NULL;
    natsMsgList list = {0};
    must(js_PullSubscribe(&sub, js, "cpull", "one", NULL, NULL, NULL), "pull subscribe");
    must(natsSubscription_Fetch(&list, sub, 2, PATIENCE_MS, NULL), "fetch");
    number_is("fetch", list.Count, 2);
    jsMsgMetaData *meta = NULL;
    must(natsMsg_GetMetaData(&meta, list.Msgs[1]), "metadata");
    is("metadata", meta->Sequence.Stream == 2 && meta->NumPending == 1 && meta->NumDelivered == 1 && strcmp(meta->Consumer, "one") == 0, "%s", meta->Consumer);
    jsMsgMetaData_Destroy(meta);
    status_is("ack_sync", natsMsg_AckSync(list.Msgs[0], NULL, NULL), NATS_OK);
    status_is("nak", natsMsg_Nak(list.Msgs[1], NULL), NATS_OK);
    natsMsgList_Destroy(&list);
    // A batch ends with what is there: the rest and the refused message come in one or two.
    for (int left = 2; left > 0;) {
        must(natsSubscription_Fetch(&list, sub, left, PATIENCE_MS, NULL), "fetch");
        for (int i = 0; i < list.Count; i++)
            must(natsMsg_AckSync(list.Msgs[i], NULL, NULL), "ack");
        left -= list.Count;
        natsMsgList_Destroy(&list);
    }
    status_is("nothing_more", natsSubscription_Fetch(&list, sub, 1, 100, NULL), NATS_TIMEOUT);
    jsConsumerInfo *info = NULL;
    must(js_GetConsumerInfo(&info, js, "CPULL", "one", NULL, NULL), "info");
    is("info", info->AckFloor.Stream == 3 && info->NumAckPending == 0 && info->NumPending == 0, "floor %llu", (unsigned long long)info->AckFloor.Stream);
    jsConsumerInfo_Destroy(info);
    natsSubscription_Destroy(sub);
    jsErrCode code = 0;
    must(js_DeleteConsumer(js, "CPULL", "one", NULL, &code), "delete");
    js_GetConsumerInfo(&info, js, "CPULL", "one", NULL, &code);
    number_is("deleted", code, 10014);
    jsCtx_Destroy(js);
}

static void push(void) {
    natsConnection *nc = join("streams", options(NULL));
    jsCtx *js = context(nc);
    add_stream(js, "CPUSH", "cpush.*");
    for (int i = 0; i < 20; i++)
        put(js, "cpush.a", i == 19 ? "end" : "x");
    natsSubscription *sub = NULL;
    jsSubOptions opts;
    jsSubOptions_Init(&opts);
    opts.Ordered = true;
    must(js_SubscribeSync(&sub, js, "cpush.a", NULL, &opts, NULL), "subscribe");
    number_is("ordered", (long long)strlen(texts(sub)), 37);
    natsSubscription_Destroy(sub);
    jsSubOptions_Init(&opts);
    opts.Stream = "CPUSH";
    opts.Config.Durable = "one";
    opts.Config.DeliverPolicy = js_DeliverLast;
    opts.Config.AckWait = 300LL * 1000 * 1000;
    opts.ManualAck = true;
    must(js_SubscribeSync(&sub, js, "cpush.a", NULL, &opts, NULL), "subscribe");
    text_is("last", data(next(sub)), "end");
    natsMsg *again = next(sub);
    jsMsgMetaData *meta = NULL;
    must(natsMsg_GetMetaData(&meta, again), "metadata");
    number_is("again_after_the_ack_wait", (long long)meta->NumDelivered, 2);
    jsMsgMetaData_Destroy(meta);
    status_is("ack", natsMsg_AckSync(again, NULL, NULL), NATS_OK);
    natsSubscription_Destroy(sub);
    jsCtx_Destroy(js);
}

static void key_value(void) {
    natsConnection *nc = join("streams", options(NULL));
    jsCtx *js = context(nc);
    kvConfig cfg;
    kvStore *kv = NULL;
    kvEntry *entry = NULL;
    uint64_t revision = 0;
    kvConfig_Init(&cfg);
    cfg.Bucket = "CKV";
    cfg.History = 3;
    must(js_CreateKeyValue(&kv, js, &cfg), "create bucket");
    must(kvStore_PutString(&revision, kv, "a", "1"), "put");
    number_is("put", (long long)revision, 1);
    must(kvStore_Get(&entry, kv, "a"), "get");
    text_is("get", kvEntry_ValueString(entry), "1");
    kvEntry_Destroy(entry);
    is("create_again", kvStore_CreateString(&revision, kv, "a", "2") != NATS_OK, "was made");
    is("update_of_an_old_revision", kvStore_UpdateString(&revision, kv, "a", "2", 7) != NATS_OK, "was made");
    status_is("update", kvStore_UpdateString(&revision, kv, "a", "2", 1), NATS_OK);
    status_is("create", kvStore_CreateString(&revision, kv, "b", "3"), NATS_OK);
    must(kvStore_GetRevision(&entry, kv, "a", 1), "revision");
    text_is("revision", kvEntry_ValueString(entry), "1");
    kvEntry_Destroy(entry);
    status_is("delete", kvStore_Delete(kv, "b"), NATS_OK);
    status_is("deleted", kvStore_Get(&entry, kv, "b"), NATS_NOT_FOUND);
    status_is("create_after_delete", kvStore_CreateString(&revision, kv, "b", "4"), NATS_OK);
    kvKeysList keys = {0};
    must(kvStore_Keys(&keys, kv, NULL), "keys");
    number_is("keys", keys.Count, 2);
    kvKeysList_Destroy(&keys);
    kvEntryList history = {0};
    must(kvStore_History(&history, kv, "b", NULL), "history");
    is("history", history.Count == 3 && kvEntry_Operation(history.Entries[1]) == kvOp_Delete, "%d entries", history.Count);
    kvEntryList_Destroy(&history);
    kvWatcher *watcher = NULL;
    must(kvStore_WatchAll(&watcher, kv, NULL), "watch");
    int initial = 0;
    for (;; initial++) {
        must(kvWatcher_Next(&entry, watcher, PATIENCE_MS), "next update");
        if (entry == NULL)
            break;
        kvEntry_Destroy(entry);
    }
    number_is("watch", initial, 2);
    must(kvStore_Purge(kv, "a", NULL), "purge");
    must(kvWatcher_Next(&entry, watcher, PATIENCE_MS), "next update");
    is("watch_follows", entry != NULL && kvEntry_Operation(entry) == kvOp_Purge && strcmp(kvEntry_Key(entry), "a") == 0, "another");
    kvEntry_Destroy(entry);
    kvWatcher_Destroy(watcher);
    kvStatus *status = NULL;
    must(kvStore_Status(&status, kv), "status");
    is("status", kvStatus_History(status) == 3 && kvStatus_Values(status) == 4, "%llu values", (unsigned long long)kvStatus_Values(status));
    kvStatus_Destroy(status);
    kvStore_Destroy(kv);
    status_is("delete_bucket", js_DeleteKeyValue(js, "CKV"), NATS_OK);
    status_is("deleted_bucket", js_KeyValue(&kv, js, "CKV"), NATS_NOT_FOUND);
    jsCtx_Destroy(js);
}

static void over(const char *how, const char *stream, const char *subject) {
    watch *w = new_watch();
    natsConnection *nc = join("streams_restart", reconnecting(w));
    jsCtx *js = context(nc);
    char path[64];
    add_stream(js, stream, subject);
    put(js, subject, "1");
    put(js, subject, "2");
    snprintf(path, sizeof path, "/%s/streams_restart", how);
    control(path);
    eventually("reconnects", was_reconnected, w);
    natsMsg *msg = NULL;
    must(js_GetLastMsg(&msg, js, stream, subject, NULL, NULL), "last message");
    text_is("messages_stay", data(msg), "2");
    number_is("the_next_sequence", (long long)put(js, subject, "3"), 3);
    jsCtx_Destroy(js);
}

static void killed(void) { over("restart", "CKILLED", "ckilled"); }
static void asked_to_stop(void) { over("relaunch", "CASKED", "casked"); }

const scenario stream_scenarios[] = {
    {"streams/life", life},     {"streams/publish", publish},     {"streams/pull", pull},
    {"streams/push", push},     {"streams/key_value", key_value}, {"persistence/killed", killed},
    {"persistence/asked_to_stop", asked_to_stop}, {NULL, NULL},
};
