"""How often a worker asks for records."""

from __future__ import annotations

from types import SimpleNamespace

from streams.pace import FULL_BYTES, QUIET_MS, WAIT_MOST_MS, Pace


def test_a_quiet_worker_takes_the_first_record_at_once_and_then_waits_for_more() -> None:
    moment, fetcher = [100.0], SimpleNamespace(_max_partition_fetch_bytes=1 << 20)
    pace = Pace(lambda: moment[0])
    pace.looked(fetcher, 80, False)
    assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (1, QUIET_MS)
    pace.looked(fetcher, 80, True)
    assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (FULL_BYTES, 21)
    moment[0] += 0.5
    pace.looked(fetcher, 80, False)
    assert fetcher._fetch_min_bytes == FULL_BYTES
    moment[0] += 0.6
    pace.looked(fetcher, 80, False)
    assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (1, QUIET_MS)


def test_the_wait_grows_with_the_partitions_up_to_a_quarter_of_a_second() -> None:
    fetcher, pace = SimpleNamespace(_max_partition_fetch_bytes=65_536), Pace(lambda: 100.0)
    waits = []
    for partitions in (1, 100, 1_000, 100_000):
        pace.looked(fetcher, partitions, True)
        waits.append(fetcher._fetch_max_wait_ms)
    assert waits == [5, 25, 205, WAIT_MOST_MS]
    assert fetcher._fetch_min_bytes == 32_768
