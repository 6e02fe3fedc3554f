"""What every Publisher does. Run against the fake and against the one on Kafka."""

from __future__ import annotations

import asyncio

from receiver.publisher import Publisher


async def keeps_positions_and_order(publisher: Publisher, topic: str) -> None:
    """Offsets are told by position, grow within a partition, and the time of appending comes with them."""
    first = await publisher.publish([(topic, b"v%d" % n, b"k", n % 2, None) for n in range(6)])
    second = await publisher.publish([(topic, b"w", b"k", 0, [("h", b"x")])])
    assert first.failure is None
    assert first.left == 0
    even, odd = first.offsets[0::2], first.offsets[1::2]
    assert even == sorted(set(even))
    assert odd == sorted(set(odd))
    assert second.offsets[0] > even[-1]
    assert min(first.append_ms) > 1_600_000_000_000


async def settles_nothing_at_once(publisher: Publisher, topic: str) -> None:
    """No records, no waiting."""
    assert (await publisher.publish([])).offsets == []


async def settles_many_at_a_time(publisher: Publisher, topic: str) -> None:
    """Requests do not mix."""
    found = await asyncio.gather(*(publisher.publish([(topic, b"%d" % n, None, 1, None)] * (n + 1)) for n in range(20)))
    assert [len(delivery.offsets) for delivery in found] == list(range(1, 21))
    told = [offset for delivery in found for offset in delivery.offsets]
    assert len(set(told)) == len(told) == 210


async def is_ready(publisher: Publisher, topic: str) -> None:
    """After something was stored there is no reason to refuse."""
    await publisher.publish([(topic, b"v", None, 0, None)])
    assert publisher.refusal() is None
    assert publisher.not_ready() is None
    assert publisher.broken is None


SUITE = (keeps_positions_and_order, settles_nothing_at_once, settles_many_at_a_time, is_ready)
