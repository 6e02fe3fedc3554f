from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from hourmark.errors import BrokerUnavailable
from receiver.delivery import Delivery
from receiver.publisher import KafkaPublisher
from receiver.settings import Settings

from .fakes import FakePublisher
from .publisher_suite import SUITE


@pytest.mark.parametrize("behaviour", SUITE)
async def test_the_fake_behaves(behaviour: Any) -> None:
    await behaviour(FakePublisher(), "a.topic")


async def test_without_kafka_it_is_not_ready_and_refuses(tmp_path: Path) -> None:
    settings = Settings(kafka="127.0.0.1:9", home=tmp_path, broker_down_s=0.2, delivery_s=1.0)
    publisher = KafkaPublisher(settings)
    publisher.start()
    assert publisher.not_ready() == "Kafka has not acknowledged a record yet"
    delivery = await asyncio.wait_for(publisher.publish([("a.topic", b"v", b"k", 0, None)]), 30)
    assert delivery.offsets == [-1]
    assert delivery.failure is not None
    assert delivery.failure.code == "broker_unavailable"
    refusal = publisher.refusal()
    assert refusal is not None
    assert refusal.retry_after == 2.0
    await publisher.close(0.1)


async def test_a_producer_that_is_broken_says_so_once(tmp_path: Path) -> None:
    told: list[str] = []
    publisher = KafkaPublisher(Settings(kafka="127.0.0.1:9", home=tmp_path), lambda: told.append("broken"))
    delivery = Delivery(2, lambda _: told.append("settled"))
    fatal = KafkaError(KafkaError._FATAL, "out of order", fatal=True)
    for _ in range(2):
        publisher._fatal(KafkaException(fatal))
        publisher._failed(delivery, fatal, "a.topic")
    assert told == ["broken", "settled"]
    assert publisher.broken is not None
    assert publisher.not_ready() == publisher.broken.message
    assert delivery.offsets == [-1, -1]


async def test_a_producer_that_lacks_a_right_is_made_anew(tmp_path: Path) -> None:
    told: list[str] = []
    publisher = KafkaPublisher(Settings(kafka="127.0.0.1:9", home=tmp_path), lambda: told.append("broken"))
    publisher.start()
    before = publisher._producer
    future = publisher.publish([("a.topic", b"v", b"k", 0, None)])
    with capture_logs() as said:
        for _ in range(2):
            publisher._fatal(KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "no", fatal=True)))
    assert publisher._producer is not before
    delivery = await asyncio.wait_for(future, 30)  # what the old one held is answered
    assert isinstance(delivery.failure, BrokerUnavailable)
    assert (told, publisher.broken) == ([], None)
    assert "hourmark acls" in (publisher.not_ready() or "")
    assert [line["event"] for line in said] == ["Kafka takes no records"]
    await publisher.close(0.1)
