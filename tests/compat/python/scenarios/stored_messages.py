"""Reading and removing single messages; what a stream does to subjects on their way in and out."""

import asyncio
import json

from nats.js.api import RePublish, SubjectTransform
from nats.js.errors import NotFoundError

from kit import answers, api, scenario, store


@scenario
async def get(t):
    client, js = await t.streams()
    await js.add_stream(name="GET", subjects=["get.>"])
    await store(js, "get.a", "1", "2")
    await store(js, "get.b", "3", headers={"Colour": "green"})
    msg = await js.get_msg("GET", 3)
    t.equal("by_sequence", (msg.subject, msg.seq, msg.data, msg.headers), ("get.b", 3, b"3", {"Colour": "green"}))
    t.true("has_a_time", msg.time is not None and msg.time.year > 2020, msg.time)
    t.equal("last_of_a_subject", (await js.get_last_msg("GET", "get.a")).data, b"2")
    t.equal("last_of_a_wildcard", (await js.get_last_msg("GET", "get.*")).data, b"3")
    t.equal("next_of_a_subject", (await js.get_msg("GET", seq=2, subject="get.b", next=True)).seq, 3)
    await t.api_error("no_such_sequence", 10037, js.get_msg("GET", 9))
    await t.api_error("no_such_subject", 10037, js.get_last_msg("GET", "get.c"))
    answer = await api(client, "STREAM.MSG.GET.GET", {"seq": 1, "last_by_subj": "get.a"})
    t.equal("two_questions_at_once", answer["error"]["err_code"], 10003)
    answer = await api(client, "STREAM.MSG.GET.GET", {})
    t.equal("no_question", answer["error"]["err_code"], 10003)
    answer = await api(client, "STREAM.MSG.GET.NOSTREAM", {"seq": 1})
    t.equal("no_such_stream", answer["error"]["err_code"], 10059)


@scenario
async def direct_get(t):
    client, js = await t.streams()
    await js.add_stream(name="DIRECT", subjects=["direct.>"], allow_direct=True)
    await store(js, "direct.a", "1", "2")
    await store(js, "direct.b", "3", headers={"Colour": "green"})
    msg = await js.get_msg("DIRECT", 3, direct=True)
    t.equal("by_sequence", (msg.subject, msg.seq, msg.data, msg.headers["Colour"]), ("direct.b", 3, b"3", "green"))
    t.equal("says_the_stream", msg.headers["Nats-Stream"], "DIRECT")
    t.true("says_the_time", msg.time is not None and msg.time.year > 2020, msg.time)
    t.equal("last_of_a_subject", (await js.get_msg("DIRECT", subject="direct.a", direct=True)).data, b"2")
    t.equal("next_of_a_subject", (await js.get_msg("DIRECT", seq=2, subject="direct.b", next=True, direct=True)).seq, 3)
    await t.raises("no_such_sequence", NotFoundError, js.get_msg("DIRECT", 9, direct=True))
    await t.raises("no_such_subject", NotFoundError, js.get_msg("DIRECT", subject="direct.c", direct=True))

    async def status(body):
        msg = await client.request("$JS.API.DIRECT.GET.DIRECT", body, timeout=5)
        return msg.headers["Status"] + " " + msg.headers.get("Description", "")

    t.equal("empty_request", await status(b""), "408 Empty Request")
    t.equal("malformed_request", await status(b"{"), "408 Malformed Request")
    t.equal("two_questions_at_once", await status(b'{"seq":1,"last_by_subj":"direct.a"}'), "408 Bad Request")
    t.equal("not_found", await status(b'{"seq":9}'), "404 Message Not Found")
    await js.add_stream(name="INDIRECT", subjects=["indirect"])
    await store(js, "indirect", "1")
    await t.raises("where_it_is_not_allowed", Exception, js.get_msg("INDIRECT", 1, direct=True))


