import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark import event
from hourmark.event import CleanBarrier, Coordinates, Stamp, Tally

coordinates = st.builds(Coordinates, st.integers(0, 255), st.integers(0, 65_535), st.integers(0, 2**40 - 1))


@given(coordinates)
def test_coordinates_survive_packing(where: Coordinates) -> None:
    assert len(where.pack()) == 8
    assert Coordinates.unpack(where.pack()) == where


@given(coordinates, coordinates)
def test_packed_coordinates_sort_as_source_partition_offset(a: Coordinates, b: Coordinates) -> None:
    assert (a.pack() < b.pack()) == (a < b)


def test_stamp_is_27_bytes_in_the_published_order() -> None:
    packed = event.STAMP.pack(1, 2, 3, 4, 5, -6, 1)
    assert packed.hex() == "01020000000300000000000000040000000000000005fffffffa01"
    assert event.unpack_stamp(packed) == Stamp(1, 2, 3, 4, 5, -6, 1)
    with pytest.raises(struct.error):
        event.unpack_stamp(packed[:-1])


def test_barriers_read_back_and_damage_reads_as_none() -> None:
    assert event.read_raw_barrier(event.raw_barrier_headers(7)) == event.RawBarrier(7)
    assert event.read_raw_barrier(None) is None
    assert event.read_raw_barrier([("other", b"{}")]) is None
    for damage in (b"", b"{", b'{"hour": "7"}', b'{"hour": 1.5}', b"\xff"):
        assert event.read_raw_barrier([(event.BARRIER_HEADER, damage)]) is None


def barrier(**changes: object) -> CleanBarrier:
    base = CleanBarrier(
        hour=10,
        source=1,
        partition=0,
        offset=9,
        append_ms=0,
        first=0,
        seen=9,
        barriers=1,
        carried=2,
        left=1,
        tallies={10: Tally(10, 8, 1, 1, 0)},
    )
    return msgspec.structs.replace(base, **changes)


def test_a_clean_barrier_knows_whether_it_balances() -> None:
    assert barrier().balanced()
    assert not barrier(first=1).balanced()
    assert not barrier(carried=3).balanced()
    read = event.read_clean_barrier(event.clean_barrier_headers(barrier()))
    assert read == barrier()


def test_the_id_stands_at_the_same_bytes_whatever_the_schema() -> None:
    value = event.frame(300) + bytes(range(16)) + b"rest"
    assert event.schema_id_of(value) == 300
    assert value[event.ID_START : event.ID_END] == bytes(range(16))
    for short in (b"", b"\x00" * 20, b"\x01" + b"\x00" * 30):
        with pytest.raises(ValueError, match="not a framed event"):
            event.schema_id_of(short)
