"""Putting back the claims of a lost index: killed and gone on with, never believed in another memory, canary last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dedup.index import Claims, Owners, id_hasher
from dedup.memory import MemoryIndex
from dedup.rebuild import Piece, ProgressFile, Rebuild, Step
from hourmark.errors import IndexLost, IndexUnavailable
from hourmark.event import Coordinates

SECRET = b"k" * 64
TYPE = "t.thing"


class Killed(Exception):
    """As by `kill -9`."""


class Away(MemoryIndex):
    """Does not answer the next claims."""

    misses = 0

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        if self.misses:
            self.misses -= 1
            raise IndexUnavailable("away")
        return await super().claim(batch)


def number_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def pieces(start: int, stop: int, *, dies: bool = False) -> Iterator[Piece]:
    """Hour n holds ids 10n … 10n + 9."""
    for hour in range(start, stop):
        numbers = range(hour * 10, hour * 10 + 10)
        ids, owners = b"".join(map(number_id, numbers)), b"".join(Coordinates(1, 0, number).pack() for number in numbers)
        yield Piece(TYPE, hour, ids, owners)
        yield Piece(TYPE, 0, b"", b"", (Step(TYPE, hour),))
    if dies:
        raise Killed


def claims_of_copies(numbers: range) -> Claims:
    hashed = id_hasher(SECRET, TYPE)
    return Claims(0, b"".join(hashed(number_id(number)) + Coordinates(1, 0, 1_000_000 + number).pack() for number in numbers))


def rebuild(index: MemoryIndex, home: Path, told: list[str] | None = None) -> Rebuild:
    return Rebuild(index, SECRET, ProgressFile(home / "progress.json"), (told if told is not None else []).append)


async def test_every_claim_is_back_and_the_canary_comes_last(tmp_path: Path) -> None:
    index = MemoryIndex(1000)
    await index.restore()
    run = rebuild(index, tmp_path)
    assert (await run.begin()).reached == {}
    await run.insert(pieces(0, 5))
    with pytest.raises(IndexLost):
        await index.open()
    await run.finish()
    await index.open()
    copies = await index.claim([claims_of_copies(range(60))])
    assert copies == {number: Coordinates(1, 0, number).pack() for number in range(50)}
    assert run.progress.restored == 50
    assert not (tmp_path / "progress.json").exists()


async def test_a_killed_run_is_gone_on_with(tmp_path: Path) -> None:
    index = MemoryIndex(1000)
    await index.restore()
    first = rebuild(index, tmp_path)
    await first.begin()
    with pytest.raises(Killed):
        await first.insert(pieces(0, 3, dies=True))
    await index.restore()
    second = rebuild(index, tmp_path)
    reached = (await second.begin()).reached
    assert reached == {TYPE: 2}
    await second.insert(pieces(reached[TYPE] + 1, 5))
    await second.finish()
    assert len(await index.claim([claims_of_copies(range(50))])) == 50
    assert second.progress.restored == 50


async def test_progress_in_a_memory_that_is_another_one_counts_for_nothing(tmp_path: Path) -> None:
    index = MemoryIndex(1000)
    await index.restore()
    first = rebuild(index, tmp_path)
    await first.begin()
    await first.insert(pieces(0, 3))
    index.forget()
    await index.restore()
    assert (await rebuild(index, tmp_path).begin()).reached == {}


async def test_an_index_emptied_meanwhile_ends_the_run(tmp_path: Path) -> None:
    index = MemoryIndex(1000)
    await index.restore()
    run = rebuild(index, tmp_path)
    await run.begin()

    def emptied() -> Iterator[Piece]:
        yield from pieces(0, 3)
        index.forget()
        yield from pieces(3, 5)

    with pytest.raises(IndexLost):
        await run.insert(emptied())


async def test_what_the_index_has_keeps_its_owner(tmp_path: Path) -> None:
    index = MemoryIndex(1000)
    await index.initialise()
    await index.claim([claims_of_copies(range(5))])
    run = rebuild(index, tmp_path)
    await run.begin()
    await run.insert(pieces(0, 1))
    assert (run.progress.restored, run.progress.known) == (5, 5)


async def test_an_index_that_is_away_is_waited_for_with_one_line(tmp_path: Path) -> None:
    index, told = Away(1000), list[str]()
    await index.restore()
    run = rebuild(index, tmp_path, told)
    await run.begin()
    index.misses = 2
    await run.insert(pieces(0, 2))
    assert run.progress.restored == 20
    assert told == ["away"]
