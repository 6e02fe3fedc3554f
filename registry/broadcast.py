"""The one pen for `hourmark.control`: a transactional producer. A registry that was paused, cut off or killed cannot write old news
behind newer: Kafka fences every writer but the one that took the pen last. Blocking: call it from a thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from hourmark.errors import BrokerUnavailable
from hourmark.kafka import MUTE, producer_config, translate
from hourmark.topics import CONTROL

from .rows import OutboxRow
from .settings import Settings

DELIVERY_S: Final = 10.0
TRANSACTION_S: Final = 15.0  # after that the broker itself ends what a dead registry left open, and readers go on
_FENCED: Final = {
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
    KafkaError.UNKNOWN_PRODUCER_ID,
    90,  # PRODUCER_FENCED, which the client does not name
}


class Fenced(Exception):
    """Another registry has taken the pen: take it again, and look again at what is to be written."""


class Pen:
    """`take` before reading what is to be written, then `write` it. `store_id`: those who share a store fence each other."""

    def __init__(self, settings: Settings, store_id: str) -> None:
        self._config = producer_config(
            settings,
            transactional_id=f"{CONTROL}.{store_id}",
            transaction_timeout_ms=int(TRANSACTION_S * 1000),
            delivery_timeout_ms=int(DELIVERY_S * 1000),
            linger_ms=0,
        )
        self._producer: Producer | None = None

    def take(self) -> None:
        """Returns when nobody else can write any more. Costs nothing while the pen is ours as far as we know. Raises BrokerUnavailable."""
        if self._producer is not None:
            return
        producer = Producer(self._config, logger=MUTE)  # it calls it fatal to be fenced; here it is every day's business
        try:
            producer.init_transactions(DELIVERY_S)
        except KafkaException as exc:
            raise _away(exc) from exc
        self._producer = producer

    def write(self, rows: Sequence[OutboxRow]) -> None:
        """All rows or none, in this order. Raises Fenced, or BrokerUnavailable: then they may stand there or not."""
        producer = self._producer
        assert producer is not None, "take the pen first"
        try:
            producer.begin_transaction()
            for row in rows:
                producer.produce(CONTROL, key=row.key.encode(), value=row.value, partition=0)
            producer.commit_transaction(DELIVERY_S)
        except (BufferError, KafkaException) as exc:
            self.drop()
            if isinstance(exc, KafkaException) and exc.args[0].code() in _FENCED:
                raise Fenced from exc
            raise _away(exc) from exc

    def drop(self) -> None:
        """Lay the pen down; what is still on its way is aborted by whoever takes it next."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaException):  # one that is fenced, or lacks a right
                producer.purge()
                producer.poll(0)


def _away(exc: KafkaException | BufferError) -> BrokerUnavailable:
    """Whatever it is: the next pen may do better."""
    what = f"writing to {CONTROL}"
    found = translate(exc, what) if isinstance(exc, KafkaException) else BrokerUnavailable(f"{what}: {exc}")
    return found if isinstance(found, BrokerUnavailable) else BrokerUnavailable(found.message)
