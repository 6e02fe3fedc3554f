"""What a receiver shows of itself: also on a page that knows nothing of it, and without names that anybody can invent."""

from __future__ import annotations

import uuid
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from hourmark.metrics import render

from .conftest import Rig, event

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def page() -> Series:
    """Every series that a scrape would find now."""
    families = text_string_to_metric_families(render()[0].decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def risen(before: Series, name: str, **labels: str) -> float:
    series = f"hourmark_receiver_{name}", tuple(sorted(labels.items()))
    return page().get(series, 0.0) - before.get(series, 0.0)


async def test_bytes_in_flight_are_asked_for_at_each_scrape(rig: Rig) -> None:
    budget = rig.receiver.intake.budget
    assert page()["hourmark_receiver_inflight_limit_bytes", (("tier", "critical"),)] == budget.limits["critical"]
    assert budget.reserve("critical", 4321)
    assert page()["hourmark_receiver_inflight_bytes", (("tier", "critical"),)] == 4321
    budget.release("critical", 4321)
    assert page()["hourmark_receiver_inflight_bytes", (("tier", "critical"),)] == 0


async def test_what_is_received_stored_rejected_and_parked(rig: Rig) -> None:
    before, nobody = page(), f"t{uuid.uuid4().hex[:8]}.nobody"
    wrong: dict[str, Any] = event(payload={"track": 5})
    answer = await rig.send(event(), event(), wrong, event(type=nobody), event(type="no name"))
    assert sorted(verdict["verdict"] for verdict in answer.verdicts) == ["parked", "rejected", "rejected", "stored", "stored"]
    assert risen(before, "received_total", event_type="play.song") == 3
    assert risen(before, "received_total", event_type="") == 1  # the one without a name is no readable event
    assert risen(before, "stored_total", event_type="play.song") == 2
    assert risen(before, "parked_total") == 1
    assert risen(before, "rejected_total", event_type="play.song", code="schema_mismatch") == 1
    assert risen(before, "rejected_total", event_type="", code="invalid_envelope") == 1
    assert not any(nobody in value for _, labels in page() for _, value in labels)
