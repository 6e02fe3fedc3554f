"""Topics as they must be before anyone hears of an event type: clean first, then raw, LogAppendTime, first barriers.

Safe to do twice, and to stop anywhere: topics without a declaration harm nobody. Blocking: call it from a thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from hourmark.crashpoints import crashpoint
from hourmark.errors import BrokerUnavailable
from hourmark.kafka import TopicSpec, client_config, ensure_topics, partition_counts, translate
from hourmark.topics import PLATFORM_PARTITIONS, clean_topic, event_topic_config, event_type_of, platform_topic_config, raw_topic

from .first_barriers import FirstBarriers, Where
from .refusal import name_taken
from .settings import Settings

log = structlog.get_logger()

PROBE_S = 5.0
TIMEOUT_S = 15.0
CREATE_S = 60.0  # a hundred event types at once, on a slow disk


class Wanted(NamedTuple):
    """The topics an event type needs."""

    event: str
    partitions: int
    raw_retention_ms: int
    clean_retention_ms: int


class Provisioned(NamedTuple):
    """What stands now. `partitions` of both topics; `raw_created`: the raw topic was made just now; `raw_id`: Kafka's id of it or empty."""

    partitions: int
    raw_created: bool
    raw_id: str = ""


class Provisioner:
    """Creates, grows and corrects topics. Every call raises BrokerUnavailable when Kafka does not answer; Refused when it will never."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(client_config(settings))
        self._barriers = FirstBarriers(settings)
        self._wanted_replicas = settings.replicas
        self._known_replicas = 0

    def close(self) -> None:
        self._barriers.close()

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
        found = self.all_event_topics([wanted])[wanted.event]
        if isinstance(found, Exception):
            raise found
        return found

    def all_event_topics(self, wanted: Sequence[Wanted]) -> dict[str, Provisioned | Exception]:
        """The topics of many event types in a few requests: by event type what stands, or why its topics cannot be had."""
        found = self._describe([topic for want in wanted for topic in (clean_topic(want.event), raw_topic(want.event))])
        batch = _Batch(wanted, found, self._replicas())
        crashpoint("registry.before_topics")
        self._stand(batch, clean_topic)  # clean first: a worker that sees raw can always forward
        crashpoint("registry.clean_stands")
        self._stand(batch, raw_topic)
        crashpoint("registry.raw_stands")
        self._correct({topic: config for topic, config in batch.configs.items() if topic in found})
        empty = self._empty([TopicPartition(*where) for where in batch.old_raw()])
        batch.refused(self._barriers.write([*empty, *batch.new_raw()]))
        crashpoint("registry.barriers_written")
        return batch.outcome(self.raw_ids(batch.counts))

    def _stand(self, batch: _Batch, stage: Callable[[str], str]) -> None:
        missing, small = batch.missing(stage), batch.small(stage)
        self._create(batch, missing)
        batch.refused(self._grow(small))

    def _create(self, batch: _Batch, missing: Sequence[tuple[str, int, Mapping[str, str]]]) -> None:
        if not missing:
            return
        new = [NewTopic(name, partitions, self._wanted_replicas, config=dict(config)) for name, partitions, config in missing]
        for name, future in self._admin.create_topics(new, operation_timeout=CREATE_S, request_timeout=CREATE_S).items():
            try:
                future.result()
            except KafkaException as exc:
                code = exc.args[0].code()
                if code == KafkaError.TOPIC_EXCEPTION:
                    batch.refused({name: name_taken(f"Kafka refuses the topic {name}: {exc.args[0].str()}")})
                elif code == KafkaError.TOPIC_ALREADY_EXISTS:  # another registry was faster
                    batch.not_ours.add(name)
                else:
                    batch.refused({name: translate(exc, f"creating topic {name}")})

    def probe(self) -> None:
        """Returns when Kafka answers."""
        self._brokers()

    def standing(self, events: Iterable[str]) -> dict[str, int]:
        """Partition counts of the raw and clean topics of these event types, as far as they exist."""
        names = [topic for event in events for topic in (clean_topic(event), raw_topic(event))]
        return partition_counts(self._admin, names)

    def raw_ids(self, events: Iterable[str]) -> dict[str, str]:
        """Kafka's ids of the raw topics of these event types, as far as they exist."""
        asked = self._admin.describe_topics(TopicCollection([raw_topic(event) for event in events]), request_timeout=PROBE_S)
        found = {}
        for topic, future in asked.items():
            with contextlib.suppress(KafkaException):  # unknown is an answer; the next look will tell
                found[event_type_of(topic)] = str(future.result().topic_id)
        return found

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
            resource = ConfigResource(ResourceType.BROKER, str(self._brokers()[0]))
            asked = self._admin.describe_configs([resource], request_timeout=PROBE_S)[resource]
            found = _waited("reading the broker's configuration", asked.result)
            self._known_replicas = int(found["default.replication.factor"].value)
        return self._known_replicas

    def _brokers(self) -> list[int]:
        """Their ids, one at least."""
        # not describe_cluster: with a broker that is about to start it may end the whole process by an assertion (librdkafka 2.16)
        found = sorted(_waited("asking for the brokers", lambda: self._admin.list_topics(timeout=PROBE_S)).brokers)
        if not found:
            raise BrokerUnavailable("Kafka answers, and names no broker yet")
        return found

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

    def _grow(self, partitions: Mapping[str, int]) -> dict[str, Exception]:
        """Topics that could not be grown to so many partitions, and why."""
        failed: dict[str, Exception] = {}
        if not partitions:
            return failed
        log.info("topics grow", partitions=partitions)
        wanted = [NewPartitions(topic, count) for topic, count in partitions.items()]
        for topic, future in self._admin.create_partitions(wanted, operation_timeout=CREATE_S, request_timeout=CREATE_S).items():
            try:
                future.result()
            except KafkaException as exc:
                failed[topic] = translate(exc, f"adding partitions to {topic}")
        return failed

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

    def _empty(self, partitions: list[TopicPartition]) -> list[Where]:
        """Those of these partitions to which nothing was ever written."""
        if not partitions:
            return []
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's own annotations have gaps
        deadline = time.monotonic() + PROBE_S
        while True:
            asked = self._admin.list_offsets(dict.fromkeys(partitions, latest), request_timeout=PROBE_S)
            try:
                ends = [(p, _waited(f"reading the end of {p.topic}[{p.partition}]", end.result)) for p, end in asked.items()]
                return [(p.topic, p.partition) for p, end in ends if end.offset == 0]
            except BrokerUnavailable:  # a partition made a moment ago has no leader yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                self._admin = AdminClient(client_config(self._settings))  # one refused for an old leader epoch never learns the new one


