"""How a plan looks on a terminal: lines with rich markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from ..output import escaped
from .delta import Step, fields
from .plan import Item, Plan
from .render import said

_STYLES: Final = {"created": ("green", "+", "new"), "changed": ("yellow", "~", ""), "refused": ("bold red", "!", "refused")}
_KINDS: Final = {"added": ("green", "+"), "removed": ("red", "-"), "changed": ("yellow", "~")}
MOST_NAMES: Final = 10


def lines(found: Plan) -> Iterator[str]:
    """Type by type what is not as it was, then the problems, then sums."""
    for item in found.items:
        if item.state != "identical":
            yield from _item(found, item)
            yield ""
    for item in found.prunes:
        yield f"[bold red]-[/] [bold]{escaped(item.event)}[/] [dim]gone from the folder: blocked for senders; what it holds stays[/]"
        yield from _used_by(found, item)
        yield ""
    for finding in found.findings:
        yield from said(finding)
        yield ""
    yield from _elsewhere(found)
    if found.nodes:
        rooms = ", ".join(f"{room} {count}" for room, count in sorted(found.nodes.items()))
        yield f"[dim]nodes that will take it up: {escaped(rooms)}[/]"
    if found.readers.unknown:
        yield f"[dim]note: {escaped(found.readers.unknown)}[/]"
    yield escaped(summary(found))


def summary(found: Plan) -> str:
    """`1 to create, 2 to change, 3 as they are; the registry at …`."""
    counts = Counter(item.state for item in found.items)
    refused_files = {f.file for f in found.findings if f.severity == "error" and not f.event}
    sums = [f"{counts['created']} to create"] * bool(counts["created"]) + [f"{counts['changed']} to change"] * bool(counts["changed"])
    sums += [f"{len(found.prunes)} to block"] * bool(found.prunes)
    refused = len({f.event for f in found.findings if f.severity == "error" and f.event}) + len(refused_files)
    sums += [f"{refused} refused"] * bool(refused) + [f"{counts['identical']} as they are"] * bool(counts["identical"])
    nothing = [] if found.to_do or refused else ["nothing to do"]
    return f"{', '.join(nothing + sums)}; the registry at {found.url}"


def _item(found: Plan, item: Item) -> Iterator[str]:
    style, sign, word = _STYLES[item.state]
    revision = f"revision {item.revision}" if item.revision else "new"
    told = ", ".join(part for part in (word if word != "new" else "", revision, item.file) if part)
    yield f"[{style}]{sign}[/] [bold]{escaped(item.event)}[/] [dim]{escaped(told)}[/]"
    if not item.revision:
        document = item.document
        facts = f"owner {document['owner']}, tier {document.get('tier', 'standard')}, {item.partitions[1]} partitions"
        yield f"    [dim]{escaped(facts)}[/]"
        for path, field in fields(document["schema"]).items():
            yield f"    [green]+[/] {escaped(f'{path}: ' + field['type'])}"
    yield from steps(item.steps)
    now, then = item.partitions
    if 0 < now < then:
        moved = "; from then on keys go to other partitions" if item.document.get("key") else ""
        yield f"    [yellow]~[/] {escaped(f'topics: {now} → {then} partitions{moved}')}"
    yield from _used_by(found, item)


def steps(found: Iterable[Step]) -> Iterator[str]:
    """A line for each difference."""
    for step in found:
        style, sign = _KINDS[step.kind]
        yield f"    [{style}]{sign}[/] {escaped(str(step))}"


def _used_by(found: Plan, item: Item) -> Iterator[str]:
    names = Counter[str]()
    for reader in found.readers_of(item.event):
        names[reader.group] += reader.members
    if names:
        told = ", ".join(f"{name} ({count} member{'' if count == 1 else 's'})" for name, count in sorted(names.items()))
        yield f"    [dim]read by {escaped(told)}[/]"
    senders = found.senders.get(item.event, ())
    if senders:
        more = f" and {len(senders) - MOST_NAMES} more" if len(senders) > MOST_NAMES else ""
        yield f"    [dim]sent lately by {escaped(', '.join(map(str, senders[:MOST_NAMES])) + more)}[/]"


def _elsewhere(found: Plan) -> Iterator[str]:
    if not found.elsewhere:
        return
    owners = Counter(str(entry.get("owner")) for entry in found.elsewhere)
    told = ", ".join(f"{owner} {count}" for owner, count in sorted(owners.items())[:MOST_NAMES])
    names = [str(entry["event"]) for entry in found.elsewhere]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    many = f"{len(names)} event type{'' if len(names) == 1 else 's'}"
    yield f"[dim]not in this folder, and left as is: {many} (by owner: {escaped(told)}): {escaped(', '.join(names[:MOST_NAMES]) + more)}[/]"
