"""One event that is no JSON is refused by itself, with its bytes; its neighbours are stored."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.isolate import id_and_type, take_apart

from .conftest import Rig, event, request

SPOILT = {
    "NaN": (b"31000", b"NaN"),
    "Infinity": (b"31000", b"-Infinity"),
    "not UTF-8": (b'"t"', b'"\xff"'),
    "a surrogate in UTF-8": (b'"t"', b'"\xed\xa0\x80"'),
    "a lone surrogate": (b'"t"', b'"\\ud800"'),
    "a control character": (b'"t"', b'"a\nb"'),
    "NaN outside the payload": (b'"seq":12', b'"seq":NaN'),
}


@pytest.mark.parametrize("case", SPOILT)
async def test_neighbours_of_a_spoilt_event_are_stored(rig: Rig, case: str) -> None:
    before, wrong, after = event(), event(), event()
    good, bad = SPOILT[case]
    spoilt = msgspec.json.encode(wrong).replace(good, bad)
    assert spoilt != msgspec.json.encode(wrong)
    answer = await rig.send(before, spoilt, after)
    assert answer.status == 200, answer.body
    results = answer.body["results"]
    assert [results[one["id"]]["verdict"] for one in (before, wrong, after)] == ["stored", "rejected", "stored"]
    assert results[wrong["id"]]["code"] in ("invalid_envelope", "schema_mismatch")
    assert [record[1] for record in rig.topic("rejected")] == [spoilt]


async def test_a_spoilt_event_without_a_usable_id_is_named_by_its_place(rig: Rig) -> None:
    good = event()
    answer = await rig.send(good, b'{"type":"play.song","id":NaN}', b"[NaN]")
    assert [answer.body["results"][key]["verdict"] for key in (good["id"], "#1", "#2")] == ["stored", "rejected", "rejected"]


@pytest.mark.parametrize("tail", [b",]}", b"]", b"]}}", b"]} x", b",NaN,]}", b"] NaN}", b'],"app" NaN}', b'],"x":}'])
async def test_a_request_that_does_not_hold_together_is_refused_whole(rig: Rig, tail: bytes) -> None:
    whole = request(event(), msgspec.json.encode(event()).replace(b"31000", b"NaN"))
    answer = await rig.post(whole[:-2] + tail)
    assert (answer.status, answer.body["code"]) == (400, "invalid_envelope")
    assert rig.publisher.records == []


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values: Any = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
others = st.dictionaries(st.text().filter(lambda name: name != "events"), values, max_size=3)


@given(st.lists(values, max_size=5), others, st.sampled_from([None, 1]))
def test_pieces_are_the_events_and_the_rest(events: list[Any], rest: dict[str, Any], indent: int | None) -> None:
    body = json.dumps({**rest, "events": events}, indent=indent).encode()
    head, found = take_apart(body)
    assert [json.dumps(json.loads(one)) for one in found] == [json.dumps(one) for one in events]
    assert json.dumps(json.loads(head)) == json.dumps({**rest, "events": []})


@given(st.binary())
def test_nothing_else_comes_out_of_garbage(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        take_apart(body)
    assert len(id_and_type(body)) == 2
