"""Random Avro schemas, random changes to them, and random data: everything from one `random.Random`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import strategies as st

PRIMITIVES = ("boolean", "int", "long", "float", "double", "bytes", "string")
DEFAULTS = {"boolean": True, "int": 7, "long": -(2**40), "float": 1.5, "double": 2.5, "bytes": "a", "string": "x", "null": None}
LOGICAL = (("long", "timestamp-millis"), ("long", "timestamp-micros"), ("int", "date"), ("string", "uuid"))
SYMBOLS = ("A", "B", "C", "D")


KEYS = ["type", "fields", "items", "values", "symbols", "name", "size", "default", "namespace", "aliases", "logicalType", "precision", ""]
KINDS = ["record", "enum", "fixed", "array", "map", "null", "int", "string", "bytes", "decimal", "R", "é"]
WORDS = st.sampled_from([*KEYS, *KINDS])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=15,
)


# Seeds, not st.randoms(): hypothesis would draw nearly the same schema again and again.
CHANCES = st.integers(0, 2**32 - 1).map(Random)


class Endless(Exception):
    """No datum fits: a record that must hold itself."""


class Pairs:
    """`events`: schemas as payloads of events have them (no recursion, logical types); else anything in Avro."""

    def __init__(self, chance: Random, events: bool = False) -> None:
        self.chance, self.events, self._names = chance, events, 0

    def pair(self) -> tuple[Any, Any]:
        """A schema and what a few changes made of it."""
        before = self.record(2)
        if not self.events and self.chance.random() < 0.2:
            before = self.type(2)
        after = copy.deepcopy(before)
        for _ in range(self.chance.choice((0, 1, 1, 1, 2, 3))):
            after = self.change(after)
        return before, after

    # -- schemas

    def record(self, depth: int) -> Any:
        found: dict[str, Any] = {"type": "record", "name": self._name()}
        if self.chance.random() < 0.3:
            found["namespace"] = self.chance.choice(("x", "x.y"))
        found["fields"] = [self.field(f"f{number}", depth) for number in range(self.chance.randint(1, 3))]
        if not self.events and self.chance.random() < 0.2:
            found["fields"].append({"name": "next", "type": ["null", found["name"]], "default": None})
        return found

    def field(self, name: str, depth: int) -> Any:
        kind = self.type(depth - 1)
        first = kind[0] if isinstance(kind, list) else kind
        if isinstance(first, str) and self.chance.random() < 0.6 and not (self.events and first == "bytes"):
            return {"name": name, "type": kind, "default": DEFAULTS[first]}
        return {"name": name, "type": kind}

    def type(self, depth: int) -> Any:
        plain = self.chance.choice(PRIMITIVES)
        if depth <= 0:
            return plain
        match self.chance.randrange(10):
            case 0:
                return self.record(depth)
            case 1:
                return self._enum()
            case 2:
                return {"type": "fixed", "name": self._name(), "size": self.chance.choice((1, 4))}
            case 3:
                return {"type": "array", "items": self.type(depth - 1)}
            case 4:
                return {"type": "map", "values": self.type(depth - 1)}
            case 5 | 6:
                return self._union(depth)
            case 7 if self.events:
                kind, meaning = self.chance.choice(LOGICAL)
                return {"type": kind, "logicalType": meaning}
        return plain

    def _enum(self) -> Any:
        symbols = self.chance.sample(SYMBOLS, self.chance.randint(1, 3))
        more = {"default": symbols[0]} if self.chance.random() < 0.5 else {}
        return {"type": "enum", "name": self._name(), "symbols": symbols, **more}

    def _union(self, depth: int) -> Any:
        branches = ["null"] if self.chance.random() < 0.7 else []
        for _ in range(self.chance.randint(1, 2)):
            branch = self.type(depth - 1)
            if not isinstance(branch, list) and kind(branch) not in map(kind, branches):
                branches.append(branch)
        return branches if branches not in ([], ["null"]) else ["null", "string"]

    def _name(self) -> str:
        self._names += 1
        return f"N{self._names}"

    # -- changes

    def change(self, schema: Any) -> Any:
        """The schema with one change somewhere, sound or not."""
        holder = {"top": schema}
        spots = list(_spots(holder))
        owner, key = self.chance.choice(spots)
        node = owner[key]
        if isinstance(node, dict) and node["type"] == "record":
            self._change_record(node)
        elif isinstance(node, dict) and node["type"] == "enum":
            self._change_enum(node)
        elif isinstance(node, dict) and node["type"] == "fixed" and self.chance.random() < 0.5:
            node["size"] = self.chance.choice((1, 4))
        elif isinstance(node, list):
            owner[key] = self._change_union(node)
        else:
            owner[key] = self._change_type(node)
        return holder["top"]

    def _change_record(self, node: Any) -> None:
        fields = node["fields"]
        match self.chance.randrange(9):
            case 0 | 1:
                fields.insert(self.chance.randint(0, len(fields)), self.field(f"g{self.chance.randrange(3)}", 1))
            case 2 | 3 if len(fields) > 1:
                fields.pop(self.chance.randrange(len(fields)))
            case 4:
                self.chance.shuffle(fields)
            case 5:
                field = self.chance.choice(fields)
                field["aliases"] = [field["name"]]
                field["name"] = f"h{self.chance.randrange(3)}"
            case 6:
                self.chance.choice(fields).pop("default", None)
            case 7 if self.chance.random() < 0.5:
                self.chance.choice(fields)["aliases"] = [f"f{self.chance.randrange(3)}"]
            case _:
                if self.chance.random() < 0.5:
                    node["aliases"] = [node["name"]]
                node["name"] = self._name()

    def _change_enum(self, node: Any) -> None:
        node["symbols"] = self.chance.sample(SYMBOLS, self.chance.randint(1, 4))
        node.pop("default", None)
        if self.chance.random() < 0.6:
            node["default"] = node["symbols"][0]

    def _change_union(self, node: list[Any]) -> Any:
        match self.chance.randrange(4):
            case 0 if len(node) > 1:
                node.pop(self.chance.randrange(len(node)))
            case 1:
                self.chance.shuffle(node)
            case 2:
                branch = self.type(0)
                if kind(branch) not in map(kind, node):
                    node.append(branch)
            case _:
                return node[-1] if len(node) > 1 else node
        return node

    def _change_type(self, node: Any) -> Any:
        match self.chance.randrange(4):
            case 0:
                return ["null", node]
            case 1 if isinstance(node, dict) and "logicalType" in node:
                return node["type"]
        return self.chance.choice(PRIMITIVES)

    # -- data

    def value(self, node: Any, types: dict[str, Any], depth: int = 4) -> Any:
        """A datum of a schema with names in full, as fastavro's writer takes it, with branches named. Raises Endless."""
        if depth < -30:
            raise Endless
        if isinstance(node, str) and node in types:
            node = types[node]
        if isinstance(node, list):
            branch = "null" if depth <= 0 and "null" in node else self.chance.choice(node)
            value = self.value(branch, types, depth - 1)
            named = branch if isinstance(branch, str) else branch.get("name")
            return (named, value) if named and branch != "null" else value
        what = node if isinstance(node, str) else node["type"]
        match what:
            case "record":
                return {field["name"]: self.value(field["type"], types, depth - 1) for field in node["fields"]}
            case "array":
                return [self.value(node["items"], types, depth - 1) for _ in range(self.chance.randint(0, 2))]
            case "map":
                return {f"k{n}": self.value(node["values"], types, depth - 1) for n in range(self.chance.randint(0, 2))}
            case "enum":
                return self.chance.choice(node["symbols"])
            case "fixed":
                return self.chance.randbytes(node["size"])
        return self._scalar(what)

    def _scalar(self, what: str) -> Any:
        match what:
            case "boolean":
                return self.chance.random() < 0.5
            case "int":
                return self.chance.choice((0, -1, 2**31 - 1, -(2**31)))
            case "long":
                return self.chance.choice((0, -1, 2**63 - 1, -(2**63)))
            case "float" | "double":
                return self.chance.choice((0.0, -1.5, 2.0**100))
            case "bytes":
                return self.chance.choice((b"", b"abc"))  # ASCII: other bytes are no text, which the schemas cannot know
            case "string":
                return self.chance.choice(("", "žluť", "x" * 70))
        return None


def kind(branch: Any) -> str:
    """What may stand in a union only once."""
    if isinstance(branch, dict):
        return str(branch.get("name") or branch["type"])
    return branch if isinstance(branch, str) else "union"


def _spots(holder: Any) -> Iterator[tuple[Any, Any]]:
    """(owner, key) of every type in a schema."""
    stack: list[tuple[Any, Any]] = [(holder, "top")]
    while stack:
        owner, key = stack.pop()
        yield owner, key
        node = owner[key]
        if isinstance(node, list):
            stack += [(node, number) for number in range(len(node))]
        elif isinstance(node, dict):
            stack += [(node, member) for member in ("items", "values") if member in node]
            stack += [(field, "type") for field in node.get("fields", ())]
