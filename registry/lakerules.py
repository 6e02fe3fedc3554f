"""What may change in a payload schema beyond Avro's rules: one lake, whose columns keep their names and types, and readers without Avro.

Pure. Walks an old and a new payload schema side by side, both lake-safe and with names in full (strict.py), and says every change that the
lake, or a reader or sender of events, would not survive. Refuses more than it must rather than less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from .avro import NAMED, PRIMITIVES
from .refusal import pointer
from .resolution import Place, kind_of, plain_alike
from .strict import Parsed

NOTHING: Final = "(nothing)"
BACKWARD, FORWARD, BOTH = "backward", "forward", "both"
_WIDTH: Final = {"int": 1, "long": 2, "float": 3, "double": 4}
_FLOATING: Final = ("float", "double")
_ANOTHER: Final = "keep the type, and add a field of another name for the new one"


class Change(NamedTuple):
    """A change that is refused: where (in the new schema), by which rule, whom it hurts, what stood there and stands there now."""

    steps: tuple[object, ...]
    rule: str
    direction: str
    message: str
    fix: str
    old: Any
    new: Any

    @property
    def path(self) -> str:
        return pointer("schema", *self.steps)


def changes(old: Parsed, new: Parsed) -> list[Change]:
    """Everything refused about replacing `old` by `new`."""
    return list(_Walk(old, new).fields(Place(old.full), Place(new.full)))


class _Walk:
    def __init__(self, old: Parsed, new: Parsed) -> None:
        self._old, self._new = old, new
        self._met: set[tuple[int, int]] = set()

    def types(self, old: Place, new: Place, name: str) -> Iterator[Change]:
        """Two types at the same place; `name`: of the field, for messages."""
        old, new = _branches(old), _branches(new)
        was, now = [b for b in old.node if not _null(b)], [b for b in new.node if not _null(b)]
        yield from self._presence(old, new, name)
        if [self._label(self._old, b) for b in was] == [self._label(self._new, b) for b in now]:
            for before, after in zip(was, now, strict=True):
                yield from self._alike(_branch(self._old, old, before), _branch(self._new, new, after), name)
        elif len(was) == len(now) == 1:
            yield self._changed(_branch(self._old, old, was[0]), _branch(self._new, new, now[0]), name)
        else:
            told = f"the types of the union {name} changed, or their order; the lake has a column for each"
            yield Change(
                new.steps,
                "union_changed",
                BOTH,
                told,
                "keep the union's types as they are, and add a field of another name",
                old.node,
                new.node,
            )

    def _presence(self, old: Place, new: Place, name: str) -> Iterator[Change]:
        was, now = any(map(_null, old.node)), any(map(_null, new.node))
        if was and not now:
            told = f"{name} could be null and no longer can: what is written already holds nulls"
            yield Change(new.steps, "became_required", BACKWARD, told, 'keep ["null", …]', _shown(old), _shown(new))
        if now and not was:
            told = f"{name} may be null now, which readers of the older version do not expect"
            fix = 'keep the type without null; or add a field of another name with ["null", …] and "default": null'
            yield Change(new.steps, "became_optional", FORWARD, told, fix, _shown(old), _shown(new))

    def _alike(self, old: Place, new: Place, name: str) -> Iterator[Change]:
        """Two types of one label."""
        kind = kind_of(new.node)
        if isinstance(old.node, dict) or isinstance(new.node, dict):
            meant, means = _meaning(old.node), _meaning(new.node)
            if meant != means:
                told = (
                    f"the logical type of {name} changed from {_words(meant)} to {_words(means)}: the same number would mean something else"
                )
                yield Change(new.steps, "logical_type_changed", BOTH, told, "keep the logical type, its unit, precision and scale; "
                             "add a field of another name for the new one", meant or NOTHING, means or NOTHING)  # fmt: skip
        if kind == "fixed" and old.node["size"] != new.node["size"]:
            told = f"the size of {name} changed"
            yield Change(
                (*new.steps, "size"),
                "fixed_size_changed",
                BOTH,
                told,
                "keep the size, and add a field of another name",
                old.node["size"],
                new.node["size"],
            )
        elif kind == "array" or kind == "map":
            member = "items" if kind == "array" else "values"
            yield from self.types(old.to(old.node[member], member), new.to(new.node[member], member), f"{member} of {name}")
        elif kind == "record" and (id(old.node), id(new.node)) not in self._met:
            self._met.add((id(old.node), id(new.node)))
            yield from self.fields(old, new)

    def fields(self, old: Place, new: Place) -> Iterator[Change]:
        """The fields of two records."""
        before = {field["name"]: field for field in old.node["fields"]}
        folded = {name.lower(): name for name in before}
        for number, field in enumerate(new.node["fields"]):
            name, place = field["name"], new.to(field, "fields", number)
            former = before.pop(name, None)
            if former is not None:
                yield from self._field(old.to(former["type"]), former, place, name)
                continue
            if name.lower() in folded:
                taken = folded[name.lower()]
                told = f"the new field {name} differs from the older {taken} only in upper and lower case, which is one column in the lake"
                yield Change(
                    (*place.steps, "name"), "name_differs_in_case", BOTH, told, f"call it {taken}, or give it another name", taken, name
                )
            if "default" not in field:
                told = f"the new field {name} has no default, and older events do not have it"
                yield Change(place.steps, "added_without_default", BACKWARD, told, _default_for(field["type"]), NOTHING, _short(field))
        for name, former in before.items():
            if "default" not in former:
                told = f"{name} is gone, and readers of the older version have no default for it"
                yield Change(
                    (*new.steps, "fields"), "removed_without_default", FORWARD, told, f"keep the field {name}", _short(former), NOTHING
                )

    def _field(self, old: Place, former: Mapping[str, Any], new: Place, name: str) -> Iterator[Change]:
        field = new.node
        if not plain_alike(former["type"], field["type"]):
            yield from self.types(old, new.to(field["type"], "type"), name)
        if "default" in former and "default" not in field:
            told = f"the default of {name} is gone: events of senders that leave it out would be rejected"
            yield Change(new.steps, "default_removed", BACKWARD, told, "keep the default", {"default": former["default"]}, NOTHING)

    def _changed(self, old: Place, new: Place, name: str) -> Change:
        was, now = kind_of(old.node), kind_of(new.node)
        rule, direction, told = "type_changed", BOTH, f"the type of {name} changed from {was} to {now}"
        fix = _ANOTHER
        if was == now and was in NAMED:
            rule, told = "type_renamed", f"the {was} of {name} was {old.node['name']} and is {new.node['name']} now"
            fix = "keep the name of the type and its namespace"
        elif {was, now} == {"bytes", "string"}:
            rule, told = (
                "bytes_and_string",
                f"{name} changed from {was} to {now}: bytes need not be text, and the lake's column is one or the other",
            )
        elif was in _WIDTH and now in _WIDTH:
            narrower = _WIDTH[now] < _WIDTH[was]
            if narrower:
                rule, direction, told = (
                    "narrowed",
                    BACKWARD,
                    f"{name} changed from {was} to {now}, which cannot hold what is written already",
                )
            elif now in _FLOATING and was not in _FLOATING:
                rule, direction = "whole_to_floating", FORWARD
                told = f"{name} changed from {was} to {now}: large whole numbers would be rounded, and older readers expect {was}"
            else:
                rule, direction, told = (
                    "widened",
                    FORWARD,
                    f"{name} changed from {was} to {now}, which readers of the older version cannot read",
                )
        return Change(new.steps, rule, direction, told, fix, _short(old.node), _short(new.node))

    def _label(self, side: Parsed, branch: Any) -> str:
        """What makes two types one column: their kind, and the name of those that have one."""
        node = side.types[branch] if isinstance(branch, str) and branch not in PRIMITIVES else branch
        kind = kind_of(node)
        return f"{kind} {node['name']}" if kind in NAMED else kind


def _null(branch: Any) -> bool:
    return kind_of(branch) == "null"


def _branches(place: Place) -> Place:
    """The type as a union."""
    return place if isinstance(place.node, list) else place._replace(node=[place.node])


def _branch(side: Parsed, union: Place, branch: Any) -> Place:
    steps = union.steps if len(union.node) == 1 else (*union.steps, union.node.index(branch))
    if isinstance(branch, str) and branch not in PRIMITIVES:
        return Place(side.types[branch], side.steps.get(branch, steps))
    return Place(branch, steps)


def _shown(place: Place) -> Any:
    return _short(place.node[0] if len(place.node) == 1 else place.node)


def _meaning(node: Any) -> dict[str, Any]:
    """The logical type with what it takes along; a decimal's scale is 0 when it is not said."""
    if not isinstance(node, dict) or "logicalType" not in node:
        return {}
    more = {"precision": node.get("precision"), "scale": node.get("scale", 0)} if node["logicalType"] == "decimal" else {}
    return {"logicalType": node["logicalType"], **more}


def _words(meaning: Mapping[str, Any]) -> str:
    if not meaning:
        return "none"
    digits = f"({meaning['precision']}, {meaning['scale']})" if "precision" in meaning else ""
    return f"{meaning['logicalType']!s:.80}{digits}"


def _default_for(kind: Any) -> str:
    if isinstance(kind, list) and "null" in kind:
        return 'give it "default": null, with null as the first type of the union' if kind[0] != "null" else 'give it "default": null'
    return 'give it a default, or make it ["null", …] with "default": null'


def _short(node: Any) -> Any:
    """A piece of a schema for a refusal: records, enums and fixed by their name and kind only."""
    if isinstance(node, list):
        return [_short(branch) for branch in node[:20]]
    if not isinstance(node, dict):
        return node
    dropped = ("doc", "fields", "symbols", "aliases") if node.get("type") in NAMED else ("doc", "aliases")
    return {key: _short(value) for key, value in node.items() if key not in dropped}
