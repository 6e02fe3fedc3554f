"""The edge to Kafka through confluent-kafka: client configurations, topics, and vendor errors in our words."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from .errors import BrokerUnavailable, InvariantBroken, NotAllowed, PlatformError, SettingsError
from .settings import PlatformSettings

# level 2: at 3 the library prints a line per failed connection attempt; what fails comes back to us as an error anyway
QUIET: Mapping[str, Any] = {"log_level": 2, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 2000}
_LOG = logging.getLogger("confluent_kafka")
MUTE: Final = logging.getLogger("hourmark.kafka.mute")  # of clients whose fatal errors our own lines tell
MUTE.addHandler(logging.NullHandler())
MUTE.propagate = False
FORBIDDEN: Final = {  # an ACL is missing: somebody will give it, and the work goes on
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
GIVE: Final = "give it the rights that `hourmark acls` lists"


def client_config(settings: PlatformSettings, **extra: Any) -> dict[str, Any]:
    """Configuration of any confluent client: bootstrap, passed-through options, then `extra` (underscores become dots)."""
    return {
        "bootstrap.servers": settings.kafka,
        "logger": _LOG,
        **QUIET,
        **settings.kafka_options,
        **{name.replace("_", "."): value for name, value in extra.items()},
    }


def check_options(settings: PlatformSettings) -> None:
    """Raises SettingsError when a Kafka client would refuse the options that are passed through to it."""
    if not settings.kafka_options:
        return
    try:
        AdminClient(client_config(settings))
    except (KafkaException, TypeError, ValueError) as exc:
        told = exc.args[0].str() if isinstance(exc, KafkaException) else str(exc)
        raise SettingsError([f"HOURMARK_KAFKA_OPTIONS: {told}"]) from None


def producer_config(settings: PlatformSettings, **extra: Any) -> dict[str, Any]:
    """A producer that loses nothing: acks=all, idempotent, bounded delivery time."""
    return client_config(settings, **{"acks": "all", "enable_idempotence": True, "delivery_timeout_ms": 30_000, **extra})


def tail_config(settings: PlatformSettings, **extra: Any) -> dict[str, Any]:
    """A consumer outside every group, at offsets of its own: `assign` it. Never commits; a lost offset is an error, not a reset.

    fetch.queue.backoff.ms=10: the library's default of 1 s stalls a consumer whose queue was full (170 k/s instead of 957 k/s).
    """
    return client_config(
        settings,
        **{
            "group_id": "hourmark-tail",
            "enable_auto_commit": False,
            "enable_auto_offset_store": False,
            "auto_offset_reset": "error",
            "fetch_queue_backoff_ms": 10,
            "fetch_wait_max_ms": 100,
            **extra,
        },
    )


def read_now(consumer: Consumer, most: int, timeout: float) -> list[Message]:
    """What is there as soon as anything is, at most `most` records; nothing after `timeout` seconds. `consume` alone waits for the last."""
    first = consumer.poll(timeout)
    return [] if first is None else [first, *consumer.consume(most - 1, 0)]


def translate(error: KafkaError | KafkaException | None, what: str) -> PlatformError:
    """A vendor error as ours: everything that may pass is BrokerUnavailable, the rest InvariantBroken. `what` says what was tried."""
    found: Any = error.args[0] if isinstance(error, KafkaException) and error.args else error
    text = found.str() if isinstance(found, KafkaError) else str(found)
    if isinstance(found, KafkaError) and found.code() in FORBIDDEN:
        return NotAllowed(f"{what}: Kafka does not allow it to this user; {GIVE} ({text})", retry_after=5.0)
    if isinstance(found, KafkaError) and (found.fatal() or found.code() == KafkaError._FATAL):
        return InvariantBroken(f"{what}: {text}")
    return BrokerUnavailable(f"{what}: {text}")


class TopicSpec(NamedTuple):
    """A topic as it should be. `replicas` -1: the broker's default."""

    name: str
    partitions: int
    config: Mapping[str, str]
    replicas: int = -1


def ensure_topics(admin: AdminClient, specs: Iterable[TopicSpec], timeout: float = 30.0) -> list[str]:
    """Create those that are missing; returns the created names. Raises BrokerUnavailable. Existing topics are left as they are."""
    wanted = [NewTopic(s.name, s.partitions, s.replicas, config=dict(s.config)) for s in specs]
    created: list[str] = []
    if not wanted:
        return created
    for name, future in admin.create_topics(wanted, operation_timeout=timeout, request_timeout=timeout).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise translate(exc, f"creating topic {name}") from exc
    return created


def partition_counts(client: AdminClient | Consumer | Producer, topics: Iterable[str], timeout: float = 10.0) -> dict[str, int]:
    """Partition count of each of these topics that exists. Raises BrokerUnavailable."""
    wanted = set(topics)
    try:
        found = client.list_topics(timeout=timeout).topics
    except KafkaException as exc:
        raise translate(exc, "listing topics") from exc
    return {name: len(meta.partitions) for name, meta in found.items() if name in wanted and meta.error is None and meta.partitions}


def topic_config(admin: AdminClient, topic: str, timeout: float = 10.0) -> dict[str, str]:
    """A topic's effective configuration. Raises BrokerUnavailable."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        found = admin.describe_configs([resource], request_timeout=timeout)[resource].result()
    except KafkaException as exc:
        raise translate(exc, f"reading the configuration of {topic}") from exc
    return {name: str(entry.value) for name, entry in found.items()}


def forbidden_topics(admin: AdminClient, topics: Iterable[str], timeout: float = 5.0) -> list[str]:
    """Those of these topics that this user may not even see: to `partition_counts` they look as if they did not exist."""
    found = []
    for name, future in admin.describe_topics(TopicCollection(sorted(topics)), request_timeout=timeout).items():
        try:
            future.result()
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                found.append(name)
    return found


def wait_for_topics(
    admin: AdminClient,
    topics: Iterable[str],
    stopping: Callable[[], bool],
    on_wait: Callable[[str], None],
    why: Callable[[], str],
    every: float = 0.5,
) -> dict[str, int]:
    """Wait until all these topics exist (or `stopping`); `on_wait` gets one line per episode. Returns their partition counts.

    `why`: why no broker answers, empty when nobody knows.
    """
    wanted, told = set(topics), ""
    while not stopping():
        try:
            found = partition_counts(admin, wanted, timeout=5.0)
            missing = wanted - found.keys()
            if not missing:
                return found
            line = f"waiting for topics {', '.join(sorted(missing))}: the registry creates them"
            if forbidden := forbidden_topics(admin, missing):
                line = f"waiting for topics {', '.join(forbidden)}: this user may not see them; {GIVE}"
        except BrokerUnavailable:
            line = f"waiting for Kafka: {why() or 'no broker answers'}"
        if line != told:
            on_wait(line)
            told = line
        time.sleep(every)
    return {}
