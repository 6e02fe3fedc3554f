"""A declaration: what an owner writes about an event type. This module reads, checks and completes it, without a server.

`check` is pure: the command line and the HTTP API refuse by the same code.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import fastavro
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hourmark.topics import EVENT_TYPE_MAX, TIERS, Tier, is_event_type

from . import document as documents
from . import lifecycle, privacy, strict
from .compile import wire_schema
from .lakesafe import Survey
from .lifecycle import ACTIVE, Lifecycle
from .privacy import Privacy
from .refusal import Problem, Refused, pointer

MAX_PARTITIONS: Final = 1024
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})(m|h|d)")
_SPAN_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_KEY_TYPES: Final = ("string", "long", "int")

Span = Annotated[str, StringConstraints(pattern=rf"^{_SPAN.pattern}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*][A-Za-z0-9_.*@/+-]{0,99}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Retention(_Model):
    """How long data is kept: minutes, hours or days (`90m`, `72h`, `400d`). Missing: the tier's default; in the lake, for ever.

    Topics keep to it; in the lake nothing is deleted yet.
    """

    raw: Span | None = None
    clean: Span | None = None
    lake: Span | None = None


class Declaration(_Model):
    """The whole declaration, contracts.md §1. `partitions` overrides the tier's number."""

    event: str
    owner: Word
    description: str = Field("", max_length=4000)
    tier: Tier = "standard"
    key: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    sdks: list[Word] = Field(["*"], min_length=1, max_length=100)
    privacy: Privacy | None = None
    retention: Retention = Retention()
    lifecycle: Lifecycle = ACTIVE
    partitions: int | None = Field(None, ge=1, le=MAX_PARTITIONS)
    dedup: Literal["closed", "open"] = "closed"
    audit: Literal["flag", "hold"] = "flag"

    def document(self) -> dict[str, Any]:
        """The declaration as JSON, complete with defaults, without what was left open."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def retention_ms(self) -> tuple[int, int]:
        """How long the raw and the clean topic keep their records, in ms."""
        kept = retention(self.document())
        return span_ms(kept["raw"]), span_ms(kept["clean"])


def retention(document: Mapping[str, Any]) -> dict[str, Any]:
    """How long a declared event type is kept, with the tier's defaults: `raw`, `clean`, and `lake` (None: for ever), as spans."""
    tier = TIERS[document["tier"]]
    defaults = {"raw": f"{tier.raw_retention_h}h", "clean": f"{tier.clean_retention_h}h", "lake": None}
    return {**defaults, **document.get("retention", {})}


