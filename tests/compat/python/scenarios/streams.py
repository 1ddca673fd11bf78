"""Streams as things: create, update, delete, info, names, lists, and what a configuration may not say."""

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StoreCompression, StreamConfig, SubjectTransform
from nats.js.errors import NotFoundError

from kit import api, scenario, store


@scenario
async def life(t):
    client, js = await t.streams()
    info = await js.add_stream(name="LIFE", subjects=["life.>"], description="of a stream", metadata={"colour": "green"})
    t.equal("create_says_so", info.did_create, True)
    t.equal("keeps_what_was_said", (info.config.name, info.config.subjects, info.config.description),
            ("LIFE", ["life.>"], "of a stream"))
    t.equal("keeps_metadata", info.config.metadata["colour"], "green")
    t.true("adds_what_it_is_made_by", {"_nats.ver", "_nats.level", "_nats.req.level"} <= set(info.config.metadata),
           info.config.metadata)
    t.equal("defaults", (info.config.retention, info.config.storage, info.config.discard, info.config.num_replicas,
                         info.config.max_msgs, info.config.max_bytes, info.config.max_consumers, info.config.max_age),
            ("limits", "file", "old", 1, -1, -1, -1, 0))
    t.equal("duplicate_window_is_two_minutes", info.config.duplicate_window, 120)
    t.equal("is_empty", (info.state.messages, info.state.bytes, info.state.first_seq, info.state.last_seq,
                         info.state.consumer_count), (0, 0, 0, 0, 0))
    again = await js.add_stream(name="LIFE", subjects=["life.>"], description="of a stream", metadata={"colour": "green"})
    t.equal("the_same_again_is_fine", again.created, info.created)
    await t.api_error("another_configuration_is_not", 10058, js.add_stream(name="LIFE", subjects=["life.*"]))
    await store(js, "life.a", "1", "2")
    info = await js.stream_info("LIFE")
    t.equal("state_counts", (info.state.messages, info.state.first_seq, info.state.last_seq), (2, 1, 2))
    t.equal("the_leader_is_the_server", info.cluster.leader, t.contract.server("streams")["name"])
    info = await js.update_stream(name="LIFE", subjects=["life.>", "afterlife"], max_msgs=5)
    t.equal("update_changes", (info.config.subjects, info.config.max_msgs), (["life.>", "afterlife"], 5))
    t.equal("update_forgets_what_is_not_said", info.config.description, None)
    await js.add_consumer("LIFE", durable_name="one")
    t.equal("consumers_are_counted", (await js.stream_info("LIFE")).state.consumer_count, 1)
    t.equal("delete", await js.delete_stream("LIFE"), True)
    await t.api_error("info_of_the_deleted", 10059, js.stream_info("LIFE"))
    await t.api_error("delete_again", 10059, js.delete_stream("LIFE"))
    await t.api_error("update_of_the_deleted", 10059, js.update_stream(name="LIFE", subjects=["life.>"]))
    await t.api_error("consumer_on_the_deleted", 10059, js.add_consumer("LIFE", durable_name="one"))
    await t.raises("publish_finds_nobody", Exception, js.publish("life.a", b"x", timeout=1))
    answer = await api(client, "STREAM.INFO.LIFE")
    t.equal("the_error_as_it_is", (answer["type"], answer["error"]),
            ("io.nats.jetstream.api.v1.stream_info_response",
             {"code": 404, "err_code": 10059, "description": "stream not found"}))


