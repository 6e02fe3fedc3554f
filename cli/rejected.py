"""`hourmark rejected`: events of a type that were refused: why, from whom, and sent again after a fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from .held.refused import Found, Wanted
    from .held.resend import Outcome


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(rejected)


def rejected(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    code: Annotated[str, typer.Option("--code", help="Only those with this code, like schema_mismatch.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="SPAN", help="Only those of so long ago, like 2h.")] = "",
    replay: Annotated[bool, typer.Option("--replay", help="Send them once more, with the same ids.")] = False,
    rate: Annotated[float, typer.Option("--rate", min=1.0, help="Events a second of --replay.")] = 2000.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show refused events by code, SDK and version, with one masked example each; or send them again after a fix.

    Exit code 1 when an event that was sent again is rejected again.
    """
    import time

    from .addresses import find
    from .held.refused import Wanted, grouped
    from .watch.filters import span_seconds
    from .watch.log import Log

    wanted = Wanted(event_type, code, int((time.time() - span_seconds(since, "--since")) * 1000) if since else 0)
    if replay:
        from .held.resend import FrontDoor, Resend

        at = find("kafka", "receiver")
        _say(Resend(at, wanted, FrontDoor(at, rate)).run(), wanted, as_json)
        return
    _show(grouped(Log(find("kafka")), wanted), wanted, as_json)


def _show(found: Found, wanted: Wanted, as_json: bool) -> None:
    from rich.markup import escape

    from .held.refused import rows
    from .output import console, print_json, table

    groups = list(rows(found))
    if as_json:
        print_json({"type": wanted.event_type, "looked_at": found.looked_at, "of": found.of, "groups": groups})
        return
    out = console()
    if not groups:
        out.print(f"nothing of {escape(wanted.event_type)} was rejected, as far as Kafka remembers")
    else:
        columns = ("#", "code", "by", "sdk", "version", "events", "first", "last", "where")
        cells = [
            (n, g["code"], g["room"], g["sdk"], g["version"], g["events"], _moment(g["first"]), _moment(g["last"]), _paths(g["paths"]))
            for n, g in enumerate(groups, 1)
        ]
        out.print(table(columns, cells, right=["#", "events"]))
        for number, group in enumerate(groups, 1):
            _example(number, group)
        if any(group["replayable"] for group in groups):
            out.print(f"after a fix: `hourmark rejected {escape(wanted.event_type)} --replay` sends them once more", soft_wrap=True)
    if found.looked_at < found.of:
        out.print(f"a sample: the newest {found.looked_at:,} of {found.of:,} records were looked at")


def _example(number: int, group: dict[str, Any]) -> None:
    from rich.markup import escape

    from .output import console, json_line

    out, example = console(), group["example"]
    reason = " ".join(part for part in (group["code"], example["path"], example["detail"]) if part)
    place = f"rejected[{example['partition']}]@{example['offset']}"
    came = f", was {example['came_from']}" if "came_from" in example else ""
    out.print(f"[bold]{number}.[/] {escape(reason)} [dim]({escape(place + came)})[/]", soft_wrap=True)
    if "event" in example:
        out.print(f"   {escape(json_line(example['event']))}", soft_wrap=True)
    else:
        out.print(f"   {example['bytes']:,} bytes that are no JSON" if example["bytes"] else "   no bytes", soft_wrap=True)


def _say(outcome: Outcome, wanted: Wanted, as_json: bool) -> None:
    from .failures import ANSWER_IS_NO
    from .output import console, print_json, table

    if as_json:
        verdicts = [{"verdict": verdict, "code": code, "events": count} for (verdict, code), count in outcome.verdicts.most_common()]
        print_json({"type": wanted.event_type, "verdicts": verdicts, "not_sent": dict(outcome.left), "sent_before": outcome.before})
    else:
        out = console()
        rows: list[tuple[Any, ...]] = [(verdict, code or None, count) for (verdict, code), count in outcome.verdicts.most_common()]
        rows += [("not sent", why, count) for why, count in outcome.left.most_common()]
        out.print(table(("verdict", "", "events"), rows, right=["events"]) if rows else "nothing to send")
        if outcome.before:
            out.print(f"{outcome.before:,} were sent by an earlier run, and are not sent again")
        if wanted.since_ms:
            out.print("with --since nothing is remembered: a second run sends the same again, and dedup drops it", soft_wrap=True)
    if any(verdict == "rejected" for verdict, _ in outcome.verdicts):
        raise typer.Exit(ANSWER_IS_NO)


def _moment(when: Any) -> str:
    return f"{when:%m-%d %H:%M:%S}"


def _paths(paths: dict[str, int]) -> str:
    named = [path or "(the event)" for path in list(paths)[:3]]
    return ", ".join(named) + (", …" if len(paths) > 3 else "")
