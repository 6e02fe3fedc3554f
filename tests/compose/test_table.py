"""What `docker stats` says, as the table of what each container uses."""

from __future__ import annotations

import pytest

from .cost import Use, megabytes, rows


@pytest.mark.parametrize(("said", "mb"), [("49.2MiB ", 51.59), ("1.5GiB", 1610.6), ("512KiB", 0.524), ("0B", 0.0), ("3MB", 3.0)])
def test_sizes_as_docker_says_them(said: str, mb: float) -> None:
    assert megabytes(said) == pytest.approx(mb, rel=1e-3)


def test_containers_of_one_service_share_a_row() -> None:
    rest = {"p-receiver-1": Use(0.4, 49.0), "p-receiver-2": Use(0.44, 50.6), "p-kafka-1": Use(6.0, 357.2)}
    load = {"p-receiver-1": Use(8.0, 70.0), "p-receiver-2": Use(11.2, 76.4), "p-kafka-1": Use(20.0, 447.0)}
    assert list(rows(rest, load, 9876.5)) == [
        "| container | at rest | | at 9,876 events/s | |",
        "|---|---|---|---|---|",
        "| `receiver`, each of 2 | 0.4 % | 51 | 8.0 to 11.2 % | 76 |",
        "| `kafka` | 6.0 % | 357 | 20.0 % | 447 |",
        "| **all** | **7 %** | **457** | **39 %** | **593** |",
    ]
