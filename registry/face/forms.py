"""Plain data of the face: references, metadata, rules, versions, and the bodies of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from . import errors

KINDS: Final = ("JSON", "PROTOBUF", "AVRO")
MAX_REFERENCES: Final = 1000
_KNOWN: Final = frozenset({"schema", "schemaType", "references", "metadata", "ruleSet", "version", "id"})
_RULE_KINDS: Final = ("CONDITION", "TRANSFORM")
_RULE_MODES: Final = {
    "migrationRules": ("UPGRADE", "DOWNGRADE", "UPDOWN"),
    "domainRules": ("WRITE", "READ", "WRITEREAD"),
    "encodingRules": ("WRITE", "READ", "WRITEREAD"),
}
_RULE_ACTIONS: Final = ("NONE", "ERROR", "DLQ")
# what clients send along that the face has no use for
_IDLE: Final = frozenset({"subject", "guid", "ts", "deleted", "schemaTagsToAdd", "schemaTagsToRemove", "propagateSchemaTags"})


class Reference(NamedTuple):
    """Another schema that this one uses under `name`. `version` -1: the latest when it was registered."""

    name: str
    subject: str
    version: int

    def json(self) -> dict[str, object]:
        return self._asdict()


class Version(NamedTuple):
    """A version of a subject with its schema. `metadata` and `rules` as JSON data."""

    subject: str
    version: int
    id: int
    kind: str
    text: str
    fingerprint: str
    references: tuple[Reference, ...]
    metadata: dict[str, Any] | None = None
    rules: dict[str, Any] | None = None
    deleted: bool = False


class Sent(NamedTuple):
    """A schema as a client sent it. `text` empty: none was sent. `id` and `version` 0: not given."""

    text: str
    kind: str
    references: tuple[Reference, ...]
    metadata: dict[str, Any] | None
    rules: dict[str, Any] | None
    id: int
    version: int


def sent(body: object) -> Sent:
    """The body of a registration, a lookup or a check. Raises FaceError."""
    if not isinstance(body, dict):
        raise errors.malformed("Malformed request: the body must be a JSON object with the schema's text in `schema`")
    for field in body:
        if field not in _KNOWN and field not in _IDLE:
            raise errors.FaceError(422, 422, f"Unrecognized field: {field!s:.100}")
    text = body.get("schema")
    if text is not None and not isinstance(text, str):
        raise errors.invalid_schema("`schema` must be the schema's text, a JSON string")
    kind = body.get("schemaType")
    if kind is not None and kind not in KINDS:
        raise errors.invalid_schema(f"Invalid schema type {kind!s:.50}: valid are AVRO, JSON and PROTOBUF")
    if "\0" in (text or ""):
        raise errors.invalid_schema("the schema's text holds a NUL character")
    return Sent(
        (text or "").strip() and (text or ""),
        kind or "AVRO",
        _references(body.get("references")),
        metadata_of(body.get("metadata"), "metadata"),
        rules_of(body.get("ruleSet"), "ruleSet"),
        max(0, _number(body, "id")),
        max(0, _number(body, "version")),
    )


def metadata_of(node: object, name: str) -> dict[str, Any] | None:
    """Tags, properties and names of sensitive properties; anything else is refused (42201)."""
    if node is None:
        return None
    ok = isinstance(node, dict) and set(node) <= {"tags", "properties", "sensitive"}
    found = node if isinstance(node, dict) else {}
    tags, properties, sensitive = (found.get(part) for part in ("tags", "properties", "sensitive"))
    ok = ok and (tags is None or (isinstance(tags, dict) and all(_texts(value) for value in tags.values())))
    ok = ok and (properties is None or (isinstance(properties, dict) and all(isinstance(value, str) for value in properties.values())))
    if not ok or not (sensitive is None or _texts(sensitive)):
        told = "{tags: {path: [tag]}, properties: {name: text}, sensitive: [name]}"
        raise errors.invalid_schema(f"`{name}` must look like {told}")
    return {part: value for part, value in found.items() if value is not None}


def rules_of(node: object, name: str) -> dict[str, Any] | None:
    """Lists of rules by phase, kept as sent. Raises FaceError (42201) when one is no rule."""
    if node is None:
        return None
    found = node if isinstance(node, dict) else {"": None}
    lists = {part: value for part, value in found.items() if value is not None and part != "enableAt"}
    if any(part not in _RULE_MODES or not isinstance(value, list) for part, value in lists.items()) or "" in found:
        raise errors.invalid_schema(f"`{name}` must hold lists of rules: {', '.join(_RULE_MODES)}")
    for part, rules in lists.items():
        for rule in rules:
            fault = _rule_fault(part, rule)
            if fault:
                raise errors.invalid_schema(f"`{name}.{part}`: {fault}")
        if len({rule["name"] for rule in rules}) != len(rules):
            raise errors.invalid_schema(f"`{name}.{part}`: two rules have one name")
    return {part: value for part, value in found.items() if value is not None}


def merged_metadata(below: Mapping[str, Any] | None, above: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`above` wins key by key; sensitive names of both."""
    if below is None or above is None:
        kept = below if above is None else above
        return None if kept is None else dict(kept)
    found: dict[str, Any] = {}
    for part in ("tags", "properties"):
        if part in below or part in above:
            found[part] = {**below.get(part, {}), **above.get(part, {})}
    if "sensitive" in below or "sensitive" in above:
        found["sensitive"] = list(dict.fromkeys([*below.get("sensitive", []), *above.get("sensitive", [])]))
    return found


