"""`hourmark parked`: events whose type nobody has declared yet: what waits, from whom, until when, and what to do about it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from .addresses import Addresses
    from .held.waiting import Held, Survey

SHOWN: Final = 50
DRAFT, LIVE = "draft", ("active", "deprecated", "blocked")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(parked)


def parked(
    event_type: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Show this one in full.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also types whose events have all been replayed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show which undeclared events wait, since when, from which SDKs, and when they expire.

    They are replayed by themselves as soon as their event type is declared and active.
    """
    from .addresses import find
    from .held.waiting import survey
    from .output import print_json

    at = find("kafka")
    found = survey(at, event_type)
    lifecycles = _lifecycles(at)
    rows = [
        _row(held, found, state(held, lifecycles, sampled=found.sampled))
        for held in found.held.values()
        if held.events or everything or event_type is not None
    ]
    rows.sort(key=lambda row: -row["waiting"])
    if as_json:
        facts = {name: getattr(found, name) for name in ("looked_at", "of", "sampled", "unnamed", "foreign")}
        print_json({**facts, "types": rows})
    elif event_type is not None and rows:
        _one(rows[0], found)
    else:
        _list(rows, found)


def _lifecycles(at: Addresses) -> dict[str, str] | None:
    """Declared types; None when the registry does not say."""
    from .catalogue import Catalogue
    from .failures import Unreachable

    try:
        return {str(one["event"]): _word(one.get("lifecycle")) for one in Catalogue(at.registry).all()} if at.registry else None
    except Unreachable:
        return None


def _word(lifecycle: Any) -> str:
    return str(lifecycle.get("state") if isinstance(lifecycle, dict) else lifecycle)


def _row(held: Held, found: Survey, state: str) -> dict[str, Any]:
    from .held.waiting import payload_of
    from .masking import shape

    senders = [{**sender._asdict(), "events": count} for sender, count in held.senders.most_common()]
    return {
        "type": held.event_type,
        "state": state,
        "waiting": held.events,
        "since": held.since,
        "newest": held.newest,
        "expires": held.since + found.retention if held.since is not None and found.retention is not None else None,
        "replayed": held.replayed,
        "rejected": held.rejected,
        "senders": senders,
        "example": shape(payload_of(held.example)) if held.example is not None else None,
    }


def state(held: Held, lifecycles: dict[str, str] | None, *, sampled: bool = False) -> str:
    """What the events of a type wait for. `lifecycles`: of all declared types, None when nobody says."""
    settled = held.replayed + held.rejected
    if not held.events:
        return "done, as far as the sample shows" if sampled else "done"
    if lifecycles is None:
        return "the registry does not say whether it is declared"
    lifecycle = lifecycles.get(held.event_type)
    if lifecycle == DRAFT:
        return "waits: it is a draft"
    if lifecycle not in LIVE:
        return "waits for a declaration"
    return f"replaying: {settled:,} of {settled + held.events:,}"


def _list(rows: list[dict[str, Any]], found: Survey) -> None:
    from .output import console, table

    out = console()
    if not rows:
        out.print("nothing waits: every event that came was of a declared type")
        _say_sampled(found)
        return
    cells = [
        (r["type"], r["waiting"], _moment(r["since"]), _moment(r["newest"]), _senders(r["senders"]), _moment(r["expires"]), r["state"])
        for r in rows[:SHOWN]
    ]
    out.print(table(("event type", "waiting", "since", "newest", "from", "expires", ""), cells, right=["waiting"]))
    if len(rows) > SHOWN:
        out.print(f"and {len(rows) - SHOWN:,} more types: --json has them all")
    _say_sampled(found)
    if any(row["state"].startswith("waits for") for row in rows):
        out.print(
            "`hourmark parked TYPE` shows what its events look like, `hourmark events new TYPE` begins a declaration,", soft_wrap=True
        )
        out.print("`hourmark declare FILE` declares it: then its events are replayed by themselves, with their ids", soft_wrap=True)


def _one(row: dict[str, Any], found: Survey) -> None:
    from rich.markup import escape

    from .output import console, print_json, table

    out = console()
    facts = [(name, row[name]) for name in ("state", "waiting", "replayed", "rejected")]
    facts += [(name, _moment(row[name])) for name in ("since", "newest", "expires")]
    out.print(table(("", row["type"]), facts))
    if row["senders"]:
        columns = ("sdk", "version", "app", "events")
        out.print(table(columns, [[sender[name] for name in columns] for sender in row["senders"][:SHOWN]], right=["events"]))
    if row["example"] is not None:
        out.print("one of them, with kinds and lengths in place of its values:")
        print_json(row["example"])
    _say_sampled(found)
    name = escape(row["type"])
    if row["state"].startswith("waits for"):
        out.print(
            f"to do: `hourmark events new {name}`, complete the file, `hourmark declare FILE`: then they are replayed", soft_wrap=True
        )
    elif row["state"].startswith("waits: it is"):
        out.print("to do: set `lifecycle: active` in its declaration and declare it again: then they are replayed", soft_wrap=True)
    if row["rejected"]:
        out.print(f"`hourmark rejected {name}` says why {row['rejected']:,} did not fit", soft_wrap=True)


def _senders(senders: list[dict[str, Any]]) -> str:
    more = f" and {len(senders) - 1} more" if len(senders) > 1 else ""
    return " ".join(part for part in (senders[0]["sdk"], senders[0]["version"]) if part) + more if senders else ""


def _moment(when: datetime | None) -> str | None:
    return f"{when:%Y-%m-%d %H:%M}" if when is not None else None


def _say_sampled(found: Survey) -> None:
    from .output import console

    if found.unnamed:
        console().print(f"{found.unnamed:,} events more, of further types: too many names to list")
    if found.foreign:
        console().print(f"{found.foreign:,} records that no receiver has written: they are never replayed")
    if found.sampled:
        console().print(f"a sample: {found.looked_at:,} of {found.of:,} records were looked at, so there are more than counted here")
