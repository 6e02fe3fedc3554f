"""Ids of requests, and what is said of those that are refused."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from hourmark.errors import BrokerUnavailable
from hourmark.rejects import read_reject
from hourmark.serving import REQUEST_ID, RequestIds
from receiver.correlation import Episodes

from .conftest import Rig, event, request


@pytest.mark.parametrize("given", ["7", "4bf92f3577b34da6a3ce929d0e0e4736", "a/b:c=d+e.f-g_h", "x" * 128])
async def test_the_senders_own_id_is_kept(rig: Rig, given: str) -> None:
    assert (await rig.post(request(event()), Hourmark_Request_Id=given)).headers[REQUEST_ID] == given
    assert (await rig.post(b"{", Hourmark_Request_Id=given)).headers[REQUEST_ID] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "a b", 'a"b', "bob@example.org", "ü"])
async def test_an_id_that_cannot_be_used_is_replaced(rig: Rig, given: str) -> None:
    answer = await rig.post(request(event()), Hourmark_Request_Id=given)
    assert answer.status == 200
    assert answer.headers[REQUEST_ID] not in ("", given)


def test_no_id_comes_twice() -> None:
    some, others = RequestIds(), RequestIds()
    assert len({ids.of({}) for ids in (some, others) for _ in range(1000)}) == 2000


async def test_a_rejected_event_names_its_request(rig: Rig) -> None:
    await rig.post(request(event(payload={"track": 7})), Hourmark_Request_Id="r-1")
    (record,) = rig.topic("rejected")
    found = read_reject(record[4])
    assert found is not None
    assert (found.code, found.request_id) == ("schema_mismatch", "r-1")


async def test_refusals_and_retries_are_told_once_with_an_id(rig: Rig) -> None:
    with capture_logs() as lines:
        for number in range(5):
            await rig.post(b"{", Hourmark_Request_Id=f"bad-{number}")
        rig.publisher.away = BrokerUnavailable("away")
        await rig.post(request(event()), Hourmark_Request_Id="away-1")
        rig.publisher.away, rig.publisher.failure = None, BrokerUnavailable("lost")
        for number in range(3):
            await rig.post(request(event()), Hourmark_Request_Id=f"lost-{number}")
    told = [(line["event"], line["log_level"], line["status"], line["code"], line["request_id"]) for line in lines]
    assert told == [
        ("requests are refused", "info", 400, "invalid_envelope", "bad-0"),
        ("requests are refused", "warning", 503, "broker_unavailable", "away-1"),
        ("events are answered `retry`", "info", 200, "broker_unavailable", "lost-0"),
    ]


def test_a_long_episode_is_told_once_a_minute_with_a_count() -> None:
    now = [0.0]
    episodes = Episodes(lambda: now[0])
    with capture_logs() as lines:
        for second in range(150):
            now[0] = float(second)
            episodes.saw(503, "overloaded", f"r{second}")
    assert [(line["request_id"], line["requests"]) for line in lines] == [("r0", 1), ("r60", 60), ("r120", 60)]
