"""The demo's parts: its data is real and clean, its declarations are sound, and its balance finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.declarations import read
from cli.demo import balance, dataset, plot, question, report
from cli.demo.faults import Fault, Faults
from cli.demo.ledger import Ledger
from cli.demo.run import DECLARATIONS
from cli.demo.traffic import Traffic
from hourmark.hours import Hours, parse_label
from hourmark_client import Verdict
from tests.cli.lakes import add_hour

SEVEN = parse_label("2026-03-01T07")


@pytest.fixture(scope="module")
def data() -> dataset.Dataset:
    return dataset.load(3000)


def test_the_declarations_are_sound() -> None:
    found = {d["event"]: d for d in read(DECLARATIONS)}
    assert {name: d["tier"] for name, d in found.items()} == {
        "flight.departed": "critical",
        "flight.arrived": "standard",
        "weather.observed": "debug",
    }


def test_every_payload_has_exactly_the_declared_fields(data: dataset.Dataset) -> None:
    declared = {d["event"]: {f["name"] for f in d["schema"]["fields"]} for d in read(DECLARATIONS)}
    for event_type, items in data.by_type().items():
        assert items
        assert all(item.payload.keys() == declared[event_type] for item in items)


def test_what_was_not_recorded_is_null(data: dataset.Dataset) -> None:
    values = [value for items in data.by_type().values() for item in items for value in item.payload.values()]
    assert not [value for value in values if value != value]
    assert None in values


def test_the_first_flight_is_where_it_was(data: dataset.Dataset) -> None:
    first = next(item for item in data.departed if item.payload["flight"] == 1545)
    assert datetime.fromtimestamp(first.time, UTC).isoformat() == "2013-01-01T10:17:00+00:00"  # 05:17 in New York
    arrived = next(item for item in data.arrived if item.payload["flight"] == 1545)
    assert datetime.fromtimestamp(arrived.time, UTC).isoformat() == "2013-01-01T14:30:00+00:00"  # 08:30 in Houston


def account(lake: Path, told: list[str], copies: int = 0) -> balance.Account:
    ledger = Ledger("a.b")
    ledger.sent, ledger.acknowledged = len(told), told
    ledger.copies_sent, ledger.copies = copies, ["x"] * copies
    return balance.strike(lake, Hours(), ledger)


def test_a_balance_that_is_exact(tmp_path: Path) -> None:
    add_hour(tmp_path, "a.b", SEVEN, [{"_event_id": "1"}, {"_event_id": "2"}], duplicates=3, delay=2.0)
    add_hour(tmp_path, "a.b", SEVEN + 1, [])
    found = account(tmp_path, ["1", "2"], copies=3)
    assert found.faults == []
    assert (found.rows, found.removed, found.hours, found.delays) == (2, 3, 2, [2.0, 1.0])


@pytest.mark.parametrize(
    ("rows", "told", "copies", "words"),
    [
        (["1"], ["1", "2"], 0, "1 events acknowledged and not there"),
        (["1", "2"], ["1"], 0, "1 events there and not acknowledged"),
        (["1", "1"], ["1"], 0, "1 events there twice"),
        (["1"], ["1"], 1, "0 copies were removed, 1 had been sent"),
        ([], ["1"], 0, "1 events acknowledged and not there"),
    ],
)
def test_a_balance_that_is_not(tmp_path: Path, rows: list[str], told: list[str], copies: int, words: str) -> None:
    add_hour(tmp_path, "a.b", SEVEN, [{"_event_id": row} for row in rows])
    assert words in " ".join(account(tmp_path, told, copies).faults)


def test_an_audit_that_is_not_equal_breaks_the_balance(tmp_path: Path) -> None:
    add_hour(tmp_path, "a.b", SEVEN, [{"_event_id": "1"}], equal=False)
    found = account(tmp_path, ["1"])
    assert not found.audit_equal
    assert found.faults


def test_no_sealed_hour_breaks_the_balance(tmp_path: Path) -> None:
    assert account(tmp_path, ["1"]).faults


def test_percentiles() -> None:
    assert balance.percentile([], 0.5) == 0.0
    assert balance.percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert balance.percentile([3.0, 1.0, 2.0], 0.99) == 3.0


class Answering:
    """A client whose receiver stores everything at once."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def send(
        self,
        event_type: str,
        payload: dict[str, object],
        *,
        time: float,
        event_id: str | None,
        on_verdict: Callable[[Verdict], object],
    ) -> str:
        event_id = event_id or f"id-{len(self.seen)}"
        self.seen[event_id] = self.seen.get(event_id, 0) + 1
        on_verdict(Verdict(event_type, event_id, "stored", 1))
        return event_id


def test_traffic_sends_everything_once_and_some_batches_again() -> None:
    items = [dataset.Item(number, {"n": number}) for number in range(10_000)]
    client, ledger = Answering(), Ledger("a.b")
    traffic = Traffic(client, ledger, items, 0.2, seed=1)
    traffic.start()
    traffic.join(30)
    assert not traffic.is_alive()
    assert traffic.failure is None
    assert ledger.sent == len(ledger.acknowledged) == len(set(ledger.acknowledged)) == 10_000
    assert ledger.copies_sent == len(ledger.copies) >= 1000
    assert set(ledger.copies) <= set(ledger.acknowledged)
    assert sum(client.seen.values()) == 10_000 + ledger.copies_sent


def test_faults_happen_once_and_in_time() -> None:
    killed: list[str] = []
    said: list[str] = []

    def kill(name: str) -> int:
        killed.append(name)
        return 42

    faults = Faults([Fault("dedup-1", 0.3), Fault("sinks-1", 0.5)], kill, said.append)
    for share in (0.1, 0.3, 0.4, 0.6, 1.0):
        faults.due(share)
    assert killed == ["dedup-1", "sinks-1"]
    assert "kill -9 42 (dedup-1)" in said[0]


def test_the_question_and_its_picture(tmp_path: Path, data: dataset.Dataset) -> None:
    moment = {name: [datetime.fromtimestamp(item.time, UTC) for item in items] for name, items in data.by_type().items()}
    for event_type in (dataset.DEPARTED, dataset.WEATHER):
        rows = [
            {"_event_id": str(number), "_event_time": when} | item.payload
            for number, (item, when) in enumerate(zip(data.by_type()[event_type], moment[event_type], strict=True))
        ]
        for row in rows:
            if "scheduled_at" in row:
                row["scheduled_at"] = datetime.fromisoformat(str(row["scheduled_at"]))
        add_hour(tmp_path, event_type, SEVEN, rows)
    answer = question.ask(tmp_path)
    assert answer.by_hour[0].hour == 5  # the first flights of the day leave New York at five
    assert sum(row.flights for row in answer.by_visibility) > 0
    picture = tmp_path / "plots" / "flights.png"
    plot.draw(answer, picture)
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_bars() -> None:
    assert report.bar(10, 10) == "█" * report.BAR_WIDTH
    assert report.bar(-1, 10) == ""
    assert report.bar(0.5, report.BAR_WIDTH) == "▌"
