"""From JSON samples to an Avro payload schema that takes them. Pure: what it had to guess or rename is said in `notes`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import msgspec

from registry.avro import NAME

MAX_SYMBOLS: Final = 50
_INT64: Final = 2**63
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]+")
_EPOCHS: Final = ((10**9, 10**10, "seconds"), (10**12, 10**13, "milliseconds"), (10**15, 10**16, "microseconds"))
_TIMELY: Final = re.compile(r"(^|_)(at|time|timestamp|ts|date)$|(At|Time|Timestamp|Date)$")

# Narrowest first; a text keeps those forms that all samples had. The receiver reads each of them as its logical type.
_FORMS: Final[dict[str, tuple[re.Pattern[str], Any, dict[str, str]]]] = {
    "uuid": (re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), UUID, {"type": "string", "logicalType": "uuid"}),
    "date": (re.compile(r"\d{4}-\d\d-\d\d"), date, {"type": "int", "logicalType": "date"}),
    "moment": (
        re.compile(r"\d{4}-\d\d-\d\d[T ].+"),
        Annotated[datetime, msgspec.Meta(tz=True)],
        {"type": "long", "logicalType": "timestamp-micros"},
    ),
    "local": (
        re.compile(r"\d{4}-\d\d-\d\d[T ].+"),
        Annotated[datetime, msgspec.Meta(tz=False)],
        {"type": "long", "logicalType": "local-timestamp-micros"},
    ),
}


class Inferred(NamedTuple):
    """`schema`: the payload record. `notes`: guesses, for its author to look at. `renamed`: the sample's path → the field's new name."""

    schema: dict[str, Any]
    notes: list[str]
    renamed: dict[str, str]


def infer(samples: Iterable[dict[str, Any]], name: str, enums: Collection[str] = ()) -> Inferred:
    """One schema for all samples. `name`: of the record. `enums`: paths (`user.kind`) whose texts become symbols. Raises ValueError."""
    seen = _Seen()
    for sample in samples:
        seen.add(sample)
    if not seen.fields:
        raise ValueError("it has no fields")
    writer = _Writer(enums)
    schema = writer.record(seen, (), name)
    missed = sorted(set(enums) - writer.enums_met)
    if missed:
        raise ValueError(f"no field of texts for --enum: {', '.join(missed)}")
    return Inferred(schema, writer.notes, writer.renamed)


class _Seen:
    """What the samples had at one place."""

    def __init__(self) -> None:
        self.null = self.boolean = self.whole = self.broken = self.huge = False
        self.numbers: list[int] = []
        self.forms: set[str] | None = None
        self.texts: set[str] = set()
        self.objects = 0
        self.fields: dict[str, _Seen] = {}
        self.present: dict[str, int] = {}
        self.items: _Seen | None = None

    def add(self, value: Any) -> None:
        if value is None:
            self.null = True
        elif isinstance(value, bool):
            self.boolean = True
        elif isinstance(value, int):
            self.whole = True
            self.huge |= not -_INT64 <= value < _INT64
            self.numbers = [*self.numbers[-9:], value]
        elif isinstance(value, float):
            self.broken = True
        elif isinstance(value, str):
            fits = {form for form, (pattern, kind, _) in _FORMS.items() if _fits(value, pattern, kind)}
            self.forms = fits if self.forms is None else self.forms & fits
            if len(self.texts) <= MAX_SYMBOLS:
                self.texts.add(value)
        elif isinstance(value, list):
            self.items = self.items or _Seen()
            for item in value:
                self.items.add(item)
        else:
            self.objects += 1
            for name, inner in value.items():
                self.fields.setdefault(name, _Seen()).add(inner)
                self.present[name] = self.present.get(name, 0) + 1


class _Writer:
    """Turns what was seen into Avro; names of inner records are given once."""

    def __init__(self, enums: Collection[str]) -> None:
        self.notes: list[str] = []
        self.renamed: dict[str, str] = {}
        self.enums_met: set[str] = set()
        self._enums = enums
        self._names: set[str] = set()

    def record(self, seen: _Seen, path: tuple[str, ...], name: str) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "record", "name": self._type_name(name, path), "fields": []}
        taken: set[str] = set()
        for key, inner in seen.fields.items():
            field_name = self._field_name(key, (*path, key), taken)
            optional = inner.null or seen.present[key] < seen.objects
            kind = self._type(inner, (*path, key), field_name)
            field: dict[str, Any] = {"name": field_name, "type": kind}
            if optional:
                field = {"name": field_name, "type": ["null", *(kind if isinstance(kind, list) else [kind])], "default": None}
            made["fields"].append(field)
        return made

    def _type(self, seen: _Seen, path: tuple[str, ...], name: str) -> Any:
        """The type without null."""
        kinds = [*self._numbers(seen, path)]
        if seen.items is not None:
            kinds.append({"type": "array", "items": self._items(seen.items, path, name)})
        if seen.objects:
            kinds.append(self._object(seen, path, name))
        if seen.forms is not None:  # beside others a text stays a text: times are numbers in Avro, and a union names each type once
            kinds.append("string" if kinds else self._text(seen, path, name))
        if len(kinds) > 1:
            self._note(path, "values of several types were seen: better one field for each type")
        elif not kinds:
            self._note(path, "only null was seen: string is a guess")
            return "string"
        return kinds[0] if len(kinds) == 1 else kinds

    def _numbers(self, seen: _Seen, path: tuple[str, ...]) -> Iterable[Any]:
        if seen.boolean:
            yield "boolean"
        if seen.whole or seen.broken:
            if seen.huge:
                self._note(path, "numbers beyond 64 bits were seen: as double they lose digits; better send them as text")
            yield "double" if seen.broken or seen.huge else "long"
            self._maybe_time(seen, path)

    def _text(self, seen: _Seen, path: tuple[str, ...], name: str) -> Any:
        dotted = ".".join(path)
        if dotted in self._enums:
            self.enums_met.add(dotted)
            bad = sorted(text for text in seen.texts if not NAME.fullmatch(text))
            if len(seen.texts) > MAX_SYMBOLS or bad:
                why = f"{bad[0]!r:.60} is no Avro name" if bad else f"more than {MAX_SYMBOLS} values"
                raise ValueError(f"{dotted} cannot be an enum: {why}")
            return {"type": "enum", "name": self._type_name(name, path), "symbols": sorted(seen.texts)}
        form = next((form for form in _FORMS if form in (seen.forms or ())), None)
        if form == "local":
            self._note(path, "these times have no zone: local-timestamp-micros is a guess; better send them with Z")
        return dict(_FORMS[form][2]) if form else "string"

    def _items(self, items: _Seen, path: tuple[str, ...], name: str) -> Any:
        if (items.null and not _has_values(items)) or not _has_values(items):
            self._note(path, "only empty lists were seen: a list of string is a guess" if not items.null else "only nulls in the list")
            return ["null", "string"] if items.null else "string"
        kind = self._type(items, path, _singular(name))
        return ["null", *(kind if isinstance(kind, list) else [kind])] if items.null else kind

    def _object(self, seen: _Seen, path: tuple[str, ...], name: str) -> Any:
        if not seen.fields:
            self._note(path, "only empty objects were seen: a map of string is a guess")
            return {"type": "map", "values": "string"}
        if not any(NAME.fullmatch(key) for key in seen.fields):  # the keys are data: dates, numbers, ids
            merged = _Seen()
            for inner in seen.fields.values():
                _merge(merged, inner)
            self._note(path, "its keys are no names of fields, so it became a map")
            kind = self._type(merged, path, _singular(name)) if _has_values(merged) else "string"
            return {"type": "map", "values": ["null", *(kind if isinstance(kind, list) else [kind])] if merged.null else kind}
        return self.record(seen, path, name)

    def _maybe_time(self, seen: _Seen, path: tuple[str, ...]) -> None:
        if seen.broken or not _TIMELY.search(path[-1]):
            return
        for low, high, unit in _EPOCHS:
            if all(low <= number < high for number in seen.numbers):
                logical = {"milliseconds": "timestamp-millis", "microseconds": "timestamp-micros"}.get(unit)
                fix = f'if so, write {{"type": "long", "logicalType": "{logical}"}}' if logical else "better send milliseconds"
                self._note(path, f"this looks like {unit} since 1970: {fix}")

    def _field_name(self, key: str, path: tuple[str, ...], taken: set[str]) -> str:
        name = _NOT_IN_NAMES.sub("_", key).strip("_") if not NAME.fullmatch(key) or key.startswith("_") else key
        name = name if name and not name[0].isdigit() else f"n{name}"
        free, number = name, 2
        while free.lower() in taken:
            free, number = f"{name}_{number}", number + 1
        taken.add(free.lower())
        if free != key:
            self.renamed[".".join(path)] = free
        return free

    def _type_name(self, name: str, path: tuple[str, ...]) -> str:
        words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))
        made = words if words and not words[0].isdigit() else f"R{words}"
        if made in self._names and len(path) > 1:
            made = self_made = "".join(step[:1].upper() + step[1:] for step in _NOT_IN_NAMES.sub("_", "_".join(path)).split("_"))
            made = self_made if self_made and not self_made[0].isdigit() else f"R{self_made}"
        free, number = made, 2
        while free in self._names:
            free, number = f"{made}{number}", number + 1
        self._names.add(free)
        return free

    def _note(self, path: tuple[str, ...], text: str) -> None:
        self.notes.append(f"{'.'.join(path)}: {text}")


def _fits(text: str, pattern: re.Pattern[str], kind: Any) -> bool:
    if not pattern.fullmatch(text):
        return False
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


def _has_values(seen: _Seen) -> bool:
    return bool(seen.boolean or seen.whole or seen.broken or seen.forms is not None or seen.items is not None or seen.objects)


def _merge(into: _Seen, other: _Seen) -> None:
    """What both saw, in the first one."""
    for name in ("null", "boolean", "whole", "broken", "huge"):
        setattr(into, name, getattr(into, name) or getattr(other, name))
    into.numbers += other.numbers
    if other.forms is not None:
        into.forms = other.forms if into.forms is None else into.forms & other.forms
    into.texts |= other.texts
    into.objects += other.objects
    for name, inner in other.fields.items():
        _merge(into.fields.setdefault(name, _Seen()), inner)
        into.present[name] = into.present.get(name, 0) + other.present[name]
    if other.items is not None:
        into.items = into.items or _Seen()
        _merge(into.items, other.items)


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and not name.endswith("ss") and len(name) > 2 else name
