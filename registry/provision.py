"""Topics as they must be before anyone hears of an event type: clean first, then raw, LogAppendTime, first barriers.

Safe to do twice, and to stop anywhere: topics without a declaration harm nobody. Blocking: call it from a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import structlog
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    OffsetSpec,
    ResourceType,
)

from hourmark.errors import BrokerUnavailable
from hourmark.event import raw_barrier_headers
from hourmark.kafka import TopicSpec, client_config, ensure_topics, partition_counts, producer_config, translate
from hourmark.topics import PLATFORM_PARTITIONS, clean_topic, event_topic_config, platform_topic_config, raw_topic

from .refusal import name_taken
from .settings import Settings

log = structlog.get_logger()

PROBE_S = 5.0
TIMEOUT_S = 15.0
BARRIER_TRIES = 5


class Wanted(NamedTuple):
    """The topics an event type needs."""

    event: str
    partitions: int
    raw_retention_ms: int
    clean_retention_ms: int


class Provisioned(NamedTuple):
    """What stands now. `partitions` of both topics; `raw_created`: the raw topic is a new incarnation."""

    partitions: int
    raw_created: bool


class Provisioner:
    """Creates, grows and corrects topics. Every call raises BrokerUnavailable when Kafka does not answer; Refused when it will never."""

    def __init__(self, settings: Settings) -> None:
        self._hours = settings.hours
        self._admin = AdminClient(client_config(settings))
        self._producer = Producer(producer_config(settings, linger_ms=0, delivery_timeout_ms=10_000))
        self._wanted_replicas = settings.replicas
        self._known_replicas = 0

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(1.0)

    def platform(self) -> list[str]:
        """The platform's own topics; returns those that were missing. Wrong configuration of existing ones is put right."""
        replicas = self._replicas()
        specs = [
            TopicSpec(topic, partitions, platform_topic_config(topic, replicas), self._wanted_replicas)
            for topic, partitions in PLATFORM_PARTITIONS.items()
        ]
        created = ensure_topics(self._admin, specs, TIMEOUT_S)
        self._correct({spec.name: spec.config for spec in specs if spec.name not in created})
        return created

    def event_topics(self, wanted: Wanted) -> Provisioned:
        """Both topics of an event type, with at least the wanted partitions, and first barriers where raw partitions are empty."""
        clean, raw = clean_topic(wanted.event), raw_topic(wanted.event)
        found = self._describe([clean, raw])
        replicas = self._replicas()
        partitions = max(wanted.partitions, *found.values()) if found else wanted.partitions
        retention = {clean: wanted.clean_retention_ms, raw: wanted.raw_retention_ms}
        configs = {topic: event_topic_config(ms, replicas) for topic, ms in retention.items()}
        created: list[str] = []
        for topic in (clean, raw):  # clean first: a worker that sees raw can always forward
            if topic not in found:
                created += self._create(TopicSpec(topic, partitions, configs[topic], self._wanted_replicas), wanted.event)
            elif found[topic] < partitions:
                self._grow(topic, partitions)
        self._correct({topic: config for topic, config in configs.items() if topic in found})
        stood = 0 if raw in created else found[raw]
        empty = self._empty([TopicPartition(raw, number) for number in range(stood)]) if stood else []
        self._first_barriers(raw, [p.partition for p in empty] + list(range(stood, partitions)))
        return Provisioned(partitions, raw in created)

    def _create(self, spec: TopicSpec, event: str) -> list[str]:
        try:
            return ensure_topics(self._admin, [spec], TIMEOUT_S)
        except BrokerUnavailable as exc:
            cause = exc.__cause__
            if isinstance(cause, KafkaException) and cause.args[0].code() == KafkaError.TOPIC_EXCEPTION:
                raise name_taken(f"Kafka refuses the topic {spec.name}: {cause.args[0].str()}") from exc
            raise

    def probe(self) -> None:
        """Returns when Kafka answers."""
        _waited("asking for the brokers", self._admin.describe_cluster(request_timeout=PROBE_S).result)

    def standing(self, events: Iterable[str]) -> dict[str, int]:
        """Partition counts of the raw and clean topics of these event types, as far as they exist."""
        names = [topic for event in events for topic in (clean_topic(event), raw_topic(event))]
        return partition_counts(self._admin, names)

    def correct(self, wanted: Iterable[Wanted]) -> None:
        """Put right the configuration of existing raw and clean topics."""
        replicas = self._replicas()
        configs: dict[str, Mapping[str, str]] = {}
        for want in wanted:
            configs[clean_topic(want.event)] = event_topic_config(want.clean_retention_ms, replicas)
            configs[raw_topic(want.event)] = event_topic_config(want.raw_retention_ms, replicas)
        self._correct(configs)

    def _replicas(self) -> int:
        """Copies that a new topic gets."""
        if self._wanted_replicas > 0:
            return self._wanted_replicas
        if not self._known_replicas:
            cluster = _waited("asking for the brokers", self._admin.describe_cluster(request_timeout=PROBE_S).result)
            resource = ConfigResource(ResourceType.BROKER, str(cluster.nodes[0].id))
            asked = self._admin.describe_configs([resource], request_timeout=PROBE_S)[resource]
            found = _waited("reading the broker's configuration", asked.result)
            self._known_replicas = int(found["default.replication.factor"].value)
        return self._known_replicas

    def _describe(self, topics: list[str]) -> dict[str, int]:
        found = {}
        asked = self._admin.describe_topics(TopicCollection(topics), request_timeout=PROBE_S)
        for topic, future in asked.items():
            try:
                found[topic] = len(future.result().partitions)
            except KafkaException as exc:
                if exc.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise translate(exc, f"looking at topic {topic}") from exc
        return found

    def _grow(self, topic: str, partitions: int) -> None:
        log.info("topic grows", topic=topic, partitions=partitions)
        asked = self._admin.create_partitions([NewPartitions(topic, partitions)], operation_timeout=TIMEOUT_S, request_timeout=TIMEOUT_S)
        _waited(f"adding partitions to {topic}", asked[topic].result)

    def _correct(self, configs: Mapping[str, Mapping[str, str]]) -> None:
        """Compare what topics say with what they should, in batches, and alter what differs."""
        names = list(configs)
        for start in range(0, len(names), 200):
            resources = [ConfigResource(ResourceType.TOPIC, name) for name in names[start : start + 200]]
            for resource, future in self._admin.describe_configs(resources, request_timeout=TIMEOUT_S).items():
                found = _waited(f"reading the configuration of {resource.name}", future.result)
                self._alter(resource.name, {n: v for n, v in configs[resource.name].items() if _differs(found.get(n), v)})

    def _alter(self, topic: str, wrong: Mapping[str, str]) -> None:
        if not wrong:
            return
        log.info("topic configuration altered", topic=topic, **{name.replace(".", "_"): value for name, value in wrong.items()})
        entries = [
            ConfigEntry(n, v, ConfigSource.DYNAMIC_TOPIC_CONFIG, incremental_operation=AlterConfigOpType.SET) for n, v in wrong.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        asked = self._admin.incremental_alter_configs([resource], request_timeout=TIMEOUT_S)
        _waited(f"altering {topic}", asked[resource].result)

    def _empty(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Those of these partitions to which nothing was ever written."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's own annotations have gaps
        deadline = time.monotonic() + PROBE_S
        while True:
            asked = self._admin.list_offsets(dict.fromkeys(partitions, latest), request_timeout=PROBE_S)
            try:
                return [p for p, end in asked.items() if _waited(f"reading the end of {p.topic}[{p.partition}]", end.result).offset == 0]
            except BrokerUnavailable:  # a partition made a moment ago has no leader yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _first_barriers(self, raw: str, partitions: list[int]) -> None:
        """Close the hour before now in these partitions; again with the broker's own clock where an append time does not prove it."""
        hours = dict.fromkeys(partitions, self._hours.of(round(time.time() * 1000)) - 1)
        for _ in range(BARRIER_TRIES):
            if not hours:
                return
            stamps = self._append(raw, hours)
            hours = {n: self._hours.of(at) - 1 for n, at in stamps.items() if at < self._hours.end_ms(hours[n])}
        raise BrokerUnavailable(f"{raw}: the broker's clock runs backwards, no first barrier became valid")

    def _append(self, raw: str, hours: Mapping[int, int]) -> dict[int, int]:
        """Write a barrier for each partition's hour; returns the append times in ms."""
        stamps: dict[int, int] = {}
        errors: list[KafkaError] = []

        def delivered(error: KafkaError | None, message: Any) -> None:
            kind, at = message.timestamp() if error is None else (None, 0)
            if error is not None:
                errors.append(error)
            elif kind == TIMESTAMP_LOG_APPEND_TIME:
                stamps[message.partition()] = at

        self._await_partitions(raw, max(hours) + 1)
        for number, hour in hours.items():
            headers: Any = raw_barrier_headers(hour)
            self._producer.produce(raw, value=None, partition=number, headers=headers, on_delivery=delivered)
        deadline = time.monotonic() + TIMEOUT_S
        while len(stamps) + len(errors) < len(hours) and time.monotonic() < deadline:
            self._producer.poll(0.1)
        if errors:
            raise translate(errors[0], f"writing the first barriers of {raw}")
        if len(stamps) < len(hours):
            raise BrokerUnavailable(f"writing the first barriers of {raw}: no append time came back")
        return stamps

    def _await_partitions(self, raw: str, count: int) -> None:
        """Wait until the producer knows all partitions; it refuses others without asking the broker."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            known = _waited(f"looking at {raw}", lambda: self._producer.list_topics(raw, timeout=PROBE_S)).topics[raw].partitions
            if len(known) >= count and all(p.leader >= 0 for p in known.values()):
                return
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"{raw}: not all partitions have a leader")
            time.sleep(0.05)


def _differs(found: Any, value: str) -> bool:
    return found is None or found.value != value


def _waited(what: str, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except KafkaException as exc:
        raise translate(exc, what) from exc
