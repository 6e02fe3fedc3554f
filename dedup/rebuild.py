"""Puts back the claims of a lost index: (id, coordinates) of everything that was forwarded, from whoever still has it.

Claims are idempotent and the first one stays, so pieces may come twice, and a rebuild that was killed goes on where it was. The canary is
written at the very end: until then no worker can use the index. Knows nothing of lakes and topics; pieces are handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hourmark.errors import IndexUnavailable

from .index import ID_BYTES, OWNER_BYTES, Claims, Index, id_hasher
from .reassert import Failover, ReassertingIndex

RETRY_S: Final = 0.5
SAVE_S: Final = 1.0
REASSERT_S: Final = 30.0


class Piece(NamedTuple):
    """Events of one type, forwarded long ago and appended in one hour. `ids`: 16 bytes each; `owners`: packed coordinates, 8 each.

    `steps`: the progress that is made when this and everything before it is in the index.
    """

    event_type: str
    append_ms: int
    ids: bytes
    owners: bytes
    steps: Sequence[Step] = ()


class Step(NamedTuple):
    """`name`: an event type whose sealed hours have been read up to `reached`, or `type/partition`, read up to that clean offset."""

    name: str
    reached: int


class Progress(msgspec.Struct):
    """How far a rebuild of one memory is. `restored`: ids claimed; `known`: of these, ids that the index had for another record."""

    memory: str
    reached: dict[str, int] = {}
    restored: int = 0
    known: int = 0


class ProgressFile:
    """Progress beside the index. It counts only for the memory that it was made in: a memory that changed may hold less than it says."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, memory: str) -> Progress:
        """What was reached in this memory; a fresh beginning otherwise."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found = msgspec.json.decode(self._path.read_bytes(), type=Progress)
            if found.memory == memory:
                return found
        return Progress(memory)

    def write(self, progress: Progress) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".tmp")
        aside.write_bytes(msgspec.json.encode(progress))
        os.replace(aside, self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


class Rebuild:
    """One run over an index that `restore` has opened. `progress` may be read by whoever shows it."""

    def __init__(self, index: Index, secret: bytes, file: ProgressFile, on_trouble: Callable[[str], None]) -> None:
        """`on_trouble` gets one line when the index does not answer; it is asked again for ever."""
        self._index = ReassertingIndex(index, REASSERT_S, self._failed_over)
        self._secret, self._file, self._on_trouble = secret, file, on_trouble
        self._hashers: dict[str, Callable[[bytes], bytes]] = {}
        self._saved = time.monotonic()
        self._troubled = False
        self._renamed = False
        self.progress = Progress("")

    async def begin(self) -> Progress:
        """What has been reached by an earlier run in the same memory. Raises IndexLost, IndexUnavailable."""
        self.progress = self._file.read(await self._index.memory())
        return self.progress

    async def insert(self, pieces: Iterator[Piece]) -> None:
        """Claim all of it, in this order. The next piece is fetched (on a thread) while the index works on the one before.

        Raises IndexLost when the index is emptied meanwhile, and what `pieces` raises.
        """
        working: asyncio.Task[None] | None = None
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                claims = Claims(piece.append_ms, self._records(piece))
                if working is not None:
                    await working
                working = asyncio.create_task(self._claim(claims, piece.steps))
            if working is not None:
                await working
        finally:
            if working is not None and not working.done():
                working.cancel()
            await self._save()

    async def finish(self) -> None:
        """Everything is there: the index may be used."""
        await self._index.finish_restore()
        self._file.remove()

    def _records(self, piece: Piece) -> bytes:
        hashed = self._hashers.get(piece.event_type)
        if hashed is None:
            hashed = self._hashers[piece.event_type] = id_hasher(self._secret, piece.event_type)
        ids, owners = piece.ids, piece.owners
        places = zip(range(0, len(ids), ID_BYTES), range(0, len(owners), OWNER_BYTES), strict=True)
        return b"".join([hashed(ids[i : i + ID_BYTES]) + owners[o : o + OWNER_BYTES] for i, o in places])

    async def _claim(self, claims: Claims, steps: Sequence[Step]) -> None:
        refused: Collection[int] = ()
        while claims.records:
            try:
                refused = await self._index.claim([claims])
                break
            except IndexUnavailable as exc:
                if not self._troubled:
                    self._on_trouble(exc.message)
                self._troubled = True
                await asyncio.sleep(RETRY_S)
        self._troubled = False
        count = len(claims.records) // (ID_BYTES + OWNER_BYTES)
        self.progress.restored += count - len(refused)
        self.progress.known += len(refused)
        self.progress.reached |= steps
        if time.monotonic() - self._saved >= SAVE_S:
            await self._save()

    def _failed_over(self, _: Failover) -> None:
        self._renamed = True

    async def _save(self) -> None:
        with contextlib.suppress(IndexUnavailable):
            if self._renamed:  # what the other memory lacked has been claimed again
                self.progress.memory = await self._index.memory()
                self._renamed = False
            self._file.write(self.progress)
        self._saved = time.monotonic()
