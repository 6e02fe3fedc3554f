"""Avro types by columns: each node reads its values for all datums at once and leaves one Arrow array.

Promise: a datum that is not marked `bad` has been read as fastavro reads it; a marked one may yet be good, and fastavro has to say so.
Never loops on what a count claims: arrays of more than LONG_ARRAY items, and turns beyond the source's, are marked bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .cursors import Cursors, Ints, Mask

LONG_ARRAY: Final = 64
_array: Any = pa.array  # the stubs know neither numpy's masks nor buffers
_buffer: Any = pa.py_buffer


class Node(Protocol):
    """How values of one Avro type are read. `kind`: the Arrow type; `least`: bytes that a value has at least."""

    kind: Any
    least: int

    def read(self, cursors: Cursors) -> Any: ...


class Unsupported(Exception):
    """A schema that is left to the row decoder."""


class Null:
    least = 0

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def read(self, cursors: Cursors) -> Any:
        return pa.nulls(len(cursors), self.kind)


class Boolean:
    least = 1

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def read(self, cursors: Cursors) -> Any:
        at = np.minimum(cursors.at, cursors.source.size)
        cursors.at = at + 1
        value = cursors.source.bytes[at]
        cursors.bad |= value > 1
        return _array(value == 1)


class Integer:
    """int and long, whatever they mean: the Arrow type says how wide they are."""

    least = 1

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._narrow = kind.bit_width == 32

    def read(self, cursors: Cursors) -> Any:
        value: Any = cursors.varint()
        if self._narrow:
            narrow = value.astype(np.int32)
            cursors.bad |= narrow != value
            value = narrow
        return _plain(self.kind, value)


class Float:
    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.least = kind.bit_width // 8

    def read(self, cursors: Cursors) -> Any:
        word = cursors.word(self.least)
        return _plain(self.kind, word if self.least == 8 else word.astype(np.uint32))


class Text:
    """string and bytes."""

    least = 1

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def read(self, cursors: Cursors) -> Any:
        start, size = cursors.span(cursors.varint())
        count = len(start)
        if not count:
            return _array([], self.kind)
        # Values and the gaps between them, in turn: a binary array over the bytes as they lie, of which every second item is taken.
        offsets = np.empty(2 * count, np.int32)
        offsets[0::2] = start
        offsets[1::2] = start + size
        lying = pa.Array.from_buffers(pa.binary(), 2 * count - 1, [None, _buffer(offsets), cursors.source.buffer])
        found = lying.take(_array(np.arange(0, 2 * count - 1, 2)))
        return found if self.kind == pa.binary() else self._text(found, cursors.bad)

    def _text(self, found: Any, bad: Mask) -> Any:
        try:
            return found.cast(pa.string())
        except pa.ArrowInvalid:
            wrong = list(_not_utf8(found, 0, len(found)))
            bad[wrong] = True
            keep = np.ones(len(found), np.bool_)
            keep[wrong] = False
            return pc.if_else(_array(keep), found, pa.scalar(b"")).cast(pa.string())


class Enum:
    least = 1

    def __init__(self, kind: Any, symbols: Sequence[str]) -> None:
        self.kind = kind
        self._symbols = _array(symbols, kind)

    def read(self, cursors: Cursors) -> Any:
        return self._symbols.take(_array(_index(cursors, len(self._symbols))))


class Fixed:
    def __init__(self, kind: Any, size: int) -> None:
        self.kind, self.least = kind, size

    def read(self, cursors: Cursors) -> Any:
        start, _ = cursors.span(np.full(len(cursors), self.least, np.int64))
        places = cursors.source.windows(self.least)
        raw = places[np.minimum(start, len(places) - 1)]
        return pa.Array.from_buffers(self.kind, len(start), [None, _buffer(raw)])


class Record:
    def __init__(self, kind: Any, members: Sequence[Node]) -> None:
        self.kind, self._members = kind, members
        self.least = sum(member.least for member in members)

    def read(self, cursors: Cursors) -> Any:
        return pa.StructArray.from_arrays([member.read(cursors) for member in self._members], fields=list(self.kind))


class Optional:
    """A union of one type, with or without null. `branches`: True where the type stands, False for null."""

    least = 1

    def __init__(self, member: Node, branches: Sequence[bool]) -> None:
        self.kind, self._member = member.kind, member
        self._branches = np.array(branches)

    def read(self, cursors: Cursors) -> Any:
        there = self._branches[_index(cursors, len(self._branches))]
        return self._member.read(cursors) if there.all() else _where(there, self._member, cursors)


class Union:
    """Several types: a struct with one member each, of which one is set. `branches`: each one's member, None for null."""

    least = 1

    def __init__(self, kind: Any, members: Sequence[Node], branches: Sequence[int | None]) -> None:
        self.kind, self._members = kind, members
        self._branches = np.array([-1 if branch is None else branch for branch in branches])

    def read(self, cursors: Cursors) -> Any:
        chosen = self._branches[_index(cursors, len(self._branches))]
        values = [_where(chosen == number, member, cursors) for number, member in enumerate(self._members)]
        return pa.StructArray.from_arrays(values, fields=list(self.kind), mask=_array(chosen < 0))


