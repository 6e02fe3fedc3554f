"""The brokers' disks on a dedup worker's page: shown while they are known, told of once when they are not."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from aiokafka.errors import IncompatibleBrokerVersion
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from hourmark.errors import BrokerUnavailable
from streams.brokers import Broker, BrokerDisks
from streams.log_dirs import Answer, LogDir, Question, QuestionV4, read_answer


def shown(broker: str, path: str) -> tuple[float | None, float | None]:
    labels = {"broker": broker, "path": path}
    free = REGISTRY.get_sample_value("hourmark_kafka_free_bytes", labels)
    return free, REGISTRY.get_sample_value("hourmark_kafka_size_bytes", labels)


class Cluster:
    """Brokers by id, and what each says now."""

    def __init__(self, said: dict[int, list[LogDir] | str]) -> None:
        self.said = said

    def brokers(self) -> list[Broker]:
        return [Broker(number, "host", 9_000 + number) for number in self.said]

    async def ask(self, host: str, port: int, security: dict[str, Any]) -> list[LogDir]:
        assert (host, security) == ("host", {"security_protocol": "PLAINTEXT"})
        answer = self.said[port - 9_000]
        if isinstance(answer, str):
            raise BrokerUnavailable(answer)
        return answer

    def disks(self) -> BrokerDisks:
        return BrokerDisks(self.brokers, {"security_protocol": "PLAINTEXT"}, self.ask)


async def test_each_directory_of_each_broker_has_its_series() -> None:
    cluster = Cluster({71: [LogDir("/a", 100, 40, False), LogDir("/b", 200, 0, False)], 72: [LogDir("/a", 300, 30, False)]})
    disks = cluster.disks()
    with capture_logs() as lines:
        await disks.look()
    assert [shown("71", "/a"), shown("71", "/b"), shown("72", "/a")] == [(40, 100), (0, 200), (30, 300)]
    assert lines == []
    cluster.said = {71: [LogDir("/a", 100, 39, False)]}  # a directory and a broker are taken away
    await disks.look()
    assert [shown("71", "/a"), shown("71", "/b"), shown("72", "/a")] == [(39, 100), (None, None), (None, None)]


async def test_what_is_not_known_has_no_series_and_one_line() -> None:
    cluster = Cluster({73: [LogDir("/a", 100, 40, False)], 74: [LogDir("/a", 100, 40, False)], 75: [LogDir("/a", 0, 0, False)]})
    disks = cluster.disks()
    with capture_logs() as lines:
        await disks.look()
        assert shown("75", "/a") == (None, None)
        cluster.said |= {73: "not allowed", 74: "not allowed"}
        for _ in range(3):
            await disks.look()
        assert shown("73", "/a") == shown("74", "/a") == (None, None)
        cluster.said |= {73: [LogDir("/a", 100, 41, False)]}
        await disks.look()
        cluster.said |= {73: "away"}
        await disks.look()
    assert [(line["log_level"], line["brokers"], line.get("error")) for line in lines] == [
        ("warning", ["73", "74"], "not allowed"),
        ("info", ["73"], None),
        ("warning", ["73"], "away"),
    ]


async def test_a_directory_that_was_given_up_is_told_and_the_others_stay() -> None:
    cluster = Cluster({76: [LogDir("/a", 0, 0, True), LogDir("/b", 100, 40, False)]})
    disks = cluster.disks()
    with capture_logs() as lines:
        await disks.look()
        await disks.look()
    assert (shown("76", "/a"), shown("76", "/b")) == ((None, None), (40, 100))
    assert [(line["code"], "/a" in line["error"]) for line in lines] == [("disk_not_seen", True)]


def answered(error: int, dirs: list[tuple[Any, ...]]) -> Answer:
    """By way of bytes, as from a broker. A directory without its tags."""
    return Answer.decode(BytesIO(Answer(0, error, [(*each, {}) for each in dirs], {}).encode()))


def test_an_answer_is_read() -> None:
    topics = [("raw.a.b", [(0, 12, 0, False, {})], {})]
    dirs = [(0, "/a", topics, 100, 40), (0, "/unknown", [], -1, -1), (56, "/failed", [], -1, -1), (0, "/full", [], 100, 0)]
    assert read_answer(answered(0, dirs)) == [
        LogDir("/a", 100, 40, False),
        LogDir("/unknown", 0, 0, False),
        LogDir("/failed", 0, 0, True),
        LogDir("/full", 100, 0, False),
    ]


@pytest.mark.parametrize(("code", "words"), [(31, "ACL Describe on the resource Cluster"), (-1, "UnknownError"), (7, "RequestTimedOut")])
def test_a_refusal_says_why(code: int, words: str) -> None:
    with pytest.raises(BrokerUnavailable, match=words):
        read_answer(answered(code, []))


def test_the_question_is_about_no_topic_and_older_brokers_are_not_asked() -> None:
    asked = Question().prepare({35: (1, 5)})
    assert isinstance(asked, QuestionV4)
    assert asked.encode() == b"\x01\x00"  # an empty array, which is not the null that asks for everything
    with pytest.raises(NotImplementedError):
        Question().prepare({35: (0, 3)})
    with pytest.raises(IncompatibleBrokerVersion):
        Question().prepare({})
