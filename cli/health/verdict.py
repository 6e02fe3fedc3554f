"""Is all well? If not: what is wrong, first causes first, and which page of docs/runbooks/ says what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sinks.blocking import Reason

from ..hour_rows import words
from .model import Health, Node, Trouble, TypeState, span
from .nodes import ROOMS, STARTING
from .services import FULL, LOST

NAMED: Final = 3  # event types named of one trouble
PAGES: Final = {
    "kafka": "receiver-refusing",
    "index": "index-away",
    "lake": "lake-filling",
    "registry": "process-down",
    "receiver": "receiver-refusing",
}


NAMES: Final = {"kafka": "Kafka", "index": "the id index", "lake": "the lake", "registry": "the registry", "receiver": "the front door"}


class Verdict(NamedTuple):
    """`says`: one sentence."""

    troubles: tuple[Trouble, ...]
    says: str

    @property
    def well(self) -> bool:
        return not self.troubles


def verdict(health: Health, more: Iterable[Trouble] = ()) -> Verdict:
    """`more`: what the caller knows beyond, like processes of this machine that are down."""
    found = (*_services(health), *_kafka(health), *more, *_rooms(health), *_nodes(health), *_types(health), *_parked(health))
    if not found:
        said = f"{_flow(health)}, {_hours(health)}" if health.types else "ready for events, no event type is declared yet"
        return Verdict((), f"all well: {said}")
    return Verdict(found, "1 thing is wrong" if len(found) == 1 else f"{len(found)} things are wrong")


def _flow(health: Health) -> str:
    return "events flow" if any(state.recent for state in health.types) else f"no event came in the last {span(health.flow.recent_s)}"


def _hours(health: Health) -> str:
    if not any(state.newest for state in health.types):
        return "no hour has been sealed yet"
    whole = "every sealed hour is complete"
    return f"hours close, {whole}" + (f" (those since {_moment(health.flow.since)})" if health.flow.since else "")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _services(health: Health) -> Iterator[Trouble]:
    for name in ("kafka", "index", "lake", "registry", "receiver"):
        found = health.service(name)
        if found.ok is False:
            yield Trouble(f"{NAMES[name]} {found.says}", PAGES[name])
        elif name == "index" and found.says == LOST and any(state.newest for state in health.types):
            yield Trouble(f"the id index {found.says}", "index-lost")
        elif name == "index" and found.says.startswith(FULL):
            yield Trouble(f"the id index is {found.says}", "index-full")
        elif found.ok is None and name in ("kafka", "registry"):
            yield Trouble(f"{NAMES[name]} was {found.says}, so not all can be told", "README")


def _kafka(health: Health) -> Iterator[Trouble]:
    for fault in health.flow.faults:
        yield Trouble(f"Kafka has not answered all: {fault}", "receiver-refusing")
    mute = health.flow.mute
    if mute:
        yield Trouble(f"no broker leads {len(mute):,} partitions of event types, for example {mute[0][0]}[{mute[0][1]}]", "hour-blocked")


def _rooms(health: Health) -> Iterator[Trouble]:
    """Rooms without a process; nobody can tell when neither registry nor Kafka answers."""
    if not (health.well("kafka") and (health.nodes or health.revision is not None)):
        return
    for room in ROOMS.values():
        if not any(node.live for node in health.nodes if node.room == room):
            who = {"receiver": "nobody takes events", "dedup": "raw topics are not read", "sink": "no hour is sealed"}[room]
            yield Trouble(f"no {room} process lives: {who}", "process-down")


def _nodes(health: Health) -> Iterator[Trouble]:
    """Processes that live and do not work. Beside others of their room one may be starting."""
    for node in health.nodes:
        if not node.live or not node.says:
            continue
        others = [other for other in health.nodes if other.room == node.room and other.live and not other.says]
        if node.says.startswith(STARTING) and others:
            continue
        yield Trouble(f"{node.node}: {node.says}", _page_of(node))


def _page_of(node: Node) -> str:
    for words_, page in (
        ("index_lost", "index-lost"),
        ("id index", "index-away"),
        ("lake_unavailable", "lake-filling"),
        ("on hold", "lake-filling"),
        ("Kafka", "receiver-refusing"),
        ("behind the catalogue", "node-behind"),
    ):
        if words_ in node.says:
            return page
    return "receiver-refusing" if node.room == "receiver" else "process-down"


def _types(health: Health) -> Iterator[Trouble]:
    types = health.types
    held = {state.type for state in types if any(block.reason == Reason.AUDIT_HELD for block in state.blocked)}
    yield from _group(types, lambda state: state.type in held, "held back, the books do not balance", "audit-unequal")
    blocked = {state.type for state in types if state.late_s and any(block.reason != Reason.SEALING for block in state.blocked)} - held
    yield from _group(types, lambda state: state.type in blocked, "late with an hour", "hour-blocked", why=True)
    yield from _group(types, lambda state: bool(state.late_s) and state.type not in held | blocked, "late with an hour", "watermark-late")
    yield from _group(types, lambda state: bool(state.incomplete), "sealed incomplete", "audit-unequal")
    yield from _group(types, lambda state: state.stalled, "waiting at dedup for more than two minutes", "lag-growing")


def _group(types: Sequence[TypeState], wrong: Callable[[TypeState], bool], what: str, page: str, *, why: bool = False) -> Iterator[Trouble]:
    found = [state for state in types if wrong(state)]
    if not found:
        return
    count = "1 event type is" if len(found) == 1 else f"{len(found):,} event types are"
    named = "; ".join(_named(state, why) for state in found[:NAMED]) + (f"; and {len(found) - NAMED:,} more" if len(found) > NAMED else "")
    yield Trouble(f"{count} {what}: {named}", page)


def _named(state: TypeState, why: bool) -> str:
    if why:
        return f"{state.type} {state.watermark or ''} ({words(state.blocked)})"
    return f"{state.type} {', '.join(state.incomplete[-NAMED:])}" if state.incomplete else state.type


def _parked(health: Health) -> Iterator[Trouble]:
    if health.flow.expiring:
        names = ", ".join(health.flow.expiring[:NAMED])
        yield Trouble(f"parked events of {names} will be deleted soon: their types are not declared", "parked")
