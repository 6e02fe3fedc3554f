"""What a real broker says of its disk is what the disk says."""

from __future__ import annotations

import os
import time

import pytest

from hourmark.errors import BrokerUnavailable
from local.kafka import KafkaServer
from local.ports import free_port
from streams.log_dirs import log_dirs

pytestmark = pytest.mark.real

PLAIN = {"security_protocol": "PLAINTEXT"}


async def test_a_broker_tells_the_room_on_its_disk(kafka_server: KafkaServer) -> None:
    deadline = time.monotonic() + 60
    while True:  # others write to the same volume
        before = os.statvfs(kafka_server.data)
        (found,) = await log_dirs("127.0.0.1", kafka_server.port, PLAIN)
        after = os.statvfs(kafka_server.data)
        assert (found.path, found.size, found.offline) == (str(kafka_server.data), before.f_blocks * before.f_frsize, False)
        bounds = sorted((before.f_bavail * before.f_frsize, after.f_bavail * after.f_frsize))
        if bounds[0] <= found.free <= bounds[1]:
            return
        assert time.monotonic() < deadline, f"{found.free} free is never within {bounds}"


async def test_a_broker_that_is_away_is_no_disaster() -> None:
    with pytest.raises(BrokerUnavailable, match="ConnectionRefusedError"):
        await log_dirs("127.0.0.1", free_port(), PLAIN)
