"""Consumers as things: create, update, delete, info, lists, where they start, what they filter, pause and reset."""

from datetime import datetime, timedelta, timezone

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, ReplayPolicy, RetentionPolicy

from kit import api, scenario, store, texts


@scenario
async def life(t):
    client, js = await t.streams()
    await js.add_stream(name="CONLIFE", subjects=["conlife.*"])
    await store(js, "conlife.a", "1", "2", "3")
    info = await js.add_consumer("CONLIFE", durable_name="one", description="of a consumer", metadata={"colour": "green"})
    t.equal("create", (info.name, info.stream_name, info.config.durable_name, info.config.description),
            ("one", "CONLIFE", "one", "of a consumer"))
    t.equal("defaults", (info.config.ack_policy, info.config.ack_wait, info.config.max_deliver, info.config.max_ack_pending,
                         info.config.max_waiting, info.config.deliver_policy, info.config.replay_policy),
            ("explicit", 30, -1, 1000, 512, "all", "instant"))
    t.equal("keeps_metadata", info.config.metadata["colour"], "green")
    t.equal("everything_is_pending", (info.num_pending, info.num_ack_pending, info.num_waiting, info.num_redelivered), (3, 0, 0, 0))
    t.equal("nothing_is_delivered", (info.delivered.consumer_seq, info.delivered.stream_seq, info.ack_floor.stream_seq), (0, 0, 0))
    again = await js.add_consumer("CONLIFE", durable_name="one", description="of a consumer", metadata={"colour": "green"})
    t.equal("the_same_again_is_fine", again.created, info.created)
    info = await js.add_consumer("CONLIFE", durable_name="one", description="changed", ack_wait=7, max_ack_pending=9)
    t.equal("create_updates", (info.config.description, info.config.ack_wait, info.config.max_ack_pending), ("changed", 7, 9))
    for what, text, change in (
        ("ack_policy_stays", "ack policy can not be updated", {"ack_policy": AckPolicy.ALL}),
        ("deliver_policy_stays", "deliver policy can not be updated", {"deliver_policy": DeliverPolicy.NEW}),
        ("replay_policy_stays", "replay policy can not be updated", {"replay_policy": ReplayPolicy.ORIGINAL}),
        ("pull_stays_pull", "can not update pull consumer to push based", {"deliver_subject": "conlife_push"}),
        ("max_waiting_stays", "max waiting can not be updated", {"max_waiting": 7}),
    ):
        error = await t.api_error(what, 10012, js.add_consumer("CONLIFE", durable_name="one", **change))
        if error is not None:
            t.equal(f"{what}_says_why", error.description, text)
    await js.add_consumer("CONLIFE", name="two", inactive_threshold=60)
    answer = await api(client, "CONSUMER.NAMES.CONLIFE")
    t.equal("names", (answer["consumers"], answer["total"], answer["limit"]), (["one", "two"], 2, 1024))
    t.equal("list", [entry.name for entry in await js.consumers_info("CONLIFE")], ["one", "two"])
    t.equal("list_from_an_offset", [entry.name for entry in await js.consumers_info("CONLIFE", offset=1)], ["two"])
    t.equal("delete", await js.delete_consumer("CONLIFE", "one"), True)
    await t.api_error("info_of_the_deleted", 10014, js.consumer_info("CONLIFE", "one"))
    await t.api_error("delete_again", 10014, js.delete_consumer("CONLIFE", "one"))
    await t.api_error("info_without_a_stream", 10059, js.consumer_info("NOSTREAM", "one"))


@scenario
async def actions(t):
    client, js = await t.streams()
    await js.add_stream(name="CONACT", subjects=["conact"])

    async def ask(action, **config):
        config = {"durable_name": "one", "ack_policy": "explicit", **config}
        answer = await api(client, "CONSUMER.CREATE.CONACT.one", {"stream_name": "CONACT", "config": config, "action": action})
        return answer.get("error", {}).get("err_code")

    t.equal("update_of_none", await ask("update"), 10149)
    t.equal("create", await ask("create"), None)
    t.equal("create_the_same", await ask("create"), None)
    t.equal("create_another", await ask("create", description="other"), 10148)
    t.equal("update", await ask("update", description="other"), None)
    t.equal("updated", (await js.consumer_info("CONACT", "one")).config.description, "other")


