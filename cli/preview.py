"""What `hourmark query` asks: the sealed hours alone, with a word about open rows; or with `--open` those too, as far as they are known."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hourmark.errors import PlatformError, Unavailable
from hourmark.schemas import EMPTY
from sinks.catalogue import FixedCatalogue, Schemas
from sinks.flush import Shapes

from . import sealed
from .addresses import Addresses
from .catalogue import Catalogue
from .hour_rows import sealed_of, store_of
from .watch.log import Log
from .watch.opened import Opener, Registered, waiting_rows

Answer = tuple[list[str], list[tuple[Any, ...]], list[str]]


def ask_sealed(at: Addresses, sql: str, *, hint: bool) -> Answer:
    """Columns, rows, notes. With `hint` a note tells of open rows of the types that are mentioned, when Kafka is there to ask."""
    lake = sealed_of(at)
    columns, rows = sealed.ask(lake, sql)
    notes: list[str] = []
    if hint and at.kafka:
        store, log = store_of(at), Log(at)
        for event_type in sealed.mentioned(sql, lake.event_types()):
            waiting = waiting_rows(store, log, event_type)
            if waiting:
                notes.append(f"about {waiting:,} rows of open hours of {event_type} are not in this; --open shows them")
    return columns, rows, notes


def ask(at: Addresses, sql: str) -> Answer:
    """The same with the rows of open hours, which are marked by `_final` being false."""
    store, lake = store_of(at), sealed_of(at)
    log: Log | str = Log(at) if at.kafka else "its address is not known here"
    known = set(lake.event_types())
    if isinstance(log, Log):
        try:
            known |= log.event_types().keys()
        except Unavailable as exc:
            log = exc.message
    names = sealed.mentioned(sql, sorted(known))
    with tempfile.TemporaryDirectory(prefix="hourmark-open-") as folder:
        opener = Opener(store, lake, log, _registered(at), Path(folder))
        opened = {name: opener.open(name) for name in names}
        columns, rows = sealed.ask(lake, sql, sorted(known), opened)
    notes = [note for found in opened.values() for note in found.notes]
    if any(found.open for found in opened.values()):
        notes.append("rows with _final = false are of open hours: not final")
    return columns, rows, notes


def _registered(at: Addresses) -> Registered:
    """Schemas as the registry has them."""

    def declared(event_type: str) -> int:
        try:
            return int(Catalogue(at.registry).get(event_type)["schema_id"])
        except PlatformError:
            return 0

    return Registered(Shapes(Schemas(FixedCatalogue(EMPTY), at.registry, 0.0)), declared)
