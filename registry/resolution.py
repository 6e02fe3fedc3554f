"""Avro's schema resolution, decided beforehand: can data of a writer's schema always be read with a reader's, and if not, where and why?

The rules are the Avro specification's as the Java implementation checks them, and with it every Confluent registry. PyPI `avro` has the
same check; it is asked too, mended (`Library`): two opinions catch what one overlooks. What cannot be walked in time is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from avro.compatibility import CompatibleResult, ReaderWriterCompatibilityChecker, SchemaCompatibilityType, incompatible, merge
from avro.compatibility import SchemaIncompatibilityType as Kinds

from .avro import NAMED, PRIMITIVES
from .strict import Parsed

STEPS: Final = 200_000
LIBRARY_STEPS: Final = 20_000
# reader → writers whose data it can read besides its own
PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "long": frozenset({"int"}),
    "float": frozenset({"int", "long"}),
    "double": frozenset({"int", "long", "float"}),
    "bytes": frozenset({"string"}),
    "string": frozenset({"bytes"}),
}
_PROMOTED: Final = {given: [wanted for wanted, fits in PROMOTIONS.items() if given in fits] for given in PRIMITIVES}
NAME, SIZE, SYMBOLS, DEFAULT, TYPE, BRANCH = (
    "NAME_MISMATCH",
    "FIXED_SIZE_MISMATCH",
    "MISSING_ENUM_SYMBOLS",
    "READER_FIELD_MISSING_DEFAULT_VALUE",
    "TYPE_MISMATCH",
    "MISSING_UNION_BRANCH",
)
Steps = tuple[object, ...]
Pair = tuple[int, int]


class Place(NamedTuple):
    """A type where it stands: `steps` in its document, `way` as one walks there through references."""

    node: Any
    steps: Steps = ()
    way: Steps = ()

    def to(self, node: Any, *steps: object) -> Place:
        return Place(node, (*self.steps, *steps), (*self.way, *steps))


class Finding(NamedTuple):
    """Why a reader cannot read a writer's data. `kind` is Confluent's word for it; `rule` ours; `info` what it is about."""

    kind: str
    rule: str
    info: str
    reader: Place
    writer: Place


class _Exhausted(Exception):
    """The pair is too complex to be decided."""


def resolve(reader: Parsed, writer: Parsed) -> list[Finding]:
    """Everything that keeps `reader` from reading data of `writer`; empty when it can read all of it. Never raises."""
    top = Place(reader.full), Place(writer.full)
    try:
        found = Resolution(reader, writer).find(*top)
    except (_Exhausted, RecursionError):
        return [Finding(TYPE, "too_complex", "the two schemas are too complex to be compared", *top)]
    if found:
        return found
    told = Library().opinion(reader.library, writer.library)
    return [] if told is None else [Finding(told, told.lower(), "PyPI avro finds that it cannot be read", *top)]


class Resolution:
    """One reader against one writer."""

    def __init__(self, reader: Parsed, writer: Parsed) -> None:
        self._sides = reader, writer
        self._known: dict[Pair, list[Finding] | None] = {}
        self._assumed: set[Pair] = set()
        self._bad: set[Pair] = set()
        self._unions: dict[int, dict[str, list[tuple[int, Any]]]] = {}
        self._left = STEPS

    def find(self, reader: Place, writer: Place) -> list[Finding]:
        """Recursive types are taken for readable until they prove otherwise; then all is looked at again with what is known."""
        while True:
            bad = len(self._bad)
            self._known.clear()
            found = self._pair(reader, writer)
            if len(self._bad) == bad:
                return [one for one in found if one.rule != _AGAIN]

    def _pair(self, reader: Place, writer: Place) -> list[Finding]:
        self._left -= 1
        if self._left < 0:
            raise _Exhausted
        reader, writer = _defined(self._sides[0], reader), _defined(self._sides[1], writer)
        if kind_of(reader.node) not in NAMED or kind_of(writer.node) not in NAMED:
            return self._compare(reader, writer)
        pair = id(reader.node), id(writer.node)
        if pair not in self._known:
            self._known[pair] = None
            found = self._known[pair] = self._compare(reader, writer)
            if found and pair in self._assumed:
                self._bad.add(pair)
            return found
        known = self._known[pair]
        if known is None and pair in self._bad:
            return [Finding(TYPE, _AGAIN, "", reader, writer)]
        self._assumed.add(pair)
        return known or []

    def _compare(self, reader: Place, writer: Place) -> list[Finding]:
        wanted, given = kind_of(reader.node), kind_of(writer.node)
        if given == "union":
            return list(self._writer_union(reader, writer))
        if wanted == "union":
            return self._reader_union(reader, writer)
        if wanted != given:
            told = f"reader type: {wanted.upper()} not compatible with writer type: {given.upper()}"
            return [] if given in PROMOTIONS.get(wanted, ()) else [Finding(TYPE, "type_mismatch", told, reader, writer)]
        if wanted == "array" or wanted == "map":
            member = "items" if wanted == "array" else "values"
            return self._pair(reader.to(reader.node[member], member), writer.to(writer.node[member], member))
        found = [] if wanted in PRIMITIVES else _names(reader, writer)
        if wanted == "enum":
            return found + _symbols(reader, writer)
        if wanted == "fixed":
            return found + _size(reader, writer)
        return found + list(self._fields(reader, writer)) if wanted == "record" else found

    def _writer_union(self, reader: Place, writer: Place) -> Iterator[Finding]:
        both = kind_of(reader.node) == "union"
        for number, branch in enumerate(writer.node):
            other = writer.to(branch, number)
            found = self._pair(reader, other)
            if both and found:
                info = f"reader union lacking writer type: {kind_of(_defined(self._sides[1], other).node).upper()}"
                yield Finding(BRANCH, "missing_union_branch", info, reader._replace(way=(*reader.way, number)), other)
            else:
                yield from found

    def _reader_union(self, reader: Place, writer: Place) -> list[Finding]:
        given = kind_of(writer.node)
        choices = self._choices(reader.node)
        keys = [writer.node["name"], writer.node["name"].rpartition(".")[2]] if given in NAMED else [given, *_PROMOTED.get(given, ())]
        for number, branch in (choice for key in keys for choice in choices.get(key, ())):
            if not self._pair(reader.to(branch, number), writer):
                return []
        return [Finding(BRANCH, "missing_union_branch", f"reader union lacking writer type: {given.upper()}", reader, writer)]

    def _choices(self, union: list[Any]) -> dict[str, list[tuple[int, Any]]]:
        """Branches of a reader's union by what a writer's type must be or be called to have a chance."""
        known = self._unions.get(id(union))
        if known is None:
            known = self._unions[id(union)] = {}
            for number, branch in enumerate(union):
                self._left -= 1
                node = _defined(self._sides[0], Place(branch)).node
                kind = kind_of(node)
                keys = [node["name"].rpartition(".")[2], *node.get("aliases", ())] if kind in NAMED else [kind]
                for key in dict.fromkeys(keys):
                    known.setdefault(key, []).append((number, branch))
        return known

    def _fields(self, reader: Place, writer: Place) -> Iterator[Finding]:
        theirs = {field["name"]: number for number, field in enumerate(writer.node["fields"])}
        taken: dict[str, str] = {}
        for number, field in enumerate(reader.node["fields"]):
            self._left -= 1
            name, at = field["name"], reader.to(field, "fields", number)
            sources = sources_of(field, theirs)
            if not sources:
                if "default" not in field:
                    yield Finding(DEFAULT, "reader_field_missing_default_value", name, at, writer.to(writer.node, "fields"))
                continue
            source = sources[0]
            other = writer.node["fields"][theirs[source]]
            if len(sources) > 1 or source in taken:
                # Libraries disagree about which of them is read.
                info = f"the writer's field {source} is read as {name}, and its name or an alias answers to another field too"
                yield Finding(NAME, "ambiguous_alias", info, at, writer.to(other, "fields", theirs[source]))
                continue
            taken[source] = name
            if not plain_alike(field["type"], other["type"]):
                yield from self._pair(at.to(field["type"], "type"), writer.to(other["type"], "fields", theirs[source], "type"))


def sources_of(field: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Names of the writer's fields that a reader's field answers to, its own name first."""
    return list(dict.fromkeys(name for name in (field["name"], *field.get("aliases", ())) if name in theirs))


