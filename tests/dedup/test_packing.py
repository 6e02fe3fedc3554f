"""Claims into calls and replies into positions, against the plainest way to do it."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from dedup.index import SEALED_OWNER, Claims
from dedup.packing import Call, calls, owners
from dedup.sealing import wanted_bits
from dedup.shards import Layout, Shard, bits_for
from hourmark.hours import Hours

DAY_MS = 86_400_000
HOURS = Hours()

record = st.tuples(st.binary(min_size=16, max_size=16), st.integers(1, 2**63).map(lambda number: number.to_bytes(8, "big")))


@st.composite
def slices(draw: st.DrawFn) -> Claims:
    records = draw(st.lists(record, max_size=12))
    days = draw(st.lists(st.integers(20_000, 20_003), min_size=len(records), max_size=len(records)))
    blob = b"".join(key + owner for key, owner in records)
    if draw(st.booleans()):
        return Claims(20_001 * DAY_MS + 5, blob)
    return Claims(20_003 * DAY_MS, blob, [day * DAY_MS + DAY_MS - 1 for day in days])


def unpacked(call: Call) -> list[tuple[int, bytes]]:
    """(day, record) as the script reads them."""
    found = []
    for day, blob in zip(call.arguments[::2], call.arguments[1::2], strict=True):
        assert isinstance(day, int)
        assert isinstance(blob, bytes)
        assert blob
        assert len(blob) % 20 == 0
        found += [(day, blob[at : at + 20]) for at in range(0, len(blob), 20)]
    return found


@given(batch=st.lists(slices(), max_size=5), shards=st.integers(1, 5), chunk=st.integers(1, 9))
def test_every_claim_is_in_one_call_with_its_day_in_batch_order(batch: list[Claims], shards: int, chunk: int) -> None:
    wanted: dict[int, list[tuple[int, int, bytes]]] = {}
    position = 0
    for claims in batch:
        for number, at in enumerate(range(0, len(claims.records), 24)):
            one = claims.records[at : at + 24]
            day = (claims.times[number] if claims.times else claims.append_ms) // DAY_MS
            wanted.setdefault(struct.unpack(">I", one[4:8])[0] % shards, []).append((position, day, one[:4] + one[8:]))
            position += 1
    found: dict[int, list[tuple[int, int, bytes]]] = {}
    for call in calls(batch, HOURS, shards, chunk):
        parts = unpacked(call)
        assert len(parts) == len(call.positions) <= chunk
        found.setdefault(call.shard, []).extend((int(at), day, one) for at, (day, one) in zip(call.positions, parts, strict=True))
    assert found == wanted


def test_replies_name_positions_of_the_batch() -> None:
    blob = b"".join(bytes(4) + bytes([0, 0, 0, number % 2]) + bytes([number] * 8) + bytes([1] * 8) for number in range(6))
    asked = calls([Claims(0, blob)], HOURS, 2)
    one, sealed, echo = struct.pack(">H8s", 1, b"\x63ownerXX"), struct.pack(">H8s", 2, b"\0c"), struct.pack(">H8s", 0, b"\0s")
    found = owners(asked, [one + sealed, echo])
    assert found == {2: b"\x63ownerXX", 4: SEALED_OWNER}
    assert found.echoes == {1}
    assert owners(asked, [b"", b""]) == {}


def shard(bits: int, layouts: int = 1) -> Shard:
    return Shard(100, 100, 86, 6, 0, tuple(Layout(number, bits, 0) for number in range(layouts)), ())


def test_buckets_follow_the_ids() -> None:
    full = 32 << 10
    assert wanted_bits(shard(10), {101: full}) == 10
    assert wanted_bits(shard(10), {101: 4 * full}) == 10
    assert wanted_bits(shard(10), {101: 4 * full + 1}) == 14, "today: at once, with room for more"
    assert wanted_bits(shard(10), {99: 2 * full}) == 11, "a day that is over: what it needs"
    assert wanted_bits(shard(10), {99: 9, 100: 9}) == 10
    assert wanted_bits(shard(10), {98: 2_000, 99: 9, 100: 9}) == 6, "three small days"
    assert wanted_bits(shard(10), {98: 9, 99: 9, 100: 9, 101: full}) == 10
    assert wanted_bits(shard(10, layouts=2), {98: 9, 99: 9, 100: 9}) == 10, "a look-up more for every claim is worth no small gain"
    assert wanted_bits(shard(10, layouts=5), {101: 1_000 * full}) == 10


def test_buckets_are_sized_for_32_ids_a_day() -> None:
    assert [bits_for(ids) for ids in (0, 32 << 4, (32 << 4) + 1, 32 << 20)] == [4, 4, 5, 20]


def test_a_shard_reads_what_its_scripts_write() -> None:
    raw = struct.pack(">IIIBBBH", 7, 6, 5, 6, 1, 2, 1) + struct.pack(">BBIBBI", 1, 12, 4, 2, 13, 0) + struct.pack(">IB", 8, 2)
    assert Shard.read(raw) == Shard(7, 6, 5, 6, 1, (Layout(1, 12, 4), Layout(2, 13, 0)), ((8, 2),))
    assert Shard.read(raw).due
