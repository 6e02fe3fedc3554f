"""The read side for people and tools: which hours of a type are sealed, which are open, and how far the type is complete."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from hourmark.hours import label, parse_label
from hourmark.topics import Partition, is_event_type

from . import layout
from .books import Books
from .commits import CommitChain
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


def hours(store: Store, event_type: str, last: int | None = None) -> list[HourRow]:
    """Sealed hours (the newest `last` of them, None: all), then the open ones, in order."""
    decided = sealed_hours(store, event_type)
    rows = []
    for hour in decided if last is None else decided[-last:] if last else []:
        data = store.read(f"{layout.hour_folder(event_type, hour)}/{layout.MANIFEST}")
        if data is not None:
            rows.append(_sealed(hour, decode(Manifest, data)))
    return rows + open_hours(store, event_type)


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
    )


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
    chain, decided = CommitChain(store), sealed_hours(store, event_type)
    sealed = decided[-1] if decided else None
    data = store.read(layout.seal(event_type, sealed)) if sealed is not None else None
    resume = decode(Plan, data).resume if data is not None else {}
    books = []
    for name in store.folders(f"{layout.COMMITS}/{event_type}"):
        partition = int(name.removeprefix("p"))
        book = Books(partition, sealed, resume.get(partition))
        while (found := chain.entry(Partition(event_type, partition), book.next)) is not None:
            book.absorb(found[0])
        books.append(book)
    return books
