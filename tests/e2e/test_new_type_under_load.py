"""A new event type while others flow: it is accepted everywhere at once, and nobody else loses an event over it."""

from __future__ import annotations

from cli.demo.ledger import Ledger
from tests.e2e.platform import Load, Platform


def test_new_types_while_another_one_flows(platform: Platform) -> None:
    flowing = platform.declare("flowing")
    ledgers = []
    with Load(platform, flowing) as load:
        for _ in range(2):
            load.flows()
            ledger = Ledger(platform.declare("newcomer", tier="standard"))
            with platform.http() as http:
                for number in range(500):
                    http.send(ledger.event_type, {"number": number}, on_verdict=ledger.original)
                ledger.sent = 500
            assert ledger.refusals() == {}
            ledgers.append(ledger)
        load.flows()
    for ledger in [*ledgers, load.ledger]:
        platform.assert_exact(ledger)
