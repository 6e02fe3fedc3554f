"""`hourmark plan`: what applying a folder would change at the registry, type by type, and who reads and sends that. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from hourmark.topics import TIERS

from .check import SIDE_BY_SIDE, State, asked
from .delta import Step, changes
from .folder import Finding, Folder, Source, across, once
from .readers import Reader, Readers
from .senders import Sender
from .trees import Disk
from .verdict import complete

if TYPE_CHECKING:
    from ..catalogue import Catalogue

REMOVED = "removed from source"


class Item(NamedTuple):
    """One event type. `revision`: the one that was looked at, 0 for none. `partitions`: now and then. `document`: what will be declared."""

    event: str
    file: str
    state: State
    revision: int
    document: dict[str, Any]
    steps: list[Step]
    partitions: tuple[int, int]
    findings: list[Finding]


class Plan(NamedTuple):
    """`items`: all of the folder; `prunes`: what will be blocked, because it is gone from it; `elsewhere`: the registry's others."""

    url: str
    items: list[Item]
    prunes: list[Item]
    elsewhere: list[dict[str, Any]]
    findings: list[Finding]
    readers: Readers
    nodes: dict[str, int]
    senders: dict[str, list[Sender]]

    @property
    def refused(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def to_do(self) -> list[Item]:
        return [item for item in self.items if item.state in ("created", "changed")] + self.prunes

    def readers_of(self, event: str) -> list[Reader]:
        return self.readers.of.get(event, [])


def plan(disk: Disk, catalogue: Catalogue, *, prune_owner: str = "") -> Plan:
    """Look at folder and registry. Raises Unreachable, WrongInput. `prune_owner`: block what this owner took from the folder."""
    folder = Folder(disk)
    good = folder.sound()
    listed = {str(entry["event"]): entry for entry in catalogue.all()}
    findings = folder.findings + across(folder, listed.keys())
    here = {source.event for source in folder.sources}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        items = list(pool.map(lambda source: _item(catalogue, folder, source, listed.get(source.event), here), good))
    findings += [finding for item in items for finding in item.findings]
    bad = {finding.event for finding in findings if finding.severity == "error"}
    items = [item._replace(state="refused") if item.event in bad else item for item in items]
    gone = [entry for name, entry in listed.items() if name not in here]
    prunes = [_prune(catalogue.get(str(entry["event"]))) for entry in gone if _prunable(entry, prune_owner)]
    pruned = {item.event for item in prunes}
    elsewhere = [entry for entry in gone if entry["event"] not in pruned]
    return Plan(catalogue.url, items, prunes, elsewhere, once(findings), Readers({}), _live(catalogue), {})


def _item(catalogue: Catalogue, folder: Folder, source: Source, listed: Mapping[str, Any] | None, here: set[str]) -> Item:
    after = complete(source.document)
    wanted = after.get("partitions") or TIERS[after["tier"]].partitions
    state, problems = asked(catalogue, source, here)
    item = Item(source.event, source.path, state, 0, source.document, [], (0, wanted), [])
    if listed is not None and state == "identical":
        item = item._replace(revision=int(listed["revision"]), partitions=(int(listed["partitions"]),) * 2)
    elif listed is not None:
        current = catalogue.get(source.event)
        stands = int(current["partitions"])
        steps, size = changes(current["declaration"], after), (stands, max(stands, wanted))
        item = item._replace(revision=int(current["revision"]), steps=steps, partitions=size)
    return item._replace(findings=[folder.finding(source, problem) for problem in problems])


def _prunable(entry: Mapping[str, Any], owner: str) -> bool:
    return bool(owner) and entry.get("owner") == owner and entry.get("lifecycle") != "blocked"


def _prune(current: Mapping[str, Any]) -> Item:
    """Event types are never deleted, so what is gone from the source is blocked: nobody can send it, what there is stays readable."""
    before = current["declaration"]
    after = {**before, "lifecycle": {"state": "blocked", "reason": REMOVED}}
    size = (int(current["partitions"]), int(current["partitions"]))
    return Item(str(current["event"]), "", "changed", int(current["revision"]), after, changes(before, after), size, [])


def _live(catalogue: Catalogue) -> dict[str, int]:
    """Room → nodes that will take changes up."""
    found: dict[str, int] = {}
    for node in catalogue.ask("GET", "/v1/nodes")["nodes"]:
        if node["live"]:
            found[node["room"]] = found.get(node["room"], 0) + 1
    return found


def as_json(found: Plan) -> dict[str, Any]:
    """The plan for machines."""
    return {
        "ok": not found.refused,
        "registry": found.url,
        "events": [_item_json(found, item, "prune" if item in found.prunes else item.state) for item in found.items + found.prunes],
        "elsewhere": found.elsewhere,
        "problems": [finding.as_json() for finding in found.findings],
        "nodes": found.nodes,
        "unknown": found.readers.unknown,
    }


def _item_json(found: Plan, item: Item, state: str) -> dict[str, Any]:
    return {
        "event": item.event,
        "file": item.file,
        "state": state,
        "revision": item.revision,
        "changes": [step._asdict() for step in item.steps],
        "partitions": {"now": item.partitions[0], "then": item.partitions[1]},
        "readers": [reader._asdict() for reader in found.readers_of(item.event)],
        "senders": [sender._asdict() for sender in found.senders.get(item.event, ())],
    }
