"""A compact index over simulated days: ids by number, owners by number, days by number."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from dedup.compact import CompactIndex, CompactOptions
from dedup.index import SEALED_OWNER, Claims, Owners
from dedup.sealing import Days, DaySealing
from hourmark.event import Coordinates
from hourmark.hours import Hours

DAY_MS = 86_400_000
FIRST = int(time.time() * 1000) // DAY_MS  # the first simulated day: keys expire by the server's own clock, so it is a real one


def compact(url: str, **changes: Any) -> CompactIndex:
    options = {"hash_key": b"key", "window_days": 3, "hours": Hours(), "shards": 2, "ids_a_day": 1_000} | changes
    return CompactIndex(url, CompactOptions(**options))


def owner(number: int) -> bytes:
    return Coordinates(1, number % 7, number).pack()


def key(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "big"), digest_size=16).digest()


def claims(records: Iterable[tuple[int, int]], day: int) -> Claims:
    """(id, owner) pairs as claims of one day, counted from the first."""
    return Claims((FIRST + day) * DAY_MS + 1, b"".join(key(one) + owner(other) for one, other in records))


async def seal(index: CompactIndex, day: int, **settings: Any) -> Days:
    found = await DaySealing(index, **settings).round(FIRST + day)
    assert found is not None
    # The next sealer in the test is another worker, whose turn it is at once.
    await index.server.client.delete("{0}l")
    return found


async def whole_life(index: CompactIndex, days: int, ids_a_day: int, seed: int = 1) -> None:
    """Days of new ids, resends of all ages, replays, and sealing one day behind; every verdict is the right one, or this raises."""
    chance = random.Random(seed)
    window = index.options.window_days
    await index.initialise()
    await index.open()
    for day in range(days):
        fresh = range(day * ids_a_day, (day + 1) * ids_a_day)
        today = claims([(one, one) for one in fresh], day)
        assert await index.claim([today]) == {}, day
        assert await index.claim([today]) == {}, "a replay recognises itself"
        for age in range(1, min(day, window) + 1):
            old = chance.sample(range((day - age) * ids_a_day, (day - age + 1) * ids_a_day), ids_a_day // 10)
            found = await index.claim([claims([(one, 10**9 + one) for one in old], day)])
            assert sorted(found) == list(range(len(old))), (day, age)
            assert found.echoes == frozenset()
            _check_owners(found, old, sealed=age > 1)
            replayed = await index.claim([claims([(one, one) for one in old], day - age)])
            assert replayed == {}, "an old record read again is forwarded"
            assert replayed.echoes == (frozenset(range(len(old))) if age > 1 else frozenset()), "and flagged, once its day is sealed"
        sealed = await seal(index, day - 1)
        assert sealed.sealed == FIRST + day - 1
        assert sealed.moved == (ids_a_day if day else 0)


def _check_owners(found: Owners, old: Sequence[int], *, sealed: bool) -> None:
    for position, said in found.items():
        assert said == (SEALED_OWNER if sealed else owner(old[position]))
