"""An event that happened long ago arrives today: it is in the hour it arrived in, and no sealed hour changes."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from cli.demo.ledger import Ledger
from cli.sealed import sealed_folders
from tests.e2e.platform import Platform


def test_a_late_event_goes_to_the_open_hour(platform: Platform) -> None:
    event_type = platform.declare("late")
    ledger = Ledger(event_type)
    with platform.http() as http:
        http.send(event_type, {"number": 1}, on_verdict=ledger.original)
    ledger.sent = 1
    platform.assert_exact(ledger)
    before = digests(platform, event_type)
    with platform.http() as http:
        http.send(event_type, {"number": 2}, time=datetime(2020, 2, 29, tzinfo=UTC), on_verdict=ledger.original)
    ledger.sent = 2
    platform.assert_exact(ledger)
    assert sorted(platform.rows(event_type, "number, year(_event_time)"))[1] == (2, 2020)
    after = digests(platform, event_type)
    assert before.items() <= after.items()


def digests(platform: Platform, event_type: str) -> dict[str, str]:
    """Every file of every sealed hour with its digest."""
    files = [file for folder in sealed_folders(platform.lake, event_type) for file in folder.iterdir()]
    return {str(file): sha256(file.read_bytes()).hexdigest() for file in files}
