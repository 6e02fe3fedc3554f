"""Deciding about one hour: from the books of all partitions to a plan. Pure: the same clean log gives the same files, byte for byte.

How the log was cut into parts decides nothing: all rows of an hour are merged in one order, and cut into files by their count alone.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Final, NamedTuple

import hourmark
from hourmark.hours import label

from .books import Books, iso
from .manifest import Account, Audit, Forced, Output, Plan, PlannedPart, Totals, Writer, digest, encode

FILE_EVENTS: Final = 512 << 20  # bytes that the events of one file had in Kafka; about a third of that once they are stored


class Circumstances(NamedTuple):
    """What a decision depends on beside the books. `newest_schema`: of all hours before, of the declaration for the first. Times in ms."""

    newest_schema: int
    now_ms: float
    hour_ends_ms: int
    forced: Forced | None = None


def make_plan(event_type: str, hour: int, books: Sequence[Books], by: Circumstances) -> Plan:
    """The decision about an hour that every partition has closed, or that is sealed by force."""
    audited = [book.account(hour) for book in books]
    accounts = [account for account, _ in audited]
    faults = [fault for _, found in audited for fault in found]
    totals = _totals(accounts)
    delta = totals.consumed - totals.rows - totals.poisoned - totals.duplicates - totals.rejected
    parts = sorted((part for book in books for part in book.parts.get(hour, ())), key=lambda part: part.path)
    schema_ids = sorted({by.newest_schema, *(part.schema_id for part in parts)}, reverse=True)
    files = _cut(totals.rows, sum(part.events_bytes for part in parts))
    name = digest(encode([event_type, hour, schema_ids, accounts, files]))[:8]
    return Plan(
        type=event_type,
        hour=label(hour),
        revision=1,
        complete=not faults,
        sealed_at=iso(by.now_ms),
        hour_ends_at=iso(by.hour_ends_ms),
        schema_ids=schema_ids,
        partitions=accounts,
        parts=[PlannedPart(path=part.path, schema_id=part.schema_id, late=part.hour != hour) for part in parts],
        outputs=[Output(name=f"part-{number:05d}-{name}.parquet", rows=rows) for number, rows in enumerate(files)],
        totals=totals,
        audit=Audit(equal=not faults, delta=delta, faults=faults),
        resume={book.partition: book.resume_after(hour) for book in books},
        writer=Writer(version=hourmark.__version__, host=platform.node()),
        forced=by.forced,
    )


def _totals(accounts: Sequence[Account]) -> Totals:
    return Totals(
        rows=sum(account.written for account in accounts),
        consumed=sum(account.consumed for account in accounts),
        duplicates=sum(account.duplicates for account in accounts),
        rejected=sum(account.rejected for account in accounts),
        poisoned=sum(account.poisoned for account in accounts),
        skewed=sum(account.skewed for account in accounts),
    )


def _cut(rows: int, events_bytes: int) -> list[int]:
    """Rows of each file: as few files as hold `FILE_EVENTS` each, of equal length. One file for an empty hour."""
    files = max(1, min(-(-events_bytes // FILE_EVENTS), rows))
    return [rows * (number + 1) // files - rows * number // files for number in range(files)]
