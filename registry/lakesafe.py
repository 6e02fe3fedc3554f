"""Is a payload schema lake-safe: can every reader of the wire and of the lake handle it, today and for ever?

Pure, never raises on plain data (see document.py), and says for each fault where it is, which rule it breaks, and what to write instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .avro import NAME, PRIMITIVES, Definition, Shape, full_name, inner_space, is_dotted_name
from .defaults import misfit
from .refusal import Problem, pointer

MAX_DEPTH: Final = 20
MAX_COLUMNS: Final = 2000
MAX_NAME: Final = 200
MAX_FIXED: Final = 65_536
MAX_SYMBOLS: Final = 1000
MAX_DECIMAL: Final = 38

# Other logical types are kept as their base type, as the Avro specification asks of readers.
LOGICAL: Final[Mapping[str, tuple[str, ...]]] = {
    "decimal": ("bytes", "fixed"),
    "uuid": ("string",),
    "date": ("int",),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "local-timestamp-millis": ("long",),
    "local-timestamp-micros": ("long",),
}
Steps = tuple[object, ...]


class Survey:
    """One walk over a payload schema. `problems` is the answer; `named` holds the named types found, for the check of defaults."""

    def __init__(self, schema: object) -> None:
        self.problems: list[Problem] = []
        self.named: dict[str, Definition] = {}
        self._open: list[str] = []
        if not isinstance(schema, dict) or schema.get("type") != "record":
            self._no(("schema",), "record", "the payload schema is no record", 'write {"type": "record", "name": …, "fields": […]}')
            return
        shape = self._type(schema, ("schema",), 1, "")
        if shape.height > MAX_DEPTH:
            self._no(("schema",), "too_deep", f"types nest {shape.height} levels, at most {MAX_DEPTH} are allowed", "flatten the record")
        if shape.columns > MAX_COLUMNS:
            self._no(("schema",), "too_many_columns", f"more than {MAX_COLUMNS} columns", "split the event type or use a map")

    def _no(self, steps: Steps, rule: str, message: str, fix: str) -> Shape:
        if len(self.problems) < 200:
            self.problems.append(Problem(pointer(*steps), rule, message, fix))
        return Shape()

    def _type(self, node: object, steps: Steps, depth: int, space: str) -> Shape:
        if depth > MAX_DEPTH:
            return self._no(steps[:9], "too_deep", f"types nest deeper than {MAX_DEPTH} levels", "flatten the record")
        if isinstance(node, str):
            return self._word(node, steps, space)
        if isinstance(node, list):
            return self._union(node, steps, depth, space)
        if not isinstance(node, dict):
            return self._no(steps, "type", f"{_show(node)} is no Avro type", "write a type name, an object or a union")
        kind = node.get("type")
        if kind in ("record", "enum", "fixed"):
            return self._named(node, steps, depth, space)
        if kind == "array" or kind == "map":
            member = "items" if kind == "array" else "values"
            if member not in node:
                return self._no(steps, "type", f"the {kind} does not say its {member}", f'add "{member}"')
            shape = self._type(node[member], (*steps, member), depth + 1, space)
            return Shape(shape.columns + (kind == "map"), shape.height + 1)
        if isinstance(kind, str) and kind in PRIMITIVES:
            self._logical(node, kind, steps)
            return self._word(kind, steps, space)
        if isinstance(kind, dict | list):
            return self._no((*steps, "type"), "type", "a type stands inside a type", "write the inner type in place of the outer one")
        return self._no((*steps, "type"), "unknown_type", f"{_show(kind)} is no Avro type", _KNOWN)

    def _word(self, name: str, steps: Steps, space: str) -> Shape:
        if name == "null":
            return self._no(steps, "null_alone", "null alone holds nothing", 'use ["null", <type>]')
        if name in PRIMITIVES:
            return Shape()
        name = full_name(name, space)
        if name in self._open:
            return self._no(steps, "recursion", f"{name:.80} contains itself", "a table has no recursion: use an array of flat records")
        found = self.named.get(name)
        if found is None:
            return self._no(steps, "unknown_type", f"{name!r:.80} is neither an Avro type nor defined before this place", _KNOWN)
        return found.shape

    def _union(self, branches: list[Any], steps: Steps, depth: int, space: str) -> Shape:
        if not branches or branches == ["null"]:
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
        if name in self.named or name in self._open:
            self._no((*steps, "name"), "name_taken", f"{name:.80} is defined twice", "define it once and refer to it by its name")
        within = inner_space(node, space)
        self._open.append(name)
        if node["type"] == "record":
            shape = self._record(node, steps, depth, within)
        elif node["type"] == "enum":
            shape = self._enum(node, steps)
        else:
            shape = self._fixed(node, steps)
        self._open.pop()
        self.named[name] = Definition(node, within, shape)
        return shape

    def _name(self, node: dict[str, Any], steps: Steps, space: str) -> str:
        name, own = node.get("name"), node.get("namespace", space)
        if not isinstance(name, str) or not is_dotted_name(name) or len(name) > MAX_NAME:
            self._no((*steps, "name"), "name", f"{_show(name)} is no Avro name", "use letters, digits and _, not starting with a digit")
            return f"?{len(self.named)}"
        if not isinstance(own, str) or (own and not is_dotted_name(own)) or len(own) > MAX_NAME:
            self._no((*steps, "namespace"), "name", f"{_show(own)} is no Avro namespace", "use Avro names separated by dots")
            return f"?{len(self.named)}"
        full = full_name(name, own)
        if full.partition(".")[0] == "hourmark" or name in PRIMITIVES:
            self._no((*steps, "name"), "name_reserved", f"{full:.80} is a name of the platform", "use another name or namespace")
        if not _names(node.get("aliases", [])):
            self._no((*steps, "aliases"), "name", "aliases must be a list of Avro names", "correct or remove the aliases")
        return full

    def _record(self, node: dict[str, Any], steps: Steps, depth: int, space: str) -> Shape:
        fields = node.get("fields")
        if not isinstance(fields, list) or not fields:
            return self._no((*steps, "fields"), "empty_record", "a record needs at least one field", "add a field, or drop the record")
        columns, height, seen = 0, 0, set()
        for number, field in enumerate(fields):
            place = (*steps, "fields", number)
            if not isinstance(field, dict):
                self._no(place, "field", f"{_show(field)} is no field", 'write {"name": …, "type": …}')
                continue
            name = self._field_name(field, place)
            if name.lower() in seen:
                message = f"the field name {name!r:.80} is taken (upper and lower case count as one)"
                self._no((*place, "name"), "field_name_twice", message, "rename one of the two")
            seen.add(name.lower())
            if "type" not in field:
                self._no(place, "field", f"the field {name:.80} has no type", 'add "type"')
                continue
            shape = self._type(field["type"], (*place, "type"), depth + 1, space)
            columns, height = columns + shape.columns, max(height, shape.height)
            if "default" in field:
                self._default(field, place, space)
        return Shape(columns, height + 1)

    def _field_name(self, field: dict[str, Any], place: Steps) -> str:
        name = field.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > MAX_NAME:
            self._no((*place, "name"), "name", f"{_show(name)} is no Avro name", "use letters, digits and _, not starting with a digit")
            return f"?{place[-1]}"
        if name.startswith("_"):
            self._no((*place, "name"), "field_underscore", f"{name:.80} starts with _, as the envelope's fields do", "drop the underscore")
        if not _names(field.get("aliases", [])):
            self._no((*place, "aliases"), "name", "aliases must be a list of Avro names", "correct or remove the aliases")
        if field.get("order", "ascending") not in ("ascending", "descending", "ignore"):
            self._no((*place, "order"), "field", "order is ascending, descending or ignore", "correct or remove the order")
        return name

    def _enum(self, node: dict[str, Any], steps: Steps) -> Shape:
        symbols = node.get("symbols")
        if not isinstance(symbols, list) or not symbols:
            return self._no((*steps, "symbols"), "enum", "an enum needs at least one symbol", "list the symbols")
        if len(symbols) > MAX_SYMBOLS:
            return self._no((*steps, "symbols"), "enum", f"more than {MAX_SYMBOLS} symbols", "use a string")
        for number, symbol in enumerate(symbols):
            if not isinstance(symbol, str) or not NAME.fullmatch(symbol):
                self._no((*steps, "symbols", number), "enum", f"{_show(symbol)} is no Avro name", "use letters, digits and _")
            elif symbol in symbols[:number]:
                self._no((*steps, "symbols", number), "enum", f"{symbol:.80} stands twice", "list each symbol once")
        if "default" in node and node["default"] not in symbols:
            self._no((*steps, "default"), "default", "the default is none of the symbols", "use one of the symbols")
        return Shape()

    def _fixed(self, node: dict[str, Any], steps: Steps) -> Shape:
        size = node.get("size")
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_FIXED:
            return self._no((*steps, "size"), "fixed", f"size must be 1 to {MAX_FIXED}, not {_show(size)}", "correct the size")
        self._logical(node, "fixed", steps)
        return Shape()

    def _logical(self, node: dict[str, Any], kind: str, steps: Steps) -> None:
        logical = node.get("logicalType")
        if logical is None or (isinstance(logical, str) and logical not in LOGICAL):
            return
        place = (*steps, "logicalType")
        if not isinstance(logical, str):
            self._no(place, "logical_type", f"{_show(logical)} is no logical type", "name a logical type or remove it")
        elif kind not in LOGICAL[logical]:
            bases = " or ".join(LOGICAL[logical])
            self._no(place, "logical_type", f"{logical} cannot stand on {kind}", f"put it on {bases}")
        elif logical == "decimal":
            self._decimal(node, kind, steps)

    def _decimal(self, node: dict[str, Any], kind: str, steps: Steps) -> None:
        precision, scale = node.get("precision"), node.get("scale", 0)
        if isinstance(precision, bool) or not isinstance(precision, int) or not 1 <= precision <= MAX_DECIMAL:
            message = f"precision must be 1 to {MAX_DECIMAL}, not {_show(precision)}"
            self._no((*steps, "precision"), "decimal", message, f"state a precision of at most {MAX_DECIMAL} digits")
        elif isinstance(scale, bool) or not isinstance(scale, int) or not 0 <= scale <= precision:
            message = f"scale must be 0 to the precision, not {_show(scale)}"
            self._no((*steps, "scale"), "decimal", message, "state the digits after the point")
        elif kind == "fixed" and 10**precision > 2 ** (8 * node["size"] - 1):
            self._no((*steps, "size"), "decimal", f"{node['size']} bytes cannot hold {precision} digits", "use a larger size, or bytes")

    def _default(self, field: dict[str, Any], place: Steps, space: str) -> None:
        told = misfit(field["type"], field["default"], space, self.named)
        if told is not None:
            self._no((*place, "default"), "default", told, "use a value of the type (in a union: of the first one)")


_KNOWN = "use " + ", ".join(sorted(PRIMITIVES - {"null"})) + ", record, enum, fixed, array, map, or define the name first"


def _kind(branch: object, space: str) -> str:
    kind = branch.get("type") if isinstance(branch, dict) else branch
    if isinstance(branch, dict) and kind in ("record", "enum", "fixed"):
        return full_name(str(branch.get("name")), str(branch.get("namespace", space)))
    if isinstance(kind, str):
        return kind if kind in PRIMITIVES or kind in ("array", "map") else full_name(kind, space)
    return f"?{id(branch)}"


def _names(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(name, str) and is_dotted_name(name) for name in found)


def _show(value: object) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
