"""From payload schema to wire schema: the envelope's fields first, then the payload's, in one Avro record named after the event type.

Deterministic: equal payload schemas give equal wire schemas and fingerprints. Expects a schema that lakesafe.py found safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from hourmark.event import ENVELOPE

from .avro import PRIMITIVES, full_name, inner_space

NAMESPACE = "hourmark.events"


def wire_schema(event: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The wire schema of an event type. Named types of the payload without a namespace get the event type's own."""
    group, _, name = event.rpartition(".")
    home = f"{NAMESPACE}.{event}"
    space = inner_space(payload, "")
    doc = {"doc": payload["doc"]} if isinstance(payload.get("doc"), str) else {}
    fields = [json.loads(json.dumps(field)) for field in ENVELOPE]
    fields += [_field(field, space, home) for field in payload["fields"]]
    return {"type": "record", "name": name, "namespace": f"{NAMESPACE}.{group}", **doc, "fields": fields}


def canonical(avro: object) -> str:
    """One text for equal schemas: sorted keys, no spaces."""
    return json.dumps(avro, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(avro: object) -> str:
    """Hex SHA-256 of the canonical text."""
    return sha256(canonical(avro).encode()).hexdigest()


def _field(field: Mapping[str, Any], space: str, home: str) -> dict[str, Any]:
    return {**field, "type": _type(field["type"], space, home)}


def _type(node: Any, space: str, home: str) -> Any:
    if isinstance(node, str):
        return node if node in PRIMITIVES else _full(node, space, home)
    if isinstance(node, list):
        return [_type(branch, space, home) for branch in node]
    kind = node["type"]
    if kind == "array":
        return {**node, "items": _type(node["items"], space, home)}
    if kind == "map":
        return {**node, "values": _type(node["values"], space, home)}
    if kind not in ("record", "enum", "fixed"):
        return dict(node)
    within = inner_space(node, space)
    namespace, _, name = _full(node["name"], within, home).rpartition(".")
    whole = {**node, "name": name, "namespace": namespace}
    if kind == "record":
        whole["fields"] = [_field(field, within, home) for field in node["fields"]]
    return whole


def _full(name: str, space: str, home: str) -> str:
    full = full_name(name, space)
    return full if "." in full else f"{home}.{full}"
