"""Writes the outcome of a poll: one record batch per clean partition, in raw order, and refused records to `rejected`.

Returns when every record is acknowledged by all in-sync replicas. After a failure nothing is sent again by this process: what was written
is unknown, so it must end, and the replay is recognised downstream by its coordinates.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError

from dedup.deduplicator import CleanRecord, RawRecord
from hourmark.crashpoints import crashpoint
from hourmark.rejects import Reject, reject_headers
from hourmark.topics import REJECTED, clean_topic

from .brokers import Broker
from .connection import addresses, await_partition, security, unavailable
from .settings import Settings

BATCH_BYTES = 900_000


class Emitter:
    """One idempotent producer, used by one task."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: Any = None

    async def open(self) -> None:
        """Connect. Raises BrokerUnavailable."""
        settings = self._settings
        self._producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=addresses(settings),
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            compression_type=None if settings.compression == "none" else settings.compression,
            metadata_max_age_ms=10_000,
            **security(settings),
        )
        try:
            await self._producer.start()
        except KafkaError as exc:
            raise unavailable(exc, "connecting to write clean topics") from exc

    async def close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    def brokers(self) -> list[Broker]:
        """Those that the producer knows now; none before it is open."""
        known = self._producer.client.cluster.brokers() if self._producer is not None else ()
        return [Broker(found.nodeId, found.host, found.port) for found in known]

    async def emit(self, outputs: Iterable[tuple[str, int, Collection[CleanRecord]]], rejects: Sequence[tuple[bytes, Reject]]) -> None:
        """Write (event type, partition, records) and (original bytes, why), wait for every acknowledgement. Raises BrokerUnavailable."""
        try:
            await asyncio.wait_for(self._emit(outputs, rejects), self._settings.emit_timeout)
        except (KafkaError, TimeoutError) as exc:
            raise unavailable(exc, "writing clean records") from exc

    async def _emit(self, outputs: Iterable[tuple[str, int, Collection[CleanRecord]]], rejects: Sequence[tuple[bytes, Reject]]) -> None:
        acknowledgements: list[Any] = []
        for event_type, partition, records in outputs:
            if records:
                acknowledgements += await self._send(clean_topic(event_type), partition, records)
        if rejects:
            known = sorted(await self._producer.partitions_for(REJECTED))
            for original, reject in rejects:
                to = known[reject.partition % len(known)]
                acknowledgements += await self._send(REJECTED, to, [(None, original, reject_headers(reject))])
        crashpoint("dedup.produced")
        await asyncio.gather(*acknowledgements)

    async def _send(self, topic: str, partition: int, records: Collection[CleanRecord]) -> list[Any]:
        producer = self._producer
        await await_partition(producer, topic, partition)
        batch, sent, now = producer.create_batch(), [], int(time.time() * 1000)
        append = batch.append
        for key, value, headers in records:
            if append(key=key, value=value, timestamp=now, headers=headers) is None:  # full; the first record of a batch always fits
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                append = batch.append
                append(key=key, value=value, timestamp=now, headers=headers)
        sent.append(await producer.send_batch(batch, topic, partition=partition))
        return sent


def reject_of(record: RawRecord, topic: str, event_type: str, partition: int) -> tuple[bytes, Reject]:
    """The refused record's original bytes (empty for a null value) and where they stood."""
    reason = "null value without a readable barrier" if record.value is None else f"no framed event: {len(record.value)} bytes"
    return record.value or b"", Reject(
        room="streams",
        code="invalid_envelope",
        event_type=event_type,
        detail=reason,
        at=record.timestamp,
        topic=topic,
        partition=partition,
        offset=record.offset,
    )
