"""May a schema follow the versions that a subject has? Avro as the library for events says; others are not judged, and that is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from .. import compatibility
from . import errors
from .formats import Schema
from .forms import Version
from .settings import Rules

LEVELS: Final = frozenset(compatibility.LEVELS)
_RESERVED: Final = "confluent:reserved"
Read = Callable[[Version], Schema]


def problems(rules: Rules, schema: Schema, metadata: dict[str, Any] | None, older: Sequence[Version], read: Read) -> list[str]:
    """Why `schema` may not follow `older` (live versions, oldest first), in Confluent's words; empty when it may.

    Raises FaceError (42201) for kinds that cannot be judged.
    """
    found = list(_reserved_fields(schema, metadata, older[-1].metadata if older else None)) if rules.validate_fields else []
    if rules.group is not None:
        group = _property(metadata, rules.group)
        older = [version for version in older if _property(version.metadata, rules.group) == group]
    found += _judged(rules.level, schema, older, read)
    if found:
        found.append(f"{{validateFields: '{str(rules.validate_fields).lower()}', compatibility: '{rules.level}'}}")
    return found


def _judged(level: str, schema: Schema, older: Sequence[Version], read: Read) -> list[str]:
    if level == "NONE" or not older:
        return []
    considered = older if level.endswith("_TRANSITIVE") else older[-1:]
    for version in considered:
        if version.kind != schema.kind:
            told = f"Incompatible because of different schema type: version {version.version} is {version.kind}, not {schema.kind}"
            return [f"{{errorType:'SCHEMA_TYPE_MISMATCH', description:'{told}'}}", f"{{oldSchemaVersion: {version.version}}}"]
    if schema.avro is None:
        if all(read(version).normal == schema.normal and version.references == () for version in considered):
            return []
        told = f"hourmark does not judge whether a {schema.kind} schema may follow another one (the level is {level})"
        raise errors.invalid_schema(f"{told}; set the subject's compatibility to NONE to register it without")
    pairs = [(version.version, parsed) for version in considered if (parsed := read(version).avro) is not None]
    found = compatibility.find(schema.avro, pairs, level)
    if not found:
        return []
    against = next(version for version in considered if version.version == found[0].version)
    reasons = [one.confluent() for one in found if one.version == against.version]
    return [*reasons, f"{{oldSchemaVersion: {against.version}}}", f"{{oldSchema: '{against.text:.2000}'}}"]


def _reserved_fields(schema: Schema, metadata: dict[str, Any] | None, before: dict[str, Any] | None) -> list[str]:
    reserved, known = _names(_property(metadata, _RESERVED)), _names(_property(before, _RESERVED))
    gone = "The new schema has reserved field {} removed from its metadata which is present in the old schema's metadata."
    clash = "The new schema has field that conflicts with the reserved field {}."
    return [gone.format(name) for name in sorted(known - reserved)] + [clash.format(name) for name in sorted(reserved & schema.fields)]


def _property(metadata: dict[str, Any] | None, name: str) -> str | None:
    found: str | None = ((metadata or {}).get("properties") or {}).get(name)
    return found


def _names(text: str | None) -> set[str]:
    return {name.strip() for name in (text or "").split(",") if name.strip()}
