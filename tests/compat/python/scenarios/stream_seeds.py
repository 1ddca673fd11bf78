"""The flows by which people get to know streams, each under the name introductions give it."""

import asyncio
import contextlib

from nats import errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy

from kit import scenario, store, texts


@scenario
async def a_stream_replays_to_latecomers(t):
    client, js = await t.streams()
    await js.add_stream(name="SEEDUSERS", subjects=["seeduser.*.add", "seeduser.*.delete"])
    await js.publish("seeduser.alice.add", b"Alice added")
    await client.publish("seeduser.bob.add", b"Bob added too")  # a plain publish is stored just as well
    await t.flush(client)
    await js.publish("seeduser.clayton.delete", b"Clayton deleted")
    sub = await js.subscribe("seeduser.>", stream="SEEDUSERS", ordered_consumer=True)
    seen = [(await sub.next_msg(5)).data.decode() for _ in range(3)]
    t.equal("everything_from_the_beginning", seen, ["Alice added", "Bob added too", "Clayton deleted"])
    last = await js.subscribe("seeduser.>", stream="SEEDUSERS", ordered_consumer=True, deliver_policy=DeliverPolicy.LAST)
    t.equal("only_the_last", (await last.next_msg(5)).data, b"Clayton deleted")
    new = await js.subscribe("seeduser.>", stream="SEEDUSERS", ordered_consumer=True, deliver_policy=DeliverPolicy.NEW)
    await js.publish("seeduser.dora.add", b"Dora added")
    t.equal("only_what_is_new", (await new.next_msg(5)).data, b"Dora added")


