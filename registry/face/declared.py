"""Registration under subjects of declared events: the payload part of the sent wire schema goes through the catalogue, by its rules.

Refuses schemas without the envelope: a record written with such a one could not be read by anybody under the id of the wire schema.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..avro import inner_space
from ..catalog import Declared
from ..compile import NAMESPACE, canonical, wire_schema
from ..expected import Expected
from ..history import Byline
from ..refusal import Problem, Refused
from ..rows import StoredEvent
from ..store import Store
from ..strict import Parsed, full
from . import access, catalogue_subjects, errors, register, settings, subjects
from .register import Asked

ATTEMPTS = 5


class Declares(Protocol):
    """The catalogue, as far as the face needs it."""

    async def declare(self, document: object, expected: Expected, byline: Byline) -> Declared: ...

    def check(self, document: object) -> dict[str, Any]: ...


class _Planned(NamedTuple):
    known: int | None
    current: StoredEvent | None = None
    document: Mapping[str, Any] = {}


class DeclaredSubjects:
    """Blocking work goes to threads; the catalogue is asked on the loop."""

    def __init__(self, store: Store, catalog: Declares, door: access.Access) -> None:
        self._store, self._catalog, self._door = store, catalog, door

    async def register(self, asked: Asked, event: str, reading: Any) -> int:
        """The id of the wire schema, which is a version of the event type's afterwards. Raises FaceError."""
        for _ in range(ATTEMPTS):
            planned = await asyncio.to_thread(self._plan, asked, event, reading)
            if planned.known is not None:
                return planned.known
            assert planned.current is not None
            try:
                declared = await self._catalog.declare(dict(planned.document), Expected(revision=planned.current.revision), asked.by)
                return declared.stored.schema_id
            except Refused as exc:
                if exc.code != "revision_mismatch":
                    raise _told(exc) from None
        raise errors.FaceError(409, 409, f"{event} is being changed by others at the same time; try again")

    def problems(self, event: str, sent: Parsed) -> list[str]:
        """What the catalogue would have against this wire schema besides what resolution finds; blocking."""
        current = self._store.event(event)
        if current is None:
            return []
        try:
            payload = payload_of(event, sent, current.document["schema"])
        except errors.FaceError as exc:
            return [exc.message]
        verdict = self._catalog.check({**current.document, "schema": payload})
        return [] if verdict["ok"] else _texts(verdict["problems"]) or [verdict["message"]]

    def _plan(self, asked: Asked, event: str, reading: Any) -> _Planned:
        with reading() as connection:
            mode = settings.mode(connection, asked.subject)
            found = subjects.versions(connection, asked.subject)
        if mode != settings.READWRITE or asked.sent.id:
            raise errors.not_permitted(f"Subject {asked.subject.shown} takes no schemas with ids, and none in mode {mode}")
        if not found:
            self._door.check_write(asked.caller)
            told = f"{event} is not declared; declare it first (PUT /v1/events/{event})"
            raise errors.not_permitted(f"Subject {asked.subject.shown} belongs to an event type: {told}")
        if asked.sent.kind != "AVRO" or asked.sent.references or asked.sent.metadata or asked.sent.rules:
            raise errors.invalid_schema(f"{asked.subject.shown} takes Avro without references, metadata and rules")
        schema = register.schema_of(register.Scene(asked.subject, _RULES, found, (), []), asked.sent, False)
        for version in reversed(found):
            if catalogue_subjects.fingerprint(version.text) == schema.fingerprint:
                self._door.check_known(asked.caller)
                return _Planned(version.id)
        self._door.check_new(asked.caller, asked.subject)
        current = self._store.event(event)
        assert current is not None  # it has versions
        assert schema.avro is not None  # it is Avro
        payload = payload_of(event, schema.avro, current.document["schema"])
        return _Planned(None, current, {**current.document, "schema": payload})


def payload_of(event: str, sent: Parsed, before: Mapping[str, Any]) -> dict[str, Any]:
    """The payload schema in a wire schema; `before`: the current one, whose name stays. Raises FaceError (42201)."""
    blank = full(wire_schema(event, {**before, "fields": []}))
    wire = sent.full if isinstance(sent.full, dict) and sent.full["type"] == "record" else {}
    fields, envelope = wire.get("fields", []), blank["fields"]
    if wire.get("name") != blank["name"] or canonical([_bare(field) for field in fields[: len(envelope)]]) != canonical(
        [_bare(field) for field in envelope]
    ):
        told = f"a record {blank['name']} that begins with the envelope's {len(envelope)} fields as they are in the versions there"
        raise errors.invalid_schema(f"Records of {event} are written with its wire schema: send {told}")
    home = "" if inner_space(before, "") else f"{NAMESPACE}.{event}"
    kept = {name: value for name, value in before.items() if name not in ("fields", "doc")}
    doc = {"doc": wire["doc"]} if isinstance(wire.get("doc"), str) else {}
    rest = [{**field, "type": _short(field["type"], home)} for field in fields[len(envelope) :]]
    payload = {**kept, **doc, "fields": rest}
    if rest and canonical(full(wire_schema(event, payload))) != canonical(sent.full):
        raise errors.invalid_schema(f"The schema holds more than an event type's has: attributes of the record {blank['name']} itself")
    return payload


def _short(node: Any, home: str) -> Any:
    """Types of the event type's own namespace by their short names, as in declarations."""
    if isinstance(node, str):
        return _name(node, home)
    if isinstance(node, list):
        return [_short(branch, home) for branch in node]
    found = dict(node)
    if "name" in found:
        found["name"] = _name(found["name"], home)
    if "fields" in found:
        found["fields"] = [{**field, "type": _short(field["type"], home)} for field in found["fields"]]
    for member in ("items", "values"):
        if member in found:
            found[member] = _short(found[member], home)
    return found


def _name(name: str, home: str) -> str:
    space, _, last = name.rpartition(".")
    return last if home and space == home else name


def _bare(field: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in field.items() if name != "doc"}


def _told(exc: Refused) -> errors.FaceError:
    problems = _texts(exc.problems) or [exc.message]
    if exc.code == "incompatible_schema":
        return errors.incompatible(problems)
    return errors.invalid_schema(f"The catalogue refuses the schema ({exc.code}): {'; '.join(problems):.3000}")


def _texts(problems: Sequence[Problem]) -> list[str]:
    return [f"{problem.path}: {problem.message}; {problem.fix}" for problem in problems]


_RULES = settings.Rules(settings.READWRITE, catalogue_subjects.LEVEL, False, False, None, {})
