"""May a new schema follow older ones? One library for the registry's API, its Confluent-compatible face and the offline command line.

Pure. Payload schemas of events: FULL_TRANSITIVE and the lake's own rules (`check`). Any other Avro schema: Confluent's levels
(`check_avro`). Promise: what is let through can be decoded, in every direction that the level names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from . import lakerules
from .lakerules import NOTHING, Change
from .refusal import Problem, Refused, pointer
from .resolution import BRANCH, DEFAULT, NAME, SIZE, SYMBOLS, TYPE, Finding, Place, resolve
from .strict import Parsed, parse_payload

Versions = Sequence[tuple[int | str, Parsed]]
LEVELS: Final = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")
_LONGEST: Final = 500
_MANY: Final = 50


class Incompatibility(NamedTuple):
    """One finding against one older version. `direction`: `backward` (new reader, old data) or `forward` (old reader, new data)."""

    finding: Finding
    direction: str
    version: int | str

    @property
    def kind(self) -> str:
        """Confluent's word, such as READER_FIELD_MISSING_DEFAULT_VALUE."""
        return self.finding.kind

    def problem(self, root: str = "") -> Problem:
        """For an answer of ours: the path leads into the new schema."""
        found = self.finding
        new, old = (found.reader, found.writer) if self.direction == "backward" else (found.writer, found.reader)
        told, fix = _told(found, self.direction)
        return Problem(
            root + pointer(*new.steps), found.rule, told, fix, self.direction, str(self.version), _piece(old.node), _piece(new.node)
        )

    def confluent(self) -> str:
        """For a Confluent client: the path leads into the reader's schema, whichever it is."""
        path = pointer(*self.finding.reader.way) or "/"
        about = _CONFLUENT[self.kind].format(path=path, info=self.finding.info)
        return f"{{errorType:'{self.kind}', description:'{about}', additionalInfo:'{self.finding.info}'}}"


def find(new: Parsed, old_versions: Versions, level: str) -> list[Incompatibility]:
    """What keeps `new` from following the older versions (oldest first) at this level; newest version first. Raises ValueError."""
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no level of compatibility")
    if level == "NONE":
        return []
    against = list(reversed(old_versions)) if level.endswith("_TRANSITIVE") else list(old_versions[-1:])
    found: list[Incompatibility] = []
    for version, old in against:
        if level.startswith(("BACKWARD", "FULL")):
            found += [Incompatibility(one, "backward", version) for one in resolve(new, old)]
        if level.startswith(("FORWARD", "FULL")):
            found += [Incompatibility(one, "forward", version) for one in resolve(old, new)]
    return found


def check_avro(new: Parsed, old_versions: Versions, level: str) -> list[Problem]:
    """Problems of letting `new` follow the older versions (number, schema; oldest first), each told once, of the newest it is true of."""
    return _once(one.problem() for one in find(new, old_versions, level))


def check(versions: Sequence[tuple[int | str, Mapping[str, Any]]], new: Mapping[str, Any]) -> list[Problem]:
    """Problems of letting payload schema `new` follow the older ones (version, payload): FULL_TRANSITIVE and the lake's."""
    try:
        parsed = parse_payload(new)
    except Refused as exc:
        return [msgspec.structs.replace(problem, path="/schema" + problem.path) for problem in exc.problems]
    return _once(problem for version, old in reversed(versions) if old != new for problem in _against(version, old, parsed))


def _against(version: int | str, old: Mapping[str, Any], new: Parsed) -> Iterator[Problem]:
    try:
        before = parse_payload(old)
    except Refused as exc:
        fix = "use another name for the event type; what follows this version cannot be judged"
        yield Problem(
            "/schema", "unreadable_version", f"version {version} cannot be read: {exc.message}", fix, "both", str(version), "?", "?"
        )
        return
    told: list[str] = []
    for change in lakerules.changes(before, new):
        told.append(change.path)
        yield _of_change(change, version)
    for one in find(new, [(version, before)], "FULL"):
        problem = one.problem("/schema")
        if not any(problem.path.startswith(path) or path.startswith(problem.path) for path in told):
            yield problem


def _once(problems: Iterator[Problem]) -> list[Problem]:
    """The same finding against several versions, or in both directions, is one."""
    found: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        known = found.get((problem.path, problem.rule))
        if known is None:
            if len(found) == _MANY:
                break
            found[problem.path, problem.rule] = problem
        elif known.against == problem.against and known.direction != problem.direction:
            found[problem.path, problem.rule] = msgspec.structs.replace(known, direction="both")
    return list(found.values())


def _of_change(change: Change, version: int | str) -> Problem:
    return Problem(
        change.path, change.rule, change.message, change.fix, change.direction, str(version), _piece(change.old), _piece(change.new)
    )


def _piece(node: Any) -> Any:
    """What stands there, short enough for an answer."""
    if node is None:
        return NOTHING
    text = json.dumps(node)
    if len(text) <= _LONGEST:
        return node
    if isinstance(node, dict):
        return {key: node[key] for key in ("type", "name") if isinstance(node.get(key), str)} | {"…": f"{len(text)} characters"}
    return text[:_LONGEST] + "…"


def _told(found: Finding, direction: str) -> tuple[str, str]:
    """(message, fix) of a finding. Backward: the new schema reads; forward: the older one does."""
    new_reads = direction == "backward"
    readers, written = ("the new schema", "the older version") if new_reads else ("the older version", "the new schema")
    place = pointer(*found.reader.way) or "the top"
    match found.kind:
        case _ if found.rule == "ambiguous_alias":
            return f"aliases are ambiguous for {readers}: {found.info}", "remove the alias, or rename one of the fields"
        case _ if found.rule == "too_complex":
            return found.info, "make the schema smaller: fewer types in its unions, fewer names"
        case kind if kind == DEFAULT:
            fix = f"give {found.info} a default" if new_reads else f"keep the field {found.info}, as it has no default in the older version"
            return f"{readers} has a field {found.info} without a default, which data of {written} does not have", fix
        case kind if kind == SYMBOLS:
            fix = "keep the symbols" if new_reads else "leave the symbols as they are: the enum has no default in the older version"
            return f"{readers} lacks the symbols {found.info} that {written} may write", fix
        case kind if kind == NAME:
            return f"the name of the type differs: {readers} has {_name(found.reader)}, {written} {_name(found.writer)}", "keep the name"
        case kind if kind == SIZE:
            return f"the size of the fixed type changed ({found.info})", "keep the size"
        case kind if kind == BRANCH:
            return f"{readers} cannot read a type of {written}'s at {place} ({found.info})", "keep the types of the union"
    return f"{readers} cannot read what {written} writes at {place} ({found.info})", "keep the type, and add a field of another name"


def _name(place: Place) -> str:
    return str(place.node.get("name") if isinstance(place.node, dict) else place.node)


_CONFLUENT: Final[Mapping[str, str]] = {
    DEFAULT: "The field '{info}' at path '{path}' of the reader schema has no default value and is missing in the writer schema",
    TYPE: "The type at path '{path}' of the reader schema does not match the writer schema",
    NAME: "The name at path '{path}' of the reader schema has changed",
    SYMBOLS: "The symbols {info} at path '{path}' of the writer schema are missing in the reader schema",
    SIZE: "The size of the fixed type at path '{path}' of the reader schema has changed",
    BRANCH: "A type of the union at path '{path}' in the writer schema is missing in the reader schema",
}
