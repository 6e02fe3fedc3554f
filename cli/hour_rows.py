"""What `hours` and `status` show of an event type: its sealed hours, those that have begun and are not sealed yet, and what blocks them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hourmark.errors import SettingsError, Unavailable
from hourmark.hours import label, parse_folder
from sinks.blocking import Block, Flow, Situation, blocks
from sinks.lake import masked, open_store
from sinks.line import Line
from sinks.object_store import ObjectStore
from sinks.store import Store
from sinks.watermarks import Delays, delays, line_of, types, watermark
from sinks.watermarks import hours as known_hours

from .addresses import Addresses, lake_options
from .failures import Unreachable, WrongInput, did_you_mean
from .sealed import Lake, LocalLake

RECENT = 48  # hours whose seal delays are looked at
AHEAD = 24  # open hours that are explained


class HourRow(NamedTuple):
    """One hour. `rows` of an open one: those written so far; the rest is None until the seal, `delay_seconds` after the hour's end.

    `forced`: why it was sealed by force. `blocked_by`: what keeps an open one from being sealed.
    """

    hour: str
    state: str
    rows: int
    duplicates: int | None = None
    skewed: int | None = None
    delay_seconds: float | None = None
    complete: bool | None = None
    forced: str | None = None
    blocked_by: tuple[Block, ...] = ()

    @property
    def delay_text(self) -> str:
        return seconds(self.delay_seconds)

    @property
    def audit(self) -> str:
        if self.forced is not None:
            return "FORCED"
        return "-" if self.complete is None else "equal" if self.complete else "NOT EQUAL"

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"blocked_by": [block._asdict() for block in self.blocked_by]}


class Progress(NamedTuple):
    """How far one event type is. `watermark`: hour number of the newest sealed hour. `blocked`: of the next hour, once it is over."""

    type: str
    watermark: int | None
    delays: Delays | None
    open_hours: int
    blocked: tuple[Block, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "watermark": None if self.watermark is None else label(self.watermark + 1),
            "open_hours": self.open_hours,
            "seal_delay_seconds": None if self.delays is None else self.delays._asdict(),
            "blocked_by": [block._asdict() for block in self.blocked],
        }


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def words(found: Iterable[Block], at_most: int = 3) -> str:
    """`p3: dedup has 12 raw records before it; …` on one line. Partitions of one trouble are told together."""
    troubles: dict[str, list[int]] = {}
    for block in found:
        troubles.setdefault(block.detail, []).extend(() if block.partition is None else (block.partition,))
    said = [f"{', '.join(f'p{number}' for number in numbers)}: {detail}" if numbers else detail for detail, numbers in troubles.items()]
    return "; ".join([*said[:at_most], *([f"and {len(said) - at_most} more"] if len(said) > at_most else [])])


class Surroundings(NamedTuple):
    """What is known beside the lake: event type → clean partition → how things flow there; codes for which workers hold it."""

    flows: Mapping[str, Mapping[int, Flow]]
    held: Mapping[str, tuple[str, ...]]
    trouble: str = ""

    def partitions(self, event_type: str) -> int:
        return len(self.flows.get(event_type, ()))

    def situation(self, event_type: str, ended: int) -> Situation:
        return Situation(ended, self.flows.get(event_type, {}), self.held.get(event_type, ()))


NOTHING = Surroundings({}, {})


def surroundings(at: Addresses, event_types: list[str]) -> Surroundings:
    """What Kafka and the workers' metrics say, as far as they answer: the lake alone is enough for the rest."""
    from .flows import flows, held, sink_pages

    if not at.kafka:
        return NOTHING
    try:
        return Surroundings(flows(at, event_types), held(sink_pages()))
    except Unavailable as exc:
        return NOTHING._replace(trouble=exc.message)


def store_of(at: Addresses) -> Store:
    """The lake, local or in an object store. Raises WrongInput for an address that is none, Unreachable for a folder that is not there."""
    local = "://" not in at.lake or at.lake.startswith("file:")
    if local and not at.lake_path.is_dir():  # before it is opened, which would make it
        raise Unreachable("there is no lake", where=at.lake, remedy="start the platform with `hourmark up`, or try `hourmark demo`")
    try:
        return open_store(at.lake if "://" in at.lake else at.lake_path.as_uri(), lake_options())
    except SettingsError as exc:
        raise WrongInput("; ".join(exc.faults), where=masked(at.lake)) from exc


