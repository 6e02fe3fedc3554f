"""Runs the benchmarks of a checkout on servers of their own, and turns their results into one table, one JSON file and one plot."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from .failures import Unreachable

CHECKOUT = Path(__file__).parents[1]
ALONE = ("index", "end_to_end")  # bring servers of their own


class Figure(NamedTuple):
    """One line of the table. `cpu` and `rss` by process; `ratio` to the bare loop, 1 when ours costs nothing more; None without one."""

    stage: str
    what: str
    events_per_s: float
    cpu: str
    rss: str
    ratio: float | None

    @property
    def ratio_text(self) -> str:
        return "-" if self.ratio is None else f"{self.ratio:.2f}"


def measure(stages: Sequence[str], rounds: int, events: int, place: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Stage → its result. Raises Unreachable outside a checkout, or when a server does not start."""
    _require_checkout()
    from local.kafka import KafkaServer
    from local.redis import RedisServer

    results: dict[str, Any] = {}
    servers = (KafkaServer(place / "kafka"), RedisServer(place / "valkey"))
    single = [stage for stage in stages if stage not in ALONE]
    try:
        if single:
            tell("starting Kafka and Valkey")
            for server in servers:
                server.start()
        offered: dict[str, Any] = {"kafka": servers[0].bootstrap, "redis_url": servers[1].url, "rounds": rounds} | (
            {"events": events} if events else {}
        )
        for stage in single:
            tell(f"measuring {stage}, rounds: {rounds}")
            results[stage] = _run(stage, offered)
    finally:
        for server in servers:
            server.stop()
    for stage in stages:
        if stage in ALONE:
            tell(f"measuring {stage}, rounds: {rounds}")
            results[stage] = _run(stage, offered)
    return results


def benchmark(stage: str) -> Callable[..., dict[str, Any]]:
    """A benchmark's `main`. Raises Unreachable outside a checkout."""
    _require_checkout()
    found: Callable[..., dict[str, Any]] = importlib.import_module(f"benchmarks.{stage}").main
    return found


def _require_checkout() -> None:
    if not (CHECKOUT / "benchmarks").is_dir():
        raise Unreachable(
            "the benchmarks are not installed", where=str(CHECKOUT), remedy="run `hourmark bench` from a checkout of hourmark"
        )
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))


def _run(stage: str, offered: dict[str, Any]) -> Any:
    """A benchmark's `main` with those of the offered arguments that it takes."""
    main = benchmark(stage)
    taken = inspect.signature(main).parameters
    return main(**{name: value for name, value in offered.items() if name in taken})


def figures(results: dict[str, Any]) -> Iterator[Figure]:
    """One line per measured way and one for each bare loop."""
    for stage, result in results.items():
        for what, measured in result.items():
            if isinstance(measured, dict) and (rate := measured.get("events_per_s", measured.get("rate"))) is not None:
                ratio = None if what.startswith("bare") else _ratio(result, measured, result.get(f"bare_{what}") or result.get("bare"))
                yield Figure(stage, what, rate, _by_process(measured, "_us"), _by_process(measured, "rss_mb"), ratio)


def _ratio(result: dict[str, Any], measured: dict[str, Any], beside: dict[str, Any] | None) -> float | None:
    """The benchmark's own comparison with its bare loop; else events per CPU second, as a share of those of the bare loop beside it."""
    own = measured.get("ratio_to_bare", result.get("ratio_to_bare"))
    if own is not None:
        return float(own)
    bare, rate = _per_cpu_second(beside or {}), _per_cpu_second(measured)
    return rate / bare if bare and rate else None


def _per_cpu_second(measured: dict[str, float]) -> float | None:
    return measured["events_per_cpu_s"] if "events_per_cpu_s" in measured else 1e6 / measured["cpu_us"] if measured.get("cpu_us") else None


def _by_process(measured: dict[str, float], ending: str) -> str:
    """`kafka 0.9, worker 5.2` from the entries `kafka_us_per_event`, `worker_us`; the one without a process stands alone."""
    named = {key.removesuffix("_per_event"): value for key, value in measured.items()}
    found = {key.removesuffix(ending).rstrip("_"): value for key, value in named.items() if key.endswith(ending)}
    total = found.pop("cpu", None)
    parts = [f"{name} {value:,.1f}".strip() if ending == "_us" else f"{name} {value:,.0f}".strip() for name, value in found.items()]
    return ", ".join(parts if total is None else [f"{total:.1f}", *parts])


def keep(results: dict[str, Any], place: Path) -> list[Path]:
    """Write the results and their picture; returns the files."""
    place.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}"
    document, picture = place / f"{stem}.json", place / f"{stem}.png"
    document.write_text(json.dumps(results, indent=1) + "\n")
    _draw(list(figures(results)), picture)
    return [document, picture]


def _draw(rows: list[Figure], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.5 * len(rows)), layout="constrained")
    names = [f"{row.stage}: {row.what}" for row in rows]
    colours = ["#c4c4c4" if row.what.startswith("bare") else "#2563a8" for row in rows]
    bars = axes.barh(names, [row.events_per_s for row in rows], color=colours)
    axes.bar_label(bars, [f"{row.events_per_s:,.0f}" for row in rows], padding=4)
    axes.set_xlabel("events per second, median (grey: the bare client's loop)")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
