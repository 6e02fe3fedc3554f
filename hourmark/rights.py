"""What this user may do with topics, asked from Kafka before it is tried: a missing right then holds one event type back, not a worker.

Without an authorizer everything is allowed. Rights that are taken away later are met as errors where they are needed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from .kafka import GIVE, client_config
from .settings import PlatformSettings

log = structlog.get_logger()

READ, WRITE = "READ", "WRITE"
ASK_S: Final = 5.0


class Rights:
    """`lacking`: topic → what this user may not do there, of those asked for last. One thread at a time."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._admin = AdminClient(client_config(settings))
        self._fine: set[str] = set()
        self.lacking: dict[str, str] = {}

    def allowed(self, wanted: Mapping[str, Collection[str]]) -> set[str]:
        """Topics of `wanted` (topic → operations) on which nothing is missing. A topic that was fine is not asked for again, and one of
        which Kafka says nothing now counts as fine: what reads or writes it will be told.
        """
        self._fine &= wanted.keys()
        asked = {topic: operations for topic, operations in wanted.items() if topic not in self._fine}
        before, self.lacking = self.lacking, self._ask(asked) if asked else {}
        for topic in self.lacking.keys() - before.keys():
            log.warning(f"an event type waits; {GIVE}", code="broker_unavailable", topic=topic, lacking=self.lacking[topic])
        self._fine |= asked.keys() - self.lacking.keys()
        return wanted.keys() - self.lacking.keys()

    def reason(self) -> str | None:
        """Why a worker does not do all its work; None when it may."""
        if not self.lacking:
            return None
        topic = min(self.lacking)
        more = f" (and {len(self.lacking) - 1} more topics)" if len(self.lacking) > 1 else ""
        return f"Kafka does not allow {self.lacking[topic]} on {topic}{more} to this user; {GIVE}"

    def _ask(self, wanted: Mapping[str, Collection[str]]) -> dict[str, str]:
        topics = TopicCollection(sorted(wanted))
        found: dict[str, str] = {}
        for topic, future in self._admin.describe_topics(topics, include_authorized_operations=True, request_timeout=ASK_S).items():
            try:
                said = future.result().authorized_operations
            except KafkaException as exc:
                if exc.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    found[topic] = " and ".join(sorted(wanted[topic]))
                continue
            missing = [name for name in sorted(wanted[topic]) if said is not None and AclOperation[name] not in said]
            if missing:
                found[topic] = " and ".join(missing)
        return found
