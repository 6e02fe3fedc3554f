"""Is a payload schema lake-safe: can every reader of the wire and of the lake handle it, today and for ever?

Pure, never raises on plain data (see document.py), and says for each fault where it is, which rule it breaks, and what to write instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .avro import PRIMITIVES, Shape, full_name
from .grammar import Grammar, Steps, show

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


class Survey(Grammar):
    """One walk over a payload schema: the rules of Avro, and those of the lake."""

    max_depth = MAX_DEPTH
    max_name = MAX_NAME
    spec = False

    def __init__(self, schema: object) -> None:
        super().__init__(schema, root=("schema",))

    def _start(self, schema: object, root: Steps) -> None:
        if not isinstance(schema, dict) or schema.get("type") != "record":
            self._no(root, "record", "the payload schema is no record", 'write {"type": "record", "name": …, "fields": […]}')
            return
        shape = self._type(schema, root, 1, "")
        if shape.height > MAX_DEPTH:
            self._no(root, "too_deep", f"types nest {shape.height} levels, at most {MAX_DEPTH} are allowed", "flatten the record")
        if shape.columns > MAX_COLUMNS:
            self._no(root, "too_many_columns", f"more than {MAX_COLUMNS} columns", "split the event type or use a map")

    def _word(self, name: str, steps: Steps, space: str) -> Shape:
        if name == "null":
            return self._no(steps, "null_alone", "null alone holds nothing", 'use ["null", <type>]')
        if name not in PRIMITIVES and full_name(name, space) in self._open:
            told = f"{full_name(name, space):.80} contains itself"
            return self._no(steps, "recursion", told, "a table has no recursion: use an array of flat records")
        return super()._word(name, steps, space)

    def _union(self, branches: list[Any], steps: Steps, depth: int, space: str) -> Shape:
        if branches == ["null"]:
            return self._no(steps, "union", "the union holds no type", 'write ["null", <type>]')
        return super()._union(branches, steps, depth, space)

    def _named(self, node: dict[str, Any], steps: Steps, depth: int, space: str) -> Shape:
        if node["type"] == "error":
            return self._no((*steps, "type"), "unknown_type", "an error is for protocols, not for events", "write record")
        return super()._named(node, steps, depth, space)

    def _reserved(self, full: str, name: str) -> bool:
        return full.partition(".")[0] == "hourmark" or name in PRIMITIVES

    def _record(self, node: dict[str, Any], steps: Steps, depth: int, space: str) -> Shape:
        if node.get("fields") in (None, []):
            return self._no((*steps, "fields"), "empty_record", "a record needs at least one field", "add a field, or drop the record")
        return super()._record(node, steps, depth, space)

    def _field_twice(self, name: str, seen: set[str], place: Steps) -> None:
        if name.lower() in seen:
            message = f"the field name {name!r:.80} is taken (upper and lower case count as one)"
            self._no((*place, "name"), "field_name_twice", message, "rename one of the two")
        seen.add(name.lower())

    def _field_name(self, field: dict[str, Any], place: Steps) -> str:
        name = super()._field_name(field, place)
        if name.startswith("_"):
            self._no((*place, "name"), "field_underscore", f"{name:.80} starts with _, as the envelope's fields do", "drop the underscore")
        return name

    def _enum(self, node: dict[str, Any], steps: Steps) -> Shape:
        symbols = node.get("symbols")
        if isinstance(symbols, list) and len(symbols) > MAX_SYMBOLS:
            return self._no((*steps, "symbols"), "enum", f"more than {MAX_SYMBOLS} symbols", "use a string")
        return super()._enum(node, steps)

    def _fixed(self, node: dict[str, Any], steps: Steps) -> Shape:
        size = node.get("size")
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_FIXED:
            return self._no((*steps, "size"), "fixed", f"size must be 1 to {MAX_FIXED}, not {show(size)}", "correct the size")
        self._logical(node, "fixed", steps)
        return Shape()

    def _logical(self, node: dict[str, Any], kind: str, steps: Steps) -> None:
        logical = node.get("logicalType")
        if logical is None or (isinstance(logical, str) and logical not in LOGICAL):
            return
        place = (*steps, "logicalType")
        if not isinstance(logical, str):
            self._no(place, "logical_type", f"{show(logical)} is no logical type", "name a logical type or remove it")
        elif kind not in LOGICAL[logical]:
            bases = " or ".join(LOGICAL[logical])
            self._no(place, "logical_type", f"{logical} cannot stand on {kind}", f"put it on {bases}")
        elif logical == "decimal":
            self._decimal(node, kind, steps)

    def _decimal(self, node: dict[str, Any], kind: str, steps: Steps) -> None:
        precision, scale = node.get("precision"), node.get("scale", 0)
        if isinstance(precision, bool) or not isinstance(precision, int) or not 1 <= precision <= MAX_DECIMAL:
            message = f"precision must be 1 to {MAX_DECIMAL}, not {show(precision)}"
            self._no((*steps, "precision"), "decimal", message, f"state a precision of at most {MAX_DECIMAL} digits")
        elif isinstance(scale, bool) or not isinstance(scale, int) or not 0 <= scale <= precision:
            message = f"scale must be 0 to the precision, not {show(scale)}"
            self._no((*steps, "scale"), "decimal", message, "state the digits after the point")
        elif kind == "fixed" and 10**precision > 2 ** (8 * node["size"] - 1):
            self._no((*steps, "size"), "decimal", f"{node['size']} bytes cannot hold {precision} digits", "use a larger size, or bytes")
