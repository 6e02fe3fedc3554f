"""Every way in which an event can be wrong has its own answer, and its neighbours never notice."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from hourmark.errors import BrokerUnavailable
from hourmark.rejects import read_reject
from hourmark.topics import PARKED, REJECTED, partition_of, raw_topic

from .conftest import Rig, event
from .fakes import LIMITED


def payload(**fields: Any) -> dict[str, Any]:
    return event(payload={"track": "t", "ms_played": 1} | fields)


def raw(text: str) -> bytes:
    """An event with this payload text, which no JSON writer would write."""
    return (
        '{"type":"play.song","id":"%s","time":"2026-03-01T07:00:00Z","payload":%s}' % (uuid.uuid4(), text)  # noqa: UP031  braces
    ).encode()


REFUSED: dict[str, tuple[Any, str, str]] = {
    "time is no time": (event(time="yesterday"), "invalid_envelope", "/time"),
    "time without a zone": (event(time="2026-03-01T07:00:00"), "invalid_envelope", "/time"),
    "leap second": (event(time="2016-12-31T23:59:60Z"), "invalid_envelope", "/time"),
    "time beyond 9999 by its offset": (event(time="9999-12-31T23:59:59-01:00"), "invalid_envelope", "/time"),
    "time before 0001 by its offset": (event(time="0001-01-01T00:00:00+01:00"), "invalid_envelope", "/time"),
    "time missing": (event(without=("time",)), "invalid_envelope", "/time"),
    "type missing": (event(without=("type",)), "invalid_envelope", "/type"),
    "payload missing": (event(without=("payload",)), "invalid_envelope", "/payload"),
    "type is no name": (event(type="Play Song"), "invalid_envelope", "/type"),
    "type is a number": (event(type=5), "invalid_envelope", "/type"),
    "sequence negative": (event(seq=-1), "invalid_envelope", "/seq"),
    "sequence 2^63": (event(seq=2**63), "invalid_envelope", "/seq"),
    "attempt zero": (event(attempt=0), "invalid_envelope", "/attempt"),
    "attempt 2^31": (event(attempt=2**31), "invalid_envelope", "/attempt"),
    "unknown field": (event(sequence=3), "invalid_envelope", "/sequence"),
    "payload is text": (event(payload="x"), "schema_mismatch", "/payload"),
    "payload is null": (event(payload=None), "schema_mismatch", "/payload"),
    "wrong type": (payload(ms_played="1"), "schema_mismatch", "/payload/ms_played"),
    "required field missing": (event(payload={"track": "t"}), "schema_mismatch", "/payload/ms_played"),
    "required field null": (payload(track=None), "schema_mismatch", "/payload/track"),
    "unknown payload field": (payload(extra=1), "schema_mismatch", "/payload/extra"),
    "long 2^63": (payload(ms_played=2**63), "schema_mismatch", "/payload/ms_played"),
    "long 2^64": (payload(ms_played=2**64), "schema_mismatch", "/payload/ms_played"),
    "long with a fraction": (payload(ms_played=3.5), "schema_mismatch", "/payload/ms_played"),
    "long as 3.0": (payload(ms_played=3.0), "schema_mismatch", "/payload/ms_played"),
    "long is true": (payload(ms_played=True), "schema_mismatch", "/payload/ms_played"),
    "int 2^31": (payload(rank=2**31), "schema_mismatch", "/payload/rank"),
    "double too large": (raw('{"track":"t","ms_played":1,"volume":1e999}'), "schema_mismatch", "/payload/volume"),
    "deep in an array": (payload(device={"tags": [1, 2, "x"]}), "schema_mismatch", "/payload/device/tags/2"),
    "unknown field deep down": (payload(device={"tags": [], "x": 1}), "schema_mismatch", "/payload/device/x"),
    "in a map": (payload(counts={"a": "x"}), "schema_mismatch", "/payload/counts"),
    "time of the payload": (payload(seen_at="tomorrow"), "schema_mismatch", "/payload/seen_at"),
    "keyed without its key": (event(type="play.keyed", payload={}), "schema_mismatch", "/payload/user"),
    "small as JSON, large as Avro": (event(type="play.swollen", payload={"many": [{}] * 3000}), "event_too_large", ""),
    "wrong SDK": (event(type="play.bound", payload={"x": 1}), "sdk_not_bound", ""),
    "blocked type": (event(type="play.blocked", payload={"x": 1}), "blocked_event_type", ""),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_event_is_rejected_and_kept(rig: Rig, case: str) -> None:
    wrong, code, path = REFUSED[case]
    first, last = event(), event()
    answer = await rig.send(first, wrong, last)
    assert answer.status == 200
    assert [verdict["verdict"] for verdict in answer.verdicts] == ["stored", "rejected", "stored"], answer.body
    verdict = answer.verdicts[1]
    assert (verdict["code"], verdict.get("path", "")) == (code, path)
    assert verdict["detail"]
    assert len(rig.topic(raw_topic("play.song"))) == 2
    ((_, value, _, _, headers),) = rig.topic(REJECTED)
    reject = read_reject(headers)
    assert reject is not None
    assert (reject.code, reject.path, reject.sdk, reject.room) == (code, path, "test", "receiver")
    assert b"payload" in value or code == "invalid_envelope"


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        (event(without=("id",)), "/events/1/id"),
        (event(id="abc"), "/events/1/id"),
        (event(id=7), "/events/1/id"),
        (event(id="0195 0195-0195-0195-0195-019501950195"), "/events/1/id"),
        (event(id="g" * 32), "/events/1/id"),
        (b"5", "/events/1"),
        (b"null", "/events/1"),
        (b"[]", "/events/1"),
    ],
)
async def test_without_an_id_the_verdict_is_under_the_position(rig: Rig, wrong: Any, path: str) -> None:
    answer = await rig.send(event(), wrong)
    verdict = answer.body["results"]["#1"]
    assert (verdict["verdict"], verdict["code"], verdict["path"]) == ("rejected", "invalid_envelope", path)
    assert len(rig.topic(REJECTED)) == 1


@pytest.mark.parametrize(
    ("payload", "path", "detail"),
    [
        ({"ms_played": 2**63}, "/ms_played", "expected long <= 9223372036854775807"),
        ({"ms_played": 1, "counts": {"a": "x"}}, "/counts", "expected long, got string"),
        ({"ms_played": 1, "seen_at": "2026-01-01T00:00:00"}, "/seen_at", "expected null or timestamp-millis with a timezone component"),
        ({"ms_played": 1, "x" * 1000: 1}, "/" + "x" * 200, "unknown field"),
    ],
)
async def test_a_mismatch_says_what_was_expected(rig: Rig, payload: dict[str, Any], path: str, detail: str) -> None:
    verdict = (await rig.send(event(payload={"track": "t", **payload}))).verdicts[0]
    assert (verdict["path"], verdict["detail"]) == (f"/payload{path}", detail)


async def test_words_of_a_mismatch(rig: Rig) -> None:
    answer = await rig.send(payload(ms_played="1"))
    assert answer.verdicts[0]["detail"] == "expected long, got string"


@pytest.mark.parametrize("form", [str, lambda one: str(one).upper(), lambda one: one.hex])
async def test_ids_in_any_form_are_the_same_sixteen_bytes(rig: Rig, form: Any) -> None:
    one = uuid.uuid4()
    answer = await rig.send(event(id=form(one)))
    assert list(answer.body["results"]) == [form(one)]
    ((_, value, key, partition, _),) = rig.topic(raw_topic("play.song"))
    assert (value[5:21], key, partition) == (one.bytes, one.bytes, partition_of(one.bytes, 4))


async def test_a_declared_key_picks_the_partition(rig: Rig) -> None:
    await rig.send(event(type="play.keyed", payload={"user": "zoë"}))
    ((_, _, key, partition, _),) = rig.topic(raw_topic("play.keyed"))
    assert key == "zoë".encode()
    assert partition == partition_of(key, 4)


async def test_the_last_of_two_equal_keys_counts(rig: Rig) -> None:
    answer = await rig.send(raw('{"track":"t","ms_played":"x","ms_played":5}'), raw('{"track":"t","ms_played":5,"ms_played":"x"}'))
    assert [verdict["verdict"] for verdict in answer.verdicts] == ["rejected", "rejected"]
    answer = await rig.send(raw('{"track":"a","track":"b","ms_played":5}'))
    assert answer.verdicts[0]["verdict"] == "stored"
    assert b"\x02b" in rig.topic(raw_topic("play.song"))[0][1]


async def test_an_event_that_is_too_large_leaves_its_neighbours_alone(rig: Rig) -> None:
    answer = await rig.send(event(), payload(track="x" * (1024 * 1024)), event())
    assert [(verdict["verdict"], verdict.get("code")) for verdict in answer.verdicts] == [
        ("stored", None),
        ("rejected", "event_too_large"),
        ("stored", None),
    ]


@pytest.mark.parametrize(("name", "topic"), [("play.song", "raw.play.song"), ("play.unknown", "parked")])
async def test_an_event_that_its_topic_does_not_take_is_rejected_and_kept(rig: Rig, name: str, topic: str) -> None:
    rig.publisher.limits[topic] = 5000
    large = event(type=name, payload={"track": "t" * 5000, "ms_played": 1})
    wrong = event(payload={})
    answer = await rig.send(event(type=name), large, wrong)
    assert [verdict["verdict"] for verdict in answer.verdicts] == ["stored" if name == "play.song" else "parked", "rejected", "rejected"]
    assert [verdict.get("code") for verdict in answer.verdicts][1:] == ["event_too_large", "schema_mismatch"]
    assert len(rig.topic(topic)) == 1
    assert [msgspec.json.decode(record[1])["id"] for record in rig.topic("rejected")] == [wrong["id"], large["id"]]


async def test_an_event_that_nobody_can_keep_is_sent_again(rig: Rig) -> None:
    rig.publisher.limits = {"raw.play.song": 50, "rejected": 50}
    answer = await rig.send(event())
    assert answer.verdicts[0]["verdict"] == "retry"
    assert rig.publisher.records == []


async def test_an_unknown_type_is_parked_with_its_bytes(rig: Rig) -> None:
    unknown = event(type="not.declared", payload={"any": ["thing", 1e3]})
    answer = await rig.send(event(), unknown, event(type="play.draft", payload={"x": 1}))
    assert [(verdict["verdict"], verdict.get("code")) for verdict in answer.verdicts] == [
        ("stored", None),
        ("parked", "unknown_event_type"),
        ("parked", "unknown_event_type"),
    ]
    (_, value, key, _, _), _ = rig.topic(PARKED)
    assert key == uuid.UUID(unknown["id"]).bytes
    assert b'"event":{"type":"not.declared"' in value
    assert b'"app":"web"' in value


async def test_equal_copies_in_a_request_are_stored_once(rig: Rig) -> None:
    one = event()
    answer = await rig.send(one, one, event())
    assert [verdict["verdict"] for verdict in answer.verdicts] == ["stored", "stored"]
    assert "code" not in answer.body["results"][one["id"]]
    assert len(rig.publisher.records) == 2


async def test_of_different_events_with_one_id_the_first_wins(rig: Rig) -> None:
    one = event()
    other = event(id=one["id"].upper(), payload={"track": "other", "ms_played": 2})
    answer = await rig.send(one, other)
    assert answer.body["results"][one["id"]] == answer.body["results"][other["id"]]
    assert answer.verdicts[0]["verdict"] == "stored"
    assert answer.verdicts[0]["code"] == "duplicate_in_batch"
    ((_, value, _, _, _),) = rig.publisher.records
    assert b"other" not in value


async def test_a_failed_delivery_is_answered_retry(rig: Rig) -> None:
    rig.publisher.failure = BrokerUnavailable("gone", retry_after=2.0)
    answer = await rig.send(event(), event(type="not.declared"), payload(track=5))
    assert answer.status == 200
    assert {(verdict["verdict"], verdict["code"], verdict["retry_after"]) for verdict in answer.verdicts} == {
        ("retry", "broker_unavailable", 2.0)
    }


async def test_a_key_that_may_not_send_all_types_is_refused(rig: Rig) -> None:
    answer = await rig.send(event(), event(type="other.thing"), token=LIMITED)
    assert (answer.status, answer.body["code"]) == (403, "key_not_allowed")
    assert "other.thing" in answer.body["message"]
    assert rig.publisher.records == []
    assert (await rig.send(event(), token=LIMITED)).status == 200


async def test_a_full_tier_leaves_the_others_alone(rig: Rig) -> None:
    budget = rig.receiver.intake.budget
    assert budget.reserve("debug", budget.limits["debug"])
    debug = event(type="play.debug", payload={"text": "x"})
    answer = await rig.send(event(), debug)
    assert [(verdict["verdict"], verdict.get("code")) for verdict in answer.verdicts] == [("stored", None), ("retry", "overloaded")]
    alone = await rig.send(debug)
    assert (alone.status, alone.body["code"], alone.headers["Retry-After"]) == (503, "overloaded", "1")
    budget.release("debug", budget.limits["debug"])
    assert (await rig.send(debug)).status == 200
    assert set(budget.used.values()) == {0}


async def test_a_schema_that_cannot_be_used_holds_only_its_own_events(rig: Rig) -> None:
    tight = event(type="play.tight", payload={"price": "1"})
    answer = await rig.send(event(), tight)
    verdicts = [(verdict["verdict"], verdict.get("code")) for verdict in answer.verdicts]
    assert verdicts == [("stored", None), ("retry", "registry_unavailable")]
    assert (await rig.send(tight)).status == 503
