"""Rebuilds a lost id index: who must not be running meanwhile, what is read in which order, and when the index may be used again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from confluent_kafka.admin import AdminClient
from pydantic import ValidationError

from dedup.backends import open_index
from dedup.index import OWNER_BYTES, Index
from dedup.rebuild import Piece, ProgressFile, Rebuild
from hourmark.errors import IndexLost, IndexUnavailable, InvariantBroken
from hourmark.kafka import client_config
from hourmark.settings import from_files
from sinks.lake import masked
from streams.groups import groups_of
from streams.reshard import WorkersRun, refuse_running
from streams.settings import Settings
from streams.stale import newest_settled

from .addresses import Addresses, home, stack_file
from .failures import AnswerIsNo, WrongInput
from .hour_rows import store_of
from .index_sources import CleanSource, Counter, LakeSource, Window

# What a worker had written when it was killed may reach the log so much later.
SETTLE_S: Final = 2.0
SESSION_S: Final = 12.0


class Rebuilt(NamedTuple):
    """`restored`: ids put in, `before` of them by earlier runs that were cut short; `known`: ids that were in it for another record.

    `gone`: hours whose files are no longer in the lake. `lost`: clean offsets that neither the lake nor the topic has.
    """

    restored: int
    known: int
    before: int
    seconds: float
    gone: list[str]
    lost: list[str]


def settings_of(at: Addresses) -> Settings:
    """As the dedup workers of this platform have them: HOURMARK_DEDUP_* and HOURMARK_STREAMS_* of the environment. Raises WrongInput."""
    profile = os.environ.get("HOURMARK_PROFILE") or ("local" if stack_file() else "production")
    in_files, unreadable = from_files(Settings, os.environ)
    if unreadable:
        raise WrongInput("; ".join(unreadable))
    found_out = {
        "kafka": at.kafka,
        "kafka_options": at.settings().kafka_options,
        "redis_url": at.redis,
        "hour_seconds": at.hour_seconds,
        "hour_anchor": at.hour_anchor,
        "profile": profile,
        "home": home(),
    }
    try:
        return Settings(**in_files | found_out)
    except ValidationError as exc:
        said = "; ".join(str(error["msg"]).removeprefix("Value error, ") for error in exc.errors())
        raise WrongInput(said, remedy="give this command the HOURMARK_* settings of the dedup workers") from exc


class IndexRebuild:
    """One run. `counter` says what is being read; `rebuild.progress` how much is in the index, of which `before` by earlier runs."""

    def __init__(self, at: Addresses, settings: Settings, *, again: bool, on_trouble: Callable[[str], None]) -> None:
        """`again`: the index is healthy, and what it may lack is put in while workers run."""
        self._at, self._settings, self._again = at, settings, again
        self._on_trouble = on_trouble
        self._index: Index = open_index(settings)
        self._file = ProgressFile(settings.home / ("fill-index.json" if again else "rebuild-index.json"))
        self.counter, self.before = Counter(), 0
        self.rebuild = Rebuild(self._index, settings.hash_key, self._file, on_trouble)

    async def run(self) -> Rebuilt:
        """Raises AnswerIsNo when there is nothing to rebuild, WorkersRun, Unavailable, IndexLost when the index is emptied meanwhile."""
        began = time.monotonic()
        try:
            await self._open()
            if self._again:
                self._file.remove()
            progress = await self.rebuild.begin()
            reached, self.before = dict(progress.reached), progress.restored
            oldest = self._settings.hours.of(int((time.time() - self._settings.claim_seconds) * 1000))
            window = Window(self._settings.hours, oldest, self._settings.types)
            lake = await asyncio.to_thread(lambda: LakeSource(store_of(self._at), window, reached, self.counter))
            await self.rebuild.insert(lake.pieces())
            clean = CleanSource(self._settings, window, reached, self.counter)
            try:
                await self._read_clean(lake, clean, began)
            finally:
                await asyncio.to_thread(clean.close)
            # What a worker looks for at its start, poisoned records too, of which no row speaks. They have owners by now, or need none.
            newest, known = await asyncio.to_thread(newest_settled, self._settings), progress.known
            await self.rebuild.insert(Piece(one.event_type, one.append_ms, one.event_id, bytes(OWNER_BYTES)) for one in newest)
            progress.known = known
            if self._again:
                self._file.remove()
            else:
                await self._refuse_workers()
                await self.rebuild.finish()
            seconds = time.monotonic() - began
            return Rebuilt(progress.restored, progress.known, self.before, seconds, self.counter.gone, clean.lost)
        finally:
            await self._index.close()

    async def _read_clean(self, lake: LakeSource, clean: CleanSource, began: float) -> None:
        """To the end, which must not move any more once what workers had written last has had its time to arrive."""
        while True:
            settled = time.monotonic() >= began + SETTLE_S
            spans = await asyncio.to_thread(clean.look, lake.covered)
            if spans:
                await self.rebuild.insert(clean.pieces(spans))
            if self._again or (settled and not spans):  # with --again workers write on: what they write now, they have claimed
                return
            await asyncio.sleep(max(0.0, began + SETTLE_S - time.monotonic()))

    async def _open(self) -> None:
        try:
            await self._index.open()
            if not self._again:
                raise AnswerIsNo(
                    "the id index has its canary: it lost nothing, so there is nothing to rebuild",
                    where=masked(self._at.redis),
                    remedy="`hourmark dedup rebuild --again` puts in what a failover may have lost, while workers run",
                )
        except IndexLost:
            if self._again:
                raise
            await self._refuse_workers()
            await self._index.restore()
        except (IndexUnavailable, InvariantBroken) as exc:
            raise type(exc)(exc.message, where=masked(self._at.redis)) from exc

    async def _refuse_workers(self) -> None:
        """A worker with claims of the lost index in its hands would double what it writes behind our back. One that has just been stopped
        or killed is waited for."""
        admin = AdminClient(client_config(self._settings))
        deadline = time.monotonic() + SESSION_S
        while True:
            try:
                await asyncio.to_thread(lambda: refuse_running(admin, groups_of(admin, self._settings.app_id)))
                return
            except WorkersRun as exc:
                if time.monotonic() > deadline:
                    raise
                self._on_trouble(exc.message)
            await asyncio.sleep(1.0)