@scenario
async def full_configuration(t):
    _, js = await t.streams()
    config = StreamConfig(
        name="FULL", subjects=["full.*.>"], retention=RetentionPolicy.LIMITS, max_consumers=9, max_msgs=1000,
        max_bytes=1 << 20, discard=DiscardPolicy.NEW, discard_new_per_subject=True, max_age=3600, max_msgs_per_subject=7,
        max_msg_size=4096, storage=StorageType.MEMORY, num_replicas=1, duplicate_window=30, deny_delete=True,
        allow_rollup_hdrs=True, allow_direct=True, first_seq=100, allow_msg_ttl=True,
        subject_transform=SubjectTransform(src="full.*.>", dest="kept.{{wildcard(1)}}.>"), description="all at once")
    made = (await js.add_stream(config)).config
    read = (await js.stream_info("FULL")).config
    for field in ("retention", "max_consumers", "max_msgs", "max_bytes", "discard", "discard_new_per_subject", "max_age",
                  "max_msgs_per_subject", "max_msg_size", "storage", "duplicate_window", "deny_delete",
                  "allow_rollup_hdrs", "allow_direct", "first_seq", "allow_msg_ttl", "subject_transform"):
        wanted = getattr(config, field)
        t.equal(f"has_{field}", (getattr(made, field), getattr(read, field)), (wanted, wanted))
    t.equal("starts_at_the_first_sequence", await store(js, "full.a.b", "x"), [100])
    compressed = await js.add_stream(name="FULLS2", subjects=["fulls2"], compression=StoreCompression.S2)
    t.equal("has_compression", compressed.config.compression, "s2")
    limited = await api(js._nc, "STREAM.CREATE.FULLCL", {"name": "FULLCL", "subjects": ["fullcl"], "retention": "limits",
                        "storage": "file", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
                        "num_replicas": 1, "consumer_limits": {"max_ack_pending": 5, "inactive_threshold": 9_000_000_000}})
    t.equal("has_consumer_limits", limited["config"]["consumer_limits"],
            {"max_ack_pending": 5, "inactive_threshold": 9_000_000_000})
    info = await js.add_consumer("FULLCL", name="inherits")
    t.equal("a_consumer_inherits_them", (info.config.max_ack_pending, info.config.inactive_threshold), (5, 9))
    await t.api_error("and_may_not_exceed_them", 10121, js.add_consumer("FULLCL", name="exceeds", max_ack_pending=6))


@scenario
async def names_and_lists(t):
    client, js = await t.streams()
    names = [f"NAMED{number}" for number in (3, 1, 2)]
    for name in names:
        await js.add_stream(name=name, subjects=[f"named.{name}.*"])
    answer = await api(client, "STREAM.NAMES", {"subject": "named.>"})
    t.equal("names_are_sorted", answer["streams"], sorted(names))
    t.equal("names_say_how_many", (answer["total"], answer["offset"], answer["limit"]), (3, 0, 1024))
    answer = await api(client, "STREAM.NAMES", {"subject": "named.>", "offset": 2})
    t.equal("names_from_an_offset", (answer["streams"], answer["offset"]), (["NAMED3"], 2))
    answer = await api(client, "STREAM.LIST", {"subject": "named.NAMED2.x"})
    t.equal("list_by_a_literal_subject", [entry["config"]["name"] for entry in answer["streams"]], ["NAMED2"])
    t.equal("list_says_how_many", (answer["total"], answer["limit"]), (1, 256))
    answer = await api(client, "STREAM.NAMES", {"subject": "nobody.has.this"})
    t.true("names_may_be_none", not answer["streams"] and answer["total"] == 0, answer)
    listed = [info.config.name for info in await js.streams_info()]
    t.true("list_of_all", set(names) <= set(listed), listed)
    t.equal("found_by_subject", await js.find_stream_name_by_subject("named.NAMED1.here"), "NAMED1")
    await t.raises("not_found_by_subject", NotFoundError, js.find_stream_name_by_subject("nobody.has.this"))


