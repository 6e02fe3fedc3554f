from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark_client.encode import EVENT_BYTES_MAX, check_event_type, encode_payload, micros, rfc3339
from hourmark_client.errors import InvalidEvent


class Colour(Enum):
    RED = "red"


def test_every_kind_of_value_has_its_agreed_form() -> None:
    payload = {
        "text": "é\u2028😀",
        "bytes": b"ab",
        "decimal": Decimal("1.10"),
        "moment": datetime(2026, 3, 1, 7, 0, 0, 5, UTC),
        "elsewhere": datetime(2026, 3, 1, 8, tzinfo=timezone(timedelta(hours=1))),
        "day": date(2026, 3, 1),
        "clock": time(7, 0, 1),
        "id": UUID(int=5),
        "enum": Colour.RED,
        "numbers": [1, 2.5, True, None, -(2**63), 2**63 - 1],
        "nested": {"a": ({"b": 1},)},
    }
    assert json.loads(encode_payload(payload)) == {
        "text": "é\u2028😀",
        "bytes": "YWI=",
        "decimal": "1.10",
        "moment": "2026-03-01T07:00:00.000005Z",
        "elsewhere": "2026-03-01T08:00:00+01:00",
        "day": "2026-03-01",
        "clock": "07:00:01",
        "id": "00000000-0000-0000-0000-000000000005",
        "enum": "red",
        "numbers": [1, 2.5, True, None, -(2**63), 2**63 - 1],
        "nested": {"a": [{"b": 1}]},
    }


_itself: dict[str, Any] = {}
_itself["again"] = _itself


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"x": float("nan")}, "/payload/x: nan has no form"),
        ({"x": [1.0, float("inf")]}, "/payload/x/1: inf has no form"),
        ({"x": {"y": Decimal("NaN")}}, "/payload/x/y: NaN has no form"),
        ({"x": 2**63}, "/payload/x: an integer beyond 64 bit"),
        ({"x": [-(2**63) - 1]}, "/payload/x/0: an integer beyond 64 bit"),
        ({"x": "\ud800"}, "lone surrogate"),
        ({"\udfff": 1}, "lone surrogate"),
        ({1: "x"}, "field names are text"),
        ({"x": {2: "y"}}, "/payload/x: field names are text"),
        ({"x": {1, 2}}, "/payload/x: a value of type set cannot be sent"),
        ({"x": timedelta(1)}, "/payload/x: a value of type timedelta"),
        ({"x": object()}, "/payload/x: a value of type object"),
        (_itself, "nested too deep"),
        ([1], "a payload is a mapping"),
        ("x", "a payload is a mapping"),
        ({"x": "a" * EVENT_BYTES_MAX}, "1 MiB"),
    ],
)
def test_what_json_would_bend_is_refused_with_its_place(payload: Any, said: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        encode_payload(payload)
    assert said in str(caught.value)


def test_numpy_scalars_are_python_scalars() -> None:
    numpy = pytest.importorskip("numpy")
    payload = {"a": numpy.int64(3), "b": numpy.float64(0.5), "c": numpy.bool_(True)}
    assert json.loads(encode_payload(payload)) == {"a": 3, "b": 0.5, "c": True}
    with pytest.raises(InvalidEvent):
        encode_payload({"a": numpy.float64("nan")})


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _values, max_size=6))
def test_what_is_accepted_reads_back_equal(payload: dict[str, Any]) -> None:
    assert json.loads(encode_payload(payload)) == payload


@pytest.mark.parametrize("name", ["song", "Player.song", "player.", ".x", "player..song", "a.b\n", "a." + "b" * 100, "", "a.é"])
def test_event_types_have_a_form(name: str) -> None:
    with pytest.raises(InvalidEvent):
        check_event_type(name)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_moments_survive(moment: datetime) -> None:
    assert datetime.fromisoformat(rfc3339(micros(moment))) == moment


def test_seconds_since_1970_and_faults() -> None:
    assert micros(1.5) == 1_500_000
    assert micros(0) == 0
    assert micros(-1.5) == -1_500_000
    early, late = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2)))
    for bad in (datetime(2026, 3, 1), float("nan"), 1e20, True, "2026", early, late):  # noqa: DTZ001  # naive is the fault
        with pytest.raises(InvalidEvent):
            micros(bad)  # type: ignore[arg-type]  # the point of the test
