"""May a new payload schema follow an old one? Pure, and deliberately narrow: what is not obviously safe in both directions is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .compile import canonical
from .refusal import Problem, pointer


def check(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Problem]:
    """Problems of replacing payload schema `old` by `new`; both lake-safe.

    Fields may come with a default, and go if they had one; all others stay as they are. Descriptions (`doc`) may change.
    """
    before = {field["name"]: field for field in old["fields"]}
    problems = []
    for number, field in enumerate(new["fields"]):
        path, name = pointer("schema", "fields", number), field["name"]
        former = before.pop(name, None)
        if former is None:
            if "default" not in field:
                problems.append(Problem(path, "added_without_default", f"the new field {name} has no default", "give it a default"))
        elif _bare(former["type"]) != _bare(field["type"]):
            fix = "keep the type, and add a field of another name for the new one"
            problems.append(Problem(f"{path}/type", "type_changed", f"the type of {name} changed", fix))
        elif "default" in former and "default" not in field:
            fix = f"keep the default {json.dumps(former['default'])[:100]}"
            problems.append(Problem(path, "default_removed", f"the default of {name} is gone", fix))
    for name, former in before.items():
        if "default" not in former:
            problems.append(
                Problem("/schema/fields", "removed_without_default", f"{name} is gone and had no default", f"keep the field {name}")
            )
    if old.get("namespace") != new.get("namespace") and not problems and _names_inside(new):
        problems.append(Problem("/schema/namespace", "namespace_changed", "names of inner types changed", "keep the namespace"))
    return problems


def _bare(node: Any) -> str:
    return canonical(_without_doc(node))


def _without_doc(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_doc(value) for name, value in node.items() if name != "doc"}
    return [_without_doc(item) for item in node] if isinstance(node, list) else node


def _names_inside(schema: Mapping[str, Any]) -> bool:
    return any(f'"{kind}"' in canonical(schema["fields"]) for kind in ("record", "enum", "fixed"))