class Repeated:
    """array, and map, which is written like an array of pairs."""

    least = 1

    def __init__(self, kind: Any, item: Node) -> None:
        if not item.least:
            raise Unsupported("items of no bytes: only their count says how many there are")
        self.kind, self._item = kind, item

    def read(self, cursors: Cursors) -> Any:
        """Item by item, each turn for all datums that have one more."""
        counts = np.zeros(len(cursors), np.int64)
        pieces, owners = [], []
        open_, left = np.arange(len(cursors)), np.zeros(len(cursors), np.int64)
        while len(open_):
            self._open_blocks(cursors, open_[left[open_] == 0], left)
            open_ = open_[left[open_] > 0]
            if not len(open_):
                break
            cursors.source.turns -= 1
            if cursors.source.turns < 0:
                cursors.bad[open_] = True
                break
            part = cursors.select(open_)
            pieces.append(self._item.read(part))
            owners.append(open_)
            part.bad |= part.at > part.ends
            cursors.merge(open_, part)
            counts[open_] += 1
            left[open_] -= 1
            open_ = open_[~part.bad]
        return self._join(counts, pieces, owners)

    def _open_blocks(self, cursors: Cursors, which: Ints, left: Ints) -> None:
        if not len(which):
            return
        part = cursors.select(which)
        count = part.varint()
        sized = np.flatnonzero(count < 0)
        if len(sized):
            inner = part.select(sized)
            inner.varint()  # the block's size in bytes, for those who skip
            part.merge(sized, inner)
            count = np.abs(count)
        wrong = (count < 0) | (count > LONG_ARRAY) | (count * self._item.least > part.ends - part.at)
        part.bad |= wrong
        left[which] = np.where(wrong, 0, count)
        cursors.merge(which, part)

    def _join(self, counts: Ints, pieces: list[Any], owners: list[Ints]) -> Any:
        offsets = _array(np.concatenate(([0], np.cumsum(counts))).astype(np.int32))
        if pieces:
            order = np.argsort(np.concatenate(owners), kind="stable")
            items = (pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)).take(_array(order))
        else:
            items = _array([], self._item.kind)
        if pa.types.is_map(self.kind):
            from_arrays: Any = pa.MapArray.from_arrays  # the stubs know no type beside keys and items
            return from_arrays(offsets, items.field(0), items.field(1), type=self.kind)
        return pa.ListArray.from_arrays(offsets, items, type=self.kind)


def _plain(kind: Any, values: npt.NDArray[Any]) -> Any:
    return pa.Array.from_buffers(kind, len(values), [None, _buffer(values)])


def _index(cursors: Cursors, count: int) -> Ints:
    """A number below `count`; another one is bad and read as 0."""
    index = cursors.varint()
    wrong = (index < 0) | (index >= count)
    if wrong.any():
        cursors.bad |= wrong
        index[wrong] = 0
    return index


def _where(there: Mask, member: Node, cursors: Cursors) -> Any:
    """Values where `there`, nulls elsewhere."""
    which = np.flatnonzero(there)
    if not len(which):
        return pa.nulls(len(there), member.kind)
    part = cursors.select(which)
    values = member.read(part)
    cursors.merge(which, part)
    return values.take(_array(np.cumsum(there) - 1, mask=~there))


def _not_utf8(found: Any, low: int, high: int) -> Iterator[int]:
    """Indices of values that are not UTF-8, by bisection."""
    try:
        found.slice(low, high - low).cast(pa.string())
    except pa.ArrowInvalid:
        if high - low == 1:
            yield low
        else:
            middle = (low + high) // 2
            yield from _not_utf8(found, low, middle)
            yield from _not_utf8(found, middle, high)
