"""Somebody watches: what becomes of events is seen as they come, each can be traced, and rows are there before their hour is sealed."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from cli.demo.ledger import Ledger
from tests.e2e.platform import Platform, until
from tests.e2e.test_command_line import Hourmark

PRIVATE = {"fields": {"text": {"as": "pseudonym"}}}


@pytest.fixture
def hourmark(platform: Platform, tmp_path: Path) -> Hourmark:
    return Hourmark({"HOURMARK_HOME": str(platform.stack.home), "PATH": "/usr/bin:/bin"}, tmp_path)


def tailed(hourmark: Hourmark, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in hourmark("tail", *arguments, "--from-start", "--for", "60", "--json").splitlines()]


def traced(hourmark: Hourmark, event_id: str, *arguments: str) -> dict[str, Any]:
    """The one story of an event."""
    found = json.loads(hourmark("trace", event_id, "--json", *arguments))
    (story,) = found["stories"]
    assert found["found"]
    return dict(story)


def test_what_becomes_of_each_event(platform: Platform, hourmark: Hourmark) -> None:
    event_type, nobodys = platform.declare("watched", privacy=PRIVATE), f"t{uuid.uuid4().hex[:8]}.nobodys"
    ledger, parked, refused, copied = Ledger(event_type), uuid.uuid4(), uuid.uuid4(), 5
    with platform.http() as client:
        ids = [client.send(event_type, {"number": number, "text": "secret"}, on_verdict=ledger.original) for number in range(20)]
        assert client.flush(60)
        for number in range(copied):
            client.send(event_type, {"number": number, "text": "secret"}, event_id=ids[number])
        assert client.flush(60)
    events = [
        {"type": event_type, "id": str(refused), "time": "2026-03-01T07:00:00Z", "payload": {"number": "x", "text": "secret"}},
        {"type": nobodys, "id": str(parked), "time": "2026-03-01T07:00:00Z", "payload": {"number": 1}},
    ]
    _, answer, _ = platform.post({"sdk": {"name": "tests"}, "app": "e2e", "events": events})
    assert [answer["results"][str(one)]["verdict"] for one in (refused, parked)] == ["rejected", "parked"]

    lines = tailed(hourmark, event_type, "--limit", str(20 + copied + 1))
    by_kind = {kind: [line for line in lines if line["kind"] == kind] for kind in ("accepted", "duplicate", "rejected")}
    assert {line["id"] for line in by_kind["accepted"]} == {str(one) for one in ids}
    assert {line["id"] for line in by_kind["duplicate"]} == {str(one) for one in ids[:copied]}
    assert [(line["id"], line["code"], line["path"]) for line in by_kind["rejected"]] == [
        (str(refused), "schema_mismatch", "/payload/number")
    ]
    assert {line["event"]["text"] for line in lines} == {"***"}
    assert all(set(line["ms"]) == {"received", "stored", "deduplicated"} for line in by_kind["accepted"])
    first = {line["id"]: (line["partition"], line["offset"]) for line in by_kind["accepted"]}
    assert all((line["kept"]["partition"], line["kept"]["offset"]) == first[line["id"]] for line in by_kind["duplicate"])
    filtered = tailed(hourmark, event_type, "--only", "accepted", "--where", "number>17", "-n", "2")
    assert sorted(line["event"]["number"] for line in filtered) == [18, 19]
    assert "1 event of this name is parked" in hourmark("tail", nobodys, code=2)

    platform.wait_sealed(event_type)
    story = traced(hourmark, str(ids[0]), "--type", event_type)
    assert (story["verdict"], len(story["received"]), story["deduplicated"]["duplicates"]) == ("sealed", 2, 1)
    assert (platform.lake / story["hour"]["file"]).is_file()
    assert traced(hourmark, str(refused))["verdict"] == "rejected"
    waits = traced(hourmark, str(parked))
    assert (waits["verdict"], waits["type"], waits["declared"], waits["parked"][0]["replayed"]) == ("parked", nobodys, False, False)
    unknown = json.loads(hourmark("trace", str(uuid.uuid4()), "--type", event_type, "--json", code=1))
    assert (unknown["found"], unknown["stories"]) == (False, [])
    assert all(one["complete"] for one in unknown["searched"])


def test_open_rows_are_seen_soon_and_stay_as_they_were(platform: Platform, hourmark: Hourmark) -> None:
    event_type, ledger = platform.declare("previewed"), Ledger("")
    assert json.loads(hourmark("hours", event_type, "--json"))["hours"][-1]["state"] == "open"
    asked = f'SELECT * FROM "{event_type}" ORDER BY _raw_partition, _raw_offset'

    def seen_open() -> list[dict[str, Any]]:
        with platform.http() as client:
            for number in range(50):
                event_id = client.send(event_type, {"number": number}, on_verdict=ledger.original)
                client.send(event_type, {"number": number}, event_id=event_id)
            assert client.flush(60)
        sent = set(ledger.acknowledged)
        found: list[dict[str, Any]] = until(
            "all that was acknowledged to be seen",
            lambda: [row for row in [_rows(hourmark, asked, "--open")] if {one["_event_id"] for one in row} >= sent],
            60,
        )[0]
        return found if not all(row["_final"] for row in found) else []

    before = until("rows of an open hour", seen_open)
    assert len({row["_event_id"] for row in before}) == len(before)
    platform.wait_sealed(event_type)
    sealed = {row["_event_id"]: row for row in _rows(hourmark, asked)}
    assert len(sealed) == len(ledger.acknowledged)
    assert [{name: value for name, value in row.items() if name != "_final"} for row in before] == [
        sealed[row["_event_id"]] for row in before
    ]


def _rows(hourmark: Hourmark, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(hourmark("query", *arguments, "--json"))
    return found
