"""What a stream throws away, and what it refuses: messages, bytes, age, per subject, size."""

from nats.js.api import DiscardPolicy

from kit import scenario, store


async def kept(js, stream, subject=">"):
    """Payloads that are in the stream, oldest first, by asking for each."""
    state, found, seq = (await js.stream_info(stream)).state, [], 0
    while len(found) < state.messages:
        msg = await js.get_msg(stream, seq=seq + 1, subject=subject, next=True)
        found.append(msg.data.decode())
        seq = msg.seq
    return found


@scenario
async def messages(t):
    _, js = await t.streams()
    await js.add_stream(name="LIMMSGS", subjects=["limmsgs"], max_msgs=3)
    await store(js, "limmsgs", *"abcde")
    state = (await js.stream_info("LIMMSGS")).state
    t.equal("the_oldest_go", (state.messages, state.first_seq, state.last_seq), (3, 3, 5))
    t.equal("the_newest_stay", await kept(js, "LIMMSGS"), ["c", "d", "e"])
    await js.add_stream(name="LIMMSGSNEW", subjects=["limmsgsnew"], max_msgs=2, discard=DiscardPolicy.NEW)
    await store(js, "limmsgsnew", "a", "b")
    error = await t.api_error("the_new_is_refused", 10077, js.publish("limmsgsnew", b"c"))
    t.equal("and_told_why", (error.code, error.description), (503, "maximum messages exceeded"))
    await js.delete_msg("LIMMSGSNEW", 1)
    t.equal("room_again", await store(js, "limmsgsnew", "d"), [3])


@scenario
async def stored_bytes(t):
    _, js = await t.streams()
    await js.add_stream(name="LIMBYTES", subjects=["limbytes"], max_bytes=1000)
    await store(js, "limbytes", *("x" * 200 for _ in range(10)))
    state = (await js.stream_info("LIMBYTES")).state
    t.true("the_oldest_go", state.last_seq == 10 and 2 <= state.messages <= 4 and state.bytes <= 1000, state)
    await js.add_stream(name="LIMBYTESNEW", subjects=["limbytesnew"], max_bytes=500, discard=DiscardPolicy.NEW)
    await store(js, "limbytesnew", "x" * 200)
    error = await t.api_error("the_new_is_refused", 10077, js.publish("limbytesnew", b"x" * 400))
    t.equal("and_told_why", error.description, "maximum bytes exceeded")


@scenario
async def age(t):
    _, js = await t.streams()
    await js.add_stream(name="LIMAGE", subjects=["limage"], max_age=0.4, duplicate_window=0.1)
    await store(js, "limage", "a", "b")
    t.equal("young_ones_are_there", (await js.stream_info("LIMAGE")).state.messages, 2)

    async def gone():
        return (await js.stream_info("LIMAGE")).state.messages == 0

    await t.until_asked("the old ones go", gone)
    state = (await js.stream_info("LIMAGE")).state
    t.equal("sequences_go_on", (state.first_seq, state.last_seq), (3, 2))
    t.equal("next_sequence", await store(js, "limage", "c"), [3])


@scenario
async def per_subject(t):
    _, js = await t.streams()
    await js.add_stream(name="LIMSUBJ", subjects=["limsubj.*"], max_msgs_per_subject=2)
    await store(js, "limsubj.a", "1", "2", "3")
    await store(js, "limsubj.b", "4")
    t.equal("each_subject_keeps_its_last", await kept(js, "LIMSUBJ"), ["2", "3", "4"])
    t.equal("counts_by_subject", (await js.stream_info("LIMSUBJ", subjects_filter=">")).state.subjects,
            {"limsubj.a": 2, "limsubj.b": 1})
    await js.update_stream(name="LIMSUBJ", subjects=["limsubj.*"], max_msgs_per_subject=1)
    t.equal("a_lower_limit_applies_at_once", await kept(js, "LIMSUBJ"), ["3", "4"])
    await js.add_stream(name="LIMSUBJNEW", subjects=["limsubjnew.*"], max_msgs_per_subject=1,
                        discard=DiscardPolicy.NEW, discard_new_per_subject=True)
    await store(js, "limsubjnew.a", "1")
    error = await t.api_error("the_new_on_a_full_subject_is_refused", 10077, js.publish("limsubjnew.a", b"2"))
    t.equal("and_told_why", error.description, "maximum messages per subject exceeded")
    t.equal("another_subject_has_room", await store(js, "limsubjnew.b", "3"), [2])
    await js.add_stream(name="LIMREPLACE", subjects=["limreplace.*"], max_msgs=2, max_msgs_per_subject=1,
                        discard=DiscardPolicy.NEW)
    await store(js, "limreplace.a", "1")
    await store(js, "limreplace.b", "2")
    t.equal("a_replacement_needs_no_room", await store(js, "limreplace.a", "3"), [3])
    await t.api_error("a_newcomer_does", 10077, js.publish("limreplace.c", b"4"))


@scenario
async def sizes_and_consumers(t):
    _, js = await t.streams()
    await js.add_stream(name="LIMSIZE", subjects=["limsize"], max_msg_size=10, max_consumers=1)
    t.equal("at_the_limit", await store(js, "limsize", "x" * 10), [1])
    await t.api_error("over_the_limit", 10054, js.publish("limsize", b"x" * 11))
    await t.api_error("headers_count", 10054, js.publish("limsize", b"x", headers={"Colour": "green"}))
    await js.add_consumer("LIMSIZE", durable_name="one")
    await t.api_error("one_consumer_too_many", 10026, js.add_consumer("LIMSIZE", durable_name="two"))
