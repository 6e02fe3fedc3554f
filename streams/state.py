"""A partition's state as the metadata of its committed offset: offset and state are one atomic write, and there is no other state.

Version byte, then unsigned LEB128 numbers, as base85 text. Tallies leave `forwarded` out: it is what remains. About 10 bytes an open hour.
Ends with a zero byte: librdkafka copies metadata without an end of its own, and its readers then see what lies behind it in memory.
"""

from __future__ import annotations

from base64 import b85decode, b85encode
from typing import Final

from dedup.deduplicator import PartitionState
from hourmark.errors import InvariantBroken
from hourmark.event import Tally

VERSION: Final = 1
METADATA_MAX: Final = 4096  # Kafka's default of offset.metadata.max.bytes
END: Final = "\0"


def encode_state(state: PartitionState) -> str:
    """ASCII text for the committed offset. May be longer than METADATA_MAX: then the commit has to wait for a barrier."""
    out = bytearray([VERSION])
    closed = 0 if state.closed is None else state.closed + 1
    for number in (closed, state.first, state.seen, state.barriers, state.carried, len(state.tallies)):
        _put(out, number)
    before = 0
    for hour, tally in sorted(state.tallies.items()):
        for number in (hour - before, tally.consumed, tally.duplicates, tally.rejected, tally.skewed):
            _put(out, number)
        before = hour
    return b85encode(out).decode("ascii") + END


def decode_state(metadata: str, where: str) -> PartitionState:
    """Inverse of `encode_state`. Raises InvariantBroken for anything else; `where` names the partition and offset in the message."""
    try:
        data = b85decode(metadata.removesuffix(END))
        if not data or data[0] != VERSION:
            raise ValueError(f"version {data[:1].hex() or 'missing'}")
        numbers = _Numbers(data)
        closed, first, seen, barriers, carried, hours = (numbers.take() for _ in range(6))
        tallies, hour = {}, 0
        for _ in range(hours):
            hour += numbers.take()
            consumed, duplicates, rejected, skewed = (numbers.take() for _ in range(4))
            tallies[hour] = Tally(consumed, consumed - duplicates - rejected, duplicates, rejected, skewed)
        numbers.end()
    except (ValueError, IndexError) as exc:
        raise InvariantBroken(
            f"the committed offset of {where} carries no readable state ({exc}): it was moved by a tool or written by a newer release. "
            "Set it to offset 0 with empty metadata (the log still begins there) or go back to the release that wrote it"
        ) from exc
    return PartitionState(closed - 1 if closed else None, first, seen, barriers, carried, tallies)


def _put(out: bytearray, number: int) -> None:
    if number < 0:
        raise InvariantBroken(f"a count below zero in a partition's state: {number}")
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


class _Numbers:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 1

    def take(self) -> int:
        number = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes too many")
