"""Kafka away: the receiver accepts nothing it cannot keep; after the return nothing is lost and nothing is there twice."""

from __future__ import annotations

import uuid

from tests.e2e.platform import Load, Platform, until


def request(event_type: str) -> dict[str, object]:
    event = {"type": event_type, "id": str(uuid.uuid4()), "time": "2026-03-01T06:59:58Z", "attempt": 1, "payload": {"number": 1}}
    return {"sdk": {"name": "e2e", "version": "1"}, "app": "e2e", "sent_at": "2026-03-01T07:00:00Z", "events": [event]}


def refused(platform: Platform, event_type: str) -> bool:
    """The receiver refuses a request before it takes anything, and says when to come back."""
    try:
        status, answer, headers = platform.post(request(event_type), timeout=2.0)
    except TimeoutError:  # one of the first: taken before anybody knew, it waits for Kafka
        return False
    if status != 503:
        return False
    assert (answer["code"], int(headers["Retry-After"]) > 0) == ("broker_unavailable", True)
    return True


def test_kafka_stopped_under_load(platform: Platform) -> None:
    event_type, other = platform.declare("interrupted", tier="standard"), platform.declare("refused")
    with Load(platform, event_type) as load:
        load.flows()
        platform.stack.stop("kafka")
        try:
            until("the receiver to refuse", lambda: refused(platform, other))
        finally:
            platform.stack.start("kafka")
        load.flows(1000)
    platform.restored()
    platform.assert_exact(load.ledger)


def test_kafka_killed_under_load(platform: Platform) -> None:
    event_type = platform.declare("cut_off", tier="standard")
    with Load(platform, event_type) as load:
        load.flows()
        platform.stack.kill("kafka")
        load.flows(1000)
    platform.restored()
    platform.assert_exact(load.ledger)
