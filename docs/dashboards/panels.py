"""What a dashboard is made of, and the queries that occur again and again. Knows no Grafana."""

from __future__ import annotations

from typing import NamedTuple

Query = tuple[str, str]  # expression and legend


class Panel(NamedTuple):
    """`quiet`: shows nothing while all is well, so its queries may find no series; it then says `none`.

    `steps`: from this value on, this colour; below the first all is green. `words`: value → text, in place of a number.
    `right`: legend and unit of what has an axis of its own. `columns` of a table: label (or Value) → heading, in this order;
    `pages`: what to say in its last column in place of a value.
    """

    title: str
    kind: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    height: int = 7
    says: str = ""
    quiet: bool = False
    states: bool = False
    steps: tuple[tuple[float, str], ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    right: tuple[str, str] | None = None
    columns: tuple[tuple[str, str], ...] = ()
    pages: tuple[tuple[str, str], ...] = ()
    none: str = ""
    bars: bool = False
    trend: bool = False
    decimals: int | None = None


class Dashboard(NamedTuple):
    uid: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    by_type: bool = False
    since: str = "now-3h"
    refresh: str = "10s"
    columns_of: tuple[str, ...] = ()  # widths to choose a calendar's column from, the first by default


def rate(metric: str, *by: str, where: str = "") -> str:
    """Events a second, over all processes."""
    return f"sum by ({', '.join(by)}) (rate({metric}{where}[$__rate_interval]))" if by else f"sum(rate({metric}{where}[$__rate_interval]))"


def quantile(share: float, metric: str, *by: str, where: str = "") -> str:
    return f"histogram_quantile({share}, sum by ({', '.join(('le', *by))}) (rate({metric}_bucket{where}[$__rate_interval])))"


def or_zero(expression: str) -> str:
    return f"{expression} or vector(0)"


ONE = '{event_type="$event_type"}'