def merged_rules(below: Mapping[str, Any] | None, above: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Rules of both; of two with one name that of `above`, at the place of the other."""
    if below is None or above is None:
        kept = below if above is None else above
        return None if kept is None else dict(kept)
    found: dict[str, Any] = {}
    for part in ("migrationRules", "domainRules", "encodingRules"):
        if part in below or part in above:
            rules = {rule["name"]: rule for rule in below.get(part, [])}
            found[part] = list((rules | {rule["name"]: rule for rule in above.get(part, [])}).values())
    return found


def loaded(text: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def _references(node: object) -> tuple[Reference, ...]:
    if node is None:
        return ()
    if not isinstance(node, list) or len(node) > MAX_REFERENCES:
        raise errors.invalid_schema(f"`references` must be a list of at most {MAX_REFERENCES} references")
    found = []
    for entry in node:
        parts = entry if isinstance(entry, dict) else {}
        name, subject, version = (parts.get(part) for part in ("name", "subject", "version"))
        if not (isinstance(name, str) and isinstance(subject, str) and isinstance(version, int) and -1 <= version < 2**31) or not name:
            raise errors.invalid_schema("a reference has a `name`, a `subject` and a `version` (a number)")
        found.append(Reference(name, subject, version))
    if len({reference.name for reference in found}) != len(found):
        raise errors.invalid_schema("two references have one name")
    return tuple(found)


def _number(body: Mapping[str, Any], name: str) -> int:
    found = body.get(name)
    if found is None:
        return 0
    if not isinstance(found, int) or isinstance(found, bool) or not -(2**31) <= found < 2**31:
        raise errors.FaceError(422, 422, f"`{name}` must be a number of at most 31 bits")
    return found


def _rule_fault(part: str, rule: object) -> str | None:
    """What is wrong with a rule. An action may be a pair, of the first mode and the second: "ERROR,NONE"."""
    if not isinstance(rule, dict) or not isinstance(rule.get("name"), str) or not rule["name"]:
        return "every rule needs a name"
    kind, mode = rule.get("kind") or _RULE_KINDS[0], rule.get("mode") or _RULE_MODES[part][0]
    if kind not in _RULE_KINDS or mode not in _RULE_MODES[part]:
        return f"a rule's kind is one of {', '.join(_RULE_KINDS)}, its mode here one of {', '.join(_RULE_MODES[part])}"
    for field in ("onSuccess", "onFailure"):
        action = rule.get(field) or ""
        if not isinstance(action, str) or action.count(",") > 1 or not {*action.split(",")} <= {*_RULE_ACTIONS, ""}:
            return f"a rule's {field} is one of {', '.join(_RULE_ACTIONS)}"
    return None


def _texts(node: object) -> bool:
    return isinstance(node, list) and all(isinstance(item, str) for item in node)