def plain_alike(one: Any, other: Any) -> bool:
    """The same primitives, or unions of them: most fields, most of the time, and then there is nothing to compare."""
    return bool(one == other) and all(isinstance(word, str) and word in PRIMITIVES for word in (one if isinstance(one, list) else [one]))


def kind_of(node: Any) -> str:
    """Avro's word for a type that is no reference."""
    kind = "union" if isinstance(node, list) else node["type"] if isinstance(node, dict) else node
    return "record" if kind == "error" else str(kind)


def _defined(side: Parsed, place: Place) -> Place:
    node = place.node
    if not isinstance(node, str) or node in PRIMITIVES:
        return place
    return place._replace(node=side.types[node], steps=side.steps.get(node, place.steps))


def same_name(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> bool:
    """Namespaces do not count, as in the Java implementation; aliases do."""
    mine, theirs = str(reader["name"]), str(writer["name"])
    return mine.rpartition(".")[2] == theirs.rpartition(".")[2] or theirs in reader.get("aliases", ())


def _names(reader: Place, writer: Place) -> list[Finding]:
    if same_name(reader.node, writer.node):
        return []
    info = f"expected: {writer.node['name']}"
    return [Finding(NAME, "name_mismatch", info, reader.to(reader.node, "name"), writer.to(writer.node, "name"))]


def _symbols(reader: Place, writer: Place) -> list[Finding]:
    lacking = sorted(set(writer.node["symbols"]) - set(reader.node["symbols"]))
    if not lacking or "default" in reader.node:
        return []
    info = f"[{', '.join(lacking)}]"
    return [Finding(SYMBOLS, "missing_enum_symbols", info, reader.to(reader.node, "symbols"), writer.to(writer.node, "symbols"))]


def _size(reader: Place, writer: Place) -> list[Finding]:
    wanted, given = reader.node["size"], writer.node["size"]
    if wanted == given:
        return []
    info = f"expected: {given}, found: {wanted}"
    return [Finding(SIZE, "fixed_size_mismatch", info, reader.to(reader.node, "size"), writer.to(writer.node, "size"))]


class Library(ReaderWriterCompatibilityChecker):
    """PyPI avro's check, mended where it looks up a writer's fields (it builds a table for each), stopped when it takes too long."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the package annotates some of its functions only
        self._left = LIBRARY_STEPS

    def opinion(self, reader: Any, writer: Any) -> str | None:
        """Confluent's word for what it finds first; None when `reader` can read, or when there is no second opinion to be had in time."""
        try:
            found = self.get_compatibility(reader, writer)
        except (_Exhausted, RecursionError):
            return None
        if found.compatibility is not SchemaCompatibilityType.incompatible:
            return None
        return str(found.incompatibilities[0].name).upper() if found.incompatibilities else TYPE

    def get_compatibility(self, reader: Any, writer: Any, reference_token: str = "/", location: list[str] | None = None) -> Any:
        if reader.type == writer.type and reader.type in PRIMITIVES:
            return CompatibleResult
        return super().get_compatibility(reader, writer, reference_token, location)

    def calculate_compatibility(self, reader: Any, writer: Any, location: list[str]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _Exhausted
        return super().calculate_compatibility(reader, writer, location)

    def check_reader_writer_record_fields(self, reader: Any, writer: Any, location: list[str]) -> Any:
        theirs, result = writer.fields_dict, CompatibleResult
        for number, field in enumerate(reader.fields):
            names = [name for name in (field.name, *(field.props.get("aliases") or ())) if name in theirs]
            if names:
                where = [*location, "fields", str(number)]
                result = merge(result, self.get_compatibility(field.type, theirs[names[0]].type, "type", where))
            elif not field.has_default:
                result = merge(result, incompatible(Kinds.reader_field_missing_default_value, field.name, location))
        return result


_AGAIN: Final = "recursive"
