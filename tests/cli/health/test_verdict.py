"""What is wrong is said in words with the page that helps, first causes first; and only when nothing is, all is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.health.model import Flow, Health, Newest, Trouble
from cli.health.services import LOST
from cli.health.verdict import verdict
from sinks.blocking import Block, Reason
from tests.cli.health.known import SEVEN, healthy, node, state, with_service

PAGES = Path(__file__).parents[3] / "docs" / "runbooks"
BEHIND = Block(1, Reason.DEDUP_BEHIND, "dedup has 12 raw records before it")
CLOSED = Block(None, Reason.SEALING, "every partition has closed it: it is being sealed")
HELD = Block(None, Reason.AUDIT_HELD, "its audit does not balance")


def test_all_well() -> None:
    found = verdict(healthy())
    assert found.well
    assert found.says == "all well: events flow, hours close, every sealed hour is complete (those since 2026-03-01 07:00 UTC)"


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (healthy(types=[]), "no event type is declared yet"),
        (healthy(types=[state(recent=0)]), "no event came in the last 5 min, hours close"),
        (healthy(types=[state(newest=None)]), "events flow, no hour has been sealed yet"),
    ],
)
def test_well_says_no_more_than_is_known(health: Health, words: str) -> None:
    assert verdict(health).well
    assert words in verdict(health).says


WRONG = [
    (healthy(services=with_service("kafka", False, "does not answer")), "Kafka does not answer", "receiver-refusing"),
    (healthy(services=with_service("kafka", None, "not asked: HOURMARK_KAFKA is not set")), "HOURMARK_KAFKA", "README"),
    (healthy(services=with_service("index", False, "does not answer")), "the id index does not answer", "index-away"),
    (healthy(services=with_service("index", True, LOST)), "lost its memory", "index-lost"),
    (healthy(services=with_service("index", True, "nearly full, 95% of maxmemory")), "95%", "index-full"),
    (healthy(services=with_service("lake", False, "has 1.0 GB free")), "the lake has 1.0 GB free", "lake-filling"),
    (healthy(services=with_service("registry", False, "does not answer")), "the registry does not answer", "process-down"),
    (healthy(services=with_service("receiver", False, "not ready: x")), "not ready: x", "receiver-refusing"),
    (healthy(nodes=[node("receiver"), node("dedup"), node("sink", live=False)]), "no sink process lives", "process-down"),
    (healthy(nodes=[node("receiver"), node("dedup", says="the id index is away"), node("sink")]), "dedup-1: the id index", "index-away"),
    (healthy(nodes=[node("receiver"), node("dedup"), node("sink", says="2 partitions on hold: lake_unavailable")]), "hold", "lake-filling"),
    (healthy(nodes=[node("receiver"), node("dedup"), node("sink", says="behind the catalogue: no topic")]), "no topic", "node-behind"),
    (healthy(nodes=[node("receiver"), node("dedup", says="rebalancing"), node("sink")]), "rebalancing", "process-down"),
    (healthy(types=[state(late_s=9.0)]), "1 event type is late with an hour: flight.departed", "watermark-late"),
    (healthy(types=[state(late_s=9.0, blocked=(CLOSED,))]), "late with an hour", "watermark-late"),
    (healthy(types=[state(late_s=9.0, blocked=(BEHIND,))]), "p1: dedup has 12 raw records before it", "hour-blocked"),
    (healthy(types=[state(blocked=(HELD,))]), "the books do not balance", "audit-unequal"),
    (healthy(types=[state(incomplete=("2026-03-01T06",))]), "incomplete: flight.departed 2026-03-01T06", "audit-unequal"),
    (healthy(types=[state(stalled=True)]), "waiting at dedup", "lag-growing"),
    (healthy(flow=Flow(faults=("seals: not allowed",))), "Kafka has not answered all: seals: not allowed", "receiver-refusing"),
    (healthy(flow=Flow(mute=(("raw.a.b", 3),))), "raw.a.b[3]", "hour-blocked"),
    (healthy(flow=Flow(expiring=("a.b",))), "parked events of a.b will be deleted soon", "parked"),
]


@pytest.mark.parametrize(("health", "words", "page"), WRONG, ids=[f"{page}: {words}" for _, words, page in WRONG])
def test_each_trouble_is_named_with_a_page_that_exists(health: Health, words: str, page: str) -> None:
    found = verdict(health)
    assert not found.well
    assert found.says == "1 thing is wrong"
    (trouble,) = found.troubles
    assert words in trouble.what
    assert trouble.page == page
    assert (PAGES / f"{page}.md").exists()


def test_a_process_that_starts_beside_one_that_works_is_no_trouble() -> None:
    rooms = [node("receiver"), node("sink")]
    assert verdict(healthy(nodes=[*rooms, node("dedup"), node("dedup", "dedup-2", says="rebalancing")])).well
    assert verdict(healthy(nodes=[*rooms, node("dedup"), node("dedup", "dedup-2", live=False, says="")])).well


def test_nobody_judges_the_rooms_while_kafka_is_away() -> None:
    found = verdict(healthy(services=with_service("kafka", False, "does not answer"), nodes=[]))
    assert [trouble.page for trouble in found.troubles] == ["receiver-refusing"]


def test_causes_come_before_what_follows_from_them() -> None:
    late = [state(f"a.t{number}", late_s=5.0, blocked=(BEHIND,)) for number in range(9)]
    away = healthy(services=with_service("index", False, "does not answer"), types=late)
    found = verdict(away, [Trouble("dedup-1 is fatal", "process-down")])
    assert [trouble.page for trouble in found.troubles] == ["index-away", "process-down", "hour-blocked"]
    assert found.says == "3 things are wrong"
    assert "9 event types are late with an hour" in found.troubles[-1].what
    assert found.troubles[-1].what.endswith("and 6 more")


def test_a_new_platform_has_no_canary_yet() -> None:
    assert verdict(healthy(services=with_service("index", True, LOST), types=[state(newest=None)])).well
    assert not verdict(healthy(services=with_service("index", True, LOST), types=[state(newest=Newest(SEVEN, 0, True))])).well