@scenario
async def direct_get_of_many(t):
    client, js = await t.streams()
    await js.add_stream(name="BATCHGET", subjects=["batchget.>"], allow_direct=True)
    for subject, payload in ("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("b", "5"):
        await store(js, f"batchget.{subject}", payload)

    async def ask(body):
        msgs, status = await answers(client, "$JS.API.DIRECT.GET.BATCHGET", body, 100)
        return [msg.data.decode() for msg in msgs], status, msgs

    t.equal("a_batch", (await ask({"seq": 1, "batch": 3, "next_by_subj": "batchget.>"}))[:2], (["1", "2", "3"], "204 EOB"))
    seen, status, msgs = await ask({"seq": 1, "batch": 10, "next_by_subj": "batchget.a"})
    t.equal("a_filtered_batch", (seen, status), (["1", "3"], "204 EOB"))
    t.equal("counts_down", [msg.headers["Nats-Num-Pending"] for msg in msgs], ["1", "0"])
    t.equal("refers_to_the_one_before", [msg.headers["Nats-Last-Sequence"] for msg in msgs], ["0", "1"])
    t.equal("last_of_many", (await ask({"multi_last": ["batchget.a", "batchget.b"]}))[:2], (["3", "5"], "204 EOB"))
    t.equal("last_of_a_wildcard", (await ask({"multi_last": ["batchget.>"]}))[:2], (["3", "4", "5"], "204 EOB"))
    t.equal("last_up_to_a_sequence", (await ask({"multi_last": ["batchget.>"], "up_to_seq": 3}))[0], ["2", "3"])
    t.equal("last_of_nothing", (await ask({"multi_last": ["batchget.nobody"]}))[:2], ([], "404 No Results"))
    seen, status, _ = await ask({"seq": 1, "batch": 10, "next_by_subj": "batchget.>", "max_bytes": 1})
    t.equal("a_small_allowance_gives_one", (seen, status), (["1"], "204 EOB"))


@scenario
async def delete_and_erase(t):
    client, js = await t.streams()
    await js.add_stream(name="DELETE", subjects=["delete"])
    await store(js, "delete", "1", "2", "3", "4")
    t.equal("erases", await js.delete_msg("DELETE", 2), True)
    await t.api_error("is_gone", 10037, js.get_msg("DELETE", 2))
    await t.api_error("cannot_go_twice", 10043, js.delete_msg("DELETE", 2))
    answer = await api(client, "STREAM.MSG.DELETE.DELETE", {"seq": 3, "no_erase": True})
    t.equal("removes_without_erasing", answer["success"], True)
    answer = await api(client, "STREAM.INFO.DELETE", {"deleted_details": True})
    t.equal("gaps_are_listed", (answer["state"]["num_deleted"], answer["state"]["deleted"]), (2, [2, 3]))
    t.equal("gaps_are_counted", (await js.stream_info("DELETE")).state.num_deleted, 2)
    await js.delete_msg("DELETE", 1)
    state = (await js.stream_info("DELETE")).state
    t.equal("the_first_moves_over_gaps", (state.messages, state.first_seq, state.last_seq, state.num_deleted), (1, 4, 4, None))
    await js.add_stream(name="KEEPS", subjects=["keeps"], deny_delete=True, deny_purge=True)
    await store(js, "keeps", "1")
    await t.api_error("where_it_is_denied", 10057, js.delete_msg("KEEPS", 1))
    await t.api_error("where_purge_is_denied", 10110, js.purge_stream("KEEPS"))


@scenario
async def purge(t):
    client, js = await t.streams()
    await js.add_stream(name="PURGE", subjects=["purge.*"])

    async def fill():
        await js.purge_stream("PURGE")
        base = (await js.stream_info("PURGE")).state.last_seq
        for _ in range(3):
            await store(js, "purge.a", "a")
            await store(js, "purge.b", "b")
        return base

    async def left():
        state = (await js.stream_info("PURGE", subjects_filter=">")).state
        return state.subjects or {}, state.first_seq

    await fill()
    answer = await api(client, "STREAM.PURGE.PURGE")
    t.equal("says_how_many", (answer["success"], answer["purged"]), (True, 6))
    t.equal("all", await left(), ({}, 7))
    await fill()
    await js.purge_stream("PURGE", subject="purge.a")
    t.equal("a_subject", (await left())[0], {"purge.b": 3})
    base = await fill()
    await js.purge_stream("PURGE", seq=base + 3)
    t.equal("up_to_a_sequence", await left(), ({"purge.a": 2, "purge.b": 2}, base + 3))
    await fill()
    await js.purge_stream("PURGE", keep=1)
    t.equal("all_but_one", (await left())[0], {"purge.b": 1})
    await fill()
    await js.purge_stream("PURGE", subject="purge.a", keep=2)
    t.equal("a_subject_but_two", (await left())[0], {"purge.a": 2, "purge.b": 3})
    base = await fill()
    await js.purge_stream("PURGE", subject="purge.b", seq=base + 5)
    t.equal("a_subject_up_to_a_sequence", (await left())[0], {"purge.a": 3, "purge.b": 1})
    answer = await api(client, "STREAM.PURGE.PURGE", {"seq": 2, "keep": 1})
    t.equal("sequence_and_keep_exclude_each_other", answer["error"]["err_code"], 10003)
    await t.api_error("no_such_stream", 10059, js.purge_stream("NOSTREAM"))


@scenario
async def transformed(t):
    _, js = await t.streams()
    await js.add_stream(name="TRANSFORM", subjects=["transform.*", "plainly"],
                        subject_transform=SubjectTransform(src="transform.*", dest="kept.{{wildcard(1)}}.here"))
    await store(js, "transform.x", "1")
    await store(js, "plainly", "2")
    t.equal("matching_subjects_change", (await js.get_msg("TRANSFORM", 1)).subject, "kept.x.here")
    t.equal("others_stay", (await js.get_msg("TRANSFORM", 2)).subject, "plainly")
    sub = await js.pull_subscribe("kept.>", durable="reader", stream="TRANSFORM")
    t.equal("consumers_see_the_new_subject", (await sub.fetch(1, timeout=5))[0].subject, "kept.x.here")
    await t.api_error("a_bad_destination", 10156, js.add_stream(
        name="BADTRANSFORM", subjects=["badtransform.*"], subject_transform=SubjectTransform(src="badtransform.*", dest="x.{{wildcard(2)}}")))


@scenario
async def republished(t):
    client, js = await t.streams()
    await js.add_stream(name="REPUB", subjects=["repub.>"], republish=RePublish(src="repub.*", dest="repubbed.{{wildcard(1)}}"))
    await js.add_stream(name="REPUBH", subjects=["repubh"], republish=RePublish(src="repubh", dest="repubbedh", headers_only=True))
    sub, seen = await t.collect(client, "repubbed.>")
    _, bare = await t.collect(client, "repubbedh")
    await store(js, "repub.a", "1", "2", headers={"Colour": "green"})
    await store(js, "repub.a.b", "not matching")
    await store(js, "repubh", "12345")
    await t.becomes("arrives", lambda: len(seen) == 2 and len(bare) == 1, why=lambda: (len(seen), len(bare)))
    msg = seen[1]
    t.equal("on_the_new_subject", (msg.subject, msg.data), ("repubbed.a", b"2"))
    t.equal("says_where_it_is_stored", [msg.headers[f"Nats-{name}"] for name in ("Stream", "Subject", "Sequence", "Last-Sequence")],
            ["REPUB", "repub.a", "2", "1"])
    t.equal("keeps_headers", msg.headers["Colour"], "green")
    t.equal("headers_only", (bare[0].data, bare[0].headers["Nats-Msg-Size"]), (b"", "5"))
    await t.api_error("not_into_itself", 10052, js.add_stream(
        name="REPUBLOOP", subjects=["republoop.>"], republish=RePublish(src="republoop.a", dest="republoop.b")))
