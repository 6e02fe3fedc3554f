"""Wire schemas for tests: the envelope as the contract has it, and payload fields after it."""

from __future__ import annotations

import json
from typing import Any

from hourmark.event import ENVELOPE

DEEP = {"type": "record", "name": "Deep", "fields": [{"name": "n", "type": "int"}]}
EVERYTHING: list[dict[str, Any]] = [
    {"name": "flag", "type": "boolean"},
    {"name": "small", "type": "int"},
    {"name": "large", "type": "long"},
    {"name": "thin", "type": "float"},
    {"name": "wide", "type": "double"},
    {"name": "text", "type": "string"},
    {"name": "raw", "type": "bytes"},
    {"name": "hash", "type": {"type": "fixed", "name": "Hash", "namespace": "t", "size": 4}},
    {"name": "same_hash", "type": ["null", "t.Hash"], "default": None},
    {"name": "colour", "type": {"type": "enum", "name": "Colour", "namespace": "t", "symbols": ["RED", "BLUE"]}, "default": "BLUE"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
    {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "clock", "type": {"type": "long", "logicalType": "time-micros"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
    {"name": "maybe", "type": ["null", "long"], "default": None},
    {"name": "list", "type": {"type": "array", "items": "long"}, "default": []},
    {"name": "map", "type": {"type": "map", "values": ["null", "double"]}, "default": {}},
    {
        "name": "inner",
        "type": [
            "null",
            {
                "type": "record",
                "name": "Inner",
                "namespace": "t",
                "fields": [
                    {"name": "class", "type": "string"},
                    {"name": "deep", "type": {"type": "array", "items": DEEP}},
                ],
            },
        ],
        "default": None,
    },
    {"name": "either", "type": ["null", "double", "long", "string", {"type": "array", "items": "string"}], "default": None},
]


def wire_schema(event: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    """The record that a registry compiles."""
    group, _, name = event.rpartition(".")
    envelope: list[Any] = json.loads(json.dumps(ENVELOPE))
    return {"type": "record", "name": name, "namespace": f"hourmark.events.{group}", "fields": [*envelope, *fields]}
