"""Keys, quota, budget, ids and decoders on their own; the promises that the requests' tests cannot see."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import uuid
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hourmark.errors import InvariantBroken, QuotaExceeded
from hourmark.hours import Hours
from hourmark.schemas import EMPTY, EventType, WireSchema, entry_key
from receiver.body import decoded
from receiver.budget import Budget
from receiver.catalogue import Catalogue
from receiver.envelope import canonical_ids
from receiver.errors import Refused
from receiver.keys import Quota
from receiver.lookup import Lookup
from receiver.measures import Totals

from .fakes import PLAYED, FixedTail, catalogue, declared, snapshot

MIB = 1024 * 1024


def compressors() -> Iterator[tuple[str, bytes, bytes]]:
    data = bytes(range(256)) * 3000
    yield "gzip", gzip.compress(data), data
    yield "gzip", gzip.compress(data) + gzip.compress(b"more"), data + b"more"
    yield "deflate", zlib.compress(data), data
    raw = zlib.compressobj(wbits=-15)
    yield "deflate", raw.compress(data) + raw.flush(), data
    yield "zstd", zstandard.ZstdCompressor(level=19).compress(data), data
    for encoding, empty in (
        ("gzip", gzip.compress(b"")),
        ("deflate", zlib.compress(b"")),
        ("zstd", zstandard.ZstdCompressor().compress(b"")),
    ):
        yield encoding, empty, b""


@pytest.mark.parametrize(("encoding", "packed", "data"), list(compressors()))
def test_decoders(encoding: str, packed: bytes, data: bytes) -> None:
    assert decoded(packed, encoding, len(data)) == data
    if data:
        with pytest.raises(Refused) as raised:
            decoded(packed, encoding, len(data) - 1)
        assert raised.value.status == 413
    for damaged in (packed[: len(packed) // 2], packed[:-1], b"", b"\x00" * 20, packed + b"\x01"):
        with pytest.raises(Refused) as raised:
            decoded(damaged, encoding, len(data) + 100)
        assert raised.value.status == 400


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_never_holds_much_more_than_the_limit(encoding: str) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.ZstdCompressor().compress}[encoding]
    bomb = pack(bytes(200 * MIB))
    tracemalloc.start()
    with pytest.raises(Refused):
        decoded(bomb, encoding, MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB


@given(st.lists(st.uuids(), max_size=20))
def test_canonical_ids(ids: list[uuid.UUID]) -> None:
    assert canonical_ids([str(one) for one in ids]) == [one.bytes for one in ids]
    assert canonical_ids([str(one).upper() for one in ids]) == [one.bytes for one in ids]


@given(st.lists(st.text("0123456789abcdef- \u0661", min_size=30, max_size=40), min_size=1, max_size=4))
def test_what_is_no_uuid_is_never_taken_for_one(texts: list[str]) -> None:
    found = canonical_ids(texts)
    assert found is None or [str(uuid.UUID(bytes=one)) for one in found] == texts


def test_shifted_ids_are_no_ids() -> None:
    one = str(uuid.uuid4())
    assert canonical_ids([one + "a", one[:-1]]) is None
    assert canonical_ids([one[:-2] + " \n"]) is None


def test_quota_refills() -> None:
    clock = [0.0]
    key = next(iter(catalogue().keys.values()))
    quota = Quota(10.0, lambda: clock[0])
    quota.take(key, 15)
    with pytest.raises(QuotaExceeded) as raised:
        quota.take(key, 15)
    assert raised.value.retry_after == pytest.approx(1.0)
    clock[0] = 1.0
    quota.take(key, 15)
    clock[0] = 100.0
    quota.take(key, 1000)  # more than the bucket holds: passes when it is full, and is paid for later
    clock[0] = 190.0
    with pytest.raises(QuotaExceeded):
        quota.take(key, 1)


@given(st.lists(st.tuples(st.sampled_from(["critical", "standard", "debug"]), st.integers(0, 400)), max_size=60))
def test_a_tier_never_takes_from_another(asked: list[tuple[str, int]]) -> None:
    budget, alone = Budget(1000), {tier: Budget(1000) for tier in ("critical", "standard", "debug")}
    for tier, size in asked:
        assert budget.reserve(tier, size) == alone[tier].reserve(tier, size)  # type: ignore[arg-type]  # names of tiers
    assert budget.total == sum(budget.used.values())


def test_a_new_snapshot_is_seen_at_once() -> None:
    tail = FixedTail(EMPTY)
    known = Catalogue(lambda: tail.snapshot)
    assert known.plan("play.song") is None
    tail.snapshot = catalogue()
    first = known.plan("play.song")
    assert first is not None
    assert first.partitions == 4
    tail.snapshot = snapshot(*declared("play.song", 1, [{"name": "x", "type": "long"}], partitions=9))
    second = known.plan("play.song")
    assert second is not None
    assert second.partitions == 9
    assert second.codec is first.codec  # a schema id never changes its meaning


def test_acked_counts_by_append_hour() -> None:
    totals, hours = Totals(), Hours(60)
    totals.acked(hours, "a.b", [1, 2, 1], [59_000, 59_500, 59_999])
    totals.acked(hours, "a.b", [1, 2], [60_000, 60_001])
    totals.acked(hours, "a.b", [1, 2, 3], [59_999, 60_000, 119_999])
    totals.acked(hours, "a.b", [7], [10])
    (family,) = [one for one in totals.collect() if one.name == "hourmark_receiver_acked"]
    counts = {(one.labels["partition"], one.labels["hour"][-2:]): one.value for one in family.samples}
    assert counts == {("1", "00"): 3, ("2", "00"): 1, ("7", "00"): 1, ("1", "01"): 1, ("2", "01"): 2, ("3", "01"): 1}


class Registry:
    """A registry that knows one type and counts the questions."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.delay = 0.0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path)
        await asyncio.sleep(self.delay)
        if not request.path.endswith("/play.new"):
            return web.json_response({"code": "not_found"}, status=404)
        schema, found = declared("play.new", 77, [{"name": "x", "type": "long"}])
        assert isinstance(schema, WireSchema)
        assert isinstance(found, EventType)
        declaration = {"event": "play.new", "owner": "me", "tier": "debug", "sdks": ["a"], "lifecycle": "active", "schema": {}, "key": None}
        body = {"event": "play.new", "revision": 50, "declaration": declaration, "schema_id": 77, "schema_version": 1}
        return web.json_response({**body, "partitions": 2, "source": 1, "wire_schema": schema.avro})

    async def start(self) -> tuple[str, web.ServerRunner]:
        runner = web.ServerRunner(web.Server(self.answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}", runner


async def test_the_registry_is_asked_once_and_a_no_is_believed_for_a_second() -> None:
    registry, clock, tail = Registry(), [0.0], FixedTail(catalogue())
    url, runner = await registry.start()
    lookup = Lookup(url, tail.offer, lambda: clock[0])
    registry.delay = 0.05
    await asyncio.gather(*(lookup.ask("play.none") for _ in range(20)))
    assert registry.asked == ["/v1/events/play.none"]
    await lookup.ask("play.none")
    assert len(registry.asked) == 1
    clock[0] = 1.01
    await lookup.ask("play.none")
    assert len(registry.asked) == 2
    await lookup.ask("play.new")
    found = Catalogue(lambda: tail.snapshot).plan("play.new")
    assert found is not None
    assert (found.partitions, found.tier, found.event_type.sdks) == (2, "debug", ("a",))
    await lookup.close()
    await runner.cleanup()


async def test_a_registry_that_does_not_answer_costs_a_second() -> None:
    registry, tail = Registry(), FixedTail(catalogue())
    registry.delay = 30.0
    url, runner = await registry.start()
    lookup = Lookup(url, tail.offer)
    await asyncio.wait_for(lookup.ask("play.new"), 10)
    assert "play.new" not in tail.snapshot.types
    await lookup.close()
    asyncio.ensure_future(runner.cleanup()).cancel()


def test_a_revision_counts_when_its_schemas_can_be_used() -> None:
    tail = FixedTail(snapshot(*declared("play.old", 1, PLAYED)))
    known = Catalogue(lambda: tail.snapshot)
    known.prove(tail.snapshot)
    recursive = {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}
    tail.offer([(entry_key(entry), entry) for entry in declared("play.new", 2, [{"name": "x", "type": recursive}])])
    with pytest.raises(InvariantBroken, match=r"play\.new cannot be used"):
        known.prove(tail.snapshot)
    tail.offer([(entry_key(entry), entry) for entry in declared("play.new", 3, PLAYED)])
    known.prove(tail.snapshot)
    assert known.plan("play.new") is not None
    fields = [{"name": "x", "type": recursive}]
    tail.offer([(entry_key(entry), entry) for number in range(10, 60) for entry in declared(f"many.t{number}", number, fields)])
    known.prove(tail.snapshot)  # a whole catalogue at once waits for its events
