"""One event type as `hourmark events TYPE` shows it: how it lives, who is protected, how long it is kept, who changed it and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .catalogue import Catalogue
from .output import console, print_json, table

HISTORY_MOST = 100


def show(catalogue: Catalogue, event_type: str, *, as_json: bool) -> None:
    found = catalogue.get(event_type)
    if as_json:
        print_json(found)
        return
    declaration = found["declaration"]
    facts = [(name, declaration.get(name)) for name in ("description", "owner", "tier", "key")]
    facts.insert(3, ("lifecycle", said_lifecycle(declaration.get("lifecycle"))))
    facts += [(name.replace("_", " "), found[name]) for name in ("partitions", "schema_id", "schema_version")]
    facts += [("revision", _latest(catalogue.revisions(event_type, 1), found["revision"]))]
    facts += [("sdks", ", ".join(declaration.get("sdks", ())))]
    facts += [(f"retention {name}", _kept(name, span)) for name, span in found.get("retention", {}).items()]
    privacy = declaration.get("privacy") or {}
    facts += [("data of", privacy["subject"])] if privacy.get("subject") else []
    console().print(table(("", event_type), facts))
    protected = privacy.get("fields", {})
    rows = [(f["name"], _type_name(f["type"]), _privacy(f["name"], protected), f.get("doc", "")) for f in declaration["schema"]["fields"]]
    console().print(table(("field", "type", "privacy", "meaning"), rows, title="payload"))


def history(catalogue: Catalogue, event_type: str, *, as_json: bool) -> None:
    """All revisions, newest first."""
    catalogue.get(event_type)
    found = catalogue.revisions(event_type, HISTORY_MOST)
    if as_json:
        print_json(found)
        return
    rows = [(one["revision"], _time(one["at"]), one["author"] or None, one["message"] or None) for one in found]
    console().print(table(("revision", "when (UTC)", "author", "message"), rows, right=["revision"], title=event_type))


def said_lifecycle(lifecycle: Any) -> str:
    """`deprecated until 2027-03-01, replaced by player.song_played_v2: reason`."""
    if not isinstance(lifecycle, Mapping):
        return str(lifecycle or "active")
    until = f" until {lifecycle['until']}" if lifecycle.get("until") else ""
    instead = f", replaced by {lifecycle['replaced_by']}" if lifecycle.get("replaced_by") else ""
    reason = f": {lifecycle['reason']}" if lifecycle.get("reason") else ""
    return f"{lifecycle.get('state')}{until}{instead}{reason}"


def _latest(revisions: Sequence[Mapping[str, Any]], number: int) -> str:
    if not revisions or revisions[0]["revision"] != number:
        return str(number)
    one = revisions[0]
    message = f": {one['message']}" if one["message"] else ""
    return f"{number}, {_time(one['at'])} by {one['author'] or 'somebody'}{message}"


def _kept(place: str, span: str | None) -> str:
    if place != "lake":
        return str(span)
    return "for ever" if span is None else f"{span} (declared; nothing is deleted from the lake yet)"


def _privacy(field: str, protected: Mapping[str, Mapping[str, str]]) -> str:
    """What is said about a field and about those inside it."""
    said = [(path, way) for path, way in protected.items() if path == field or path.startswith(f"{field}.")]
    return "; ".join(f"{path[len(field) + 1 :] + ': ' if path != field else ''}{_way(way)}" for path, way in said)


def _way(way: Mapping[str, str]) -> str:
    if way.get("keep"):
        return f"kept ({way['keep']})"
    return f"{way.get('as')}{' joined as ' + way['join'] if way.get('join') else ''}"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def _type_name(avro: Any) -> str:
    if isinstance(avro, list):
        return " or ".join(_type_name(branch) for branch in avro)
    if isinstance(avro, dict):
        logical = avro.get("logicalType")
        symbols = f" of {', '.join(avro['symbols'])}" if avro.get("symbols") else ""
        return str(logical or avro.get("type")) + symbols
    return str(avro)