@scenario
async def refused_configurations(t):
    client, js = await t.streams()
    await js.add_stream(name="CONBAD", subjects=["conbad.>"])
    push = {"deliver_subject": "conbad_push"}
    for what, err_code, config in (
        ("two_kinds_of_filter", 10136, {"filter_subject": "conbad.a", "filter_subjects": ["conbad.b"]}),
        ("overlapping_filters", 10138, {"filter_subjects": ["conbad.*", "conbad.a"]}),
        ("an_empty_filter", 10139, {"filter_subjects": ["conbad.a", ""]}),
        ("start_sequence_without_its_policy", 10094, {"opt_start_seq": 1}),
        ("policy_without_its_start_sequence", 10094, {"deliver_policy": "by_start_sequence"}),
        ("policy_without_its_start_time", 10094, {"deliver_policy": "by_start_time"}),
        ("backoff_longer_than_deliveries", 10116, {"max_deliver": 1, "backoff": [1, 2]}),
        ("heartbeat_on_pull", 10088, {"idle_heartbeat": 1_000_000_000}),
        ("rate_on_pull", 10086, {"rate_limit_bps": 1000}),
        ("flow_control_on_pull", 10089, {"flow_control": True}),
        ("max_waiting_on_push", 10080, {"max_waiting": 1, **push}),
        ("flow_control_without_heartbeat", 10108, {"flow_control": True, **push}),
        ("a_hurried_heartbeat", 10083, {"idle_heartbeat": 1_000_000, **push}),
        ("a_wildcard_to_deliver_to", 10079, {"deliver_subject": "conbad_push.*"}),
        ("delivery_into_the_stream", 10081, {"deliver_subject": "conbad.cycle"}),
        ("a_nonsense_sample", 10095, {"sample_freq": "some"}),
        ("a_group_without_a_policy", 10196, {"priority_groups": ["a"]}),
        ("a_policy_without_a_group", 10159, {"priority_policy": "overflow"}),
        ("an_unknown_ack_policy", 10025, {"ack_policy": "sometimes"}),
        ("an_unknown_field", 10025, {"colour": "green"}),
    ):
        config = {"name": "bad", "ack_policy": "explicit", **config}
        answer = await api(client, "CONSUMER.CREATE.CONBAD.bad", {"stream_name": "CONBAD", "config": config})
        t.equal(what, answer.get("error", {}).get("err_code"), err_code)
    answer = await api(client, "CONSUMER.CREATE.CONBAD.bad", {"stream_name": "OTHER", "config": {"name": "bad"}})
    t.equal("another_stream_in_the_body", answer["error"]["err_code"], 10056)
    answer = await api(client, "CONSUMER.CREATE.CONBAD.bad.conbad.a", {
        "stream_name": "CONBAD", "config": {"name": "bad", "filter_subject": "conbad.b"}})
    t.equal("another_filter_in_the_body", answer["error"]["err_code"], 10131)
    answer = await api(client, "CONSUMER.DURABLE.CREATE.CONBAD.bad", {"stream_name": "CONBAD", "config": {"durable_name": "other"}})
    t.equal("another_name_in_the_body", answer["error"]["err_code"], 10017)
    answer = await api(client, "CONSUMER.DURABLE.CREATE.CONBAD.bad", {"stream_name": "CONBAD", "config": {}})
    t.equal("a_durable_without_a_name", answer["error"]["err_code"], 10018)
    t.equal("none_was_made", await js.consumers_info("CONBAD"), [])