@scenario
async def refused_configurations(t):
    client, js = await t.streams()
    await js.add_stream(name="TAKEN", subjects=["taken.>"])
    await t.api_error("overlap_with_another", 10065, js.add_stream(name="TAKEN2", subjects=["taken.a"]))
    await t.api_error("overlap_of_wildcards", 10065, js.add_stream(name="TAKEN2", subjects=["taken.*"]))
    await js.add_stream(name="TAKEN3", subjects=["taken3"])
    await t.api_error("overlap_by_update", 10065, js.update_stream(name="TAKEN3", subjects=["taken3", "taken.b"]))
    await t.api_error("too_many_replicas", 10074, js.add_stream(name="REPLICAS", subjects=["replicas"], num_replicas=3))
    for what, err_code, text, config in (
        ("young_age", 10052, "max age needs to be >= 100ms", {"max_age": 0.01}),
        ("window_beyond_age", 10052, "duplicates window can not be larger then max age",
         {"max_age": 1, "duplicate_window": 2}),
        ("discard_new_per_subject_needs_new", 10052, "discard new per subject requires discard new policy to be set",
         {"discard_new_per_subject": True}),
        ("discard_new_per_subject_needs_a_limit", 10052, "discard new per subject requires max msgs per subject > 0",
         {"discard_new_per_subject": True, "discard": DiscardPolicy.NEW}),
        ("rollup_needs_purge", 10052, "roll-ups require the purge permission",
         {"allow_rollup_hdrs": True, "deny_purge": True}),
        ("duplicate_subjects", 10052, "overlaps with", {"subjects": ["refused", "refused"]}),
        ("overlap_in_itself", 10052, "overlaps", {"subjects": ["refused.*", "refused.a"]}),
        ("sealed_at_birth", 10052, "stream configuration for create can not be sealed", {"sealed": True}),
        ("all_without_no_ack", 10052, "", {"subjects": [">"]}),
        ("the_api_itself", 10052, "", {"subjects": ["$JS.API.>"]}),
    ):
        error = await t.api_error(what, err_code, js.add_stream(name="REFUSED", **{"subjects": ["refused"], **config}))
        if error is not None and text:
            t.true(f"{what}_says_why", text in error.description, error.description)
    await js.add_stream(name="FIXED", subjects=["fixed"], deny_delete=True, deny_purge=True)
    fixed = {"name": "FIXED", "subjects": ["fixed"], "deny_delete": True, "deny_purge": True}
    for what, text, change in (
        ("storage_stays", "can not change storage type", {"storage": StorageType.MEMORY}),
        ("retention_stays", "can not change retention policy to/from workqueue", {"retention": RetentionPolicy.WORK_QUEUE}),
        ("deny_delete_stays", "can not cancel deny message deletes", {"deny_delete": False}),
        ("deny_purge_stays", "can not cancel deny purge", {"deny_purge": False}),
    ):
        error = await t.api_error(what, 10052, js.update_stream(**{**fixed, **change}))
        if error is not None:
            t.true(f"{what}_says_why", text in error.description, error.description)
    answer = await api(client, "STREAM.CREATE.OTHER", {"name": "REFUSED", "subjects": ["refused"]})
    t.equal("name_and_subject_differ", answer["error"]["err_code"], 10056)
    answer = await api(client, "STREAM.CREATE.REFUSED", {"name": "REFUSED", "subjects": ["refused"], "colour": "green"})
    t.equal("unknown_field", (answer["error"]["err_code"], "colour" in answer["error"]["description"]), (10025, True))
    answer = await api(client, "STREAM.CREATE.REFUSED", {"name": "REFUSED", "retention": "sometimes"})
    t.equal("unknown_retention", answer["error"]["err_code"], 10025)
    answer = await api(client, "STREAM.DELETE.TAKEN", {"name": "TAKEN"})
    t.equal("delete_takes_no_body", answer["error"]["err_code"], 10038)
    answer = await api(client, "STREAM.CREATE.REFUSED", [1])
    t.equal("not_an_object", answer["error"]["err_code"], 10025)


@scenario
async def required_level(t):
    client, _ = await t.streams()
    msg = await client.request("$JS.API.STREAM.NAMES", b"", timeout=5, headers={"Nats-Required-Api-Level": "1"})
    t.true("a_level_it_has", b'"error"' not in msg.data, msg.data)
    msg = await client.request("$JS.API.STREAM.NAMES", b"", timeout=5, headers={"Nats-Required-Api-Level": "99"})
    t.true("a_level_nobody_has", b'"err_code":10185' in msg.data, msg.data)


@scenario
async def sealed(t):
    _, js = await t.streams()
    info = await js.add_stream(name="SEALED", subjects=["sealed"])
    await store(js, "sealed", "a", "b")
    info = await js.update_stream(info.config, sealed=True)
    t.true("sealing_closes_everything", info.config.sealed and info.config.deny_delete and info.config.deny_purge
           and info.config.discard == "new", info.config)
    await t.api_error("no_publish", 10109, js.publish("sealed", b"c"))
    await t.api_error("no_purge", 10109, js.purge_stream("SEALED"))
    await t.api_error("no_delete_of_a_message", 10109, js.delete_msg("SEALED", 1))
    await t.api_error("no_way_back", 10052, js.update_stream(info.config, sealed=False))
    t.equal("reading_works", (await js.get_msg("SEALED", 2)).data, b"b")
    t.equal("may_be_deleted", await js.delete_stream("SEALED"), True)
