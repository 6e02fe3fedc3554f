"""Where a type stands: by the promise of its tier, by what Kafka says of all at once, and by the lake for a few."""

from __future__ import annotations

from typing import Any

from cli.flows import Groups, Offsets
from cli.health import flowing, seals
from cli.health.flowing import Moments, Stream
from cli.health.lake import MOST, Standing
from cli.health.model import RECENT_S, Newest
from cli.health.seals import Seals
from cli.health.types import Known, in_order, states, to_look_at
from hourmark.hours import Hours
from sinks.manifest import SealedHour
from tests.cli.health.known import SEVEN, state

CLOCK = Hours()
END = CLOCK.end_ms(SEVEN) / 1000
TYPES = {f"a.{tier}": {"tier": tier, "lifecycle": "active"} for tier in ("critical", "standard", "debug")}


def known(newest: dict[str, Newest], **more: Any) -> Known:
    return Known(TYPES, {}, Seals(0.0, newest, {}, {}), {})._replace(**more)


def test_late_is_told_by_the_tier() -> None:
    before = dict.fromkeys(TYPES, Newest(SEVEN - 1, 1, True))
    for minutes, late in ((4, []), (6, ["a.critical"]), (16, ["a.critical", "a.standard"]), (61, ["a.critical", "a.standard", "a.debug"])):
        found = states(known(before), {}, CLOCK, END + minutes * 60)
        assert sorted(one.type for one in found if one.late_s) == sorted(late), minutes
    assert [one.late_s for one in states(known(before), {}, CLOCK, END + 360) if one.type == "a.critical"] == [60.0]


def test_a_type_of_an_unknown_tier_has_the_longest_time() -> None:
    before = known({"a.b": Newest(SEVEN - 1, 1, True)}, types={"a.b": {}})
    assert not states(before, {}, CLOCK, END + 3500)[0].late_s
    assert states(before, {}, CLOCK, END + 3700)[0].late_s == 100.0


def test_a_draft_is_never_late_nor_looked_at() -> None:
    draft = known({}, types={"a.b": {"tier": "critical", "lifecycle": "draft"}}, streams={"a.b": Stream(stalled=True)})
    assert to_look_at(draft, CLOCK, SEVEN, END + 9e6) == []
    (found,) = states(draft, {}, CLOCK, END + 9e6)
    assert not found.needs_attention


def test_the_lake_is_asked_about_the_latest_first_then_the_unknown() -> None:
    types = {name: {"tier": "critical"} for name in ("a.good", "a.over", "a.late", "a.later", "a.new")}
    newest = {"a.good": SEVEN, "a.over": SEVEN - 1, "a.late": SEVEN - 2, "a.later": SEVEN - 3}
    found = known({name: Newest(hour, 1, True) for name, hour in newest.items()}, types=types)
    assert to_look_at(found, CLOCK, SEVEN, END + 60) == ["a.later", "a.late", "a.new", "a.over"]


def test_what_the_lake_says_counts() -> None:
    looked = {"a.critical": Standing(Newest(SEVEN - 2, 9, False), SEVEN - 1, ()), "a.debug": Standing(None, SEVEN - 1, ())}
    found = {one.type: one for one in states(known({}), looked, CLOCK, END + 1)}
    assert (found["a.critical"].newest, found["a.critical"].open_hours) == (Newest(SEVEN - 2, 9, False), 3)
    assert found["a.debug"].watermark is None
    assert (found["a.debug"].late_s, found["a.debug"].open_hours) == (1.0, 3)
    assert (found["a.standard"].late_s, found["a.standard"].open_hours) == (0.0, 1)


def test_what_needs_attention_comes_first_then_the_busiest() -> None:
    found = [state("a.quiet", recent=0), state("a.busy", recent=9), state("a.parked", parked=1, recent=0), state("a.late", late_s=1.0)]
    assert [one.type for one in in_order(found)] == ["a.late", "a.parked", "a.busy", "a.quiet"]


def test_streams_add_up_partitions() -> None:
    ends = {("raw.a.b", 0): 100, ("raw.a.b", 1): 50, ("clean.a.b", 0): 90, ("clean.a.b", 1): 40}
    dedup = Groups({("raw.a.b", 0): 98, ("raw.a.b", 1): 50}, frozenset())
    sink = Groups({("clean.a.b", 0): 70, ("clean.a.b", 1): 40}, None)
    moments = Moments(
        recent={("raw.a.b", 0): 60, ("raw.a.b", 1): 50},
        stalled={("raw.a.b", 0): 99},
        closed={("clean.a.b", 0): 75, ("clean.a.b", 1): 30},
    )
    found = flowing.told(["a.b", "a.none"], Offsets(ends, dedup, sink), moments, 1)
    assert found["a.b"][:4] == (2, True, 5, 39)
    assert found["a.b"].partitions[1].dedup_lag == 0
    assert found["a.none"] == Stream()
    leaderless = Offsets({k: v for k, v in ends.items() if k[1]}, dedup, sink, frozenset(k for k in ends if not k[1]))
    assert flowing.told(["a.b"], leaderless, Moments(), 1)["a.b"].partitions[0].end is None
    caught_up = moments._replace(stalled={("raw.a.b", 0): 98})
    assert not flowing.told(["a.b"], Offsets(ends, dedup, sink), caught_up, 1)["a.b"].stalled


def test_barriers_are_no_events() -> None:
    due = END + CLOCK.margin_s
    assert [flowing.barriers(CLOCK, due + seconds) for seconds in (-1, 1, RECENT_S - 1, RECENT_S + 1)] == [0, 1, 1, 0]
    lapse = Hours(20, SEVEN)
    assert flowing.recent_s(lapse) == 20
    assert {flowing.barriers(lapse, END + seconds / 7) for seconds in range(500)} == {1}


def test_the_closed_hour_leaves_time_for_its_barriers() -> None:
    assert flowing.closed_hour(CLOCK, END + CLOCK.margin_s) == SEVEN - 1
    assert flowing.closed_hour(CLOCK, END + 2 * CLOCK.margin_s + 1) == SEVEN


def test_seals_of_all_types_at_once() -> None:
    def sealed(hour: str, name: str = "a.b", *, complete: bool = True, rows: int = 1) -> SealedHour:
        return SealedHour(type=name, hour=hour, manifest_sha256="", rows=rows, complete=complete)

    announced = [
        (sealed("2026-03-01T07", rows=7), END + 40.0),
        (sealed("2026-03-01T06", complete=False), END - 3600 + 50.0),
        (sealed("2026-03-01T06", complete=False), END + 900.0),
        (sealed("2026-03-01T05", "c.d"), END),
    ]
    found = seals.gathered(announced, 5.0, CLOCK)
    assert found.newest == {"a.b": Newest(SEVEN, 7, True), "c.d": Newest(SEVEN - 2, 1, True)}
    assert found.delays["a.b"] == (40.0, 40.0, 50.0)
    assert found.incomplete == {"a.b": ("2026-03-01T06",)}


def test_ten_thousand_types_leave_few_to_look_at() -> None:
    types = {f"a.t{number}": {"tier": "standard"} for number in range(10_000)}
    newest = {name: Newest(SEVEN, 1, True) for name in types}
    streams = {name: Stream(recent=number) for number, name in enumerate(types)}
    found = Known(types, streams, Seals(0.0, newest, {}, {}), {})
    wanted = to_look_at(found, CLOCK, SEVEN, END + 60)
    assert wanted == []
    ordered = in_order(states(found, {}, CLOCK, END + 60))
    assert [one.type for one in ordered[:2]] == ["a.t9999", "a.t9998"]
    assert MOST <= 50
