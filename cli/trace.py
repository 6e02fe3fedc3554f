"""`hourmark trace`: one event by its id, from the receiver to its hour in the lake, or why it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from .watch.telling import Answer, Question

_COLOURS: Final = {"sealed": "green", "open": "green", "deduplicated": "green", "deduplicating": "yellow", "parked": "yellow"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(trace)


def trace(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="Event id, as `hourmark send` and verdicts show it.")],
    event_type: Annotated[str, typer.Option("--type", metavar="TYPE", help="Only this event type: quicker.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="SPAN", help="Look no further back than so long ago, like 2h.")] = "",
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that the search may take, in Kafka and in the lake each.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Follow one event by its id: received, deduplicated, in which hour; or rejected, parked, unknown.

    Ends with 0 when the event was found, with 1 when it was not, or its row is missing where it must be.
    """
    import time

    from .addresses import find
    from .failures import ANSWER_IS_NO, WrongInput
    from .output import print_json
    from .watch.filters import span_seconds
    from .watch.telling import Question, Trace

    since_ms = int((time.time() - span_seconds(since, "--since")) * 1000) if since else None
    question = Question(_uuid(event_id), event_type, since_ms, timeout)
    at = find()
    if not at.kafka and not at.lake:
        find("kafka")  # says what is missing
    progress = _Progress()
    try:
        answer = Trace(at, question, progress.say).answer()
    finally:
        progress.end()
    if event_type and not answer.stories and not answer.searched:
        raise WrongInput(f"nothing is known of {event_type}")
    if as_json:
        print_json({"id": str(question.event_id), "found": bool(answer.stories), **_document(answer)})
    else:
        _tell(question, answer)
    if not answer.stories or any(story["verdict"] == "missing" for story in answer.stories):
        raise typer.Exit(ANSWER_IS_NO)


def _uuid(text: str) -> Any:
    from uuid import UUID

    from .failures import WrongInput

    try:
        return UUID(text)
    except ValueError:
        raise WrongInput(f"{text!r} is no event id", remedy="an id is a UUID, as `hourmark send` prints it") from None


class _Progress:
    """One line on a terminal that is written over, and gone in the end."""

    def __init__(self) -> None:
        import sys

        self._out = sys.stderr if sys.stderr.isatty() else None

    def say(self, text: str) -> None:
        if self._out is not None:
            print(f"\r\x1b[2K{text}", end="", file=self._out, flush=True)

    def end(self) -> None:
        if self._out is not None:
            print("\r\x1b[2K", end="", file=self._out, flush=True)


def _document(answer: Answer) -> dict[str, Any]:
    return {"stories": answer.stories, "searched": [one._asdict() for one in answer.searched], "unknown": answer.unknown}


def _tell(question: Question, answer: Answer) -> None:
    from .output import console

    out = console()
    for story in answer.stories:
        colour = _COLOURS.get(story["verdict"], "red")
        out.print(f"[bold]{question.event_id}[/] of {story['type']}: [{colour}]{story['verdict']}[/]", soft_wrap=True)
        for label, text in _lines(story):
            out.print(f"  [bold]{label:13}[/] ", end="")
            out.print(text, markup=False, soft_wrap=True)
    if not answer.stories:
        out.print(f"[bold]{question.event_id}[/]: [red]unknown[/]", soft_wrap=True)
    if not answer.stories or not all(one.complete for one in answer.searched):
        for one in answer.searched:
            since = f" since {one.since:%Y-%m-%d %H:%M:%S}" if one.since else ""
            size = f": {one.records:,} records of {one.partitions} partitions" if one.partitions else ""
            unfinished = "" if one.complete else "; not to the end, the time was up (--timeout)"
            out.print(f"  searched      {one.what}{since}{size}{unfinished}", markup=False, soft_wrap=True)
    for trouble in answer.unknown:
        console(stderr=True).print(f"not asked: {trouble}", markup=False)


def _lines(story: dict[str, Any]) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    for parked in story.get("parked", ()):
        waits = {True: "it is declared by now: the replay comes to it", False: "it waits for a declaration"}
        state = "replayed since" if parked["replayed"] else waits.get(story["declared"], "nobody has said whether it is declared by now")
        said.append(("parked", f"{_time(parked['at'])} {_who(parked)}; nobody had declared {story['type']}; {state}"))
    for copy in story.get("received", ()):
        number = f", attempt {copy['attempt']}" if copy.get("attempt") else ""
        number += f", sequence {copy['sequence']}" if copy.get("sequence") is not None else ""
        sent = f"sent {_time(copy['sent'])}, received {_time(copy['received'])}, " if copy.get("received") else ""
        said.append(("received", f"{sent}stored {_time(copy['stored'])} at {copy['partition']}:{copy['offset']} {_who(copy)}{number}"))
    settled = story.get("deduplicated")
    if settled:
        if kept := settled.get("kept"):
            number = settled["duplicates"]
            others = "; 1 other copy dropped" if number == 1 else f"; {number} other copies dropped" if number else ""
            said.append(("deduplicated", f"{_time(settled['at'])}: the copy at {kept['partition']}:{kept['offset']} counts{others}"))
        else:
            said.append(("deduplicated", settled["why"]))
    if hour := story.get("hour"):
        state = f"sealed, row in {hour['file']}" if hour.get("row") else f"{hour['state']}"
        reasons = [
            *hour.get("why", ()),
            *([hour["where"]] if hour.get("where") else []),
            *([hour["because"]] if hour.get("because") else []),
        ]
        said.append(("hour", f"{hour['hour']} (UTC): {state}" + "".join(f"; {reason}" for reason in reasons)))
    for refusal in story.get("rejected", ()):
        why = " ".join(str(refusal[name]) for name in ("code", "path", "detail") if refusal.get(name))
        said.append(("rejected", f"{_time(refusal['at'])} by {refusal['room']}: {why} {_who(refusal)}"))
    return said


def _time(moment: Any) -> str:
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"


def _who(facts: dict[str, Any]) -> str:
    version = f" {facts['sdk_version']}" if facts.get("sdk_version") else ""
    return f"from {facts.get('app') or '?'} by {facts.get('sdk') or '?'}{version}"