@scenario
async def limits_stream(t):
    _, js = await t.streams()
    await js.add_stream(name="SEEDEVENTS", subjects=["seedevents.>"])
    await store(js, "seedevents.page_loaded", *"123")
    await store(js, "seedevents.mouse_clicked", *"456")
    futures = [await js.publish_async("seedevents.input_focused", b"x") for _ in range(4)]
    acks = [await asyncio.wait_for(future, 5) for future in futures]
    t.equal("asynchronous_publishes_are_acknowledged", [ack.seq for ack in acks], [7, 8, 9, 10])
    state = (await js.stream_info("SEEDEVENTS")).state
    t.equal("all_are_stored", (state.messages, state.first_seq, state.last_seq), (10, 1, 10))
    state = (await js.update_stream(name="SEEDEVENTS", subjects=["seedevents.>"], max_msgs=6)).state
    state = (await js.stream_info("SEEDEVENTS")).state
    t.equal("fewer_messages_after_an_update", (state.messages, state.first_seq), (6, 5))
    one = state.bytes // state.messages
    await js.update_stream(name="SEEDEVENTS", subjects=["seedevents.>"], max_msgs=6, max_bytes=3 * one + one // 2)
    state = (await js.stream_info("SEEDEVENTS")).state
    t.true("fewer_bytes_after_an_update", state.messages <= 3 and state.last_seq == 10, state)
    await js.update_stream(name="SEEDEVENTS", subjects=["seedevents.>"], max_msgs=6, max_age=0.2, duplicate_window=0.2)

    async def empty():
        return (await js.stream_info("SEEDEVENTS")).state.messages == 0

    await t.until_asked("age takes the rest", empty)
    state = (await js.stream_info("SEEDEVENTS")).state
    t.equal("nothing_left_after_the_age", (state.messages, state.first_seq, state.last_seq), (0, 11, 10))


@scenario
async def interest_stream(t):
    _, js = await t.streams()
    await js.add_stream(name="SEEDINTEREST", subjects=["seedinterest.>"], retention=RetentionPolicy.INTEREST)
    ack = await js.publish("seedinterest.a", b"nobody")
    state = (await js.stream_info("SEEDINTEREST")).state
    t.equal("without_interest_nothing_is_kept", (ack.seq, state.messages), (1, 0))
    first = await js.pull_subscribe("", durable="first", stream="SEEDINTEREST")
    second = await js.pull_subscribe("", durable="second", stream="SEEDINTEREST")
    await store(js, "seedinterest.b", "x", "y")
    for msg in await first.fetch(2, timeout=5):
        await msg.ack_sync(5)
    t.equal("kept_while_one_waits", (await js.stream_info("SEEDINTEREST")).state.messages, 2)
    msgs = await second.fetch(2, timeout=5)
    await msgs[0].ack_sync(5)
    t.equal("gone_when_all_have_it", (await js.stream_info("SEEDINTEREST")).state.messages, 1)
    await msgs[1].term()

    async def empty():
        return (await js.stream_info("SEEDINTEREST")).state.messages == 0

    await t.until_asked("a terminated message is gone", empty)
    await js.publish("seedinterest.c", b"z")
    await js.delete_consumer("SEEDINTEREST", "first")
    await js.delete_consumer("SEEDINTEREST", "second")
    await t.until_asked("no consumer, no interest", empty)
    t.true("interest_ends_with_the_consumers", True)


@scenario
async def workqueue_stream(t):
    _, js = await t.streams()
    await js.add_stream(name="SEEDWORK", subjects=["seedwork.>"], retention=RetentionPolicy.WORK_QUEUE)
    await store(js, "seedwork.us.page", "1", "2")
    await store(js, "seedwork.eu.page", "3")
    worker = await js.pull_subscribe("", durable="worker", stream="SEEDWORK")
    for msg in await worker.fetch(3, timeout=5):
        await msg.ack_sync(5)
    t.equal("done_work_is_gone", (await js.stream_info("SEEDWORK")).state.messages, 0)
    await t.api_error("a_second_unfiltered_consumer", 10099, js.add_consumer("SEEDWORK", durable_name="other"))
    await js.delete_consumer("SEEDWORK", "worker")
    await js.add_consumer("SEEDWORK", durable_name="us", filter_subject="seedwork.us.>")
    await t.api_error("an_overlapping_filter", 10100,
                      js.add_consumer("SEEDWORK", durable_name="also", filter_subject="seedwork.*.page"))
    await js.add_consumer("SEEDWORK", durable_name="eu", filter_subject="seedwork.eu.>")
    await store(js, "seedwork.us.page", "4")
    await store(js, "seedwork.eu.page", "5")
    us = await js.pull_subscribe_bind(durable="us", stream="SEEDWORK")
    eu = await js.pull_subscribe_bind(durable="eu", stream="SEEDWORK")
    seen = texts(await us.fetch(1, timeout=5)) + texts(await eu.fetch(1, timeout=5))
    t.equal("each_region_has_its_own", seen, ["4", "5"])
    await t.api_error("acknowledgement_is_a_must", 10098,
                      js.add_consumer("SEEDWORK", name="none", filter_subject="seedwork.asia.>", deliver_subject="seedw.none",
                                      ack_policy=AckPolicy.NONE))
    await t.api_error("from_the_beginning_is_a_must", 10101,
                      js.add_consumer("SEEDWORK", name="new", filter_subject="seedwork.asia.>",
                                      deliver_policy=DeliverPolicy.NEW))


@scenario
async def shared_durable(t):
    _, js = await t.streams()
    _, other = await t.streams()
    await js.add_stream(name="SEEDSHARED", subjects=["seedshared"])
    await store(js, "seedshared", *(str(number) for number in range(10)))
    one = await js.pull_subscribe("seedshared", durable="processor", stream="SEEDSHARED")
    two = await other.pull_subscribe("seedshared", durable="processor", stream="SEEDSHARED")
    first, second = texts(await one.fetch(5, timeout=5)), texts(await two.fetch(5, timeout=5))
    t.equal("each_gets_its_part", sorted(map(int, first + second)), list(range(10)))
    t.true("nobody_gets_all", len(first) == 5 and len(second) == 5, (first, second))


@scenario
async def queue_push_consumer(t):
    client, js = await t.streams()
    await js.add_stream(name="SEEDQUEUE", subjects=["seedqueue"])
    seen = [[], []]

    def keep(index):
        async def callback(msg):
            seen[index].append(msg.data.decode())
        return callback

    for index in range(2):
        await js.subscribe("seedqueue", queue="workers", durable="workers", cb=keep(index))
    await t.flush(client)
    await store(js, "seedqueue", *(str(number) for number in range(40)))
    await t.becomes("members_share_the_messages", lambda: len(seen[0] + seen[1]) == 40 and seen[0] and seen[1],
                    why=lambda: [len(part) for part in seen])
    t.equal("each_message_once", sorted(map(int, seen[0] + seen[1])), list(range(40)))
    t.equal("the_group_is_in_the_info", (await js.consumer_info("SEEDQUEUE", "workers")).config.deliver_group, "workers")


@scenario
async def multi_stream_consumption(t):
    client, js = await t.streams()
    sub, seen = await t.collect(client, "seedmulti.deliver")
    for number in (1, 2):
        await js.add_stream(name=f"SEEDMULTI{number}", subjects=[f"seedmulti.{number}.>"])
        await js.add_consumer(f"SEEDMULTI{number}", durable_name="all", deliver_subject="seedmulti.deliver",
                              ack_policy=AckPolicy.EXPLICIT)
    await store(js, "seedmulti.1.a", "one")
    await store(js, "seedmulti.2.a", "two")
    await t.becomes("one_subject_carries_both", lambda: sorted(texts(seen)) == ["one", "two"], why=lambda: texts(seen))
    t.equal("each_says_where_from", sorted(msg.metadata.stream for msg in seen), ["SEEDMULTI1", "SEEDMULTI2"])


@scenario
async def ack_ack(t):
    _, js = await t.streams()
    await js.add_stream(name="SEEDACK", subjects=["seedack"])
    await store(js, "seedack", "1", "2")
    sub = await js.pull_subscribe("seedack", durable="acker", stream="SEEDACK")
    msgs = await sub.fetch(2, timeout=5)
    t.equal("pending_until_acknowledged", (await sub.consumer_info()).num_ack_pending, 2)
    await msgs[0].ack_sync(5)
    t.equal("known_when_the_answer_is_there", (await sub.consumer_info()).num_ack_pending, 1)
    await msgs[1].ack_sync(5)
    info = await sub.consumer_info()
    t.equal("the_floor_follows", (info.num_ack_pending, info.ack_floor.stream_seq), (0, 2))


@scenario
async def list_subjects(t):
    _, js = await t.streams()
    await js.add_stream(name="SEEDLIST", subjects=["seedplain", "seedgreater.>", "seedstar.*"])
    for subject in ("seedplain", "seedgreater.a.b", "seedgreater.a.b", "seedstar.x"):
        await store(js, subject, "x")
    asked = (await js.stream_info("SEEDLIST", subjects_filter=">")).state.subjects
    t.equal("all_with_counts", asked, {"seedplain": 1, "seedgreater.a.b": 2, "seedstar.x": 1})
    asked = (await js.stream_info("SEEDLIST", subjects_filter="seedgreater.>")).state.subjects
    t.equal("filtered", asked, {"seedgreater.a.b": 2})
    t.equal("only_when_asked_for", (await js.stream_info("SEEDLIST")).state.subjects, None)
    await js.purge_stream("SEEDLIST", subject="seedplain")
    asked = (await js.stream_info("SEEDLIST", subjects_filter=">")).state.subjects
    t.equal("a_purged_subject_is_gone", sorted(asked), ["seedgreater.a.b", "seedstar.x"])


@scenario
async def fetch_with_expiry(t):
    _, js = await t.streams()
    await js.add_stream(name="SEEDFETCH", subjects=["seedfetch"])
    sub = await js.pull_subscribe("seedfetch", durable="fetcher", stream="SEEDFETCH")
    await t.raises("nothing_there_times_out", errors.TimeoutError, sub.fetch(1, timeout=0.2))
    waiting = asyncio.ensure_future(sub.fetch(1, timeout=5))
    async def asked():
        return (await js.consumer_info("SEEDFETCH", "fetcher")).num_waiting == 1
    await t.until_asked("the request waits", asked)
    await js.publish("seedfetch", b"late")
    t.equal("what_comes_while_waiting", texts(await waiting), ["late"])
    await store(js, "seedfetch", "a", "b")
    t.equal("less_than_the_batch_at_the_end", texts(await sub.fetch(5, timeout=0.5)), ["a", "b"])
    ephemeral = await js.pull_subscribe("seedfetch", stream="SEEDFETCH", config=ConsumerConfig(inactive_threshold=60))
    t.equal("an_ephemeral_starts_anew", texts(await ephemeral.fetch(3, timeout=5)), ["late", "a", "b"])
    name = (await ephemeral.consumer_info()).name
    with contextlib.suppress(Exception):
        await ephemeral.unsubscribe()
    t.true("an_ephemeral_has_a_name_of_the_servers", name and name != "fetcher", name)
