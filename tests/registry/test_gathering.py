"""Declarations that ask for topics while a batch is being made are the next batch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from hourmark.errors import BrokerUnavailable
from registry.gathering import MOST, Gathering
from registry.provision import Provisioned, Provisioner, Wanted


class Slow(Provisioner):
    """Answers when `go` is set; knows what it was asked for together."""

    def __init__(self) -> None:
        self.go, self.began = threading.Event(), threading.Event()
        self.batches: list[list[str]] = []
        self.broken = ""

    def all_event_topics(self, wanted: Sequence[Wanted]) -> dict[str, Provisioned | Exception]:
        self.batches.append([want.event for want in wanted])
        self.began.set()
        assert self.go.wait(60)
        if self.broken == "all":
            raise BrokerUnavailable("away")
        return {want.event: ValueError(want.event) if want.event == self.broken else Provisioned(1, True) for want in wanted}


def wanted(number: int) -> Wanted:
    return Wanted(f"a.b{number}", 1, 1, 1)


async def asked(gathering: Gathering, numbers: range) -> list[asyncio.Task[Provisioned]]:
    tasks = [asyncio.create_task(gathering.topics(wanted(number))) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_meanwhile_is_in_the_next_batch_and_none_is_larger_than_allowed() -> None:
    slow = Slow()
    gathering = Gathering(slow)
    tasks = await asked(gathering, range(1))
    await asyncio.to_thread(slow.began.wait, 60)
    tasks += await asked(gathering, range(1, MOST + 11))
    tasks[5].cancel()
    slow.go.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [len(batch) for batch in slow.batches] == [1, MOST, 10]
    assert [type(answer) for answer in found].count(Provisioned) == len(tasks) - 1
    assert await gathering.topics(wanted(0)) == Provisioned(1, True)


async def test_a_failure_reaches_whom_it_concerns() -> None:
    slow = Slow()
    slow.go.set()
    slow.broken = "a.b1"
    gathering = Gathering(slow)
    found = await asyncio.gather(*(gathering.topics(wanted(number)) for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in found] == [Provisioned, ValueError, Provisioned]
    slow.broken = "all"
    with pytest.raises(BrokerUnavailable):
        await gathering.topics(wanted(0))
