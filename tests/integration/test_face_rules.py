"""Data contracts: rules that the face keeps, carried out by Confluent's serializers for Python."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    Rule,
    RuleKind,
    RuleMode,
    RuleSet,
    Schema,
    SchemaRegistryClient,
    ServerConfig,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.rule_registry import RuleRegistry
from confluent_kafka.schema_registry.serde import RuleConditionError, RuleContext, RuleExecutor
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from tests.registry.face.steps import record

OLD = record("Play", track="string")
NEW = record("Play", title="string")


class Says(RuleExecutor):
    """A condition: the rule's expression is a word that the track must not hold."""

    def type(self) -> str:
        return "SAYS"

    def configure(self, client_conf: Any, rule_conf: Any) -> None:
        pass

    def transform(self, ctx: RuleContext, message: Any) -> Any:
        return ctx.rule.expr not in message["track"]


class Renames(RuleExecutor):
    """A migration: the rule's expression is `from>to`."""

    def type(self) -> str:
        return "RENAMES"

    def configure(self, client_conf: Any, rule_conf: Any) -> None:
        pass

    def transform(self, ctx: RuleContext, message: Any) -> Any:
        before, _, after = (ctx.rule.expr or "").partition(">")
        return {after if name == before else name: value for name, value in message.items()}


@pytest.fixture
def value() -> SerializationContext:
    return SerializationContext(f"t{uuid.uuid4().hex}", MessageField.VALUE)


@pytest.fixture
def executors() -> RuleRegistry:
    found: RuleRegistry = RuleRegistry()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    for executor in (Says(), Renames()):
        found.register_executor(executor)
    return found


def condition(word: str, mode: RuleMode, on_failure: str = "ERROR") -> RuleSet:
    rule = Rule(f"no {word}", None, RuleKind.CONDITION, mode, "SAYS", None, None, word, None, on_failure, False)
    return RuleSet(migration_rules=None, domain_rules=[rule])


def serializer(client: SchemaRegistryClient, executors: RuleRegistry) -> AvroSerializer:
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    made: AvroSerializer = AvroSerializer(client, conf=conf, rule_registry=executors)
    return made


def refused(do: Callable[[], object]) -> str:
    """What the client says of the rule that a record breaks."""
    with pytest.raises(SerializationError) as caught:
        do()
    cause = caught.value.__cause__
    while cause is not None and not isinstance(cause, RuleConditionError):
        cause = cause.__cause__
    assert cause is not None
    return str(cause)


def test_a_condition_when_writing(client: SchemaRegistryClient, executors: RuleRegistry, value: SerializationContext) -> None:
    client.register_schema(f"{value.topic}-value", Schema(OLD, "AVRO", rule_set=condition("noise", RuleMode.WRITE)))
    write = serializer(client, executors)
    assert write({"track": "Sea"}, value)
    assert "noise" in refused(lambda: write({"track": "white noise"}, value))


def test_a_condition_when_reading(client: SchemaRegistryClient, executors: RuleRegistry, value: SerializationContext) -> None:
    client.register_schema(f"{value.topic}-value", Schema(OLD, "AVRO", rule_set=condition("noise", RuleMode.READ)))
    write = serializer(client, executors)
    read = AvroDeserializer(client, rule_registry=executors)
    assert read(write({"track": "Sea"}, value), value) == {"track": "Sea"}
    loud = write({"track": "white noise"}, value)
    assert "noise" in refused(lambda: read(loud, value))


def test_rules_by_default(client: SchemaRegistryClient, executors: RuleRegistry, value: SerializationContext) -> None:
    subject = f"{value.topic}-value"
    client.set_config(
        subject, ServerConfig(compatibility=ConfigCompatibilityLevel.NONE, default_rule_set=condition("noise", RuleMode.WRITE))
    )
    client.register_schema(subject, Schema(OLD, "AVRO"))
    assert "noise" in refused(lambda: serializer(client, executors)({"track": "noise"}, value))


def test_migrations(url: str, client: SchemaRegistryClient, executors: RuleRegistry, value: SerializationContext) -> None:
    subject = f"{value.topic}-value"
    client.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel.NONE, compatibility_group="major"))
    rules = [
        Rule("up", None, RuleKind.TRANSFORM, RuleMode.UPGRADE, "RENAMES", None, None, "track>title", None, None, False),
        Rule("down", None, RuleKind.TRANSFORM, RuleMode.DOWNGRADE, "RENAMES", None, None, "title>track", None, None, False),
    ]

    def major(number: str) -> Metadata:
        return Metadata(tags=None, properties=MetadataProperties({"major": number}), sensitive=None)

    client.register_schema(subject, Schema(OLD, "AVRO", metadata=major("1")))
    old = serializer(client, executors)({"track": "Sea"}, value)
    client.register_schema(subject, Schema(NEW, "AVRO", metadata=major("2"), rule_set=RuleSet(migration_rules=rules, domain_rules=None)))
    with SchemaRegistryClient({"url": url}) as later:  # the first one remembers what was the latest
        new = serializer(later, executors)({"title": "Sky"}, value)
        for number, name in (("1", "track"), ("2", "title")):
            read = AvroDeserializer(later, conf={"use.latest.with.metadata": {"major": number}}, rule_registry=executors)
            assert read(old, value) == {name: "Sea"}
            assert read(new, value) == {name: "Sky"}
