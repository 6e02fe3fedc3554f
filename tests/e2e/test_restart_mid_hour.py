"""The whole platform is stopped in order in the middle of an hour and started again: the hour is completed as if nothing had been."""

from __future__ import annotations

from cli.demo.ledger import Ledger
from tests.e2e.platform import Platform


def test_down_and_up_in_the_middle(platform: Platform) -> None:
    event_type = platform.declare("halved")
    ledger = Ledger(event_type)
    for _ in range(2):
        with platform.http() as http:
            for number in range(1000):
                http.send(event_type, {"number": number}, on_verdict=ledger.original)
        ledger.sent += 1000
        if ledger.sent == 1000:
            assert platform.stack.down()
            assert platform.stack.status().processes == ()
            platform.stack.up(bound=True)
    platform.assert_exact(ledger)
