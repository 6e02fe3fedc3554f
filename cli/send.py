"""`hourmark send`: events from the arguments, a file or stdin through the HTTP client library, with each event's verdict."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(send)


def send(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    payload: Annotated[str | None, typer.Argument(metavar="[JSON]", help="The payload of one event.")] = None,
    file: Annotated[Path | None, typer.Option(help="Payloads, one JSON object a line.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="The same from standard input.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for all verdicts.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with a verdict a line.")] = False,
) -> None:
    """Send events and show their verdicts."""
    from .addresses import find
    from .delivery import deliver
    from .failures import ANSWER_IS_NO, WrongInput
    from .output import console, json_line

    if sum((payload is not None, file is not None, stdin)) != 1:
        raise WrongInput("give exactly one of: a payload, --file, --stdin", remedy='hourmark send player.song_played \'{"track": "x"}\'')
    verdicts = deliver(find("receiver"), event_type, _payloads(payload, file), timeout)
    if as_json:
        for verdict in verdicts:
            print(json_line(verdict))
    else:
        out = console()
        for verdict in verdicts if len(verdicts) <= 10 else [v for v in verdicts if v["verdict"] != "stored"][:20]:
            out.print(_sentence(verdict), soft_wrap=True)
        if len(verdicts) > 10:
            out.print(f"{len(verdicts):,} sent: {_counts(verdicts)}")
    if any(verdict["verdict"] not in ("stored", "parked") for verdict in verdicts):
        raise typer.Exit(ANSWER_IS_NO)


def _payloads(payload: str | None, file: Path | None) -> Iterator[dict[str, Any]]:
    from .failures import WrongInput

    if payload is not None:
        yield _parsed(payload, "the argument")
        return
    try:
        lines = file.open(encoding="utf-8") if file is not None else sys.stdin
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _parsed(line, f"{file or 'stdin'}, line {number}")
    except (OSError, UnicodeDecodeError) as exc:
        raise WrongInput(f"cannot read: {getattr(exc, 'strerror', None) or exc}", where=str(file or "stdin")) from exc


def _parsed(text: str, where: str) -> dict[str, Any]:
    import json

    from .failures import WrongInput

    try:
        found = json.loads(text)
    except ValueError as exc:
        raise WrongInput(f"not JSON: {exc}", where=where, remedy='a payload is one object, like {"track": "x"}') from exc
    if not isinstance(found, dict):
        raise WrongInput("a payload is a JSON object", where=where)
    return found


def _sentence(verdict: dict[str, Any]) -> str:
    from rich.markup import escape

    style = {"stored": "green", "parked": "yellow"}.get(verdict["verdict"], "red")
    place = f"partition {verdict['partition']}, offset {verdict['offset']}" if verdict.get("offset") is not None else ""
    why = " ".join(str(verdict[name]) for name in ("code", "path", "detail") if verdict.get(name))
    if verdict["verdict"] == "parked":
        why, place = "nobody has declared this event type; the event is kept until somebody does", ""
    return f"[{style}]{verdict['verdict']}[/] {verdict['id']} {place or escape(why)}"


def _counts(verdicts: list[dict[str, Any]]) -> str:
    from collections import Counter

    return ", ".join(f"{number:,} {verdict}" for verdict, number in Counter(v["verdict"] for v in verdicts).items())
