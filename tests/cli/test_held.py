"""Parked and rejected events for people: what they see holds no data of anybody; what is sent again is what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.addresses import Addresses
from cli.failures import Unreachable, WrongInput
from cli.held.refused import Group, Refused, as_json
from cli.held.resend import FrontDoor, Outcome, Sender, sendable
from cli.held.waiting import Held
from cli.masking import path_shape, shape, unquoted
from cli.parked import state
from hourmark.rejects import Reject

ID = "01950000-0000-7000-8000-00000000abcd"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
def test_a_shape_depends_on_kinds_and_lengths_alone(value: Any) -> None:
    assert shape(blurred(value)) == shape(value)


def blurred(value: Any) -> Any:
    """Another value of the same kinds and lengths; names of fields stay."""
    if isinstance(value, dict):
        return {name: blurred(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [blurred(inner) for inner in value]
    if isinstance(value, str):
        return "".join("7" if c in "0123456789" else "q" if c.isalpha() and c not in "eEtTzZ" and c.isascii() else c for c in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(str(value).replace("3", "4")) if value else value
    return value + 0.5 if isinstance(value, float) and abs(value) < 1e300 else value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"email": "anna@example.org", "n": -31000}, {"email": "text(16)", "n": "negative integer(5 digits)"}),
        ({"anna@example.org": 1}, {"text(16) #1": "integer(1 digit)"}),
        ([1.5, None, True, "x", "y"], ["number", None, True, "… 2 more"]),
        ("2026-03-01T07:00:00.5Z", "date-time"),
        (ID, "uuid"),
        ("0049301234567", "digits(13)"),
    ],
)
def test_shapes(value: Any, told: Any) -> None:
    assert shape(value) == told


def test_deep_and_wide_values_are_cut() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = {"a": [deep]}
    assert "object(1)" in json.dumps(shape(deep)) or "array(1)" in json.dumps(shape(deep))
    assert shape({f"n{number}": 1 for number in range(1000)})["…"] == "940 more"


def test_reasons_and_paths_without_data() -> None:
    assert unquoted("Invalid enum value 'anna' of \"b\"; the SDK stays") == "Invalid enum value 'text(4)' of 'text(1)'; the SDK stays"
    assert path_shape("/payload/friends/3/anna@example.org/name") == "/payload/friends/3/text(16)/name"


@pytest.mark.parametrize(
    "original",
    [
        b'{"type":"a.b","id":"anna","time":"anna","sdk":"anna","payload":{"name":"anna","anna@x.y":[{"k":"anna"}]}}',
        b'{"type":"Anna Smith","id":7,"payload":"anna"}',
        b'["anna"]',
        b'"anna"',
        b"anna \xff",
    ],
)
def test_an_example_holds_nobody(original: bytes) -> None:
    refused = Refused(events=1)
    reject = Reject(room="receiver", code="schema_mismatch", event_type="a.b", detail="unknown 'anna'", path="/payload/anna@x.y")
    refused.example = reject, original, (1, 5)
    refused.paths["/payload/anna@x.y"] = 1
    told = json.dumps(as_json(Group("receiver", "schema_mismatch", "ios", "1"), refused)).lower()
    assert "anna" not in told
    assert "/payload/text(8)" in told


@pytest.mark.parametrize(
    ("held", "lifecycles", "sampled", "said"),
    [
        (Held("a.b", 3), {}, False, "waits for a declaration"),
        (Held("a.b", 3), {"a.b": "draft"}, False, "waits: it is a draft"),
        (Held("a.b", 3), {"a.b": "active"}, False, "replaying: 0 of 3"),
        (Held("a.b", 1000, replayed=2000, rejected=5), {"a.b": "blocked"}, False, "replaying: 2,005 of 3,005"),
        (Held("a.b", 0, replayed=2), {"a.b": "active"}, False, "done"),
        (Held("a.b", 0, replayed=2), {"a.b": "active"}, True, "done, as far as the sample shows"),
        (Held("a.b", 1), None, False, "the registry does not say whether it is declared"),
    ],
)
def test_what_they_wait_for(held: Held, lifecycles: dict[str, str] | None, sampled: bool, said: str) -> None:
    assert state(held, lifecycles, sampled=sampled) == said


class Door(BaseHTTPRequestHandler):
    """A receiver that answers what the test has prepared, then `stored`."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.bodies.append((self.headers["Authorization"], body))
        status, verdict = server.answers.pop(0) if server.answers else (200, "stored")
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.end_headers()
        results = {event["id"]: {"verdict": verdict, **({"code": "broken"} if verdict != "stored" else {})} for event in body["events"]}
        self.wfile.write(json.dumps({"results": results} if status == 200 else {"message": "no such key"}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def door() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.bodies, server.answers = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(door: Any) -> Addresses:
    return Addresses(receiver=f"http://127.0.0.1:{door.server_port}", write_key="k")


EVENT = b'{"type":"a.b","id":"%b","time":"2026-03-01T07:00:00Z","payload":{ "n" : 1e3 }}' % ID.encode()


def test_sent_again_as_it_came_until_it_has_a_verdict(door: Any) -> None:
    door.answers += [(503, ""), (200, "retry"), (200, "rejected")]
    outcome = Outcome()
    sender = Sender("ios", "9.1", "tv", "i7", 1_772_348_400_123_456)
    FrontDoor(address(door), 1000).send(sender, {ID: EVENT}, outcome)
    assert outcome.verdicts == {("rejected", "broken"): 1}
    assert len(door.bodies) == 3
    token, body = door.bodies[-1]
    assert token == "Bearer k"
    assert body.pop("events") == [json.loads(EVENT)]
    assert body == {"sdk": {"name": "ios", "version": "9.1"}, "app": "tv", "install": "i7", "sent_at": "2026-03-01T07:00:00.123456+00:00"}
    assert EVENT in sender.request([EVENT])


def test_a_wrong_key_and_an_absent_receiver_are_said_in_words(door: Any) -> None:
    door.answers += [(401, "")]
    with pytest.raises(WrongInput, match="no such key"):
        FrontDoor(address(door), 1000).send(Sender("ios", "", "", "", 0), {ID: EVENT}, Outcome())
    with pytest.raises(Unreachable):
        FrontDoor(Addresses(receiver="http://127.0.0.1:9"), 1000).send(Sender("ios", "", "", "", 0), {ID: EVENT}, Outcome())


def test_the_rate_is_kept(door: Any) -> None:
    import time

    front, began = FrontDoor(address(door), 20), time.monotonic()
    for _ in range(5):
        front.send(Sender("ios", "", "", "", 0), {ID: EVENT}, Outcome())
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("facts", "value", "why"),
    [
        ({}, EVENT, ""),
        ({"room": "dedup"}, EVENT, "refused by dedup: its bytes are no event that a receiver could read"),
        ({"sdk": ""}, EVENT, "nobody knows who sent it"),
        ({}, EVENT[:-5], "its bytes are no JSON, or were cut off"),
        ({}, b"[" * 5000, "its bytes are no JSON, or were cut off"),
        ({}, b"[1]", "it has no usable id"),
        ({"event_id": ""}, EVENT, "it has no usable id"),
    ],
)
def test_what_can_be_sent(facts: dict[str, Any], value: bytes, why: str) -> None:
    known = {"room": "receiver", "code": "c", "event_type": "a.b", "sdk": "ios", "event_id": ID}
    assert sendable(Reject(**{**known, **facts}), value) == ("" if why else ID, why)
