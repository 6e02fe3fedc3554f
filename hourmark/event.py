"""What an event is on the wire: envelope, framing, coordinates, stamps and barriers, byte for byte.

Value on raw and clean topics: 0x00, schema id (4 bytes big endian), Avro datum of the wire schema, whose first field is the event id,
so that bytes 5..21 are the id whatever the schema. A record on clean carries the header `hm` (a stamp); a barrier has a null value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

MAGIC: Final = b"\x00"
FRAME: Final = Struct(">BI")
ID_START: Final = 5
ID_END: Final = 21

STAMP_HEADER: Final = "hm"
BARRIER_HEADER: Final = "hm-barrier"

_MICROS: Final = {"type": "long", "logicalType": "timestamp-micros"}
ENVELOPE: Final[Sequence[Mapping[str, Any]]] = (
    {"name": "_event_id", "type": {"type": "fixed", "size": 16, "name": "EventId", "namespace": "hourmark"}},
    {"name": "_event_time", "type": _MICROS, "doc": "client clock, when it happened"},
    {"name": "_sent_at", "type": _MICROS, "doc": "client clock, when this attempt left"},
    {"name": "_received_at", "type": _MICROS, "doc": "receiver clock"},
    {"name": "_sdk", "type": "string"},
    {"name": "_sdk_version", "type": "string"},
    {"name": "_app", "type": "string"},
    {"name": "_install_id", "type": ["null", "string"], "default": None, "doc": "one installation of the SDK"},
    {"name": "_sequence", "type": ["null", "long"], "default": None, "doc": "gapless per install and event type: measures loss"},
    {"name": "_attempt", "type": "int", "doc": "1 on first send"},
)

FLAG_SKEWED: Final = 1
FLAG_UNCHECKED: Final = 2
FLAG_ECHO: Final = 4  # read again after its day was sealed in the id index: known downstream by its coordinates


class Coordinates(NamedTuple):
    """Where a record stands in the raw log, for ever. `source` tells incarnations of one raw topic apart (1 for the first)."""

    source: int
    partition: int
    offset: int

    def pack(self) -> bytes:
        """8 bytes big endian: source u8, partition u16, offset u40; the owner's name in the id index."""
        return (self.source << 56 | self.partition << 40 | self.offset).to_bytes(8, "big")

    @classmethod
    def unpack(cls, packed: bytes) -> Coordinates:
        number = int.from_bytes(packed, "big")
        return cls(number >> 56, number >> 40 & 0xFFFF, number & 0xFF_FFFF_FFFF)


STAMP: Final = Struct(">BBIQQiB")
STAMP_VERSION: Final = 1


class Stamp(NamedTuple):
    """The `hm` header of a clean record, big endian, 27 bytes: version u8, source u8, raw partition u32, raw offset u64,
    append time in ms u64, hour i32, flags u8 (1 skewed, 2 unchecked, 4 echo). Hot paths call `STAMP.pack` directly."""

    version: int
    source: int
    partition: int
    offset: int
    append_ms: int
    hour: int
    flags: int


def unpack_stamp(header: bytes) -> Stamp:
    """Raises struct.error when the header is not 27 bytes long."""
    return Stamp._make(STAMP.unpack(header))


class Tally(msgspec.Struct, array_like=True):
    """What the dedup worker did with the records of one (raw partition, hour). consumed = forwarded + duplicates + rejected."""

    consumed: int = 0
    forwarded: int = 0
    duplicates: int = 0
    rejected: int = 0
    skewed: int = 0


class RawBarrier(msgspec.Struct, frozen=True):
    """`hm-barrier` on raw: closes every hour <= `hour` in its partition, if its own append time >= the hour's end."""

    hour: int


class CleanBarrier(msgspec.Struct, frozen=True, kw_only=True):
    """`hm-barrier` on clean: the valid raw barrier, forwarded in place with what it closes, so that the sink can audit.

    `offset`, `append_ms`: the raw barrier's own. `first`: raw offset where its interval starts (after the valid barrier before it).
    `seen`: data records in the interval, `barriers`: barrier records in it (repeats, invalid ones and itself included).
    `carried`: records of hours <= any open hour that were counted before `first`; `left`: records counted into hours that stay open.
    Always: offset + 1 - first == seen + barriers, and carried + seen == sum of consumed over `tallies` + left.
    """

    hour: int
    source: int
    partition: int
    offset: int
    append_ms: int
    first: int
    seen: int
    barriers: int
    carried: int
    left: int
    tallies: dict[int, Tally]

    def balanced(self) -> bool:
        consumed = sum(t.consumed for t in self.tallies.values())
        return self.offset + 1 - self.first == self.seen + self.barriers and self.carried + self.seen == consumed + self.left


_raw_barrier = msgspec.json.Decoder(RawBarrier)
_clean_barrier = msgspec.json.Decoder(CleanBarrier)

T = TypeVar("T")
Headers = Sequence[tuple[str, bytes]]


def raw_barrier_headers(hour: int) -> list[tuple[str, bytes]]:
    return [(BARRIER_HEADER, msgspec.json.encode(RawBarrier(hour)))]


def clean_barrier_headers(barrier: CleanBarrier) -> list[tuple[str, bytes]]:
    return [(BARRIER_HEADER, msgspec.json.encode(barrier))]


def read_raw_barrier(headers: Headers | None) -> RawBarrier | None:
    """The barrier in these headers, or None when there is none or it cannot be read (then it closes nothing)."""
    return _read(_raw_barrier, headers)


def read_clean_barrier(headers: Headers | None) -> CleanBarrier | None:
    """As `read_raw_barrier`, for clean topics."""
    return _read(_clean_barrier, headers)


def _read(decoder: msgspec.json.Decoder[T], headers: Headers | None) -> T | None:
    for name, value in headers or ():
        if name == BARRIER_HEADER:
            try:
                return decoder.decode(value)
            except msgspec.DecodeError:
                return None
    return None


class Verdict(msgspec.Struct, omit_defaults=True, frozen=True):
    """What became of one event. stored and parked are durable; rejected is final; retry means: send again with the same id."""

    verdict: str
    partition: int | None = None
    offset: int | None = None
    code: str | None = None
    path: str | None = None
    detail: str | None = None
    retry_after: float | None = None


def frame(schema_id: int) -> bytes:
    """The five bytes before every datum of this schema."""
    return FRAME.pack(0, schema_id)


def schema_id_of(value: bytes) -> int:
    """Schema id of a framed value. Raises ValueError when it is not framed or too short to hold an event id."""
    if len(value) < ID_END or value[0] != 0:
        raise ValueError(f"not a framed event: {len(value)} bytes starting {value[:1]!r}")
    return int.from_bytes(value[1:5], "big")
