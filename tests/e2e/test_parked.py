"""Events come before their declaration, and the receivers are killed while they catch up: each is in the lake once, misfits after a fix."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from cli.catalogue import Catalogue
from hourmark.topics import raw_topic
from tests.cli.conftest import Command, command
from tests.e2e.platform import SCHEMA, Platform, until

__all__ = ["command"]  # a fixture

EVENTS = 6000
FIELDS: list[Any] = SCHEMA["fields"]  # type: ignore[assignment]  # of an Avro record


def event(event_type: str, number: int, **more: Any) -> dict[str, Any]:
    payload = {"number": number, "text": "anna@example.org", **more}
    return {"type": event_type, "id": str(uuid.uuid4()), "time": "2026-03-01T06:59:58Z", "payload": payload}


def send(platform: Platform, events: list[dict[str, Any]], version: str) -> Counter[str]:
    body = {"sdk": {"name": "early", "version": version}, "app": "tv", "install": "i1", "events": events}
    status, answer, _ = platform.post(body)
    assert status == 200, answer
    return Counter(verdict["verdict"] for verdict in answer["results"].values())


def on_raw(platform: Platform, event_type: str) -> int:
    consumer = Consumer({"bootstrap.servers": platform.kafka, "group.id": "none"})
    end = int(consumer.get_watermark_offsets(TopicPartition(raw_topic(event_type), 0), timeout=30)[1])
    consumer.close()
    return end


def test_sent_before_the_declaration_and_killed_while_catching_up(
    platform: Platform, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hourmark(*arguments: str) -> str:
        monkeypatch.setenv("HOURMARK_HOME", str(platform.stack.home))
        said = command(*arguments)
        assert (said.code, said.err) == (0, "")
        return said.out

    event_type = f"t{uuid.uuid4().hex[:8]}.early"
    good = [event(event_type, number) for number in range(EVENTS)]
    misfits = [event(event_type, number, colour="red") for number in range(3)]
    for start in range(0, EVENTS, 1000):
        batch = good[start : start + 1000]
        assert send(platform, [*batch, *misfits[: start == 0 and 3]], f"{start // 3000}.0").keys() == {"parked"}
    assert send(platform, good[:50], "0.0").keys() == {"parked"}  # copies

    (waiting,) = json.loads(hourmark("parked", event_type, "--json"))["types"]
    assert (waiting["waiting"], waiting["state"]) == (EVENTS + 53, "waits for a declaration")
    assert {(one["sdk"], one["version"], one["app"]) for one in waiting["senders"]} == {("early", "0.0", "tv"), ("early", "1.0", "tv")}
    assert waiting["example"] == {"number": "integer(1 digit)", "text": "text(16)"}

    declaration = {"event": event_type, "owner": "tests", "tier": "debug", "schema": SCHEMA}
    Catalogue(platform.registry).declare(event_type, declaration)
    until("the replay to begin", lambda: on_raw(platform, event_type) > 200)  # it takes three seconds
    for name in ("receiver-1", "receiver-2"):
        platform.stack.kill(name)
    platform.restored()
    ids = {one["id"] for one in good}
    until(
        "all of them in the lake", lambda: {row[0] for row in platform.rows(event_type)} >= ids if sealed(platform, event_type) else False
    )
    assert Counter(row[0] for row in platform.rows(event_type)) == Counter(ids)

    refused = hourmark("rejected", event_type)
    assert "/payload/colour" in refused
    assert "red" not in refused.replace("reject", "")
    assert "anna" not in refused
    groups = json.loads(hourmark("rejected", event_type, "--json"))["groups"]
    assert {(group["code"], group["sdk"], group["version"]) for group in groups} == {("schema_mismatch", "early", "0.0")}
    colour = {"name": "colour", "type": ["null", "string"], "default": None}
    Catalogue(platform.registry).declare(event_type, {**declaration, "schema": {**SCHEMA, "fields": [*FIELDS, colour]}}, wait=20.0)
    sent = json.loads(hourmark("rejected", event_type, "--replay", "--json"))
    assert sent["verdicts"] == [{"verdict": "stored", "code": "", "events": 3}]
    again = json.loads(hourmark("rejected", event_type, "--replay", "--json"))
    assert (again["verdicts"], again["sent_before"] >= 3) == ([], True)
    assert not json.loads(hourmark("parked", event_type, "--json"))["types"][0]["waiting"]

    ids |= {one["id"] for one in misfits}
    until("the misfits in the lake", lambda: len({row[0] for row in platform.rows(event_type)}) >= len(ids))
    rows = platform.rows(event_type, "_event_id, _sdk, _install_id")
    assert Counter(row[0] for row in rows) == Counter(ids)
    assert {row[1:] for row in rows} == {("early", "i1")}


def sealed(platform: Platform, event_type: str) -> bool:
    return platform.sealed_up_to(event_type) >= 0
