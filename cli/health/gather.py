"""Asks everything and puts it together. Whatever is away costs seconds and leaves its part out; the verdict names it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from hourmark.topics import is_event_type

from ..addresses import Addresses
from ..flows import held, sink_pages
from ..held.waiting import Survey, most_waiting, survey
from ..hour_rows import Surroundings, newest_ended
from . import flowing, nodes, seals
from .asking import together
from .lake import MOST, Standing, standing
from .model import Flow, Health
from .services import Asked, ask_all
from .types import Known, states, to_look_at

ASK_S: Final = 30.0
PARKED_LOOK: Final = 10_000  # records of a partition
NOTICE: Final = "HOURMARK_RECEIVER_PARKED_NOTICE_H"
NOTICE_H: Final = 48.0


class Waiting(NamedTuple):
    """`survey` None: nothing waits."""

    at_most: int
    survey: Survey | None


def health(at: Addresses, *, pages: bool = False) -> Health:
    """`pages`: the native stack's workers are asked for what they hold, too."""
    asked = ask_all(at)
    types: Mapping[str, Mapping[str, Any]] = asked.catalogued.types if asked.catalogued else {}
    if asked.catalogued is None:
        types = {name: {} for name in asked.topics or () if is_event_type(name)}
    found, faults = _of_kafka(at, asked, types)
    waiting: Waiting = found.get("parked", Waiting(0, None))
    parked = {name: one.events for name, one in waiting.survey.held.items() if one.events} if waiting.survey else {}
    streams, mute = found.get("streams", ({}, ()))
    known = Known(types, streams, found.get("seals", seals.Seals(0.0, {}, {}, {})), parked)
    moment = time.time()
    wanted = to_look_at(known, at.hours, newest_ended(at), moment) if "seals" in found else []
    looked = _look(at, asked, known, wanted[:MOST], held(sink_pages()) if pages else {})
    listed, revision = found.get("nodes", ([], None))
    flow = Flow(
        recent_s=flowing.recent_s(at.hours),
        parked_at_most=waiting.at_most,
        rejected=found.get("rejected", 0),
        undeclared={name: count for name, count in parked.items() if name not in types},
        expiring=_expiring(waiting.survey),
        unknown=sum(name not in looked and name not in known.seals.newest for name in wanted),
        since=known.seals.since,
        mute=tuple(sorted(mute)),
        faults=tuple(faults),
    )
    return Health(asked.services, listed, revision, states(known, looked, at.hours, moment), flow)


def _of_kafka(at: Addresses, asked: Asked, types: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Answers by question, and what could not be answered in words. Nothing is asked of a Kafka that is away."""
    asks: dict[str, Any] = {}
    if asked.catalogued is not None:
        asks["nodes"] = partial(nodes.of_registry, at, asked.catalogued)
    if asked.topics is not None:
        asks |= {
            "streams": partial(flowing.streams, at, types),
            "seals": partial(seals.recent, at),
            "parked": partial(_parked, at),
            "rejected": partial(flowing.rejected, at),
        }
        asks.setdefault("nodes", lambda: (nodes.of_topic(at), None))
    answers = together(asks, ASK_S)
    faults = [f"{name}: {answer}" for name, answer in answers.items() if isinstance(answer, Exception)]
    return {name: answer for name, answer in answers.items() if not isinstance(answer, Exception)}, faults


def _look(at: Addresses, asked: Asked, known: Known, wanted: list[str], held_: Mapping[str, tuple[str, ...]]) -> dict[str, Standing]:
    if not any(service.name == "lake" and service.ok is not None for service in asked.services):
        return {}
    around = Surroundings({name: known.streams[name].partitions for name in wanted if name in known.streams}, held_)
    answer = together({"lake": partial(standing, at, wanted, around)}, ASK_S)["lake"]
    return answer if isinstance(answer, dict) else {}


def _parked(at: Addresses) -> Waiting:
    at_most = most_waiting(at)
    return Waiting(at_most, survey(at, most=PARKED_LOOK) if at_most else None)


def _expiring(found: Survey | None) -> tuple[str, ...]:
    """Types whose oldest parked event is deleted within the notice that receivers give."""
    if found is None or found.retention is None:
        return ()
    told = os.environ.get(NOTICE, "")
    notice = timedelta(hours=float(told) if told.replace(".", "", 1).isdigit() else NOTICE_H)
    soon = datetime.now(UTC) - found.retention + notice
    return tuple(sorted(name for name, one in found.held.items() if one.events and one.since is not None and one.since < soon))
