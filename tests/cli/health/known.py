"""A platform as `hourmark status` would find it, for tests that change one thing."""

from __future__ import annotations

from typing import Any

from cli.health.model import Flow, Health, Newest, Node, Service, TypeState
from hourmark.hours import parse_label

SEVEN = parse_label("2026-03-01T07")
NAMES = ("receiver", "registry", "kafka", "index", "lake")


def state(name: str = "flight.departed", **more: Any) -> TypeState:
    return TypeState(name, "standard", Newest(SEVEN, 3, True), 1, recent=5)._replace(**more)


def node(room: str, name: str = "", **more: Any) -> Node:
    return Node(room, name or f"{room}-1", "0.1.0", 4, True, 1.0, "")._replace(**more)


def healthy(**more: Any) -> Health:
    services = [Service(name, f"{name}:1", True, "answers") for name in NAMES]
    nodes = [node("receiver"), node("dedup"), node("sink")]
    return Health(services, nodes, 4, [state()], Flow(since=1_772_348_400.0))._replace(**more)


def with_service(name: str, ok: bool | None, says: str) -> list[Service]:
    return [Service(one, f"{one}:1", ok if one == name else True, says if one == name else "answers") for one in NAMES]
