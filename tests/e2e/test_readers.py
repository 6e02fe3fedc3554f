"""DuckDB, pyarrow and pandas read an event type with nothing but its path, and see the same rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cli.demo.ledger import Ledger
from tests.e2e.platform import Platform


@pytest.fixture(scope="module")
def folder(platform: Platform) -> Path:
    """An event type with full and empty sealed hours."""
    ledger = Ledger(platform.declare("read"))
    with platform.http() as http:
        for number in range(100):
            http.send(ledger.event_type, {"number": number, "text": "ä" if number % 2 else None}, on_verdict=ledger.original)
    ledger.sent = 100
    platform.assert_exact(ledger)
    platform.wait_sealed(ledger.event_type)
    return platform.lake / "events" / ledger.event_type


def test_duckdb(folder: Path) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*), sum(number), count(text) FROM '{folder}/**/*.parquet'").fetchone()
    assert found == (100, 4950, 50)


def test_pyarrow(folder: Path) -> None:
    for table in (pq.read_table(folder), ds.dataset(folder).to_table()):
        assert set(table.column("number").to_pylist()) == set(range(100))
        assert table.num_rows == 100
        assert str(table.schema.field("_event_time").type) == "timestamp[us, tz=UTC]"


def test_pandas(folder: Path) -> None:
    frame = pd.read_parquet(folder)
    assert frame["number"].sum() == 4950
    assert frame["text"].isna().sum() == 50
    assert frame["_event_id"].is_unique
