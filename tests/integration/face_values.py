"""A schema with something of everything, and values of it that two languages hold alike."""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka.serialization import MessageField, SerializationContext

RICH = json.dumps(
    {
        "type": "record",
        "name": "Rich",
        "namespace": "org.x",
        "fields": [
            {"name": "text", "type": "string"},
            {"name": "count", "type": "int"},
            {"name": "big", "type": "long"},
            {"name": "part", "type": "double"},
            {"name": "yes", "type": "boolean"},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
            {"name": "maybe", "type": ["null", "string"], "default": None},
            {"name": "list", "type": {"type": "array", "items": "int"}},
            {"name": "map", "type": {"type": "map", "values": "string"}},
            {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "n", "type": "int"}]}},
            {"name": "again", "type": "Inner"},
        ],
    }
)


def rich(number: int) -> dict[str, Any]:
    """A value of RICH, alike for both languages."""
    return {
        "text": f"Jämtland {number}",
        "count": -number,
        "big": number * 10**12,
        "part": number / 4,
        "yes": number % 2 == 0,
        "kind": "AB"[number % 2],
        "maybe": None if number % 3 else "here",
        "list": list(range(number)),
        "map": {"k": str(number)},
        "inner": {"n": number},
        "again": {"n": number + 1},
    }


def value_of(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)