def span_ms(text: str) -> int:
    """`72h` in ms. Raises ValueError with the expected form."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no span of time; write it like 90m, 72h or 400d")
    return int(found[1]) * _SPAN_MS[found[2]]


def check(document: object) -> list[Problem]:
    """Everything that is wrong with a declaration, in the order of reading; empty when it is sound. Never raises on parsed data."""
    problems = documents.plain(document)
    if problems:
        return problems
    try:
        found = Declaration.model_validate(document)
    except ValidationError as exc:
        problems = [_say(error) for error in exc.errors(include_url=False, include_context=False, include_input=False)]
        schema = document.get("schema") if isinstance(document, dict) else None
        return problems + (Survey(schema).problems if isinstance(schema, dict) else [])
    if not is_event_type(found.event):
        fix = f"write lower case words joined by dots, like player.song_played, at most {EVENT_TYPE_MAX} characters"
        problems.append(Problem("/event", "event_name", f"{found.event!r:.120} is no name of an event type", fix))
    if found.description.strip() and not documents.is_text(found.description, "\n\t"):
        told = "the description holds control characters"  # no terminal shows them, and PostgreSQL takes no NUL
        problems.append(Problem("/description", "text", told, "write plain text; lines and tabs are fine"))
    problems += lifecycle.problems(found.event, found.lifecycle)
    faults = Survey(found.schema_).problems
    if faults:
        return problems + faults
    return problems + _key(found) + privacy.problems(found.schema_, found.privacy) + _writable(found)


def read(document: object) -> Declaration:
    """The declaration in a document. Raises Refused (400) with every problem."""
    problems = check(document)
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Refused(400, "invalid_declaration", f"{first.path or 'declaration'}: {first.message}{more}", problems)
    return Declaration.model_validate(document)


def load_file(path: Path | str) -> dict[str, Any]:
    """A declaration from a YAML or JSON file; `schema` may be a path beside it. Raises Refused with a path and a fix."""
    path = Path(path)
    body = _bytes_of(path, "")
    found = documents.parse_json(body) if path.suffix == ".json" else documents.parse_yaml(body)
    if not isinstance(found, dict):
        raise _refused("", "declaration", f"{path} holds no declaration", "write event:, owner:, schema: …")
    if isinstance(found.get("schema"), str):
        schema = path.parent / found["schema"]
        text = _bytes_of(schema, "/schema")
        try:
            found["schema"] = documents.parse_json(text)
        except Refused as exc:
            raise _refused("/schema", "malformed_json", f"{schema}: {exc.message}", "the file must hold an Avro schema as JSON") from exc
    return found


def _bytes_of(path: Path, place: str) -> bytes:
    try:
        body = path.read_bytes()
    except (OSError, ValueError) as exc:
        raise _refused(place, "file", f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}", "correct the path") from None
    if len(body) > documents.MAX_BYTES:
        raise _refused(place, "file", f"{path} is larger than {documents.MAX_BYTES} bytes", "shorten it")
    return body


def _refused(place: str, rule: str, message: str, fix: str) -> Refused:
    return Refused(400, "invalid_declaration", message, [Problem(place, rule, message, fix)])


def _say(error: Any) -> Problem:
    path, kind = pointer(*error["loc"]), str(error["type"])
    if path == "/lifecycle/state" and kind == "literal_error":
        path = "/lifecycle"  # it is mostly written as a word
    name = str(error["loc"][-1])[:80] if error["loc"] else "the declaration"
    match kind:
        case "missing":
            return Problem(path, "missing", f"{name} is missing", f'add "{name}"')
        case "extra_forbidden":
            return Problem(path, "unknown_field", f"{name!r} is no field of a declaration", "remove it, or correct its name")
        case "literal_error":
            return Problem(path, "value", f"{name}: {error['msg']}", "use one of the named values")
        case "string_pattern_mismatch" if path.startswith("/retention"):
            return Problem(path, "span", f"{name} is no span of time", "write it like 90m, 72h or 400d")
        case "string_pattern_mismatch":
            return Problem(path, "word", f"{name} is no plain word", "use letters, digits and _ . * @ / + -, at most 100 characters")
        case "model_type" if not path:
            return Problem(path, "value", "a declaration is a mapping of names to values", "write event:, owner:, schema: …")
        case "model_type" | "dict_type" if path == "/schema":
            return Problem(path, "record", "the payload schema is no record", 'write {"type": "record", "name": …, "fields": […]}')
        case _:
            return Problem(path, "value", f"{name}: {error['msg']}"[:300], "correct the value")


def _key(found: Declaration) -> list[Problem]:
    if found.key is None:
        return []
    kind = next((field["type"] for field in found.schema_["fields"] if field["name"] == found.key), None)
    plain = kind.get("type") if isinstance(kind, dict) and kind.get("logicalType") in (None, "uuid") else kind
    if plain is None:
        return [Problem("/key", "key_field", f"the payload has no field {found.key!r:.80}", "name a top-level payload field")]
    if not isinstance(plain, str) or plain not in _KEY_TYPES:
        fix = "use a field of type string, long, int or uuid that cannot be null"
        return [Problem("/key", "key_type", f"the field {found.key} cannot be a key", fix)]
    return []


def _writable(found: Declaration) -> list[Problem]:
    """The last word have both Avro libraries, which must accept the wire schema, and the codec, which must write every default."""
    wire = wire_schema(found.event, found.schema_)
    try:
        strict.parse(wire)
    except Refused as exc:
        return [Problem("/schema", "codec", f"the wire schema is refused: {exc.message}"[:300], "correct the schema")]
    problems = []
    for number, field in enumerate(wire["fields"][-len(found.schema_["fields"]) :]):
        if "default" not in field:
            continue
        alone = {"type": "record", "name": "Default", "fields": [field]}
        try:
            fastavro.schemaless_writer(io.BytesIO(), fastavro.parse_schema(json.loads(json.dumps(alone))), {})
        except fastavro.schema.UnknownType:
            continue  # its named type stands in an earlier field; the survey has checked the value
        except Exception as exc:
            path = pointer("schema", "fields", number, "default")
            problems.append(Problem(path, "default", f"the Avro codec cannot write the default: {exc}"[:300], "use another default"))
    return problems
