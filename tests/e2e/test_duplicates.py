"""The same event again: in the next request, through the other transport, in a later hour. One row, and every copy counted."""

from __future__ import annotations

from cli.demo.ledger import Ledger
from tests.e2e.platform import Platform, until


def test_copies_at_once_later_and_by_another_way(platform: Platform) -> None:
    event_type = platform.declare("copied")
    ledger = Ledger(event_type)
    with platform.http() as http, platform.inside() as inside:
        ids = [http.send(event_type, {"number": number}, on_verdict=ledger.original) for number in range(3000)]
        ledger.sent = len(ids)
        assert http.flush(60)
        for number, event_id in enumerate(ids[:1000]):
            http.send(event_type, {"number": number}, event_id=event_id, on_verdict=ledger.copy)
        for number, event_id in enumerate(ids[:500]):
            inside.send(event_type, {"number": number}, event_id=event_id, on_verdict=ledger.copy)
        assert http.flush(60)
        assert inside.flush(60)
        first = platform.hour_now()
        until("an hour later", lambda: platform.hour_now() > first + 1)
        for number, event_id in enumerate(ids[2000:]):
            http.send(event_type, {"number": 2000 + number}, event_id=event_id, on_verdict=ledger.copy)
        assert http.flush(60)
    ledger.copies_sent = 2500
    account = platform.assert_exact(ledger)
    assert account.removed == 2500
    assert account.hours >= 2


def test_a_copy_with_another_payload_does_not_replace_the_first(platform: Platform) -> None:
    event_type = platform.declare("changed")
    ledger = Ledger(event_type)
    with platform.http() as http:
        event_id = http.send(event_type, {"number": 1}, on_verdict=ledger.original)
        assert http.flush(60)
        http.send(event_type, {"number": 2}, event_id=event_id, on_verdict=ledger.copy)
        assert http.flush(60)
    ledger.sent = ledger.copies_sent = 1
    platform.assert_exact(ledger)
    assert platform.rows(event_type, "number") == [(1,)]
