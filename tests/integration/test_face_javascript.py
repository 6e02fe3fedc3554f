"""Confluent's serializers for JavaScript and for Python meet at our face: what one writes the other reads."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer

from tests.integration.face_values import RICH, rich, value_of
from tests.node.toolchain import HERE, Node
from tests.registry.documents import declaration, payload
from tests.registry.face.steps import record
from tests.registry.face.threaded import served
from tests.registry.test_compile import ENVELOPE_VALUES

EVENT = "player.song_played"
ONE = record("Play", track="string", at="long")
TWO = record("Play", track="string", at="long", mood=("string", "calm"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    fields = payload(("track", "string"), ("inner", {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "int"}]}))
    with served(tmp_path_factory.mktemp("face"), declaration(EVENT, schema=fields)) as url:
        yield url


class Javascript:
    """Asks JavaScript's clients, about one topic."""

    def __init__(self, node: Node, folder: Path, url: str, topic: str) -> None:
        node.project(folder)
        shutil.copy(HERE / "serde.cjs", folder)
        self._node, self._folder, self._url, self._topic = node, folder, url, topic

    def tell(self, **more: Any) -> dict[str, Any]:
        given = json.dumps({"url": self._url, "topic": self._topic, **more})
        done = self._node.run("serde.cjs", cwd=self._folder, stdin=given, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture
def javascript(node: Node, tmp_path: Path, url: str, topic: str) -> Javascript:
    return Javascript(node, tmp_path, url, topic)


def test_javascript_writes_and_python_reads(javascript: Javascript, client: SchemaRegistryClient, topic: str) -> None:
    values = [rich(number) for number in range(20)]
    answer = javascript.tell(schema={"schema": RICH, "schemaType": "AVRO"}, write=values)
    subject = f"{topic}-value"
    assert answer["id"] == client.get_latest_version(subject).schema_id == answer["latest"]["id"]
    assert answer["latest"]["version"] == 1
    assert subject in answer["subjects"]
    assert answer["compatible"] is True
    read = AvroDeserializer(client)
    assert [read(base64.b64decode(data), value_of(topic)) for data in answer["written"]] == values


def test_python_writes_and_javascript_reads(javascript: Javascript, client: SchemaRegistryClient, topic: str) -> None:
    values = [rich(number) for number in range(20)]
    write = AvroSerializer(client, RICH)
    written = [base64.b64encode(write(value, value_of(topic)) or b"").decode() for value in values]
    assert javascript.tell(read=written)["found"] == values


def test_both_write_the_same_bytes(javascript: Javascript, client: SchemaRegistryClient, topic: str) -> None:
    value = rich(7)
    mine = AvroSerializer(client, RICH)(value, value_of(topic))
    theirs = javascript.tell(write=[value])["written"]
    assert base64.b64decode(theirs[0]) == mine


def test_javascript_registers_by_itself(javascript: Javascript, client: SchemaRegistryClient, topic: str) -> None:
    answer = javascript.tell(write=[{"track": "x", "part": 0.5}], config={"autoRegisterSchemas": True})
    found = AvroDeserializer(client)(base64.b64decode(answer["written"][0]), value_of(topic))
    assert found == {"track": "x", "part": 0.5}


def test_javascript_reads_in_another_version(javascript: Javascript, client: SchemaRegistryClient, topic: str) -> None:
    data = AvroSerializer(client, ONE)({"track": "x", "at": 5}, value_of(topic))
    client.register_schema(f"{topic}-value", Schema(TWO))
    found = javascript.tell(read=[base64.b64encode(data or b"").decode()], config={"useLatestVersion": True})["found"]
    assert found == [{"track": "x", "at": 5, "mood": "calm"}]


def test_a_declared_event_both_ways(node: Node, tmp_path: Path, url: str, client: SchemaRegistryClient) -> None:
    """Records of a raw topic: by the wire schema that the catalogue made, which neither side registered."""
    topic = f"raw.{EVENT}"
    value = {**ENVELOPE_VALUES, "track": "x", "inner": {"x": 5}}
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    latest = client.get_latest_version(f"{topic}-value")
    mine = AvroSerializer(client, latest.schema, conf=conf)(value, value_of(topic))
    assert mine is not None
    packed = {name: {"$bytes": base64.b64encode(part).decode()} if isinstance(part, bytes) else part for name, part in value.items()}
    javascript = Javascript(node, tmp_path, url, topic)
    theirs = base64.b64decode(javascript.tell(write=[packed], config={"useLatestVersion": True})["written"][0])
    assert theirs == mine
    assert int.from_bytes(theirs[1:5], "big") == latest.schema_id
    read = AvroDeserializer(client)(theirs, value_of(f"clean.{EVENT}"))
    assert (read["track"], read["inner"], read["_event_id"], read["_attempt"]) == ("x", {"x": 5}, ENVELOPE_VALUES["_event_id"], 1)
    found = javascript.tell(read=[base64.b64encode(mine).decode()])["found"][0]
    assert (found["track"], found["inner"], base64.b64decode(found["_event_id"])) == ("x", {"x": 5}, ENVELOPE_VALUES["_event_id"])
