"""The read side for people and tools: which hours of a type are sealed, which are open, and how far the type is complete."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from hourmark.errors import ChainConflict
from hourmark.hours import label, parse_label
from hourmark.topics import Partition, is_event_type

from . import layout
from .books import Books
from .commits import CommitChain
from .line import Line
from .manifest import Manifest, Plan, decode
from .store import Store


class HourRow(NamedTuple):
    """One hour of a type. Open hours have the rows written so far; the fields of the audit are None. `seal_delay` in seconds."""

    hour: int
    label: str
    state: str
    rows: int
    duplicates: int | None = None
    skewed: int | None = None
    complete: bool | None = None
    sealed_at: str | None = None
    seal_delay: float | None = None
    forced: str | None = None


class Delays(NamedTuple):
    """From the ends of hours to their seals, in seconds: of the newest hour, and percentiles over some."""

    last: float
    p50: float
    p99: float


def types(store: Store) -> list[str]:
    """Event types that have anything in the lake."""
    return sorted({name for root in (layout.COMMITS, layout.EVENTS) for name in store.folders(root) if is_event_type(name)})


def sealed_hours(store: Store, event_type: str) -> list[int]:
    """Hours that have been decided about, in order. All but the newest are presented for certain."""
    return [parse_label(name.removesuffix(".json")) for name in store.names(layout.seals(event_type))]


def presented(store: Store, event_type: str, hour: int) -> bool:
    return store.read(f"{layout.hour_folder(event_type, hour)}/{layout.SUCCESS}") is not None


def watermark(store: Store, event_type: str) -> int | None:
    """The newest hour such that it and all earlier ones are sealed; None when there is none. Hours are sealed in order."""
    return next((hour for hour in reversed(sealed_hours(store, event_type)) if presented(store, event_type, hour)), None)


def hours(store: Store, event_type: str, last: int | None = None, *, still_open: bool = True) -> list[HourRow]:
    """Sealed hours (the newest `last` of them, None: all), then the open ones if wanted, in order."""
    decided = sealed_hours(store, event_type)
    rows = []
    for hour in decided if last is None else decided[-last:] if last else []:
        data = store.read(f"{layout.hour_folder(event_type, hour)}/{layout.MANIFEST}")
        if data is not None:
            rows.append(_sealed(hour, decode(Manifest, data)))
    return rows + (open_hours(store, event_type) if still_open else [])


def _sealed(hour: int, manifest: Manifest) -> HourRow:
    delay = datetime.fromisoformat(manifest.sealed_at) - datetime.fromisoformat(manifest.hour_ends_at)
    return HourRow(
        hour,
        label(hour),
        "sealed",
        manifest.totals.rows,
        manifest.totals.duplicates,
        manifest.totals.skewed,
        manifest.complete,
        manifest.sealed_at,
        delay.total_seconds(),
        manifest.forced.reason if manifest.forced else None,
    )


def delays(rows: list[HourRow]) -> Delays | None:
    """Of the sealed hours among these, oldest first; None when there is none. Percentiles are those of the nearest rank."""
    found = [row.seal_delay for row in rows if row.seal_delay is not None]
    if not found:
        return None
    ranked = sorted(found)
    return Delays(found[-1], ranked[-(-len(ranked) // 2) - 1], ranked[-(-len(ranked) * 99 // 100) - 1])


def open_hours(store: Store, event_type: str) -> list[HourRow]:
    """Hours with rows in the commit chains, or closed on some partition, that are not sealed yet."""
    books = open_books(store, event_type)
    rows: dict[int, int] = {}
    for book in books:
        for hour, count in book.counts.items():
            rows[hour] = rows.get(hour, 0) + count.written
    return [HourRow(hour, label(hour), "open", count) for hour, count in sorted(rows.items())]


def open_books(store: Store, event_type: str) -> list[Books]:
    """The books of every partition since the newest sealed hour."""
    return line_of(store, event_type).in_order()


def line_of(store: Store, event_type: str, partitions: int = 0) -> Line:
    """Where a type stands by the lake alone, as a sealer sees it. `partitions`: at least so many, whether the lake knows them or not."""
    line, chain, known = Line(event_type), CommitChain(store), sealed_hours(store, event_type)
    count = max([partitions, *(int(name.removeprefix("p")) + 1 for name in store.folders(f"{layout.COMMITS}/{event_type}"))])
    line.follow(known[-1] if known else -1, decided(store, event_type, known[-1]) if known else None, count)
    for number, book in line.books.items():
        while (found := chain.entry(Partition(event_type, number), book.next)) is not None:
            book.absorb(found[0])
    return line


def decided(store: Store, event_type: str, hour: int) -> Plan:
    """The decision about an hour. Raises ChainConflict when it is not there or unreadable: seals are never taken away."""
    path = layout.seal(event_type, hour)
    data = store.read(path)
    try:
        if data is None:
            raise ChainConflict(f"{path} has disappeared: a decision about an hour is never taken back", path=path)
        return decode(Plan, data)
    except msgspec.DecodeError as exc:
        raise ChainConflict(f"{path} is no plan: {exc}", path=path) from exc
