"""What senders are told of an event type that is blocked, deprecated or a draft."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hourmark.schemas import EventType, entry_key
from hourmark.topics import PARKED, raw_topic
from receiver.app import DEPRECATED
from receiver.lookup import entries_of

from .conftest import Rig, event
from .fakes import declared


def turn(rig: Rig, name: str = "play.turning", revision: int = 100, **facts: Any) -> None:
    """What the control topic would bring."""
    entries = declared(name, revision, [{"name": "x", "type": "long"}], **facts)
    rig.tail.offer([(entry_key(entry), entry) for entry in entries])


def sent(name: str = "play.turning") -> dict[str, Any]:
    return event(type=name, payload={"x": 1})


async def test_a_blocked_type_is_refused_with_its_reason_and_accepted_again_once_it_is_not(rig: Rig) -> None:
    turn(rig)
    assert (await rig.send(sent())).verdicts[0]["verdict"] == "stored"
    turn(rig, revision=101, lifecycle="blocked", reason="a flood", replaced_by="play.calm")
    refused = (await rig.send(sent(), event())).verdicts
    assert (refused[0]["verdict"], refused[0]["code"]) == ("rejected", "blocked_event_type")
    assert refused[0]["detail"] == "play.turning is blocked by its owner: a flood; send play.calm instead"
    assert refused[1]["verdict"] == "stored"
    turn(rig, revision=102)
    assert (await rig.send(sent())).verdicts[0]["verdict"] == "stored"
    assert len(rig.topic(raw_topic("play.turning"))) == 2


async def test_a_deprecated_type_is_accepted_and_its_senders_are_told(rig: Rig) -> None:
    turn(rig)
    assert DEPRECATED not in (await rig.send(sent())).headers
    turn(rig, revision=101, lifecycle="deprecated", reason="not for headers \N{SNOWMAN}", until="2027-03-01", replaced_by="play.calm")
    turn(rig, "play.other", revision=102, lifecycle="deprecated")
    answer = await rig.send(sent(), sent(), sent("play.other"), event())
    assert [verdict["verdict"] for verdict in answer.verdicts] == ["stored"] * 4
    assert answer.headers[DEPRECATED] == "play.turning;until=2027-03-01;replaced_by=play.calm, play.other"
    assert set(answer.body) == {"results"}


async def test_events_of_a_draft_wait(rig: Rig) -> None:
    turn(rig, lifecycle="draft")
    assert (await rig.send(sent())).verdicts[0]["verdict"] == "parked"
    assert len(rig.topic(PARKED)) == 1


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        ("active", ("active", "", "", "")),
        ({"state": "blocked", "reason": "a flood"}, ("blocked", "a flood", "", "")),
        ({"state": "deprecated", "until": "2027-03-01", "replaced_by": "a.c"}, ("deprecated", "", "2027-03-01", "a.c")),
    ],
)
def test_the_registry_may_be_asked_about_any_lifecycle(said: Any, facts: tuple[str, ...]) -> None:
    answer = {
        "event": "a.b",
        "revision": 7,
        "declaration": {"owner": "me", "lifecycle": said, "schema": {}},
        "schema_id": 3,
        "schema_version": 1,
        "partitions": 2,
        "private": ["email"],
        "wire_schema": {"type": "record"},
    }
    entry = entries_of(msgspec.json.encode(answer))[1][1]
    assert isinstance(entry, EventType)
    assert (entry.lifecycle, entry.reason, entry.until, entry.replaced_by) == facts
    assert entry.private == ("email",)
