"""The thread that talks to Kafka for the transport: rewinds to committed offsets with their state, and commits both in one write.

Never lets Kafka choose an offset: what is neither committed nor at the beginning of its log is lost, and the process must end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from dedup.deduplicator import PartitionState
from hourmark.errors import InvariantBroken, OffsetLost

from .connection import unavailable
from .groups import MOVED
from .ledger import Ledger, Progress
from .pace import Pace
from .state import METADATA_MAX, decode_state, encode_state

UNREAD = "retention has removed events that were never read (docs/operations.md says how to go on without them)"
METADATA_MS, METADATA_PER_PARTITION_MS = 1_000, 5  # see create_app for what needs it so often


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Adds `rewind` and `commit_progress`, and remembers the assignment (stock rebuilds it for every partition of a commit)."""

    _memo: tuple[Any, set[TP]] = (None, set())
    _pace: Pace | None = None

    def assignment(self) -> set[TP]:
        raw = self._ensure_consumer().assignment()
        if self._memo[0] is not raw:
            self._memo = (raw, {ensure_TP(tp) for tp in raw})
        return self._memo[1]

    async def _fetch_records(self, consumer: Any, *args: Any, **kwargs: Any) -> Any:
        records = await super()._fetch_records(consumer, *args, **kwargs)
        self._pace = self._pace or Pace()
        self._pace.looked(consumer._fetcher, len(self.assignment()), bool(records))
        return records

    async def rewind(self) -> Ledger:
        """Seek every assigned partition to its committed offset and read the state there. Raises OffsetLost, BrokerUnavailable."""
        found: Ledger = await self.call_thread(self._rewind)
        return found

    async def _rewind(self) -> Ledger:
        consumer = self._ensure_consumer()
        assigned = list(consumer.assignment())
        try:
            found = await consumer._coordinator.fetch_committed_offsets(assigned)  # one request: offsets with their metadata
            begins = await consumer.beginning_offsets(assigned) if assigned else {}
            ends = await consumer.end_offsets(assigned) if assigned else {}
        except KafkaError as exc:
            raise unavailable(exc, "reading committed offsets") from exc
        # librdkafka, by which offsets are moved, writes metadata with the zero byte that ends a C string
        committed = {tp: OffsetAndMetadata(known.offset, known.metadata.rstrip("\0")) for tp, known in found.items()}
        await self._refuse_moved(assigned, committed)
        states, reading = {}, {}
        for tp in assigned:
            offset, state = self._start_of(tp, committed.get(tp), begins[tp], ends[tp])
            states[ensure_TP(tp)], reading[ensure_TP(tp)] = state, offset
        for tp in assigned:
            if tp in consumer.assignment():  # else it was revoked meanwhile
                consumer.seek(tp, reading[ensure_TP(tp)])
        # Reading the metadata of 600 topics costs 14 ms, each time.
        consumer._client._metadata_max_age_ms = max(METADATA_MS, METADATA_PER_PARTITION_MS * len(assigned))
        return Ledger(states, reading)

    async def _refuse_moved(self, assigned: Iterable[Any], committed: Mapping[Any, OffsetAndMetadata]) -> None:
        """Raises InvariantBroken when another shard's group goes on with one of these partitions."""
        found = {tp: known.metadata[len(MOVED) :] for tp, known in committed.items() if known.metadata.startswith(MOVED)}
        new = [(tp.topic, tp.partition) for tp in assigned if _is_new(committed.get(tp))]
        app: Any = self.app
        found |= await asyncio.to_thread(app.past_elsewhere, new)
        if found:
            (topic, partition), group = min(found.items())
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise InvariantBroken(
                f"{topic}[{partition}]{more} would be read by the group {self.app.conf.id}, but {group} knows how far it has been read: "
                "the number of shards, or HOURMARK_STREAMS_APP_ID, is another one than before. "
                "Set it back, or stop all dedup workers and run `hourmark dedup reshard --shards N`",
                topic=topic,
                partition=partition,
                group=group,
            )

    def _start_of(self, tp: Any, committed: OffsetAndMetadata | None, begin: int, end: int) -> tuple[int, PartitionState]:
        where = f"{tp.topic}[{tp.partition}]"
        facts = {"topic": tp.topic, "partition": tp.partition, "begin": begin, "end": end, "group": self.app.conf.id}
        if committed is None or _is_new(committed):
            if begin > 0:
                raise OffsetLost(
                    f"{where} has no committed offset and its log no longer begins at 0: events below {begin} would be skipped unseen. "
                    "Restore the group's offsets, or check that HOURMARK_STREAMS_APP_ID is the one that was used before",
                    **facts,
                )
            return 0, PartitionState()
        offset = int(committed.offset)
        if not begin <= offset <= end:
            raise OffsetLost(
                f"the committed offset {offset} of {where} is outside its log ({begin} to {end}): "
                + (UNREAD if offset < begin else "the topic was made anew or lost its end"),
                committed=offset,
                **facts,
            )
        return offset, decode_state(committed.metadata, f"{where} at {offset}")

    async def commit_progress(self, progress: dict[TP, Progress]) -> dict[TP, Progress]:
        """Commit offsets with their states, atomically per partition; returns what was committed. The rest stays due: nothing can be
        committed in a rebalance, and a state too long for the metadata is held back until a barrier closes some of its hours.
        """
        done: dict[TP, Progress] = await self.call_thread(self._commit_progress, progress)
        return done

    async def _commit_progress(self, progress: dict[TP, Progress]) -> dict[TP, Progress]:
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        offsets, committed = {}, {}
        for tp, due in progress.items():
            metadata = encode_state(due.state)
            if tp in assigned and len(metadata) <= METADATA_MAX:
                offsets[driver.ensure_aiokafka_TP(tp)] = OffsetAndMetadata(due.next_offset, metadata)
                committed[tp] = due
        if not offsets:
            return {}
        try:
            await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):  # the group has moved on: whoever owns the partitions replays from before
            return {}
        except KafkaError as exc:
            raise unavailable(exc, "committing offsets") from exc
        return committed

    async def ends(self) -> dict[TP, int]:
        """Next offset to be written of every assigned partition, asked from the brokers."""
        found: dict[TP, int] = await self.call_thread(self._ends)
        return found

    async def _ends(self) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        assigned = list(consumer.assignment())
        return {ensure_TP(tp): end for tp, end in (await consumer.end_offsets(assigned)).items()} if assigned else {}


def _is_new(committed: OffsetAndMetadata | None) -> bool:
    """Nothing was ever committed here."""
    return committed is None or committed.offset < 0 or (committed.offset == 0 and not committed.metadata)
