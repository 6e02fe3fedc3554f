"""The last claims are made again in a memory that changed; what came between is counted, or still made the duplicate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dedup.index import Claims, Index, Owners
from dedup.memory import MemoryIndex
from dedup.reassert import Failover, ReassertingIndex
from hourmark.errors import IndexLost, IndexUnavailable
from hourmark.event import Coordinates


def claims(*records: tuple[int, int]) -> Claims:
    """(id, offset) pairs as claims of partition 0."""
    return Claims(0, b"".join(number.to_bytes(16, "big") + owner(offset) for number, offset in records))


def owner(offset: int) -> bytes:
    return Coordinates(1, 0, offset).pack()


class Clock:
    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        self.at += 0.06  # each look is later than the one before
        return self.at


class LosesReplies(MemoryIndex):
    """Executes the next claim and does not answer; its memory changes as `forget_since` says."""

    lost_replies = 0

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        owners = await super().claim(batch)
        if self.lost_replies:
            self.lost_replies -= 1
            raise IndexUnavailable("the answer was lost")
        return owners


class Room:
    def __init__(self, seconds: float = 30.0) -> None:
        self.clock = Clock()
        self.memory = LosesReplies(10_000, self.clock)
        self.told: list[Failover] = []
        self.index: Index = self.guard(seconds)

    def guard(self, seconds: float = 30.0) -> ReassertingIndex:
        return ReassertingIndex(self.memory, seconds, self.told.append, settle=0, now=self.clock)


@pytest.fixture
async def room() -> Room:
    made = Room()
    await made.index.initialise()
    return made


async def test_claims_that_a_failover_lost_are_there_before_the_next_one(room: Room) -> None:
    await room.index.claim([claims((1, 10), (2, 11)), claims((3, 12))])
    room.memory.forget_since(20)
    assert await room.index.claim([claims((1, 20), (3, 21), (4, 22))]) == {0: owner(10), 1: owner(12)}
    assert room.told == [Failover(asserted=3, doubled=0)]


async def test_without_saying_them_again_copies_pass() -> None:
    """The test above can fail."""
    room = Room(seconds=0)
    await room.index.initialise()
    await room.index.claim([claims((1, 10))])
    room.memory.forget_since(20)
    assert await room.index.claim([claims((1, 20))]) == {}


async def test_a_duplicate_is_never_said_again(room: Room) -> None:
    """Its event was not forwarded: as the owner it would make a replay of the first one a duplicate, and the event would be lost."""
    other = room.guard()
    await other.open()
    await other.claim([claims((1, 10))])
    assert await room.index.claim([claims((5, 50), (1, 20)), claims((1, 21), (6, 60))]) == {1: owner(10), 2: owner(10)}
    room.memory.forget_since(20)
    assert await room.index.claim([claims((7, 70))]) == {}
    assert await room.memory.claim([claims((1, 10), (5, 51), (6, 61))]) == {1: owner(50), 2: owner(60)}
    assert room.told == [Failover(asserted=2, doubled=0)]


async def test_an_id_that_another_worker_claimed_meanwhile_is_a_counted_double(room: Room) -> None:
    await room.index.claim([claims((1, 10), (2, 11))])
    room.memory.forget_since(20)
    assert await room.memory.claim([claims((2, 99))]) == {}
    assert await room.index.claim([claims((1, 20))]) == {0: owner(10)}
    assert room.told == [Failover(asserted=2, doubled=1)]


async def test_a_copy_claimed_by_an_attempt_whose_answer_was_lost_is_still_a_duplicate(room: Room) -> None:
    """The memory changes between the look at it and the claim."""
    await room.index.claim([claims((1, 10))])
    room.memory.forget_since(20)
    assert await room.memory.claim([claims((1, 20))]) == {}  # executed, not answered: what the attempt below repeats
    assert await room.index.claim([claims((8, 80), (1, 20))]) == {1: owner(10)}
    assert room.told == [Failover(asserted=1, doubled=0)]


async def test_a_claim_without_an_answer_is_repeated(room: Room) -> None:
    await room.index.claim([claims((1, 10))])
    room.memory.lost_replies = 1
    with pytest.raises(IndexUnavailable):
        await room.index.claim([claims((2, 20))])
    assert await room.index.claim([claims((2, 20), (1, 21))]) == {1: owner(10)}
    assert room.told == [], "the memory is the same"


async def test_claims_older_than_the_limit_are_let_go(room: Room) -> None:
    await room.index.claim([claims((1, 10))])
    room.clock.at += 31
    await room.index.claim([claims((2, 20))])
    room.memory.forget_since(60)
    await room.index.claim([claims((3, 30))])
    assert room.told == [Failover(asserted=1, doubled=0)]


async def test_an_idle_worker_says_its_claims_too(room: Room) -> None:
    guard = room.guard()
    await guard.open()
    await guard.claim([claims((1, 10))])
    watching = asyncio.create_task(guard.watch())
    room.memory.forget_since(20)
    deadline = asyncio.get_running_loop().time() + 60
    while not room.told:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
        room.clock.at += 0.5
    assert await room.memory.claim([claims((1, 20))]) == {0: owner(10)}
    room.memory.forget()
    room.clock.at += 10
    with pytest.raises(IndexLost):
        await asyncio.wait_for(watching, 60)
