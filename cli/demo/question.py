"""One question to the lake, as an analyst would ask it: when, and in which weather, do flights leave New York late?"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cli import sealed

from .dataset import DEPARTED, WEATHER

BY_HOUR = """
SELECT hour(scheduled_at AT TIME ZONE 'America/New_York') AS hour_of_day, count(*) AS flights,
       avg(delay_minutes) AS delay, avg((delay_minutes > 15)::int) AS late
FROM flight_departed GROUP BY 1 HAVING count(*) >= {least} ORDER BY 1
"""

# scheduled_at: the weather at the planned hour; by the actual one, a late flight would be counted with the weather it waited for
BY_VISIBILITY = """
WITH joined AS (
    SELECT f.origin::varchar AS origin, f.delay_minutes, w.visibility_miles AS miles
    FROM flight_departed f JOIN weather_observed w
      ON w.origin = f.origin AND w._event_time = date_trunc('hour', f.scheduled_at)
)
SELECT CASE WHEN miles < 1 THEN 'under 1' WHEN miles < 3 THEN '1 to 3' WHEN miles < 10 THEN '3 to 10' ELSE '10 and more' END AS visibility,
       origin, count(*) AS flights, avg(delay_minutes) AS delay
FROM joined GROUP BY ALL ORDER BY min(miles), origin
"""


class ByHour(NamedTuple):
    """`late`: share of flights more than 15 minutes behind."""

    hour: int
    flights: int
    delay: float
    late: float


class ByVisibility(NamedTuple):
    visibility: str
    origin: str
    flights: int
    delay: float


class Answer(NamedTuple):
    by_hour: list[ByHour]
    by_visibility: list[ByVisibility]


def ask(lake: Path) -> Answer:
    """Both tables, from the sealed hours alone."""
    with sealed.connect(lake, [DEPARTED, WEATHER]) as connection:
        total = connection.execute("SELECT count(*) FROM flight_departed").fetchone()
        least = (total[0] if total else 0) // 2000  # hours of the night with a handful of flights would only be noise
        hours = connection.execute(BY_HOUR.format(least=least)).fetchall()
        visibility = connection.execute(BY_VISIBILITY).fetchall()
    return Answer([ByHour(*row) for row in hours], [ByVisibility(*row) for row in visibility])
