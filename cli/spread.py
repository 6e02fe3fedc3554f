"""What `hourmark bench propagation` and `hourmark bench catalogue` print: how changes spread, and what a large catalogue costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from . import measuring
from .output import console, print_json, table

STAGES: Final = ("propagation", "catalogue")


def show(stage: str, place: Path, as_json: bool) -> None:
    """Measure, keep and print. Raises Unreachable outside a checkout, or when the stack does not start."""
    said = console(stderr=True)
    result = measuring.benchmark(stage)(tell=lambda line: said.print(f"[dim]{line}[/]"))
    place.mkdir(parents=True, exist_ok=True)
    document = place / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-{stage}.json"
    document.write_text(json.dumps(result, indent=1) + "\n")
    if as_json:
        print_json(result)
        return
    shape = ", ".join(f"{name} {number:,}" for name, number in result["shape"].items())
    if stage == "propagation":
        columns = ("", "stage", "p50 ms", "p99 ms", "max ms")
        console().print(table(columns, _spread(result), title=f"{shape}; {result['late']} late", right=columns[2:]))
    else:
        console().print(table(("", "", ""), _facts(result), title=shape))
    console().print(f"  {document}")


def _spread(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for kind in ("new", "changed"):
        for stage, times in result[kind].items():
            if times is not None:
                yield kind, stage, *(f"{times[name]:,.0f}" for name in ("p50_ms", "p99_ms", "max_ms"))


def _facts(result: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for part, facts in result.items():
        if isinstance(facts, dict) and part != "shape":
            for name, value in _flat(facts):
                yield part.replace("_", " "), name.replace("_", " "), f"{value:,.2f}"


def _flat(facts: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from ((f"{name}: {inner}", number) for inner, number in _flat(value))
        else:
            yield name, float(value)