@scenario
async def deliver_policies(t):
    _, js = await t.streams()
    await js.add_stream(name="CONDEL", subjects=["condel.*"])
    for subject, payload in ("a", "1"), ("b", "2"), ("a", "3"):
        await store(js, f"condel.{subject}", payload)
    middle = (await js.get_msg("CONDEL", 3)).time
    await store(js, "condel.c", "4")

    async def sees(count, **config):
        made = await js.add_consumer("CONDEL", inactive_threshold=60, **config)
        sub = await js.pull_subscribe_bind(consumer=made.name, stream="CONDEL")
        return texts(await sub.fetch(count, timeout=1)), (await sub.consumer_info()).num_pending

    t.equal("all", await sees(4), (["1", "2", "3", "4"], 0))
    t.equal("last", await sees(1, deliver_policy=DeliverPolicy.LAST), (["4"], 0))
    t.equal("last_of_a_filter", await sees(1, deliver_policy=DeliverPolicy.LAST, filter_subject="condel.a"), (["3"], 0))
    t.equal("by_sequence", await sees(3, deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=2), (["2", "3", "4"], 0))
    t.equal("by_time", await sees(2, deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=middle), (["3", "4"], 0))
    t.equal("last_per_subject", await sees(3, deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=">"), (["2", "3", "4"], 0))
    sub = await js.pull_subscribe("", stream="CONDEL", config=ConsumerConfig(inactive_threshold=60, deliver_policy=DeliverPolicy.NEW))
    t.equal("new_has_nothing_pending", (await sub.consumer_info()).num_pending, 0)
    await store(js, "condel.a", "5")
    t.equal("new", texts(await sub.fetch(1, timeout=5)), ["5"])
    past = datetime.now(timezone.utc) - timedelta(hours=1)
    t.equal("by_a_time_before_all", (await sees(5, deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=past))[0], list("12345"))


@scenario
async def filters(t):
    _, js = await t.streams()
    await js.add_stream(name="CONFIL", subjects=["confil.>"])
    for subject, payload in ("a.x", "1"), ("b.x", "2"), ("c.x", "3"), ("a.y", "4"), ("b.y", "5"):
        await store(js, f"confil.{subject}", payload)
    one = await js.add_consumer("CONFIL", name="one", durable_name="one", filter_subject="confil.a.*")
    t.equal("one_pending", one.num_pending, 2)
    sub = await js.pull_subscribe_bind(durable="one", stream="CONFIL")
    t.equal("one", texts(await sub.fetch(2, timeout=5)), ["1", "4"])
    many = await js.add_consumer("CONFIL", durable_name="many", filter_subjects=["confil.a.x", "confil.b.>"])
    t.equal("many_pending", many.num_pending, 3)
    sub = await js.pull_subscribe_bind(durable="many", stream="CONFIL")
    t.equal("many", texts(await sub.fetch(3, timeout=5)), ["1", "2", "5"])
    changed = await js.add_consumer("CONFIL", durable_name="many", filter_subjects=["confil.c.*"])
    t.equal("may_change", (changed.config.filter_subjects, changed.config.filter_subject), (["confil.c.*"], None))
    last = await js.add_consumer("CONFIL", durable_name="last", filter_subjects=["confil.a.*", "confil.b.*"],
                                 deliver_policy=DeliverPolicy.LAST_PER_SUBJECT)
    t.equal("last_per_subject_of_many_pending", last.num_pending, 4)


@scenario
async def headers_only(t):
    _, js = await t.streams()
    await js.add_stream(name="CONHEAD", subjects=["conhead"])
    await store(js, "conhead", "12345", headers={"Colour": "green"})
    sub = await js.pull_subscribe("conhead", durable="bare", stream="CONHEAD", config=ConsumerConfig(headers_only=True))
    msg = (await sub.fetch(1, timeout=5))[0]
    t.equal("no_payload_but_its_size", (msg.data, msg.headers["Nats-Msg-Size"], msg.headers["Colour"]), (b"", "5", "green"))


