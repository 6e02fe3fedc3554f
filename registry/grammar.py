"""The Avro specification's rules for one schema, read strictly: one bounded walk that finds every fault.

Pure, never raises on plain data (see document.py). What the lake refuses besides stands in lakesafe.py, parsing of texts in strict.py.
"""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from .avro import NAME, NAMED, PRIMITIVES, Definition, Shape, full_name, inner_space
from .defaults import Fit
from .refusal import Problem, pointer

MAX_TYPES: Final = 20_000
MAX_FIELDS: Final = 5000
MAX_SIZE: Final = 2**31 - 1
_FAULTS: Final = 200
Steps = tuple[object, ...]


class _Enough(Exception):
    """The schema is larger than anyone can want; its problem has been noted."""


class Grammar:
    """One walk. `problems` is the answer; `named` holds the named types by full name. `known`: names that are defined elsewhere."""

    max_depth: int = 64
    max_name: int = 1000
    space_step = NAME  # what stands between the dots of a namespace
    spec = True

    def __init__(self, schema: object, known: dict[str, Definition] | None = None, root: Steps = ()) -> None:
        self.problems: list[Problem] = []
        self.named: dict[str, Definition] = dict(known or {})
        self._open: list[str] = []
        self._types = 0
        self._defaults: list[tuple[Any, Any, str, Steps]] = []
        try:
            self._start(schema, root)
            self._check_defaults()
        except _Enough:
            pass

    def _start(self, schema: object, root: Steps) -> None:
        self._type(schema, root, 1, "")

    def _no(self, steps: Steps, rule: str, message: str, fix: str) -> Shape:
        self.problems.append(Problem(pointer(*steps), rule, message, fix))
        if len(self.problems) >= _FAULTS:
            raise _Enough
        return Shape()

    # -- types

    def _type(self, node: object, steps: Steps, depth: int, space: str) -> Shape:
        self._count(steps)
        if depth > self.max_depth:
            return self._no(steps[:9], "too_deep", f"types nest deeper than {self.max_depth} levels", "flatten the record")
        if isinstance(node, str):
            return self._word(node, steps, space)
        if isinstance(node, list):
            return self._union(node, steps, depth, space)
        if not isinstance(node, dict):
            return self._no(steps, "type", f"{show(node)} is no Avro type", "write a type name, an object or a union")
        return self._typed(node, steps, depth, space)

    def _count(self, steps: Steps) -> None:
        self._types += 1
        if self._types > MAX_TYPES:
            self._no(steps[:9], "too_large", f"more than {MAX_TYPES} types", "split the schema")
            raise _Enough

    def _typed(self, node: dict[str, Any], steps: Steps, depth: int, space: str) -> Shape:
        kind = node.get("type")
        if isinstance(kind, dict | list):
            return self._no((*steps, "type"), "type", "a type stands inside a type", "write the inner type in place of the outer one")
        if (trick := next((name for name in node if name.startswith("__")), None)) is not None:
            return self._no(
                (*steps, trick), "property_reserved", f"{trick!r:.80} is for the inside of Avro libraries", "remove the property"
            )
        if kind in NAMED:
            return self._named(node, steps, depth, space)
        if kind == "array" or kind == "map":
            return self._container(node, kind, steps, depth, space)
        if isinstance(kind, str) and kind in PRIMITIVES:
            self._logical(node, kind, steps)
            return self._word(kind, steps, space)
        return self._no((*steps, "type"), "unknown_type", f"{show(kind)} is no Avro type", KNOWN)

    def _container(self, node: dict[str, Any], kind: str, steps: Steps, depth: int, space: str) -> Shape:
        member = "items" if kind == "array" else "values"
        if member not in node:
            return self._no(steps, "type", f"the {kind} does not say its {member}", f'add "{member}"')
        shape = self._type(node[member], (*steps, member), depth + 1, space)
        return Shape(shape.columns + (kind == "map"), shape.height + 1)

    def _word(self, name: str, steps: Steps, space: str) -> Shape:
        if name in PRIMITIVES:
            return Shape()
        name = full_name(name, space)
        found = self.named.get(name)
        if found is None:
            return self._no(steps, "unknown_type", f"{name!r:.80} is neither an Avro type nor defined before this place", KNOWN)
        return found.shape

    def _union(self, branches: list[Any], steps: Steps, depth: int, space: str) -> Shape:
        if not branches:
            return self._no(steps, "union", "the union holds no type", 'write ["null", <type>]')
        columns, height, kinds = 0, 1, set()
        for number, branch in enumerate(branches):
            place = (*steps, number)
            kind = _kind(branch, space)
            if kind in kinds:
                self._no(place, "union", f"{kind:.80} stands twice in the union", "name each type once")
            kinds.add(kind)
            if isinstance(branch, list):
                self._no(place, "union", "a union stands inside a union", "write the inner types into the outer union")
            elif branch != "null":
                shape = self._type(branch, place, depth + 1, space)
                columns, height = columns + shape.columns, max(height, shape.height)
        return Shape(columns, height + 1 if len(kinds - {"null"}) > 1 else height)

    def _named(self, node: dict[str, Any], steps: Steps, depth: int, space: str) -> Shape:
        name = self._name(node, steps, space)
        if name in self.named:
            self._no((*steps, "name"), "name_taken", f"{name:.80} is defined twice", "define it once and refer to it by its name")
        within = inner_space(node, space)
        self.named[name] = Definition(node, within, Shape(), steps)
        self._open.append(name)
        if node["type"] in ("record", "error"):
            shape = self._record(node, steps, depth, within)
        elif node["type"] == "enum":
            shape = self._enum(node, steps)
        else:
            shape = self._fixed(node, steps)
        self._open.pop()
        self.named[name] = Definition(node, within, shape, steps)
        return shape

    def _name(self, node: dict[str, Any], steps: Steps, space: str) -> str:
        name, own = node.get("name"), node.get("namespace", space)
        if not self._is_name(name) or len(name) > self.max_name:
            self._no((*steps, "name"), "name", f"{show(name)} is no Avro name", "use letters, digits and _, not starting with a digit")
            return f"?{len(self.named)}"
        if not isinstance(own, str) or (own and not self._is_space(own.split("."))) or len(own) > self.max_name:
            self._no((*steps, "namespace"), "name", f"{show(own)} is no Avro namespace", "use Avro names separated by dots")
            return f"?{len(self.named)}"
        full = full_name(name, own)
        if self._reserved(full, name):
            self._no((*steps, "name"), "name_reserved", f"{full:.80} is a reserved name", "use another name or namespace")
        if not self._are_names(node.get("aliases", [])):
            self._no((*steps, "aliases"), "name", "aliases must be a list of Avro names", "correct or remove the aliases")
        return full

    def _is_name(self, name: object) -> TypeGuard[str]:
        if not isinstance(name, str):
            return False
        *space, own = name.split(".")
        return self._is_space(space) and bool(NAME.fullmatch(own))

    def _is_space(self, steps: list[str]) -> bool:
        return all(self.space_step.fullmatch(step) for step in steps)

    def _are_names(self, found: object) -> bool:
        return isinstance(found, list) and all(self._is_name(name) for name in found)

    def _reserved(self, full: str, _name: str) -> bool:
        return full in PRIMITIVES

    # -- records

    def _record(self, node: dict[str, Any], steps: Steps, depth: int, space: str) -> Shape:
        fields = node.get("fields")
        if not isinstance(fields, list):
            return self._no((*steps, "fields"), "field", "a record needs a list of fields", 'write "fields": […]')
        if len(fields) > MAX_FIELDS:
            return self._no((*steps, "fields"), "too_large", f"more than {MAX_FIELDS} fields", "split the record")
        columns, height, seen = 0, 0, set[str]()
        for number, field in enumerate(fields):
            place = (*steps, "fields", number)
            if not isinstance(field, dict):
                self._no(place, "field", f"{show(field)} is no field", 'write {"name": …, "type": …}')
                continue
            name = self._field_name(field, place)
            self._field_twice(name, seen, place)
            if "type" not in field:
                self._no(place, "field", f"the field {name:.80} has no type", 'add "type"')
                continue
            shape = self._type(field["type"], (*place, "type"), depth + 1, space)
            columns, height = columns + shape.columns, max(height, shape.height)
            if "default" in field:
                self._defaults.append((field["type"], field["default"], space, (*place, "default")))
        return Shape(columns, height + 1)

    def _field_twice(self, name: str, seen: set[str], place: Steps) -> None:
        if name in seen:
            self._no((*place, "name"), "field_name_twice", f"the field name {name!r:.80} is taken", "rename one of the two")
        seen.add(name)

    def _field_name(self, field: dict[str, Any], place: Steps) -> str:
        name = field.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > self.max_name:
            self._no((*place, "name"), "name", f"{show(name)} is no Avro name", "use letters, digits and _, not starting with a digit")
            return f"?{place[-1]}"
        if not self._are_names(field.get("aliases", [])):
            self._no((*place, "aliases"), "name", "aliases must be a list of Avro names", "correct or remove the aliases")
        if field.get("order", "ascending") not in ("ascending", "descending", "ignore"):
            self._no((*place, "order"), "field", "order is ascending, descending or ignore", "correct or remove the order")
        return name

    def _check_defaults(self) -> None:
        fit = Fit(self.named, self.spec)
        for node, value, space, steps in self._defaults:
            told = fit.misfit(node, value, space)
            if told is not None:
                fix = "use a value of the type (in a union: of one of them)" if self.spec else _FIRST
                self._no(steps, "default", told, fix)

    # -- enums and fixed

    def _enum(self, node: dict[str, Any], steps: Steps) -> Shape:
        symbols = node.get("symbols")
        if not isinstance(symbols, list) or not symbols:
            return self._no((*steps, "symbols"), "enum", "an enum needs at least one symbol", "list the symbols")
        if len(symbols) > MAX_TYPES:
            return self._no((*steps, "symbols"), "too_large", f"more than {MAX_TYPES} symbols", "use a string")
        seen: set[str] = set()
        for number, symbol in enumerate(symbols):
            if not isinstance(symbol, str) or not NAME.fullmatch(symbol):
                self._no((*steps, "symbols", number), "enum", f"{show(symbol)} is no Avro name", "use letters, digits and _")
            elif symbol in seen:
                self._no((*steps, "symbols", number), "enum", f"{symbol:.80} stands twice", "list each symbol once")
            else:
                seen.add(symbol)
        if "default" in node and (not isinstance(node["default"], str) or node["default"] not in seen):
            self._no((*steps, "default"), "default", "the default is none of the symbols", "use one of the symbols")
        return Shape()

    def _fixed(self, node: dict[str, Any], steps: Steps) -> Shape:
        size = node.get("size")
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
            return self._no((*steps, "size"), "fixed", f"size must be a number of bytes, not {show(size)}", "correct the size")
        return Shape()

    def _logical(self, node: dict[str, Any], kind: str, steps: Steps) -> None:
        """The specification has readers ignore logical types that they do not understand."""


KNOWN: Final = "use " + ", ".join(sorted(PRIMITIVES - {"null"})) + ", record, enum, fixed, array, map, or define the name first"
_FIRST: Final = "use a value of the type (in a union: of the first one)"


def _kind(branch: object, space: str) -> str:
    kind = branch.get("type") if isinstance(branch, dict) else branch
    if isinstance(branch, dict) and isinstance(kind, str) and kind in NAMED:
        return full_name(str(branch.get("name")), inner_space(branch, space))
    if isinstance(kind, str):
        return kind if kind in PRIMITIVES or kind in ("array", "map") else full_name(kind, space)
    return f"?{id(branch)}"


def show(value: object) -> str:
    """A value for a message: short, and never a whole document."""
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
