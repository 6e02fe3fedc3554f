"""The first barriers of raw partitions: they close the hour before a topic's first, and make the broker create the partition's log.

Promise: a barrier counts only when the broker's own append time proves that its hour had ended.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, Producer

from hourmark.errors import BrokerUnavailable, PlatformError
from hourmark.event import raw_barrier_headers
from hourmark.hours import Hours
from hourmark.kafka import MUTE, producer_config, translate

from .settings import Settings

PROBE_S = 5.0
TIMEOUT_S = 30.0
TRIES = 5
FEW = 3  # topics that are looked at one by one; the whole cluster's metadata costs more than a few of them

Where = tuple[str, int]


class FirstBarriers:
    """Blocking. `write` returns what could not be done, topic by topic."""

    def __init__(self, settings: Settings) -> None:
        self._hours: Hours = settings.hours
        self._config = {**producer_config(settings, linger_ms=0, delivery_timeout_ms=20_000), "logger": MUTE}
        self._made: Producer | None = None
        self._spent = False

    def close(self) -> None:
        if self._made is not None:
            self._made.purge()
            self._poll(1.0)

    @property
    def _producer(self) -> Producer:
        """Made when it is needed: one that lacked a right will never write again."""
        if self._made is None:
            self._made, self._spent = Producer(self._config), False
        return self._made

    def _poll(self, seconds: float) -> None:
        with contextlib.suppress(KafkaException):  # what is fatal; the records tell of it, too
            self._producer.poll(seconds)

    def write(self, partitions: Iterable[Where]) -> dict[str, PlatformError]:
        """Close the hour before now in these partitions; again with the broker's own clock where an append time does not prove it.

        Raises BrokerUnavailable when not even the topics can be looked at.
        """
        hours = dict.fromkeys(partitions, self._hours.of(round(time.time() * 1000)) - 1)
        failed: dict[str, PlatformError] = {}
        for _ in range(TRIES):
            if not hours:
                return failed
            stamps = self._append(hours, failed)
            hours = {where: self._hours.of(at) - 1 for where, at in stamps.items() if at < self._hours.end_ms(hours[where])}
        told = "the broker's clock runs backwards, no first barrier became valid"
        return failed | {topic: BrokerUnavailable(f"{topic}: {told}") for topic, _ in hours}

    def _append(self, hours: Mapping[Where, int], failed: dict[str, PlatformError]) -> dict[Where, int]:
        """Write a barrier for each partition's hour; returns the append times in ms. Topics that refuse are put into `failed`."""
        stamps: dict[Where, int] = {}
        answered: set[Where] = set()

        def delivered(error: KafkaError | None, message: Any) -> None:
            where = (message.topic(), message.partition())
            answered.add(where)
            kind, at = message.timestamp() if error is None else (None, 0)
            if error is not None:
                self._failed(error, where[0], failed)
            elif kind == TIMESTAMP_LOG_APPEND_TIME:
                stamps[where] = at

        self._await_partitions(hours)
        for (topic, number), hour in hours.items():
            headers: Any = raw_barrier_headers(hour)
            try:
                self._producer.produce(topic, value=None, partition=number, headers=headers, on_delivery=delivered)
            except KafkaException as exc:
                answered.add((topic, number))
                self._failed(exc.args[0], topic, failed)
            self._poll(0)
        deadline = time.monotonic() + TIMEOUT_S
        while len(answered) < len(hours) and time.monotonic() < deadline:
            self._poll(0.1)
        if self._spent:
            self._made = None
        for topic, _ in hours.keys() - stamps.keys():
            failed.setdefault(topic, BrokerUnavailable(f"writing the first barriers of {topic}: no append time came back"))
        return stamps

    def _failed(self, error: KafkaError, topic: str, failed: dict[str, PlatformError]) -> None:
        what = f"writing the first barriers of {topic}"
        failed[topic] = translate(error, what)
        if error.fatal() or error.code() == KafkaError._FATAL:
            failed[topic], self._spent = BrokerUnavailable(f"{what}: {error.str()}"), True

    def _await_partitions(self, wanted: Iterable[Where]) -> None:
        """Wait until the producer knows all partitions; it refuses others without asking the broker."""
        missing, deadline = set(wanted), time.monotonic() + TIMEOUT_S
        while missing:
            topics = {topic for topic, _ in missing}
            for topic in topics if len(topics) <= FEW else [None]:
                missing -= self._led(topic)
            if missing and time.monotonic() > deadline:
                raise BrokerUnavailable(f"{min(missing)[0]}: not all partitions have a leader")
            if missing:
                time.sleep(0.05)

    def _led(self, topic: str | None) -> set[Where]:
        """Partitions that have a leader, of this topic or of all."""
        try:
            known = self._producer.list_topics(topic, timeout=PROBE_S)
        except KafkaException as exc:
            raise translate(exc, f"looking at {topic or 'all topics'}") from exc
        return {(name, number) for name, meta in known.topics.items() for number, found in meta.partitions.items() if found.leader >= 0}
