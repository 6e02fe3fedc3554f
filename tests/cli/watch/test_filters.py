"""Conditions and spans as they are typed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from cli.failures import WrongInput
from cli.watch.filters import condition, span_seconds

EVENT: dict[str, Any] = {
    "track": "abc",
    "ms_played": 3000,
    "rate": 0.5,
    "price": Decimal("9.90"),
    "live": True,
    "gone": None,
    "at": datetime(2026, 3, 1, 7, 30, tzinfo=UTC),
    "day": date(2026, 3, 1),
    "user": {"country": "SE"},
    "tags": ["a", "b"],
    "code": "12",
}


@pytest.mark.parametrize(
    "text",
    [
        "track=abc",
        "track = abc ",
        "track!=abd",
        "track~b",
        "ms_played>2999",
        "ms_played>=3000",
        "ms_played<1e4",
        "ms_played=3000.0",
        "rate<=0.5",
        "price=9.9",
        "live=true",
        "live!=false",
        "gone=null",
        "at>2026-03-01T07:00:00Z",
        "at<2026-03-01T08:00:00",
        "day>=2026-03-01",
        "user.country=SE",
        "tags~b",
        "code>3",
        "missing!=1",
        "missing.deeper!=1",
    ],
)
def test_it_holds(text: str) -> None:
    assert condition(text).holds(EVENT)


@pytest.mark.parametrize(
    "text",
    [
        "track=abd",
        "track>19",
        "ms_played>abc",
        "ms_played=abc",
        "gone>1",
        "gone=x",
        "live=1",
        "missing=1",
        "track.deeper=1",
        "at>soon",
        "track~B",
    ],
)
def test_it_does_not_hold(text: str) -> None:
    assert not condition(text).holds(EVENT)


@pytest.mark.parametrize("text", ["", "track", "=1", "a b=1", "1=1", "track==>", "a.=b"])
def test_what_is_no_condition_is_refused_or_means_what_it_says(text: str) -> None:
    if text == "track==>":
        assert condition(text).text == "=>"
    elif text == "a.=b":
        assert not condition(text).holds({"a": "b"})
    else:
        with pytest.raises(WrongInput, match="is no condition"):
            condition(text)


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("90s", 90), ("1.5h", 5400), ("2d", 172_800), ("250ms", 0.25)])
def test_spans(text: str, seconds: float) -> None:
    assert span_seconds(text, "--since") == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "10 minutes"])
def test_no_spans(text: str) -> None:
    with pytest.raises(WrongInput, match="--since"):
        span_seconds(text, "--since")
