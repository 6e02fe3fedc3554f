"""What differs between two declarations, in words: fields with their types, and everything else a declaration says. Judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["added", "removed", "changed"]
_MISSING: Final = object()
_NAMED: Final = ("record", "enum", "fixed")


class Step(NamedTuple):
    """One difference. `what`: `field user.name`, `tier`, `sdks`; `old` and `new` are texts, empty where there is none."""

    kind: Kind
    what: str
    old: str = ""
    new: str = ""

    def __str__(self) -> str:
        if self.kind == "changed":
            return f"{self.what}: {self.old or 'nothing'} → {self.new or 'nothing'}"
        value = self.new or self.old
        return f"{self.what}: {value}" if value else self.what


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Step]:
    """Steps from one complete, sound declaration to another; empty when they say the same."""
    steps = list(_fields(before["schema"], after["schema"]))
    for name in {**before, **after}:
        if name != "schema":
            steps += _said(name, _spelt_out(name, before), _spelt_out(name, after))
    if not steps and before != after:
        steps.append(Step("changed", "schema", "the same fields", "in another form"))
    return steps


def fields(schema: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Every field by its path (`user.name`, `items[].price`) → `type`, `default` and `doc` as texts, as far as they are there."""
    return dict(_walk(schema, ""))


def type_text(node: Any) -> str:
    """An Avro type in a few words: `string or null`, `array of long (timestamp-micros)`, `enum EWR, JFK`."""
    if isinstance(node, list):
        kinds = [type_text(branch) for branch in node if branch != "null"]
        return " or ".join([*kinds, *(["null"] if "null" in node else [])])
    if not isinstance(node, dict):
        return str(node)
    kind, logical = node.get("type"), node.get("logicalType")
    if kind == "array":
        return f"array of {type_text(node.get('items'))}"
    if kind == "map":
        return f"map of {type_text(node.get('values'))}"
    if kind == "enum":
        return f"enum {', '.join(map(str, node.get('symbols', ())))}"
    text = f"fixed of {node.get('size')} bytes" if kind == "fixed" else type_text(kind)
    if logical == "decimal":
        return f"decimal({node.get('precision')}, {node.get('scale', 0)})"
    return f"{text} ({logical})" if logical else text


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Step]:
    old, new = fields(before), fields(after)
    for path in {**old, **new}:
        was, now = old.get(path), new.get(path)
        if was is None and now is not None:
            yield Step("added", f"field {path}", new=_whole(now))
        elif now is None and was is not None:
            yield Step("removed", f"field {path}", old=_whole(was))
        elif was is not None and now is not None:
            for name in {**was, **now}:
                if was.get(name) != now.get(name):
                    yield Step("changed", f"field {path}, {name}", was.get(name, ""), now.get(name, ""))


def _whole(field: Mapping[str, str]) -> str:
    default = f", default {field['default']}" if "default" in field else ""
    return f"{field['type']}{default}"


def _walk(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    for field in schema["fields"]:
        path = f"{prefix}{field['name']}"
        said = {"type": type_text(field["type"])}
        if "default" in field:
            said["default"] = _text(field["default"])
        if field.get("doc"):
            said["doc"] = str(field["doc"])
        yield path, said
        yield from _inside(field["type"], path)


def _inside(node: Any, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    if isinstance(node, list):
        for branch in node:
            yield from _inside(branch, path)
    elif isinstance(node, dict):
        if node.get("type") == "array":
            yield from _inside(node.get("items"), f"{path}[]")
        elif node.get("type") == "map":
            yield from _inside(node.get("values"), f"{path}{{}}")
        elif node.get("type") == "record":
            yield from _walk(node, f"{path}.")


def _spelt_out(name: str, document: Mapping[str, Any]) -> Any:
    said = document.get(name, _MISSING)
    return {"state": said} if name == "lifecycle" and isinstance(said, str) else said


def _said(name: str, old: Any, new: Any) -> Iterator[Step]:
    if old == new:
        return
    if isinstance(old, dict) or isinstance(new, dict):
        was = old if isinstance(old, dict) else {} if old is _MISSING else {"": old}
        now = new if isinstance(new, dict) else {} if new is _MISSING else {"": new}
        for key in {**was, **now}:
            yield from _said(f"{name}.{key}" if key else name, was.get(key, _MISSING), now.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        yield from (Step("removed", name, old=_text(item)) for item in old if item not in new)
        yield from (Step("added", name, new=_text(item)) for item in new if item not in old)
    elif old is _MISSING:
        yield Step("added", name, new=_text(new))
    elif new is _MISSING:
        yield Step("removed", name, old=_text(old))
    else:
        yield Step("changed", name, _text(old), _text(new))


def _text(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}…"
