"""How a sink worker meets Kafka: its consumer's configuration, and the wait for the platform's topics at start."""

from __future__ import annotations

from typing import Any, Protocol

import structlog
from confluent_kafka.admin import AdminClient

from hourmark.control import ControlTail
from hourmark.kafka import client_config, tail_config, wait_for_topics
from hourmark.metrics import Ready
from hourmark.runtime import node_name
from hourmark.topics import REJECTED, SEALED_HOURS
from hourmark.why_away import WhyAway

from .settings import MIB, Settings

log = structlog.get_logger()


class Stop(Protocol):
    """threading.Event and runtime.StopSignal."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...


def consumer_config(settings: Settings) -> dict[str, Any]:
    """In a group for the sharing of partitions only. The queue is small: what is read ahead counts as memory like what is buffered."""
    return tail_config(
        settings,
        group_id=settings.group,
        client_id=node_name(settings, "sinks"),
        partition_assignment_strategy="cooperative-sticky",
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.session_timeout_ms // 5,
        queued_max_messages_kbytes=8 * MIB // 1024,
        queued_min_messages=20_000,
        fetch_max_bytes=8 * MIB,
        # Every fetch names every partition: a trickle over a thousand of them is asked for in steps. A seal waits that much longer.
        fetch_min_bytes=256 * 1024,
        fetch_wait_max_ms=250,
        topic_metadata_refresh_interval_ms=10_000,
        allow_auto_create_topics=False,
    )


def follow_control(settings: Settings, stop: Stop, ready: Ready) -> ControlTail:
    """The catalogue. Waits, saying so once, until Kafka and the platform's topics are there; for the control topic only where no
    snapshot lies on the disk."""
    tail = ControlTail(settings, "sinks", reports=False, ready=ready).start()
    admin = AdminClient(client_config(settings))
    wait_for_topics(admin, (REJECTED, SEALED_HOURS), stop.is_set, lambda line: log.warning(line), WhyAway(settings))
    while not stop.is_set() and not tail.usable(0.1):
        pass
    return tail