@scenario
async def pause(t):
    client, js = await t.streams()
    await js.add_stream(name="CONPAUSE", subjects=["conpause"])
    sub = await js.pull_subscribe("conpause", durable="sleepy", stream="CONPAUSE")
    until = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    answer = await js.pause_consumer("CONPAUSE", "sleepy", until)
    t.equal("is_paused", answer.paused, True)
    info = await api(client, "CONSUMER.INFO.CONPAUSE.sleepy")
    t.true("info_says_so", info["paused"] and 3500e9 < info["pause_remaining"] <= 3600e9, info)
    await store(js, "conpause", "1")
    await t.raises("nothing_comes", Exception, sub.fetch(1, timeout=0.3))
    answer = await js.resume_consumer("CONPAUSE", "sleepy")
    t.equal("is_resumed", answer.paused, False)
    t.equal("it_comes_now", texts(await sub.fetch(1, timeout=5)), ["1"])
    await t.api_error("pause_of_nobody", 10014, js.pause_consumer("CONPAUSE", "nobody", until))
    soon = (datetime.now(timezone.utc) + timedelta(seconds=0.5)).isoformat().replace("+00:00", "Z")
    await store(js, "conpause", "2")
    await js.pause_consumer("CONPAUSE", "sleepy", soon)
    t.equal("a_pause_ends_by_itself", texts(await sub.fetch(1, timeout=5)), ["2"])


@scenario
async def reset(t):
    _, js = await t.streams()
    await js.add_stream(name="CONRESET", subjects=["conreset"])
    await store(js, "conreset", "1", "2", "3")
    sub = await js.pull_subscribe("conreset", durable="again", stream="CONRESET")
    for msg in await sub.fetch(3, timeout=5):
        await msg.ack_sync(5)
    done = await js.reset_consumer("CONRESET", "again", seq=2)
    t.equal("to_a_sequence", (done.reset_seq, done.info.num_pending), (2, 2))
    msgs = await sub.fetch(2, timeout=5)
    t.equal("delivers_again", (texts(msgs), msgs[0].metadata.sequence.consumer), (["2", "3"], 1))
    await msgs[0].ack_sync(5)
    done = await js.reset_consumer("CONRESET", "again")
    t.equal("to_the_floor", done.reset_seq, 3)


@scenario
async def inactivity(t):
    client, js = await t.streams()
    await js.add_stream(name="CONIDLE", subjects=["conidle"])
    await js.add_consumer("CONIDLE", name="pull", inactive_threshold=0.2)
    await js.add_consumer("CONIDLE", name="push", deliver_subject="conidle_nobody", inactive_threshold=0.2)
    await js.add_consumer("CONIDLE", durable_name="durable")
    await js.add_consumer("CONIDLE", durable_name="durableidle", inactive_threshold=0.2)
    sub = await client.subscribe("conidle_somebody")
    await t.flush(client)
    await js.add_consumer("CONIDLE", name="listened", deliver_subject=sub.subject, inactive_threshold=0.2)
    left = []

    async def gone():
        left[:] = sorted(entry.name for entry in await js.consumers_info("CONIDLE"))
        return len(left) <= 2

    await t.until_asked("the idle ones go", gone)
    t.equal("the_used_and_the_durable_stay", left, ["durable", "listened"])
    await sub.unsubscribe()

    async def gone_too():
        return [entry.name for entry in await js.consumers_info("CONIDLE")] == ["durable"]

    await t.until_asked("nobody listens any more", gone_too)
    t.true("without_a_listener_it_goes", True)


@scenario
async def ephemeral_names(t):
    _, js = await t.streams()
    await js.add_stream(name="CONEPH", subjects=["coneph"], retention=RetentionPolicy.LIMITS)
    info = await js.add_consumer("CONEPH", ack_policy=AckPolicy.EXPLICIT)
    t.true("the_server_finds_one", len(info.name) == 8 and info.config.durable_name is None, info)
    t.equal("lives_five_seconds", info.config.inactive_threshold, 5)
    named = await js.add_consumer("CONEPH", name="called")
    t.equal("or_takes_one", (named.name, named.config.name, named.config.durable_name), ("called", "called", None))
