"""What `hourmark status` knows. Plain facts; verdict.py judges them, show.py prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from hourmark.hours import label
from sinks.blocking import Block
from sinks.watermarks import Delays

RECENT_S: Final = 300  # what is called recent; in time-lapse one hour, if that is shorter


def span(seconds: float) -> str:
    """`90 s`, `5 min`, `2.5 h`."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Service(NamedTuple):
    """One address that was asked. `ok` None: nobody says where it is. `says`: its state in words."""

    name: str
    address: str
    ok: bool | None
    says: str


class Node(NamedTuple):
    """One process by its last report, `heard_s` seconds ago. `says`: why it is not ready or behind, empty when it does its work."""

    room: str
    node: str
    version: str
    revision: int
    live: bool
    heard_s: float
    says: str


class Newest(NamedTuple):
    """The newest sealed hour of a type. `rows`, `complete` None: not known."""

    hour: int
    rows: int | None
    complete: bool | None


class TypeState(NamedTuple):
    """One event type. `late_s`: so long ago its next hour should have been sealed, 0 when it is in time.

    `lag`: raw records that dedup has not settled; `stalled`: some of them for more than two minutes. `sink_lag`: clean records of hours
    that are over, in no part yet. `recent`: events of the last `Flow.recent_s`. `incomplete`: labels of sealed hours that lack something.
    """

    type: str
    tier: str
    newest: Newest | None
    open_hours: int
    late_s: float = 0.0
    lag: int = 0
    stalled: bool = False
    sink_lag: int = 0
    recent: int = 0
    parked: int = 0
    delays: Delays | None = None
    incomplete: tuple[str, ...] = ()
    blocked: tuple[Block, ...] = ()

    @property
    def watermark(self) -> str | None:
        """The first hour that is not sealed."""
        return None if self.newest is None else label(self.newest.hour + 1)

    @property
    def needs_attention(self) -> bool:
        return bool(self.late_s or self.stalled or self.incomplete or self.parked)

    def as_json(self) -> dict[str, Any]:
        newest = self.newest
        return {
            "type": self.type,
            "tier": self.tier,
            "watermark": self.watermark,
            "open_hours": self.open_hours,
            "late_seconds": round(self.late_s, 1),
            "lag": self.lag,
            "stalled": self.stalled,
            "sink_lag": self.sink_lag,
            "recent": self.recent,
            "parked": self.parked,
            "newest_hour": newest and {"hour": label(newest.hour), "rows": newest.rows, "complete": newest.complete},
            "seal_delay_seconds": self.delays and {name: round(value, 3) for name, value in self.delays._asdict().items()},
            "incomplete": list(self.incomplete),
            "blocked_by": [block._asdict() for block in self.blocked],
        }


class Trouble(NamedTuple):
    """Something that is wrong, in words, and the runbook's page that says what to do."""

    what: str
    page: str

    def as_json(self) -> dict[str, str]:
        return {"what": self.what, "runbook": f"docs/runbooks/{self.page}.md"}


class Flow(NamedTuple):
    """Of the whole platform. `parked_at_most`, `rejected`: waiting for a declaration; refused in the last `recent_s` seconds.

    `undeclared`: types that nobody has declared → their parked events. `expiring`: types whose parked events are deleted soon.
    `unknown`: types of which only the lake could tell more, and which were too many to look at. `since`: every hour sealed from then on
    was looked at (seconds since 1970). `mute`: partitions that no broker leads.
    `faults`: questions that Kafka has not answered, and why.
    """

    recent_s: int = RECENT_S
    parked_at_most: int = 0
    rejected: int = 0
    undeclared: Mapping[str, int] = {}
    expiring: tuple[str, ...] = ()
    unknown: int = 0
    since: float = 0.0
    mute: tuple[tuple[str, int], ...] = ()
    faults: tuple[str, ...] = ()


class Health(NamedTuple):
    """`revision`: the catalogue's, None when no registry said it."""

    services: Sequence[Service]
    nodes: Sequence[Node]
    revision: int | None
    types: Sequence[TypeState]
    flow: Flow

    def service(self, name: str) -> Service:
        return next(found for found in self.services if found.name == name)

    def well(self, name: str) -> bool:
        return self.service(name).ok is True

    @property
    def reached(self) -> bool:
        """Something of the platform itself answered."""
        return any(found.ok for found in self.services if found.name in ("receiver", "registry", "kafka"))
