"""Streams that are fed by streams: mirrors and sources, with filters, transforms and starting points."""

from nats.js.api import StreamSource, SubjectTransform

from kit import api, scenario, store


async def holds(t, js, stream, count):
    """Waits until a copy has that many messages."""
    async def asked():
        return (await js.stream_info(stream)).state.messages == count

    await t.until_asked(f"{stream} has {count}", asked, deadline_s=20)


async def payloads(js, stream, *sequences):
    return [(await js.get_msg(stream, seq)).data.decode() for seq in sequences]


@scenario
async def mirror(t):
    client, js = await t.streams()
    await js.add_stream(name="MIRRORED", subjects=["mirrored.>"], allow_direct=True)
    await store(js, "mirrored.a", "1", "2", "3")
    await js.delete_msg("MIRRORED", 2)
    info = await js.add_stream(name="MIRROR", mirror=StreamSource(name="MIRRORED"))
    t.equal("has_no_subjects", info.config.subjects, None)
    await holds(t, js, "MIRROR", 2)
    await store(js, "mirrored.b", "4")
    await holds(t, js, "MIRROR", 3)
    t.equal("keeps_the_sequences", await payloads(js, "MIRROR", 1, 3, 4), ["1", "3", "4"])
    origin, copy = await js.get_msg("MIRRORED", 1), await js.get_msg("MIRROR", 1)
    t.equal("keeps_subject_and_time", (copy.subject, copy.time), (origin.subject, origin.time))
    info = await js.stream_info("MIRROR")
    t.equal("tells_its_origin", (info.mirror.name, info.mirror.lag), ("MIRRORED", 0))
    sub = await js.pull_subscribe("mirrored.b", durable="reader", stream="MIRROR")
    t.equal("has_consumers", (await sub.fetch(1, timeout=5))[0].data, b"4")
    await t.raises("is_not_published_to", Exception, js.publish("MIRROR", b"x", timeout=1))
    await t.api_error("no_subjects_of_its_own", 10034, js.add_stream(name="BADMIRROR", subjects=["bad"], mirror=StreamSource(name="MIRRORED")))
    await t.api_error("no_sources_beside_it", 10031, js.add_stream(
        name="BADMIRROR", mirror=StreamSource(name="MIRRORED"), sources=[StreamSource(name="MIRRORED")]))
    await t.api_error("another_origin", 10055, js.update_stream(name="MIRROR", mirror=StreamSource(name="OTHER")))
    filtered = await js.add_stream(name="MIRRORFILTER", mirror=StreamSource(name="MIRRORED", filter_subject="mirrored.b"))
    await holds(t, js, "MIRRORFILTER", 1)
    t.equal("with_a_filter", (await js.get_last_msg("MIRRORFILTER", "mirrored.b")).seq, 4)
    await js.add_stream(name="MIRRORSTART", mirror=StreamSource(name="MIRRORED", opt_start_seq=3))
    await holds(t, js, "MIRRORSTART", 2)
    t.equal("from_a_sequence", await payloads(js, "MIRRORSTART", 3, 4), ["3", "4"])
    t.equal("the_filter_is_kept", filtered.config.mirror.filter_subject, "mirrored.b")
    await js.update_stream(name="MIRROR", subjects=["promoted"])
    t.equal("promoted_goes_on", await store(js, "promoted", "5"), [5])


@scenario
async def sources(t):
    client, js = await t.streams()
    for name in ("SRCA", "SRCB"):
        await js.add_stream(name=name, subjects=[f"{name.lower()}.>"])
        await store(js, f"{name.lower()}.x", f"{name}1", f"{name}2")
    await js.add_stream(name="SRCALL", subjects=["srcall"], sources=[
        StreamSource(name="SRCA"),
        StreamSource(name="SRCB", subject_transforms=[SubjectTransform(src="srcb.>", dest="fromb.>")])])
    await holds(t, js, "SRCALL", 4)
    found = [await js.get_msg("SRCALL", seq) for seq in (1, 2, 3, 4)]
    t.equal("has_all", sorted(msg.data.decode() for msg in found), ["SRCA1", "SRCA2", "SRCB1", "SRCB2"])
    t.equal("transforms_what_it_was_told_to", sorted({msg.subject for msg in found}), ["fromb.x", "srca.x"])
    header = (await js.get_last_msg("SRCALL", "srca.x")).headers["Nats-Stream-Source"].split(" ")
    t.equal("says_where_from", (header[0].split(":")[0], header[1]), ("SRCA", "2"))
    t.equal("has_its_own_subject_too", (await store(js, "srcall", "own"))[0], 5)
    await store(js, "srca.y", "SRCA3")
    await holds(t, js, "SRCALL", 6)
    t.equal("follows", await payloads(js, "SRCALL", 6), ["SRCA3"])
    info = await js.stream_info("SRCALL")
    t.equal("tells_its_origins", sorted((source.name, source.lag) for source in info.sources), [("SRCA", 0), ("SRCB", 0)])
    await js.add_stream(name="SRCSOME", sources=[StreamSource(name="SRCA", filter_subject="srca.y"),
                                                 StreamSource(name="SRCB", opt_start_seq=2)])
    await holds(t, js, "SRCSOME", 2)
    t.equal("with_filter_and_start", sorted(await payloads(js, "SRCSOME", 1, 2)), ["SRCA3", "SRCB2"])
    await t.api_error("the_same_twice", 10140, js.add_stream(name="BADSRC", sources=[StreamSource(name="SRCA"), StreamSource(name="SRCA")]))
    await t.api_error("in_a_circle", 10052, js.update_stream(name="SRCA", subjects=["srca.>"], sources=[StreamSource(name="SRCALL")]))
    await t.api_error("a_forged_origin", 10227, js.publish("srcall", b"x", headers={"Nats-Stream-Source": "SRCA 1 > > srca.x"}))
    answer = await api(client, "STREAM.UPDATE.SRCALL", {
        "name": "SRCALL", "subjects": ["srcall"], "retention": "limits", "storage": "file", "max_consumers": -1, "max_msgs": -1,
        "max_bytes": -1, "max_age": 0, "num_replicas": 1})
    t.true("sources_may_end", not answer.get("sources") and "error" not in answer, answer)
