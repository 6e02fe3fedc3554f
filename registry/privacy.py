"""What a declaration says about people: whose data an event is, which fields are protected and how, and which are kept readable, and why.

Stored and broadcast now, applied by a later step. A field whose name looks personal (personal.py) must be one or the other. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .avro import PRIMITIVES, full_name, inner_space
from .document import is_text
from .personal import looks_personal
from .refusal import Problem, pointer

_SUBJECT_TYPES: Final = ("string", "long", "int", "bytes", "fixed")
FIELDS_MOST: Final = 2000
_NEVER_PERSONAL: Final = ("boolean", "null")
Steps = tuple[object, ...]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FieldPrivacy(_Model):
    """How one payload field is protected (`as`, and the name under which pseudonyms can be joined), or why it is not (`keep`)."""

    as_: Literal["pseudonym", "encrypt"] | None = Field(None, alias="as")
    join: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")] | None = None
    keep: str | None = Field(None, min_length=1, max_length=500)


class Privacy(_Model):
    """Whose data it is (`subject`: a top-level payload field), and what holds for which field.

    Fields are named by path: `email`, `contact.email`; arrays, maps and unions on the way are not written.
    """

    subject: str | None = None
    fields: dict[str, FieldPrivacy] = Field({}, max_length=FIELDS_MOST)


class Place(NamedTuple):
    """A field somewhere in a payload. `steps`: where it stands in the declaration; `kind`: `record` or the type's own name."""

    path: str
    steps: Steps
    kind: str


def private_fields(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Top-level fields of a sound declaration that hold something protected; of a stored one too."""
    fields = (document.get("privacy") or {}).get("fields", {})
    return tuple(sorted({path.partition(".")[0] for path, said in fields.items() if said.get("as")}))


def problems(schema: Mapping[str, Any], privacy: Privacy | None) -> list[Problem]:
    """What is wrong with these annotations of a payload schema that is lake-safe."""
    privacy = privacy or Privacy()
    places = list(_Walk().fields(schema, "", (), ("schema",), ""))
    kinds: dict[str, list[str]] = {}
    for place in places:
        kinds.setdefault(place.path, []).append(place.kind)
    return _annotations(privacy, kinds) + _forgotten(places, privacy.fields.keys())


def _annotations(privacy: Privacy, kinds: Mapping[str, list[str]]) -> list[Problem]:
    found = []
    if privacy.subject is not None:
        found += _subject(privacy.subject, kinds)
    for path, said in privacy.fields.items():
        place = pointer("privacy", "fields", path)
        if path not in kinds:
            told = f"the payload has no field {path!r:.80}"
            found.append(Problem(place, "privacy_field", told, "name a payload field; one inside a record as record.field"))
        elif (said.as_ is None) == (said.keep is None):
            told = "it is protected and kept at once" if said.as_ else "it says neither how the field is protected nor why it is kept"
            found.append(Problem(place, "privacy_way", told, 'write {as: pseudonym}, {as: encrypt}, or {keep: "the reason"}'))
        elif said.keep is not None and not is_text(said.keep):
            found.append(Problem(f"{place}/keep", "privacy_way", "the reason is no line of text", "say in a line why it may stay readable"))
        elif said.join is not None and said.as_ != "pseudonym":
            found.append(Problem(f"{place}/join", "privacy_way", "only pseudonyms can be joined", "remove join, or write as: pseudonym"))
        elif said.as_ == "pseudonym" and "record" in kinds[path]:
            told = "a record has no pseudonym"
            found.append(Problem(f"{place}/as", "privacy_way", told, "name its fields one by one, or write as: encrypt"))
    return found


def _subject(subject: str, kinds: Mapping[str, list[str]]) -> list[Problem]:
    if subject not in kinds or "." in subject:
        told = f"the payload has no field {subject!r:.80}"
        return [Problem("/privacy/subject", "privacy_field", told, "name a top-level payload field")]
    if not set(kinds[subject]) - {"null"} <= set(_SUBJECT_TYPES):
        told = f"the field {subject} cannot tell people apart"
        return [Problem("/privacy/subject", "privacy_subject", told, "name a field of type string, long, int, uuid, bytes or fixed")]
    return []


def _forgotten(places: list[Place], said: Any) -> list[Problem]:
    """Fields that look personal and about which nothing is said, neither at them nor around them nor, for a record, at all inside it."""
    found: dict[str, Problem] = {}
    covered: set[str] = set()
    around = {outer for path in said for outer in _around(path)}
    for place in places:  # a field stands before the fields inside it
        outer = place.path.rpartition(".")[0]
        if place.path in said or outer in covered:
            covered.add(place.path)
            continue
        hit = next((step for step in place.path.split(".") if looks_personal(step)), None)
        if hit is None or place.kind in _NEVER_PERSONAL or not found.keys().isdisjoint(_around(place.path)):
            continue
        if place.kind == "record" and place.path in around:
            continue
        fix = (
            f'say in privacy.fields how it is protected: "{place.path}": {{as: pseudonym}} (or {{as: encrypt}}), '
            f'or why it may stay readable: "{place.path}": {{keep: "the reason"}}'
        )
        told = f"{place.path} looks like personal data ({hit}), and nothing is said about it"
        found.setdefault(place.path, Problem(pointer(*place.steps), "personal_data", told, fix))
    return list(found.values())


def _around(path: str) -> list[str]:
    """The records that a field stands in: `a` and `a.b` for `a.b.c`."""
    steps = path.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps))]


class _Walk:
    """All fields of a lake-safe record with named types written out, in the order of the schema. A union's branches share a path.

    `steps`: of the field in question; `at`: of its type, None where that is only named and written elsewhere.
    """

    def __init__(self) -> None:
        self._named: dict[str, tuple[Mapping[str, Any], str]] = {}

    def fields(self, node: Mapping[str, Any], path: str, steps: Steps, at: Steps | None, space: str) -> Iterator[Place]:
        within = inner_space(node, space)
        for number, field in enumerate(node["fields"]):
            inner = f"{path}.{field['name']}" if path else field["name"]
            here = steps if at is None else (*at, "fields", number)
            yield from self._type(field["type"], inner, here, None if at is None else (*here, "type"), within)

    def _type(self, node: Any, path: str, steps: Steps, at: Steps | None, space: str) -> Iterator[Place]:
        if isinstance(node, list):
            for number, branch in enumerate(node):
                if branch != "null":
                    yield from self._type(branch, path, steps, _below(at, number), space)
            return
        if isinstance(node, str) and node not in PRIMITIVES:
            node, space = self._named[full_name(node, space)]
            at = None
        kind = node if isinstance(node, str) else node["type"]
        if kind in ("array", "map"):
            member = "items" if kind == "array" else "values"
            yield from self._type(node[member], path, steps, _below(at, member), space)
            return
        yield Place(path, steps, kind)
        if kind in ("record", "enum", "fixed"):
            self._named[full_name(node["name"], node.get("namespace", space))] = (node, space)
        if kind == "record":
            yield from self.fields(node, path, steps, at, space)


def _below(at: Steps | None, step: object) -> Steps | None:
    return None if at is None else (*at, step)
