"""What the metrics page says of a type that this worker seals."""

from __future__ import annotations

import uuid
from pathlib import Path

from prometheus_client import REGISTRY

from hourmark.hours import Hours
from hourmark.topics import Tier
from sinks.books import Books, iso
from sinks.line import Line
from sinks.plan import Circumstances, make_plan
from sinks.room import show_room
from sinks.shown import EMPTY, INCOMPLETE, LATE, Shown, promise_s

HOURS = Hours()
HOUR = 480_000


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"hourmark_sink_{name}", labels)


def line_of(name: str, closed: tuple[int, ...], sealed: int) -> Line:
    line = Line(name)
    line.sealed = sealed
    line.books = {number: Books(number, sealed) for number in range(len(closed))}
    for book, upto in zip(line.books.values(), closed, strict=True):
        book.closed = upto
    return line


def test_the_promise_is_the_tier_s_and_shrinks_in_time_lapse() -> None:
    assert [promise_s(tier, HOURS) for tier in ("critical", "standard", "debug")] == [300, 900, 3600]
    assert promise_s("debug", Hours(60, 0)) == 60
    assert promise_s("critical", Hours(5, 0)) == 30


def test_who_blocks_is_named_until_it_has_closed_the_hour() -> None:
    name, page = f"t{uuid.uuid4().hex[:8]}.x", Shown(HOURS)
    tier: Tier = "critical"
    page.standing(line_of(name, (HOUR, HOUR - 1, HOUR - 1), HOUR - 1), tier, overdue=False)
    assert shown("open_hours", event_type=name) == 1
    assert shown("blocked_partitions", event_type=name, reason="not_closed") == 2
    assert [shown("blocking", event_type=name, partition=p) for p in "012"] == [None, 1, 1]
    assert shown("due_timestamp_seconds", event_type=name, tier="critical") == HOURS.end_ms(HOUR) / 1000 + 300
    page.standing(line_of(name, (HOUR, HOUR, HOUR), HOUR), "debug", overdue=False)
    assert [shown("blocking", event_type=name, partition=p) for p in "012"] == [None, None, None]
    assert shown("due_timestamp_seconds", event_type=name, tier="critical") is None
    assert shown("due_timestamp_seconds", event_type=name, tier="debug") == HOURS.end_ms(HOUR + 1) / 1000 + 3600
    page.forget(name)
    assert shown("open_hours", event_type=name) is None
    assert shown("due_timestamp_seconds", event_type=name, tier="debug") is None
    page.forget(name)  # twice is no harm


def test_an_overdue_hour_names_all_partitions_that_have_not_closed_it() -> None:
    name, page = f"t{uuid.uuid4().hex[:8]}.x", Shown(HOURS)
    page.standing(line_of(name, (HOUR, HOUR), HOUR), "standard", overdue=False)
    assert shown("blocked_partitions", event_type=name, reason="not_closed") == 0
    page.standing(line_of(name, (HOUR, HOUR), HOUR), "standard", overdue=True)
    assert [shown("blocking", event_type=name, partition=p) for p in "01"] == [1, 1]


def test_the_state_of_the_newest_hour() -> None:
    name, page = f"t{uuid.uuid4().hex[:8]}.x", Shown(HOURS)
    ends = HOURS.end_ms(HOUR)
    in_time = make_plan(name, HOUR, [], Circumstances(1, ends + 40_000, ends))
    page.presented(in_time, HOUR, "critical")
    assert in_time.sealed_at == iso(ends + 40_000)
    assert shown("newest_hour_state", event_type=name) == EMPTY
    assert shown("last_seal_delay_seconds", event_type=name) == 40
    assert shown("watermark_timestamp_seconds", event_type=name) == ends / 1000
    late = make_plan(name, HOUR, [], Circumstances(1, ends + 301_000, ends))
    page.presented(late, HOUR, "critical")
    assert shown("newest_hour_state", event_type=name) == LATE
    broken = make_plan(name, HOUR, [Books(0, HOUR - 1)], Circumstances(1, ends, ends))
    page.presented(broken, HOUR, "critical")
    assert not broken.complete
    assert shown("newest_hour_state", event_type=name) == INCOMPLETE


def test_only_a_local_disk_tells_its_room(tmp_path: Path) -> None:
    show_room(tmp_path.as_uri())
    assert (shown("lake_free_bytes", path=str(tmp_path)) or 0) > 0
    assert (shown("lake_size_bytes", path=str(tmp_path)) or 0) > 0
    show_room("s3://bucket/prefix")
    assert shown("lake_free_bytes", path="/prefix") is None
