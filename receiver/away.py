"""Why Kafka takes no records now: found out on a thread, told in one line an episode, shown by /readyz. Calls come from the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from hourmark.kafka import FORBIDDEN, translate
from hourmark.settings import PlatformSettings
from hourmark.why_away import WhyAway

log = structlog.get_logger()

EPISODE_S: Final = 60.0
SILENT: Final = "Kafka does not answer"


class Away:
    """`reason`: what is wrong with all of Kafka, empty when nothing is known to be."""

    def __init__(self, settings: PlatformSettings) -> None:
        self.reason = ""
        self._why = WhyAway(settings)
        self._looking: asyncio.Task[None] | None = None
        self._topics: dict[str, float] = {}

    def silent(self, since: float) -> None:
        """Nothing has been acknowledged for so long (`since` by the monotonic clock) that requests are refused."""
        if not self.reason:
            self.reason = SILENT
            self._looking = asyncio.ensure_future(self._look(since))

    def refused(self, error: KafkaError | KafkaException, what: str) -> None:
        """A test record, or the producer itself, is not allowed."""
        said, before = translate(error, what).message, self.reason
        self.reason = said
        if before in ("", SILENT):
            log.warning("Kafka takes no records", code="broker_unavailable", error=said)

    def refused_record(self, error: object, topic: str) -> None:
        """An event's: its sender is told `retry`. Other topics may be allowed."""
        found = error.args[0] if isinstance(error, KafkaException) else error
        if not isinstance(found, KafkaError) or found.code() not in FORBIDDEN:
            return
        now = time.monotonic()
        if now - self._topics.get(topic, -EPISODE_S) >= EPISODE_S:
            log.warning("events wait at their senders", code="broker_unavailable", topic=topic, error=translate(found, "storing").message)
        self._topics[topic] = now

    def over(self) -> None:
        """A record was acknowledged."""
        if self.reason:
            self.reason = ""
            log.info("Kafka answers again")

    async def _look(self, since: float) -> None:
        why = await asyncio.to_thread(self._why)
        if self.reason == SILENT:
            self.reason = f"{SILENT}: {why}" if why else SILENT
            log.warning(f"{SILENT}, refusing requests", waiting_s=round(time.monotonic() - since, 1), error=why)
