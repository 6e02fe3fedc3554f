"""What `hourmark bench types` prints: many event types on one stack, as tables and one JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import measuring
from .output import console, print_json, table


def show(types: int, place: Path, as_json: bool) -> None:
    """Measure, keep and print. Raises Unreachable outside a checkout, or when the stack does not start."""
    said = console(stderr=True)
    result = measuring.benchmark("types")(types, tell=lambda line: said.print(f"[dim]{line}[/]"))
    place.mkdir(parents=True, exist_ok=True)
    document = place / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-types.json"
    document.write_text(json.dumps(result, indent=1) + "\n")
    if as_json:
        print_json(result)
        return
    shape, out = result["shape"], console()
    title = f"{shape['types']} event types of {shape['partitions']} partitions; {shape['busy']:.0%} get {shape['rate']:,} events/s in all"
    costs = ("process", "CPU % empty", "at rest", "busy", "RSS MB empty", "with all", "KB per type")
    out.print(table(costs, processes(result), title=title, right=costs[1:]))
    delays = ("hours that end while", "sealed, p50 s", "p99 s", "the last s")
    rows = [(what, *(f"{delay[key]:.1f}" for key in ("p50_s", "p99_s", "last_s"))) for what, delay in result["seal"].items()]
    out.print(table(delays, rows, right=delays[1:]))
    out.print(table(("", "s"), seconds(result), right=["s"]))
    out.print(f"  {document}")


def processes(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One row for each process."""
    for name, cpu in result["idle_cpu"].items():
        shares = (result["empty_cpu"][name], cpu, result["busy_cpu"][name])
        more = (result["rss_mb_before"][name], result["rss_mb"][name], result["kb_per_type"][name])
        yield name, *(f"{share:.1f}" for share in shares), *(f"{number:,.0f}" for number in more)


def seconds(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What took how long."""
    declared, one = result["declare"], result["one_more"]
    yield "start of the stack", f"{result['start_up_s']:.1f}"
    yield f"declaring {result['shape']['types']} event types", f"{declared['seconds']:.1f}"
    yield "the same, until every process works by them", f"{declared['applied_s']:.1f}"
    yield "one more type: declared", f"{one['declared_s']:.2f}"
    yield "one more type: its first event is on clean", f"{one['flows_s']:.2f}"