class _Batch:
    """Event types whose topics are asked for together. `configs`: of every topic; `counts`: partitions that both topics shall have.

    `not_ours`: topics that someone else has created meanwhile.
    """

    def __init__(self, wanted: Sequence[Wanted], found: Mapping[str, int], replicas: int) -> None:
        self._found = found
        self._failed: dict[str, Exception] = {}
        self.not_ours: set[str] = set()
        self.counts: dict[str, int] = {}
        self.configs: dict[str, Mapping[str, str]] = {}
        for want in wanted:
            clean, raw = clean_topic(want.event), raw_topic(want.event)
            self.counts[want.event] = max(want.partitions, found.get(clean, 0), found.get(raw, 0))
            self.configs[clean] = event_topic_config(want.clean_retention_ms, replicas)
            self.configs[raw] = event_topic_config(want.raw_retention_ms, replicas)

    def refused(self, failed: Mapping[str, Exception]) -> None:
        """These topics cannot be had; the first reason of an event type counts."""
        for topic, reason in failed.items():
            self._failed.setdefault(event_type_of(topic), reason)

    def missing(self, stage: Callable[[str], str]) -> list[tuple[str, int, Mapping[str, str]]]:
        names = [(stage(event), count) for event, count in self._sound()]
        return [(topic, count, self.configs[topic]) for topic, count in names if topic not in self._found]

    def small(self, stage: Callable[[str], str]) -> dict[str, int]:
        names = [(stage(event), count) for event, count in self._sound()]
        return {topic: count for topic, count in names if self._found.get(topic, count) < count}

    def old_raw(self) -> list[Where]:
        """Raw partitions that stood before."""
        return [(raw_topic(event), number) for event, _ in self._sound() for number in range(self._found.get(raw_topic(event), 0))]

    def new_raw(self) -> list[Where]:
        return [
            (raw_topic(event), number) for event, count in self._sound() for number in range(self._found.get(raw_topic(event), 0), count)
        ]

    def outcome(self, raw_ids: Mapping[str, str]) -> dict[str, Provisioned | Exception]:
        stood = self._found.keys() | self.not_ours
        made = {event: Provisioned(count, raw_topic(event) not in stood, raw_ids.get(event, "")) for event, count in self.counts.items()}
        return {event: self._failed.get(event) or provisioned for event, provisioned in made.items()}

    def _sound(self) -> list[tuple[str, int]]:
        return [(event, count) for event, count in self.counts.items() if event not in self._failed]


def _differs(found: Any, value: str) -> bool:
    return found is None or found.value != value


def _waited(what: str, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except KafkaException as exc:
        raise translate(exc, what) from exc
