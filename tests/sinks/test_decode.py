"""Poison: one bad event costs no other one, and every event comes out exactly once."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hourmark.event import frame
from sinks.arrow import shape_of
from sinks.decode import CHUNK_ROWS, STAMPS, RowDecoder, Run
from tests.sinks.fakes import PAYLOAD, value_of, wire_schema

SCHEMA = wire_schema("t.thing", 1, PAYLOAD)
SHAPE = shape_of(SCHEMA)
GOOD = [value_of(SCHEMA, n, {"user": f"u{n}", "ms": n}) for n in range(40)]


def run_of(values: list[bytes]) -> Run:
    stamps = np.zeros(len(values), STAMPS)
    stamps["offset"] = np.arange(len(values))
    return Run(b"".join(values), np.cumsum([len(value) for value in values]), stamps)


def offsets(tables: list[Any]) -> list[int]:
    return [offset for table in tables for offset in table.column("_raw_offset").to_pylist()]


BREAK = st.sampled_from(["none", "trailing", "short", "cut", "garbage"])


@given(st.lists(st.tuples(st.integers(0, 39), BREAK, st.binary(min_size=1, max_size=20)), max_size=40))
@settings(deadline=None)
def test_good_events_survive_any_neighbour(items: list[tuple[int, str, bytes]]) -> None:
    values = []
    for which, how, junk in items:
        good = GOOD[which]
        values.append({"none": good, "trailing": good + junk, "short": good[:-1], "cut": good[:30], "garbage": good[:21] + junk}[how])
    decoded = RowDecoder().decode(SHAPE, run_of(values))
    bad = {poison.at for poison in decoded.poison}
    assert sorted([*offsets(decoded.tables), *bad]) == list(range(len(values)))
    for at, (_, how, _) in enumerate(items):
        if how == "none":
            assert at not in bad
        elif how in ("trailing", "short", "cut"):
            assert at in bad
    ids = [text for table in decoded.tables for text in table.column("_event_id").to_pylist()]
    assert ids == [values[at][5:21].hex(":")[:0] + _uuid(values[at]) for at in range(len(values)) if at not in bad]


def _uuid(value: bytes) -> str:
    import uuid

    return str(uuid.UUID(bytes=value[5:21]))


def test_a_value_that_its_column_cannot_hold_is_found_by_bisection() -> None:
    wide = wire_schema("t.thing", 1, [{"name": "user", "type": "string"}, {"name": "ms", "type": "long"}])
    narrow = shape_of(wire_schema("t.thing", 1, [{"name": "user", "type": "string"}, {"name": "ms", "type": "int"}]))
    values = [value_of(wide, n, {"user": "u", "ms": 2**40 if n in (3, 17) else n}) for n in range(20)]
    decoded = RowDecoder().decode(narrow, run_of(values))
    assert [poison.at for poison in decoded.poison] == [3, 17]
    assert offsets(decoded.tables) == [n for n in range(20) if n not in (3, 17)]


def test_a_decimal_with_too_many_digits_is_poison_not_rounded() -> None:
    def schema(precision: int) -> Any:
        decimal = {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 0}
        return wire_schema("t.thing", 1, [{"name": "user", "type": "string"}, {"name": "ms", "type": decimal}])

    from decimal import Decimal

    values = [value_of(schema(9), n, {"user": "u", "ms": Decimal(value)}) for n, value in enumerate((9999, 12345))]
    decoded = RowDecoder().decode(shape_of(schema(4)), run_of(values))
    assert [poison.at for poison in decoded.poison] == [1]


def test_an_enum_symbol_that_does_not_exist_is_poison() -> None:
    enum = {"type": "enum", "name": "E", "symbols": ["A"]}
    shape = shape_of(wire_schema("t.thing", 1, [{"name": "user", "type": "string"}, {"name": "ms", "type": enum}]))
    assert [poison.at for poison in RowDecoder().decode(shape, run_of(GOOD[:3])).poison] == [1, 2]


def test_runs_are_cut_into_small_pieces_and_stay_whole() -> None:
    big = [value_of(SCHEMA, n, {"user": "x" * (3 << 20), "ms": n}) for n in range(4)]
    many = [GOOD[n % 40] for n in range(CHUNK_ROWS + 5)]
    for values in (big, many, big[:1] + many[:10] + big[1:]):
        decoded = RowDecoder().decode(SHAPE, run_of(values))
        assert offsets(decoded.tables) == list(range(len(values)))
        assert len(decoded.tables) > 1


def test_a_long_string_length_is_not_believed() -> None:
    out = io.BytesIO()
    out.write(frame(1))
    out.write(GOOD[0][5:45])
    value = out.getvalue() + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
    decoded = RowDecoder().decode(SHAPE, run_of([GOOD[0], value, GOOD[2]]))
    assert [poison.at for poison in decoded.poison] == [1]
    assert fastavro.__version__
