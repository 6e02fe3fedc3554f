"""Who works, by the reports on `hourmark.nodes`: from the registry, or from the topic itself while no registry answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from confluent_kafka import Message

from hourmark.errors import PlatformError
from hourmark.nodes import LIVE_S, NodeReport
from hourmark.topics import NODES

from ..addresses import Addresses
from ..catalogue import Catalogue
from ..watch.log import Log, Span
from .model import Node
from .services import Catalogued

GONE_S: Final = 900.0  # a node that is silent for longer is not shown any more
LOOK_BACK_S: Final = 120.0
LOOK_S: Final = 4.0
AGAIN_S: Final = 1.5
TRIES: Final = 3
ROOMS: Final = {"receiver": "receiver", "streams": "dedup", "sinks": "sink"}  # as people call them, in the order of an event's way
STARTING: Final = ("starting", "rebalancing")


def of_registry(at: Addresses, known: Catalogued) -> tuple[list[Node], int]:
    """Nodes, and the revision that they should work by. One that is behind or not ready is given seconds: something may just have begun."""
    for tries_left in reversed(range(TRIES)):
        nodes = [_told(told, known.revision) for told in known.nodes]
        if not tries_left or not any(node.says for node in nodes if node.live):
            break
        time.sleep(AGAIN_S)
        try:
            said = Catalogue(at.registry).ask("GET", "/v1/nodes")
        except PlatformError:
            break
        known = known._replace(nodes=said["nodes"], revision=int(said["revision"]))
    return in_order(nodes), known.revision


def of_topic(at: Addresses) -> list[Node]:
    """Those that have reported in the last two minutes; nobody says which revision is the newest. Raises Unavailable."""
    log, heard = Log(at), dict[str, tuple[NodeReport, float]]()
    decoder = msgspec.json.Decoder(NodeReport)

    def see(message: Message) -> None:
        name, value = (message.key() or b"").decode("utf-8", "replace"), message.value()
        if value is None:
            heard.pop(name, None)
            return
        try:
            heard[name] = decoder.decode(value), message.timestamp()[1] / 1000
        except msgspec.DecodeError:
            return

    places = log.places([NODES])
    ends = log.ends(places)
    starts = log.at_time(places, int((time.time() - LOOK_BACK_S) * 1000), ends)
    log.scan({place: Span(starts[place], ends[place]) for place in places}, time.monotonic() + LOOK_S, see)
    now = time.time()
    return in_order(_node(report, now - at_, now - at_ < LIVE_S, 0) for report, at_ in heard.values())


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """Rooms in the order of an event's way; those that are gone for long are left out."""
    rooms = list(ROOMS.values())
    shown = [node for node in nodes if node.live or node.heard_s < GONE_S]
    return sorted(shown, key=lambda node: (rooms.index(node.room) if node.room in rooms else len(rooms), not node.live, node.node))


def _told(told: Mapping[str, Any], newest: int) -> Node:
    """As the registry lists it; an older registry leaves out what it does not know."""
    report = msgspec.convert({"at": 0.0, **told}, NodeReport)
    return _node(report, max(0.0, time.time() - float(told["heard_at"])), bool(told["live"]), newest)


def _node(report: NodeReport, heard_s: float, live: bool, newest: int) -> Node:
    says = report.not_ready
    if report.revision < newest:
        says = "; ".join(filter(None, (says, f"behind the catalogue{f': {report.trouble}' if report.trouble else ''}")))
    return Node(ROOMS.get(report.room, report.room), report.node, report.version, report.revision, live, heard_s, says)
