"""Claims into script calls and replies into positions, with numpy: nothing here runs once an event in Python."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hourmark.hours import Hours

from .index import HOURS_A_DAY, OWNER_BYTES, RECORD_BYTES, SEALED_OWNER, Claims, Owners

CHUNK: Final = 500  # ids a call: it blocks the server for about 5 ms
PACKED_BYTES: Final = 20

_CONFLICT: Final = np.dtype([("index", ">u2"), ("owner", f"V{OWNER_BYTES}")])


class Call(NamedTuple):
    """One script call: `arguments` are pairs of a day and its records, `positions` the place in the batch of each record."""

    shard: int
    arguments: tuple[int | bytes, ...]
    positions: npt.NDArray[np.intp]


def calls(batch: Sequence[Claims], hours: Hours, shards: int, chunk: int = CHUNK) -> list[Call]:
    """The whole batch as calls of at most `chunk` records, those of one shard in batch order.

    Of the 16 bytes of a hash 0-3 choose the bucket, 4-7 the shard, and 8-15 are the fingerprint.
    """
    records = np.frombuffer(b"".join([claims.records for claims in batch]), np.uint8).reshape(-1, RECORD_BYTES)
    if not len(records):
        return []
    shard = np.ascontiguousarray(records[:, 4:8]).view(">u4").ravel() % shards
    order = np.argsort(shard, kind="stable")
    packed = np.concatenate((records[:, :4], records[:, 8:]), axis=1)[order]
    days = _days(batch, hours)[order]
    turns = np.flatnonzero(days[1:] != days[:-1]) + 1
    bounds = np.searchsorted(shard[order], np.arange(shards + 1))
    found = []
    for number in range(shards):
        for first in range(bounds[number], bounds[number + 1], chunk):
            last = min(first + chunk, bounds[number + 1])
            edges = [first, *turns[np.searchsorted(turns, first, "right") : np.searchsorted(turns, last)].tolist(), last]
            runs = pairwise(edges)
            arguments = tuple(part for low, high in runs for part in (int(days[low]), packed[low:high].tobytes()))
            found.append(Call(number, arguments, order[first:last]))
    return found


def owners(asked: Sequence[Call], replies: Sequence[bytes]) -> Owners:
    """What the replies to these calls say."""
    conflicts: dict[int, bytes] = {}
    echoes: list[int] = []
    for call, reply in zip(asked, replies, strict=True):
        if not reply:
            continue
        found = np.frombuffer(reply, _CONFLICT)
        for position, owner in zip(call.positions[found["index"]].tolist(), found["owner"].tolist(), strict=True):
            if owner[0]:
                conflicts[position] = owner
            elif owner[1:2] == b"s":
                echoes.append(position)
            else:
                conflicts[position] = SEALED_OWNER
    return Owners(conflicts, echoes)


def _days(batch: Sequence[Claims], hours: Hours) -> npt.NDArray[np.int64]:
    parts: list[npt.NDArray[Any]] = []
    for claims in batch:
        count = len(claims.records) // RECORD_BYTES
        if claims.times:
            times, which = np.unique(np.asarray(claims.times, np.int64), return_inverse=True)
            parts.append(np.array([hours.of(at) // HOURS_A_DAY for at in times.tolist()], np.int64)[which])
        else:
            parts.append(np.full(count, hours.of(claims.append_ms) // HOURS_A_DAY, np.int64))
    return np.concatenate(parts)
