"""What both languages write about one event type: its records, enums and fields, with names that are unique in a module.

Made from the wire schema as the registry holds it, so that generated code and the platform never have two ideas of one schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from receiver.logical import logical

ENVELOPE_MARK: Final = "_"
PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
# Those that JSON has a form of its own for; every other logical type counts as its base type, as Avro demands.
LOGICAL: Final = frozenset(
    {"decimal", "uuid", "date"}
    | {f"{kind}-{unit}" for kind in ("timestamp", "local-timestamp") for unit in ("millis", "micros", "nanos")}
    | {"time-millis", "time-micros"}
)


class Plain(NamedTuple):
    """A primitive type or, in `logical`, what it stands for."""

    kind: str
    logical: str = ""


class Array(NamedTuple):
    items: Type


class Map(NamedTuple):
    values: Type


class Union(NamedTuple):
    branches: tuple[Type, ...]


class Named(NamedTuple):
    """A record or an enum of this module, by its name there."""

    name: str
    record: bool


Type = Plain | Array | Map | Union | Named


class Field(NamedTuple):
    """`default` counts only when `optional`; it is JSON in Avro's form."""

    name: str
    type: Type
    doc: str
    optional: bool
    default: Any


class Record(NamedTuple):
    name: str
    doc: str
    fields: tuple[Field, ...]


class Enum(NamedTuple):
    name: str
    doc: str
    symbols: tuple[str, ...]


class Source(NamedTuple):
    """What is known of an event type. `revision` 0: it comes from files, the registry has not numbered it.

    `deprecated`: why it should not be sent any more, or empty.
    """

    event: str
    description: str
    wire: Mapping[str, Any]
    fingerprint: str
    revision: int
    deprecated: str = ""


class Module(NamedTuple):
    """Types in the order of use: inner ones first, the event's own record (`root`) last."""

    source: Source
    records: tuple[Record, ...]
    enums: tuple[Enum, ...]

    @property
    def root(self) -> Record:
        return self.records[-1]


def module_of(source: Source, allowed: Callable[[str], str]) -> Module:
    """The types of an event. `allowed` makes a type's name one that the language takes."""
    return _Walk(allowed).module(source)


def file_stem(event: str) -> str:
    """`player.song_played` → `player_song_played`; the registry takes no two event types that would meet here."""
    return event.replace(".", "_")


def camel(name: str) -> str:
    """`song_played` → `SongPlayed`."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name) if word) or "Type"


def unitless(logical: str) -> str:
    """`local-timestamp-micros` → `local-timestamp`: languages have one type for all units."""
    return re.sub("-(millis|micros|nanos)$", "", logical)


def prose(text: str) -> str:
    """One line of plain text: what a description holds cannot end a comment or a docstring."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class _Walk:
    def __init__(self, allowed: Callable[[str], str]) -> None:
        self._allowed = allowed
        self._names: dict[str, Type] = {}
        self._taken: set[str] = set()
        self._records: list[Record] = []
        self._enums: list[Enum] = []

    def module(self, source: Source) -> Module:
        name = self._name(source.event.rpartition(".")[2])
        fields = [field for field in source.wire["fields"] if not field["name"].startswith(ENVELOPE_MARK)]
        doc = source.description or str(source.wire.get("doc", ""))
        self._records.append(Record(name, prose(doc), self._fields(fields)))
        return Module(source, tuple(self._records), tuple(self._enums))

    def _name(self, name: str) -> str:
        base = self._allowed(camel(name))
        found, number = base, 1
        while found in self._taken:
            number += 1
            found = f"{base}{number}"
        self._taken.add(found)
        return found

    def _fields(self, fields: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
        return tuple(
            Field(f["name"], self._type(f["type"]), prose(str(f.get("doc", ""))), "default" in f, f.get("default")) for f in fields
        )

    def _type(self, node: Any) -> Type:
        if isinstance(node, str):
            return Plain(node) if node in PRIMITIVES else self._names[node]
        if isinstance(node, list):
            return Union(tuple(self._type(branch) for branch in node))
        kind = node["type"]
        if kind in ("record", "enum", "fixed"):
            return self._named(node, kind)
        if kind == "array":
            return Array(self._type(node["items"]))
        if kind == "map":
            return Map(self._type(node["values"]))
        return Plain(kind, _logical(node)) if isinstance(kind, str) else self._type(kind)

    def _named(self, node: Mapping[str, Any], kind: str) -> Type:
        full = f"{node['namespace']}.{node['name']}" if node.get("namespace") else str(node["name"])
        if kind == "fixed":
            self._names[full] = Plain("bytes", _logical(node))
            return self._names[full]
        named = Named(self._name(str(node["name"])), kind == "record")
        self._names[full] = named
        doc = prose(str(node.get("doc", "")))
        if kind == "record":
            self._records.append(Record(named.name, doc, self._fields(node["fields"])))
        else:
            self._enums.append(Enum(named.name, doc, tuple(node["symbols"])))
        return named


def _logical(node: Mapping[str, Any]) -> str:
    """The logical type, if the receiver takes it for one on this base."""
    kind = str(node.get("logicalType", ""))
    return kind if kind in LOGICAL and logical(node) is not None else ""
