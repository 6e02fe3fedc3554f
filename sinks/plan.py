"""Deciding about one hour: from the books of all partitions to a plan. Pure: the same books give the same files, byte for byte."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import hourmark
from hourmark.hours import label

from .arrow import HourSchema, Shape
from .books import Books, iso
from .manifest import Account, Audit, Output, PartRef, Plan, PlannedPart, Totals, Writer, digest, encode

LARGE: Final = 64 << 20
OUTPUT: Final = 256 << 20  # stored bytes of a merged file, and
OUTPUT_PARTS: Final = 256  # as many parts are open at once while it is made


class Circumstances(NamedTuple):
    """What a decision depends on beside the books. `shapes`: the hour's writer schemas, newest first. Times in ms since 1970."""

    shapes: Sequence[Shape]
    fingerprint: str
    now_ms: float
    hour_ends_ms: int


def make_plan(event_type: str, hour: int, books: Sequence[Books], by: Circumstances) -> Plan:
    """The decision about an hour that every partition has closed."""
    audited = [book.account(hour) for book in books]
    accounts = [account for account, _ in audited]
    faults = [fault for _, found in audited for fault in found]
    totals = _totals(accounts)
    delta = totals.consumed - totals.rows - totals.poisoned - totals.duplicates - totals.rejected
    parts = sorted((part for book in books for part in book.parts.get(hour, ())), key=lambda part: part.path)
    outputs = list(_outputs(parts, by.shapes))
    schema_ids = [shape.schema_id for shape in by.shapes]
    name = digest(encode([event_type, hour, schema_ids, accounts, [output.rows for output in outputs]]))[:8]
    return Plan(
        type=event_type,
        hour=label(hour),
        revision=1,
        complete=not faults,
        sealed_at=iso(by.now_ms),
        hour_ends_at=iso(by.hour_ends_ms),
        schema_ids=schema_ids,
        fingerprint=by.fingerprint,
        partitions=accounts,
        outputs=[
            Output(name=f"part-{number:05d}-{name}.parquet", parts=o.parts, rows=o.rows, copy=o.copy) for number, o in enumerate(outputs)
        ],
        totals=totals,
        audit=Audit(equal=not faults, delta=delta, faults=faults),
        resume={book.partition: book.resume_after(hour) for book in books},
        writer=Writer(version=hourmark.__version__, host=platform.node()),
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


def _outputs(parts: Sequence[PartRef], shapes: Sequence[Shape]) -> Iterator[Output]:
    """Large parts that have the hour's schema go out as they are; the others are merged."""
    schema = HourSchema(shapes).schema
    whole = {shape.schema_id for shape in shapes if list(shape.stored.items()) == [(field.name, field.type) for field in schema]}
    small: list[PartRef] = []
    for part in parts:
        if part.bytes >= LARGE and part.schema_id in whole:
            yield _output([part], copy=True)
            continue
        if len(small) == OUTPUT_PARTS or (small and sum(p.bytes for p in small) + part.bytes > OUTPUT):
            yield _output(small, copy=False)
            small = []
        small.append(part)
    if small or not parts:
        yield _output(small, copy=False)


def _output(parts: Sequence[PartRef], *, copy: bool) -> Output:
    planned = [PlannedPart(path=part.path, schema_id=part.schema_id) for part in parts]
    return Output(name="", parts=planned, rows=sum(part.rows for part in parts), copy=copy)
