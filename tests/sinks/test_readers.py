"""DuckDB, pyarrow and pandas read the lake with the path and nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sinks import layout
from sinks.disk import DiskStore
from tests.sinks.fakes import HOUR, Feed
from tests.sinks.room import Room
from tests.sinks.test_sealed_hours import ONE, TYPE, fill


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """An hour of 30 rows, an empty one, one of 10; and staged parts of an open hour that no reader may see."""
    room, feed = Room(*ONE, store=DiskStore(tmp_path)), Feed()
    fill(feed, HOUR, range(30))
    feed.barrier(HOUR + 1)
    fill(feed, HOUR + 2, range(30, 40))
    feed.barrier(HOUR + 2)
    fill(feed, HOUR + 3, range(40, 99))
    room.drain(feed)
    assert room.seal() == 3
    return tmp_path / layout.EVENTS / TYPE


def test_duckdb(dataset: Path) -> None:
    assert duckdb.sql(f"select count(*), count(distinct _event_id) from '{dataset}/**/*.parquet'").fetchall() == [(40, 40)]
    by_hour = duckdb.sql(f"select hour, count(*) from read_parquet('{dataset}/**/*.parquet', hive_partitioning=true) group by 1 order by 1")
    assert [count for _, count in by_hour.fetchall()] == [30, 10]
    empty = dataset.parent / TYPE / Path(layout.hour_folder(TYPE, HOUR + 1)).relative_to(f"{layout.EVENTS}/{TYPE}")
    assert duckdb.sql(f"select count(*) from '{empty}/*.parquet'").fetchall() == [(0,)]


def test_pyarrow(dataset: Path) -> None:
    assert ds.dataset(dataset).count_rows() == 40
    assert ds.dataset(dataset, partitioning="hive").to_table().num_rows == 40
    assert pq.read_table(dataset).num_rows == 40


def test_pandas(dataset: Path) -> None:
    frame = pd.read_parquet(dataset)
    assert len(frame) == frame["_event_id"].nunique() == 40
    assert str(frame["_event_time"].dtype) == "datetime64[us, UTC]"
