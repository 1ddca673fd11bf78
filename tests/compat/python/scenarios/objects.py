"""Object stores as the library makes them of streams."""

import base64
import hashlib
import io

from nats.js.api import ObjectMeta, ObjectMetaOptions
from nats.js.errors import (APIError, BucketNotFoundError, DigestMismatchError, NotFoundError, ObjectDeletedError,
                            ObjectNotFoundError)

from kit import scenario


def digest(data):
    return "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()


@scenario
async def intro(t):
    _, js = await t.streams()
    store = await js.create_object_store("OBJINTRO")
    data = bytes(range(256)) * 4096
    info = await store.put("a", io.BytesIO(data))
    t.equal("put", (info.name, info.bucket, info.size, info.chunks, info.digest), ("a", "OBJINTRO", len(data), 8, digest(data)))
    t.equal("get", (await store.get("a")).data, data)
    read = await store.get_info("a")
    t.equal("info", (read.size, read.chunks, read.digest, read.nuid), (info.size, info.chunks, info.digest, info.nuid))
    stream = await js.stream_info("OBJ_OBJINTRO")
    t.equal("is_a_stream", (stream.config.subjects, stream.config.discard, stream.config.allow_rollup_hdrs, stream.config.allow_direct),
            (["$O.OBJINTRO.C.>", "$O.OBJINTRO.M.>"], "new", True, True))
    t.equal("of_chunks_and_one_meta", stream.state.messages, 9)
    await store.put("b", b"small")
    t.equal("list", sorted(entry.name for entry in await store.list()), ["a", "b"])
    await store.put("a", b"replaced")
    t.equal("replaced", (await store.get("a")).data, b"replaced")
    t.equal("old_chunks_go", (await js.stream_info("OBJ_OBJINTRO")).state.messages, 4)
    await store.delete("a")
    await t.raises("deleted", NotFoundError, store.get("a"))
    t.equal("deleted_is_known", (await store.get_info("a", show_deleted=True)).deleted, True)
    t.equal("list_without_the_deleted", [entry.name for entry in await store.list(ignore_deletes=True)], ["b"])
    await t.raises("never_there", ObjectNotFoundError, store.get("c"))


@scenario
async def sizes(t):
    _, js = await t.streams()
    store = await js.create_object_store("OBJSIZE")
    empty = await store.put("empty", b"")
    t.equal("empty", (empty.size, empty.chunks, (await store.get("empty")).data or b""), (0, 0, b""))
    meta = ObjectMeta(name="many", description="many chunks", headers=None, options=ObjectMetaOptions(max_chunk_size=1000))
    data = b"0123456789" * 30_001
    info = await store.put("many", data, meta=meta)
    t.equal("many_chunks", (info.chunks, info.description), (301, "many chunks"))
    target = io.BytesIO()
    await store.get("many", writeinto=target)
    t.equal("arrive_in_order", hashlib.sha256(target.getvalue()).digest(), hashlib.sha256(data).digest())
    large = b"z" * (8 << 20)
    await store.put("large", large)
    t.equal("eight_megabytes", digest((await store.get("large")).data), digest(large))
    t.true("names_may_be_anything", (await store.put("a name/with. things*", b"x")).name == "a name/with. things*")
    t.equal("and_are_found", (await store.get("a name/with. things*")).data, b"x")


@scenario
async def watch(t):
    _, js = await t.streams()
    store = await js.create_object_store("OBJWATCH")
    watcher = await store.watch()
    t.equal("nothing_at_first", await watcher.updates(5), None)
    await store.put("a", b"1")
    entry = await watcher.updates(5)
    t.equal("a_put", (entry.name, bool(entry.deleted)), ("a", False))
    await store.delete("a")
    entry = await watcher.updates(5)
    t.equal("a_delete", (entry.name, entry.deleted), ("a", True))
    await store.put("b", b"2")
    later = await store.watch(ignore_deletes=True)
    t.equal("what_there_is", ((await later.updates(5)).name, await later.updates(5)), ("b", None))


@scenario
async def meta_and_seal(t):
    _, js = await t.streams()
    store = await js.create_object_store("OBJMETA", description="things")
    await store.put("a", b"1")
    await store.update_meta("a", ObjectMeta(name="a", description="described"))
    t.equal("update_of_meta", (await store.get_info("a")).description, "described")
    t.equal("data_stays", (await store.get("a")).data, b"1")
    status = await store.status()
    t.equal("status", (status.bucket, status.description, status.sealed, status.storage_type), ("OBJMETA", "things", False, "file"))
    await store.seal()
    t.equal("sealed", (await store.status()).sealed, True)
    await t.raises("no_more_objects", APIError, store.put("b", b"2"))
    t.equal("still_readable", (await store.get("a")).data, b"1")
    t.equal("bind", (await (await js.object_store("OBJMETA")).get("a")).data, b"1")
    t.equal("delete_of_the_store", await js.delete_object_store("OBJMETA"), True)
    await t.raises("bind_to_the_deleted", BucketNotFoundError, js.object_store("OBJMETA"))


@scenario
async def names_and_headers(t):
    _, js = await t.streams()
    store = await js.create_object_store("OBJNAMES", ttl=60, max_bytes=1 << 20, storage="memory")
    await t.raises("an_empty_list", NotFoundError, store.list())
    info = await store.put("a", b"1", meta=ObjectMeta(name="a", headers={"kind": "number"}))
    t.equal("headers", (info.headers, (await store.get_info("a")).headers), ({"kind": "number"},) * 2)
    status = await store.status()
    t.equal("status", (status.ttl, status.storage_type, status.replicas, status.sealed), (60, "memory", 1, False))
    t.true("size", status.size > 0)
    await store.delete("a")
    await t.raises("info_of_the_deleted", ObjectNotFoundError, store.get_info("a"))
    await store.put("a", b"2")
    t.equal("comes_back", ((await store.get("a")).data, (await store.get_info("a")).deleted or False), (b"2", False))
    await t.raises("meta_of_none", ObjectDeletedError, store.update_meta("b", ObjectMeta(name="b")))
    await t.raises("too_much", APIError, store.put("large", b"x" * (2 << 20)))
    t.equal("leaves_the_rest", (await store.get("a")).data, b"2")
    same = await js.create_object_store("OBJNAMES", ttl=60, max_bytes=1 << 20, storage="memory")
    t.equal("made_again", (await same.get("a")).data, b"2")


@scenario
async def watch_kinds(t):
    _, js = await t.streams()
    store = await js.create_object_store("OBJKINDS")
    await store.put("a", b"1")
    await store.put("b", b"2")
    await store.delete("b")
    everything = await store.watch(include_history=True)
    seen = [await everything.updates(5) for _ in range(3)]
    t.equal("what_there_was", [(entry.name, bool(entry.deleted)) if entry else None for entry in seen], [("a", False), ("b", True), None])
    later = await store.watch(updates_only=True)
    await store.put("c", b"3")
    entry = await later.updates(5)
    while entry is None:
        entry = await later.updates(5)
    t.equal("only_what_comes", entry.name, "c")
    await later.stop()
    damaged = f"$O.OBJKINDS.C.{(await store.get_info('a')).nuid}"
    await js.purge_stream("OBJ_OBJKINDS", subject=damaged)
    await js.publish(damaged, b"9")
    await t.raises("a_digest_that_is_wrong", DigestMismatchError, store.get("a"))
