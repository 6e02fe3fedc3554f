"""Registration and look-up of schemas under subjects that are not the catalogue's.

What is read is read and judged before the writers' lock is taken; under the lock it is read again, and judged again if it changed.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from ..database import Database
from ..history import Byline
from . import access, catalogue_subjects, changes, compat, errors, formats, forms, references, sequence, settings, subjects
from .forms import Reference, Sent, Version
from .names import GLOBAL, Subject

VERSION: Final = "confluent:version"  # a hint of clients: the version that they believe to make


class Scene(NamedTuple):
    """All that a decision about a subject rests on. `refs`, `used`: what the sent schema refers to."""

    subject: Subject
    rules: settings.Rules
    versions: list[Version]
    refs: tuple[Reference, ...]
    used: list[tuple[str, str]]

    def next_version(self) -> int:
        """Behind the highest that stands, deleted ones too."""
        return 1 + max((version.version for version in self.versions), default=0)


class Decision(NamedTuple):
    """What to write. `known`: nothing, it is this version already. `given` 0: an id from the sequence."""

    known: Version | None
    schema: formats.Schema
    version: int = 0
    given: int = 0
    metadata: dict[str, Any] | None = None
    rules: dict[str, Any] | None = None


class Asked(NamedTuple):
    """A registration: by whom, where, what."""

    caller: access.Caller
    by: Byline
    subject: Subject
    sent: Sent
    normalize: bool


class Registrar:
    """Blocking; call it from a thread."""

    def __init__(self, database: Database, door: access.Access) -> None:
        self._database, self._door = database, door

    def register(self, asked: Asked) -> int:
        """The id of the schema, which is a version of the subject afterwards. Raises FaceError."""
        scene, decision = None, None
        while True:
            with self._database.reading() as connection:
                scene = read_scene(connection, asked.subject, asked.sent)
                decision = self._decide(connection, scene, asked)
            if decision.known is not None:
                return decision.known.id
            with self._database.writing() as connection:
                if read_scene(connection, asked.subject, asked.sent) == scene:
                    return self._write(connection, scene, decision, asked)

    def _decide(self, connection: Connection, scene: Scene, asked: Asked) -> Decision:
        sent, live = asked.sent, subjects.live(scene.versions)
        _check_mode(scene, sent)
        if not sent.text and live and (sent.metadata is not None or sent.rules is not None):
            sent = sent._replace(text=live[-1].text, kind=live[-1].kind)
            scene = scene._replace(refs=live[-1].references, used=references.used(connection, live[-1].references, scene.subject.context))
        schema = schema_of(scene, sent, asked.normalize)
        metadata, rules = _merged(scene, sent)
        known = _known(scene, schema, sent, metadata, rules)
        if known is not None:
            self._door.check_known(asked.caller)
            return Decision(known, schema)
        self._door.check_new(asked.caller, scene.subject)
        if not sent.id:
            problems = compat.problems(scene.rules, schema, metadata, live, reader(connection, scene.subject.context))
            if problems:
                raise errors.incompatible(problems)
        number = sent.version if sent.id and sent.version else scene.next_version()
        if number > sequence.LAST_VERSION:
            raise errors.not_permitted(f"Subject {scene.subject.shown} has no numbers of versions left")
        if sent.version or _hint(metadata) is not None:
            metadata = forms.merged_metadata(metadata, {"properties": {VERSION: str(number)}})
        return Decision(None, schema, number, sent.id, metadata, rules)

    def _write(self, connection: Connection, scene: Scene, decision: Decision, asked: Asked) -> int:
        subject, schema = scene.subject, decision.schema
        if decision.given:
            changes.bring(self._database, connection, subject.context, schema, scene.refs, decision.given)
            given = decision.given
        else:
            given = changes.schema_id(connection, subject.context, schema, scene.refs)
        version = Version(subject.name, decision.version, given, schema.kind, schema.text, schema.fingerprint, scene.refs)
        changes.add(connection, subject, version._replace(metadata=decision.metadata, rules=decision.rules), schema.text, asked.by)
        return given


def look_up(connection: Connection, subject: Subject, sent: Sent, *, normalize: bool, deleted: bool) -> Version:
    """The version of a subject that has this schema, the newest first. Raises FaceError: 40401, 40403, 42201."""
    found = subjects.versions(connection, subject)
    candidates = found if deleted else subjects.live(found)
    if not sent.text:
        raise errors.no_schema() if candidates else errors.no_subject(subject.shown)
    schema = schema_of(scene_of(connection, subject, sent, found), sent, normalize)
    if not candidates:
        raise errors.no_subject(subject.shown)
    for version in candidates[::-1]:
        if fingerprint(version) == schema.fingerprint:
            return version
    whole = formats.resolved(schema)
    for version in candidates[::-1]:  # sent with everything that it refers to, registered with references
        if schema.avro is not None and version.references and version.kind == schema.kind and not sent.references:
            other = formats.read("AVRO", formats.resolved(reader(connection, subject.context)(version)))
            if other.fingerprint == formats.read("AVRO", whole).fingerprint:
                return version
    raise errors.no_schema()


def read_scene(connection: Connection, subject: Subject, sent: Sent) -> Scene:
    """Raises FaceError for subjects where nothing can be registered, and for references that lead nowhere."""
    subject = settings.resolve(connection, subject)
    if subject.context == GLOBAL:
        raise errors.not_permitted(f"The context {GLOBAL} holds settings only, no schemas")
    if not subject.name:
        raise errors.invalid_subject(subject.shown, "it has no name")
    if catalogue_subjects.event_of(subject) is not None:
        raise errors.not_permitted(f"{subject.name} belongs to the catalogue of event types; name it itself, not by an alias")
    refs = references.settled(connection, sent.references, subject.context)
    used = references.used(connection, refs, subject.context, deleted=bool(sent.id))
    rules, versions = settings.rules(connection, subject), subjects.versions(connection, subject)
    return Scene(subject, rules, versions, refs, used)


def scene_of(connection: Connection, subject: Subject, sent: Sent, found: list[Version]) -> Scene:
    """For reads. Raises FaceError (42201) for references that lead nowhere."""
    refs = references.settled(connection, sent.references, subject.context)
    return Scene(subject, settings.rules(connection, subject), found, refs, references.used(connection, refs, subject.context))


def schema_of(scene: Scene, sent: Sent, normalize: bool) -> formats.Schema:
    """The sent schema, read with what it refers to. Raises FaceError (42201)."""
    if not sent.text:
        raise errors.invalid_schema("Empty schema")
    schema = formats.read(sent.kind, sent.text, scene.refs, scene.used)
    if normalize or scene.rules.normalize:
        return schema._replace(text=schema.normal)
    return schema


def reader(connection: Connection, context: str) -> compat.Read:
    """Reads stored versions, with what they refer to."""

    def read(version: Version) -> formats.Schema:
        return formats.read(version.kind, version.text, version.references, references.used(connection, version.references, context))

    return read


def fingerprint(version: Version) -> str:
    return version.fingerprint or catalogue_subjects.fingerprint(version.text)


def _check_mode(scene: Scene, sent: Sent) -> None:
    name, mode = scene.subject.shown, scene.rules.mode
    if mode in settings.READ_ONLY:
        raise errors.not_permitted(f"Subject {name} in context {scene.subject.context} is in read-only mode ({mode})")
    if sent.id and mode != "IMPORT":
        raise errors.not_permitted(f"Subject {name} in context {scene.subject.context} is not in import mode")
    if not sent.id and mode != settings.READWRITE:
        raise errors.not_permitted(f"Subject {name} in context {scene.subject.context} is not in read-write mode; give the schema's id")
    if sent.id > sequence.LARGEST:
        raise errors.not_permitted(f"The id {sent.id} is too large: ids up to {sequence.LARGEST} can be brought in")


def _merged(scene: Scene, sent: Sent) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Metadata and rules as they would be stored: the sent ones, or those of the version before, between defaults and overrides."""
    live, config = subjects.live(scene.versions), scene.rules.config
    metadata = sent.metadata if sent.metadata is not None else (live[-1].metadata if live else None)
    rules = sent.rules if sent.rules is not None else (live[-1].rules if live else None)
    metadata = forms.merged_metadata(forms.merged_metadata(config.get("defaultMetadata"), metadata), config.get("overrideMetadata"))
    rules = forms.merged_rules(forms.merged_rules(config.get("defaultRuleSet"), rules), config.get("overrideRuleSet"))
    return metadata, rules


def _known(
    scene: Scene, schema: formats.Schema, sent: Sent, metadata: dict[str, Any] | None, rules: dict[str, Any] | None
) -> Version | None:
    """The live version that a registration would only repeat."""
    for version in subjects.live(scene.versions)[::-1]:
        if version.fingerprint != schema.fingerprint or (sent.id and sent.id != version.id):
            continue
        if sent.id and sent.version and sent.version != version.version:
            continue
        if sent.metadata is None and sent.rules is None:
            return version
        hint = _hint(sent.metadata)
        if hint is not None and hint > 0 and hint != version.version:
            continue
        if _without_hint(version.metadata) == _without_hint(metadata) and (version.rules or None) == (rules or None):
            return version
    return None


def _hint(metadata: dict[str, Any] | None) -> int | None:
    text = ((metadata or {}).get("properties") or {}).get(VERSION)
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _without_hint(metadata: dict[str, Any] | None) -> dict[str, Any]:
    found = {**(metadata or {})}
    properties = {name: value for name, value in (found.get("properties") or {}).items() if name != VERSION}
    found["properties"] = properties
    return {part: value for part, value in found.items() if value}
