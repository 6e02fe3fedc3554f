"""What is told of one event: from the records that were found to a document with a verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hourmark.event import Stamp
from hourmark.hours import Hours, label

from .decoding import Sighting, flags


def received(copy: Sighting) -> dict[str, Any]:
    """One copy on raw: who sent it and when it was where."""
    said = {name: copy.sender(name) for name in ("sdk", "sdk_version", "app", "attempt", "sequence", "event_time")}
    times = {name: copy.stages.get(name) for name in ("sent", "received", "stored")}
    return {**copy.facts, **{name: value for name, value in (said | times).items() if value is not None}}


def deduplicated(kept: Sighting, stamp: Stamp, copies: Sequence[Sighting]) -> dict[str, Any]:
    """The copy that counts, and how many others were found."""
    others = [copy for copy in copies if (copy.facts["partition"], copy.facts["offset"]) != (stamp.partition, stamp.offset)]
    return {
        "kept": {"partition": stamp.partition, "offset": stamp.offset},
        "clean_offset": kept.facts["clean_offset"],
        "at": kept.stages["deduplicated"],
        "hour": label(stamp.hour),
        "flags": flags(stamp),
        "duplicates": len(others),
    }


def undecided(copies: Sequence[Sighting], passed: Mapping[int, int]) -> dict[str, Any]:
    """Copies without one on clean: dedup has not come to them, or it took all of them for copies of an older one."""
    behind = [copy.facts["offset"] + 1 - passed.get(copy.facts["partition"], 0) for copy in copies]
    ahead = min(behind)
    if ahead > 0:
        return {"kept": None, "why": f"dedup has not settled it: {ahead:,} raw records up to it are left in its partition"}
    return {"kept": None, "duplicates": len(copies), "why": "all of these are copies of one that came earlier"}


def why_this_hour(event_time: Any, stamp: Stamp, hours: Hours) -> str:
    """When the hour is another than that in which it happened, or in which it was appended."""
    said = []
    appended = hours.of(stamp.append_ms)
    happened = None if event_time is None else hours.of(int(event_time.timestamp() * 1000))
    if happened is not None and happened != appended:
        said.append(f"it happened in hour {label(happened)} and was appended in {label(appended)}: the append time counts")
    if "skewed" in flags(stamp):
        said.append(f"it came behind the barrier of hour {label(appended)}, so it belongs to the next one (skewed)")
    if "unchecked" in flags(stamp):
        said.append("the id index was away: forwarded unchecked")
    if "echo" in flags(stamp):
        said.append("read again after its day was sealed in the id index (echo)")
    return "; ".join(said)


def verdict(story: Mapping[str, Any]) -> str:
    """One word: sealed, open, missing, deduplicating, duplicate, rejected, parked or unknown."""
    hour, rejected = story.get("hour"), bool(story.get("rejected"))
    if hour is not None:
        if hour["state"] == "open":
            return "open"
        if hour.get("row"):
            return "sealed"
        if hour.get("state") == "sealed":
            return "rejected" if rejected else "missing" if hour.get("row") is False else "sealed"
    if story.get("received"):
        if rejected:
            return "rejected"
        settled = story.get("deduplicated") or {}
        return "deduplicated" if settled.get("kept") else "duplicate" if settled.get("duplicates") else "deduplicating"
    return "rejected" if rejected else "parked" if story.get("parked") else "unknown"
