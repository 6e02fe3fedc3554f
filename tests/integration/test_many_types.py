"""The benchmark of a large catalogue, small: many event types on two dedup shards, declared side by side, each sealed hour after hour."""

from __future__ import annotations

import pytest

from benchmarks.types import main

pytestmark = pytest.mark.real


def test_many_types_are_sealed_hour_after_hour_idle_or_busy_and_one_more_flows() -> None:
    """`main` returns when every type's hour was announced, three hours running, and each further type's first event was forwarded."""
    types = 30
    found = main(
        types, partitions=2, busy=0.2, rate=200, dedup_workers=2, dedup_shards=2, sink_workers=2, hour_seconds=6, rest_s=1.0
    )
    assert found["rows"] > 0
    assert {delay["p50_s"] > 0 for delay in found["seal"].values()} == {True}
    services = {"registry", "receiver-1", "dedup-1", "dedup-2", "sinks-1", "sinks-2"}
    assert services < found["idle_cpu"].keys() == found["busy_cpu"].keys() == found["rss_mb"].keys()
    assert found["one_more"]["flows_s"] >= found["one_more"]["stored_s"] >= found["one_more"]["declared_s"] > 0
