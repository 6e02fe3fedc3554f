"""How far a revision has come: rooms in the order of an event's way, silent nodes left out, those behind named."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from hourmark.nodes import LIVE_S, NodeReport
from registry.nodes import Node, Nodes, Progress
from tests.registry.service import settings_for


def node(name: str, room: str, revision: int, silent_s: float = 0.0, trouble: str = "") -> dict[str, Node]:
    report = NodeReport(node=name, room=room, revision=revision, applied_at=0.0, started_at=0.0, at=0.0, trouble=trouble)
    return {name: Node(report, time.time() - silent_s)}


@pytest.fixture
async def nodes(tmp_path: Path) -> Nodes:
    made = Nodes(settings_for("127.0.0.1:1", tmp_path))
    made._read = True
    return made


async def last(nodes: Nodes, revision: int, timeout: float) -> Progress:
    return [found async for found in nodes.follow(revision, time.monotonic(), timeout)][-1]


async def test_rooms_in_order_and_who_is_behind(nodes: Nodes) -> None:
    nodes.known = node("s", "sinks", 4) | node("r1", "receiver", 5) | node("r2", "receiver", 6) | node("x", "another", 9)
    nodes.known |= node("d", "streams", 1, trouble="no index")
    found = await last(nodes, 5, 0.0)
    assert [(stage.stage, stage.applied, stage.of) for stage in found.stages()] == [
        ("receiver", 2, 2),
        ("dedup", 0, 1),
        ("sink", 0, 1),
        ("another", 1, 1),
    ]
    assert [(late.node, late.revision, late.reason) for late in found.behind] == [("d", 1, "no index"), ("s", 4, "")]
    assert not found.complete


async def test_a_silent_node_is_not_waited_for(nodes: Nodes) -> None:
    nodes.known = node("r1", "receiver", 5) | node("gone", "receiver", 1, silent_s=LIVE_S + 1)
    found = await last(nodes, 5, 60.0)
    assert found.complete
    assert [(stage.stage, stage.applied, stage.of) for stage in found.stages()] == [("receiver", 1, 1), ("dedup", 0, 0), ("sink", 0, 0)]


async def test_a_node_that_falls_silent_meanwhile_ends_the_wait(nodes: Nodes) -> None:
    nodes.known = node("r1", "receiver", 5) | node("dying", "receiver", 1, silent_s=LIVE_S - 0.5)
    found = await last(nodes, 5, 60.0)
    assert found.complete
    assert found.ms < 30_000


async def test_news_end_the_wait(nodes: Nodes) -> None:
    nodes.known = node("r1", "receiver", 4)
    waiting = asyncio.create_task(last(nodes, 5, 60.0))
    await asyncio.sleep(0.01)
    nodes.known = node("r1", "receiver", 5)
    nodes._moved.set()
    assert (await waiting).complete


async def test_before_all_nodes_are_read_nothing_is_complete(nodes: Nodes) -> None:
    nodes._read = False
    assert not (await last(nodes, 5, 0.0)).complete
