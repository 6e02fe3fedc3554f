from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark_client.loud import Episode
from hourmark_client.retry import RETRY_AFTER_MAX, Backoff, parse_retry_after

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.integers(-5, 10_000), st.none() | st.floats(allow_nan=True, allow_infinity=True), st.floats(0.001, 10), st.floats(0.001, 100))
def test_a_delay_obeys_the_other_side_and_stays_bounded(failures: int, asked: float | None, first: float, cap: float) -> None:
    backoff = Backoff(first, cap)
    delay = backoff.delay(failures, asked)
    assert 0.0 <= delay <= cap + RETRY_AFTER_MAX
    if asked is not None and 0 <= asked <= RETRY_AFTER_MAX:
        assert delay >= asked


@given(st.integers(1, 100))
def test_the_ceiling_doubles_until_the_cap(failures: int) -> None:
    highest = Backoff(0.1, 30.0, uniform=lambda low, high: high)
    assert highest.delay(failures) == min(30.0, 0.1 * 2 ** (failures - 1))
    assert Backoff(0.1, 30.0, uniform=lambda low, high: low).delay(failures) == 0.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("-3", 0.0), (None, None), ("", None), ("soon", None), (format_datetime(MARCH), 10.0)],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now=lambda: datetime(2026, 2, 28, 23, 59, 50, tzinfo=UTC).timestamp()) == seconds


def test_an_episode_speaks_at_its_start_seldom_during_and_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    episode = Episode("trouble", every=30, quiet=5, now=lambda: now)
    for _ in range(100):
        episode.trouble("it hurts")
    episode.over()
    assert [record.getMessage() for record in caplog.records] == ["trouble: it hurts (1 so far)"]
    now = 31.0
    episode.trouble("still")
    now = 40.0
    episode.over()
    episode.over()
    assert [record.getMessage() for record in caplog.records][1:] == ["trouble: still (101 so far)", "trouble: over (101 in all)"]