def sealed_of(at: Addresses) -> Lake:
    """The lake as `query` reads it. Raises as `store_of` does."""
    store = store_of(at)
    if isinstance(store, ObjectStore):
        from .remote import RemoteLake  # here: only who needs fsspec pays for it

        return RemoteLake(store, at.lake)
    return LocalLake(at.lake_path)


def require_type(store: Store, at: Addresses, event_type: str, around: Surroundings = NOTHING) -> None:
    """Raises WrongInput when neither the lake nor Kafka has anything of this event type."""
    known = types(store)
    if event_type not in known and not around.partitions(event_type):
        raise WrongInput(
            f"the lake has no hour of {event_type}{did_you_mean(event_type, known)}",
            where=at.lake,
            remedy="`hourmark events` lists what is declared; an hour is sealed soon after its end",
        )


def of_type(at: Addresses, event_type: str, last: int, around: Surroundings = NOTHING) -> list[HourRow]:
    """The newest `last` sealed hours and as many open ones, oldest first. Raises WrongInput for a type that nobody knows."""
    store = store_of(at)
    require_type(store, at, event_type, around)
    found = known_hours(store, event_type, last)
    rows = {r.hour: HourRow(r.label, r.state, r.rows, r.duplicates, r.skewed, r.seal_delay, r.complete, r.forced) for r in found}
    line = line_of(store, event_type, around.partitions(event_type))
    for hour in open_hours(store, at, event_type, first_hour(at, line))[-max(last, 1) :]:
        rows.setdefault(hour, HourRow(label(hour), "open", 0))
    now = around.situation(event_type, newest_ended(at))
    unsealed = [hour for hour, row in sorted(rows.items()) if row.state == "open"]
    for hour in unsealed[:AHEAD]:
        rows[hour] = rows[hour]._replace(blocked_by=tuple(blocks(line, hour, now)))
    return [row for _, row in sorted(rows.items())]


def progress(store: Store, at: Addresses, event_type: str, around: Surroundings = NOTHING) -> Progress:
    """The short form. Reads the commit chains only of a type whose next hour is over."""
    begun = open_hours(store, at, event_type)
    ended = newest_ended(at)
    recent = [row for row in known_hours(store, event_type, RECENT, still_open=False) if row.state == "sealed"]
    found: list[Block] = []
    if begun and begun[0] <= ended:
        line = line_of(store, event_type, around.partitions(event_type))
        found = blocks(line, begun[0], around.situation(event_type, ended))
    return Progress(event_type, watermark(store, event_type), delays(recent), len(begun), tuple(found))


def newest_ended(at: Addresses) -> int:
    """The newest hour that is over, with the margin after which barriers are written."""
    return at.hours.of(int((time.time() - at.hours.margin_s) * 1000)) - 1


def open_hours(store: Store, at: Addresses, event_type: str, first: int | None = None) -> range:
    """Hours after the newest sealed one that have begun; when none is sealed, those from `first` on, or only the present one."""
    current = at.hours.of(int(time.time() * 1000))
    newest = watermark(store, event_type)
    begin = newest + 1 if newest is not None else current if first is None else min(first, current)
    return range(begin, current + 1)


def first_hour(at: Addresses, line: Line) -> int | None:
    """Where a type begins that has no sealed hour yet: by the lake, else by the first record of its raw log. None: nobody says."""
    if line.sealed is not None:
        return None
    floors = [book.floor for book in line.in_order() if book.floor is not None]
    if floors:
        return min(floors)
    if not at.kafka:
        return None
    from .watch import log

    try:
        return log.first_hour(at, line.event_type)
    except Unavailable:
        return None


def hour_of(folder: Path) -> int:
    """Hour number of an hour's folder."""
    return parse_folder(f"{folder.parent.name}/{folder.name}")


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed hour."""
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    return found
