"""Confluent's client for Python against our face: its whole interface, and its serializers."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable

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
    SchemaReference,
    SchemaRegistryClient,
    ServerConfig,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import SerializationError
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from tests.integration.face_values import RICH, rich, value_of
from tests.registry.face.steps import record

ONE = record("Play", track="string", at="long")
TWO = record("Play", track="string", at="long", mood=("string", "calm"))
OTHER = record("Stop", why="int")


def refused(do: Callable[[], object]) -> tuple[int, int]:
    """HTTP status and error code."""
    with pytest.raises(SchemaRegistryError) as caught:
        do()
    return caught.value.http_status_code, caught.value.error_code


def test_subjects_versions_ids(client: SchemaRegistryClient, topic: str) -> None:
    first, second = Schema(ONE, "AVRO"), Schema(TWO, "AVRO")
    identity = client.register_schema(topic, first)
    assert client.register_schema(topic, first, normalize_schemas=True) == identity
    assert client.register_schema_full_response(topic, first).schema_id == identity
    found = client.lookup_schema(topic, first)
    assert (found.schema_id, found.subject, found.version, found.schema.schema_str) == (identity, topic, 1, ONE)
    later = client.register_schema(topic, second)
    assert client.get_schema(later).schema_str == TWO
    assert (client.get_latest_version(topic).version, client.get_version(topic, 1).schema_id) == (2, identity)
    assert client.get_versions(topic) == [1, 2]
    assert topic in client.get_subjects()
    assert client.get_subjects(subject_prefix=topic) == [topic]
    assert topic in client.get_subjects_by_schema_id(identity)
    assert (topic, 2) in [(version.subject, version.version) for version in client.get_schema_versions(later)]
    assert sorted(client.get_schema_types()) == ["AVRO", "JSON", "PROTOBUF"]
    assert "." in client.get_contexts()


def test_refusals(client: SchemaRegistryClient, topic: str) -> None:
    nothing = Schema('{"type": "nosuch"}', "AVRO")
    assert refused(lambda: client.lookup_schema(topic, Schema(ONE))) == (404, 40401)
    assert refused(lambda: client.get_schema(987654321)) == (404, 40403)
    assert refused(lambda: client.delete_subject(topic)) == (404, 40401)
    assert refused(lambda: client.register_schema(topic, nothing)) == (422, 42201)
    client.register_schema(topic, Schema(ONE))
    assert refused(lambda: client.lookup_schema(topic, nothing)) == (422, 42201)
    assert refused(lambda: client.lookup_schema(topic, Schema(OTHER))) == (404, 40403)
    assert refused(lambda: client.register_schema(topic, Schema(OTHER))) == (409, 409)
    assert refused(lambda: client.get_version(topic, 3)) == (404, 40402)
    assert refused(lambda: client.get_version(topic, "a")) == (422, 42202)
    assert refused(lambda: client.set_compatibility(topic, "SIDEWAYS")) == (422, 42203)
    assert refused(lambda: client.update_mode(topic, "SIDEWAYS")) == (422, 42204)
    assert refused(lambda: client.get_compatibility(topic)) == (404, 40408)
    assert refused(lambda: client.get_mode(topic)) == (404, 40409)


def test_deletion(client: SchemaRegistryClient, topic: str) -> None:
    client.register_schema(topic, Schema(ONE))
    client.register_schema(topic, Schema(TWO))
    assert client.delete_version(topic, 1) == 1
    assert client.get_versions(topic) == [2]
    assert client.delete_version(topic, 1, permanent=True) == 1
    assert client.delete_subject(topic) == [2]
    assert topic not in client.get_subjects()
    assert topic in client.get_subjects(deleted=True)
    assert refused(lambda: client.delete_subject(topic)) == (404, 40404)
    assert client.delete_subject(topic, permanent=True) == [2]  # the client deletes softly first, and minds no refusal
    assert topic not in client.get_subjects(deleted=True)


def test_settings(client: SchemaRegistryClient, topic: str) -> None:
    client.register_schema(topic, Schema(ONE))
    client.set_compatibility(topic, "FULL_TRANSITIVE")
    assert client.get_compatibility(topic) == "FULL_TRANSITIVE"
    assert not client.test_compatibility(topic, Schema(record("Play", track="string")))
    assert client.test_compatibility(topic, Schema(TWO))
    assert client.test_compatibility_all_versions(topic, Schema(TWO))
    wanted = ServerConfig(compatibility=ConfigCompatibilityLevel.NONE, compatibility_group="major")
    client.set_config(topic, wanted)
    found = client.get_config(topic)
    assert (found.compatibility_level, found.compatibility_group) == (ConfigCompatibilityLevel.NONE, "major")
    client.delete_config(topic)
    assert refused(lambda: client.get_config(topic)) == (404, 40408)
    assert client.get_compatibility() == "BACKWARD"
    client.update_mode(topic, "READONLY")
    assert client.get_mode(topic) == "READONLY"
    assert refused(lambda: client.register_schema(topic, Schema(TWO))) == (422, 42205)
    client.delete_mode(topic)
    client.register_schema(topic, Schema(TWO))
    assert client.get_global_mode() == "READWRITE"
    assert client.update_global_mode("READONLY") == "READONLY"
    assert client.update_global_mode("READWRITE") == "READWRITE"


def test_metadata_and_rules(client: SchemaRegistryClient, topic: str) -> None:
    rules = RuleSet(migration_rules=None, domain_rules=[a_rule()], encoding_rules=None)
    sent = Schema(ONE, "AVRO", metadata=Metadata(None, MetadataProperties({"owner": "sound"}), None), rule_set=rules)
    identity = client.register_schema(topic, sent)
    found = client.get_latest_with_metadata(topic, {"owner": "sound"})
    assert (found.schema_id, found.version) == (identity, 1)
    assert found.schema.metadata is not None
    assert found.schema.metadata.properties is not None
    assert found.schema.metadata.properties.properties["owner"] == "sound"
    assert found.schema.rule_set is not None
    assert [rule.name for rule in found.schema.rule_set.domain_rules or []] == ["positive"]
    assert refused(lambda: client.get_latest_with_metadata(topic, {"owner": "vision"}))[0] == 404


def a_rule() -> Rule:
    return Rule(
        name="positive",
        doc=None,
        kind=RuleKind.CONDITION,
        mode=RuleMode.WRITE,
        type="CEL",
        tags=None,
        params=None,
        expr="message.at > 0",
        on_success=None,
        on_failure=None,
        disabled=True,
    )


def test_avro(client: SchemaRegistryClient, topic: str) -> None:
    write, read = AvroSerializer(client, RICH), AvroDeserializer(client)
    for number in range(5):
        data = write(rich(number), value_of(topic))
        assert data is not None
        assert int.from_bytes(data[1:5], "big") == client.get_latest_version(f"{topic}-value").schema_id
        assert read(data, value_of(topic)) == rich(number)


@pytest.mark.parametrize(
    ("schema", "value"),
    [('"string"', "Jämtland"), ('"boolean"', True), ('"double"', 68.032768), ('"bytes"', b"\0\xff"), ('["null", "int"]', None)],
)
def test_avro_without_records(client: SchemaRegistryClient, topic: str, schema: str, value: object) -> None:
    data = AvroSerializer(client, schema, conf={"normalize.schemas": True})(value, value_of(topic))
    if value is not None:  # which is no bytes at all
        assert AvroDeserializer(client)(data, value_of(topic)) == value


def test_avro_in_the_latest_version(client: SchemaRegistryClient, topic: str) -> None:
    client.register_schema(f"{topic}-value", Schema(ONE))
    client.register_schema(f"{topic}-value", Schema(TWO))
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    data = AvroSerializer(client, ONE, conf=conf)({"track": "x", "at": 5}, value_of(topic))
    assert AvroDeserializer(client)(data, value_of(topic)) == {"track": "x", "at": 5, "mood": "calm"}
    assert AvroDeserializer(client, ONE)(data, value_of(topic)) == {"track": "x", "at": 5}
    strict = AvroSerializer(client, OTHER, conf={"auto.register.schemas": False})
    with pytest.raises((SchemaRegistryError, SerializationError)):
        strict({"why": 1}, value_of(topic))


def test_avro_with_references(client: SchemaRegistryClient, topic: str) -> None:
    inner, middle = f"{topic}.inner", f"{topic}.middle"
    client.register_schema(inner, Schema(record("Inner", n="int"), "AVRO"))
    client.register_schema(middle, Schema(record("Middle", inner="Inner"), "AVRO", [SchemaReference("Inner", inner, 1)]))
    schema = Schema(
        record("Outer", middle="Middle", more="Inner"), "AVRO", [SchemaReference("Middle", middle, 1), SchemaReference("Inner", inner, 1)]
    )
    value = {"middle": {"inner": {"n": 1}}, "more": {"n": 2}}
    data = AvroSerializer(client, schema)(value, value_of(topic))
    assert AvroDeserializer(client)(data, value_of(topic)) == value
    assert client.get_referenced_by(middle, 1) == [client.get_latest_version(f"{topic}-value").schema_id]
    assert refused(lambda: client.delete_version(inner, 1)) == (422, 42206)


def test_json(client: SchemaRegistryClient, topic: str) -> None:
    schema = json.dumps({"type": "object", "title": "Play", "properties": {"track": {"type": "string"}}, "required": ["track"]})
    write = JSONSerializer(schema, client)
    data = write({"track": "x"}, value_of(topic))
    assert JSONDeserializer(schema, schema_registry_client=client)(data, value_of(topic)) == {"track": "x"}
    assert JSONDeserializer(None, schema_registry_client=client)(data, value_of(topic)) == {"track": "x"}
    with pytest.raises(SerializationError):
        write({"track": 5}, value_of(topic))


def test_protobuf(client: SchemaRegistryClient, topic: str) -> None:
    """Its library sends descriptors in base64, those of imported files under subjects of their own."""
    pool = DescriptorPool()
    inner, outer = f"{topic}/inner.proto", f"{topic}/outer.proto"
    pool.Add(proto_file(inner, topic, "Inner", field("n", 1, FieldDescriptorProto.TYPE_INT32)))
    part = field("inner", 2, FieldDescriptorProto.TYPE_MESSAGE, type_name=f".{topic}.Inner")
    pool.Add(proto_file(outer, topic, "Outer", field("track", 1, FieldDescriptorProto.TYPE_STRING), part, imports=(inner,)))
    kind = GetMessageClass(pool.FindMessageTypeByName(f"{topic}.Outer"))
    value, conf = kind(track="x", inner={"n": 7}), {"use.deprecated.format": False}
    data = ProtobufSerializer(kind, client, conf)(value, value_of(topic))
    assert data is not None
    assert ProtobufDeserializer(kind, conf, client)(data, value_of(topic)) == value
    found = client.get_latest_version(f"{topic}-value").schema
    assert found.schema_type == "PROTOBUF"
    assert [(reference.name, reference.subject) for reference in found.references or []] == [(inner, inner)]


def field(name: str, number: int, kind: FieldDescriptorProto.Type.ValueType, type_name: str | None = None) -> FieldDescriptorProto:
    return FieldDescriptorProto(name=name, number=number, type=kind, type_name=type_name, label=FieldDescriptorProto.LABEL_OPTIONAL)


def proto_file(path: str, package: str, message: str, *fields: FieldDescriptorProto, imports: tuple[str, ...] = ()) -> FileDescriptorProto:
    described = DescriptorProto(name=message, field=fields)
    return FileDescriptorProto(name=path, package=package, syntax="proto3", dependency=imports, message_type=[described])


def test_contexts(url: str, client: SchemaRegistryClient, topic: str) -> None:
    name = f".c{uuid.uuid4().hex}"
    with SchemaRegistryClient({"url": f"{url}/contexts/{name}"}) as inside:
        identity = inside.register_schema(topic, Schema(OTHER))
        assert identity == 1
        assert inside.get_schema(identity).schema_str == OTHER
        assert client.get_version(f":{name}:{topic}", 1).schema_id == 1
        assert name in client.get_contexts()
        assert topic not in client.get_subjects()
        write, read = AvroSerializer(inside, OTHER), AvroDeserializer(inside)
        assert read(write({"why": 7}, value_of(topic)), value_of(topic)) == {"why": 7}


def test_logical_types_survive(client: SchemaRegistryClient, topic: str) -> None:
    schema = record("When", at={"type": "long", "logicalType": "timestamp-millis"}, who={"type": "string", "logicalType": "uuid"})
    value = {"at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC), "who": uuid.UUID(int=7)}
    data = AvroSerializer(client, schema)(value, value_of(topic))
    assert AvroDeserializer(client)(data, value_of(topic)) == value
