"""`hourmark events new`: the files of a new declaration, from nothing or from samples. What it writes passes `hourmark check` at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from hourmark.topics import EVENT_TYPE_MAX, is_event_type

from ..failures import WrongInput

_YAML_WORDS = ("yes", "no", "on", "off", "true", "false", "null")
WIDTH = 120


class Draft(NamedTuple):
    """What will be written. `notes`: for the author; `renamed`: keys of the sample that cannot be names of fields."""

    schema: dict[str, Any]
    private: dict[str, str]
    notes: list[str]
    renamed: dict[str, str]


def new(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Name of the event type, like player.song_played.")],
    sample: Annotated[str, typer.Option("--from", metavar="FILE", help="JSON payloads: an object, a list, or lines; -: stdin.")] = "",
    folder: Annotated[Path, typer.Option("--in", metavar="FOLDER", help="Where the two files go.")] = Path(),
    owner: Annotated[str, typer.Option(metavar="TEAM", help="Who may change it.")] = "",
    enum: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Make this text field an enum of the sample's values.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Begin the declaration of an event type: a YAML file and its schema, from nothing or from a JSON sample."""
    from ..output import console, print_json
    from .trees import shown

    if not is_event_type(event_type):
        raise WrongInput(f"{event_type!r:.120} is no name of an event type", remedy=f"try {_nearest(event_type)}")
    if enum and not sample:
        raise WrongInput("--enum is about a sample", remedy="give one with --from")
    declaration, schema = folder / f"{event_type}.yaml", folder / f"{event_type}.avsc"
    _nothing_there(declaration, schema)
    draft = _from_sample(event_type, sample, enum or []) if sample else _from_nothing(event_type)
    owner = owner or f"team-{event_type.partition('.')[0]}".replace("_", "-")
    text = yaml_text(event_type, owner, schema.name, draft)
    _require_sound(event_type, text, draft.schema)
    _write(folder, {schema: avsc_text(draft.schema), declaration: text})
    if as_json:
        facts = {"event": event_type, "declaration": shown(declaration), "schema_file": shown(schema), "schema": draft.schema}
        print_json(facts | {"private": draft.private, "notes": draft.notes, "renamed": draft.renamed})
        return
    out = console()
    for line in _told(event_type, declaration, schema, draft):
        out.print(line, markup=False, soft_wrap=True)


def yaml_text(event_type: str, owner: str, schema: str, draft: Draft) -> str:
    """The declaration, with a word about each line."""
    lines = [f"event: {event_type}", f"owner: {owner}   # who may change it"]
    lines += ["description: What happened, when is it sent, and by whom?", "tier: standard   # critical | standard | debug"]
    lines += [f"schema: ./{schema}   # the payload's fields; time, id and sender of an event are added by the platform"]
    lines += ["# key: FIELD   # events of equal values stay in order; without it they are spread evenly"]
    lines += ['sdks: ["*"]   # names of the SDKs that may send it']
    if draft.private:
        lines += ['privacy:   # these look like personal data: protect (pseudonym, encrypt), or say why not: {keep: "reason"}']
        lines += ["  # subject: FIELD   # whose data it is", "  fields:"]
        lines += [f"    {_key(path)}: {{as: {way}}}" for path, way in draft.private.items()]
    lines += ["# retention: {raw: 72h, clean: 168h, lake: 400d}   # otherwise as the tier says"]
    lines += ["lifecycle: active   # draft | active | deprecated | blocked"]
    lines += [f"# look at {note}" for note in draft.notes]
    lines += [f"# renamed: the sample's {json.dumps(path)} is {name} here" for path, name in draft.renamed.items()]
    return "\n".join(lines) + "\n"


def avsc_text(schema: dict[str, Any]) -> str:
    """The schema with one field a line, so that changes of fields are changes of lines; what is long is spread over more."""
    return f"{_spread(schema, 0, 0)}\n"


def _spread(node: Any, indent: int, width: int = WIDTH) -> str:
    line = json.dumps(node, ensure_ascii=False)
    if indent + len(line) <= width or not isinstance(node, dict | list):
        return line
    inner = " " * (indent + 2)
    if isinstance(node, list):
        parts = [_spread(item, indent + 2) for item in node]
    else:
        parts = [f"{json.dumps(key)}: {_spread(value, indent + 2, 0 if key == 'fields' else WIDTH)}" for key, value in node.items()]
    opening, closing = "[]" if isinstance(node, list) else "{}"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{' ' * indent}{closing}"


def _from_nothing(event_type: str) -> Draft:
    fields: list[dict[str, Any]] = [
        {"name": "thing", "type": "string", "doc": "what it happened to; a field that is always there"},
        {
            "name": "amount",
            "type": ["null", "double"],
            "default": None,
            "doc": "may be missing: [null, type] and default null",
        },
        {
            "name": "began_at",
            "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
            "default": None,
            "doc": "a moment; senders write 2026-03-01T07:00:00Z",
        },
    ]
    return Draft({"type": "record", "name": _record_name(event_type), "doc": "What one event tells.", "fields": fields}, {}, [], {})


def _from_sample(event_type: str, source: str, enums: list[str]) -> Draft:
    from .infer import infer
    from .samples import read

    try:
        found = infer(read(source), _record_name(event_type), enums)
    except (ValueError, RecursionError) as exc:
        raise WrongInput(f"no schema comes out of the sample: {exc}", where=source) from exc
    return Draft(found.schema, _private(found.schema), found.notes, found.renamed)


def _private(schema: dict[str, Any]) -> dict[str, str]:
    """Paths of fields that look like personal data, and a way to protect each: ids stay comparable, the rest becomes unreadable."""
    from registry.privacy import problems

    from .delta import fields

    kinds = {path.replace("[]", "").replace("{}", ""): said["type"] for path, said in fields(schema).items()}
    found = {}
    for problem in problems(schema, None):
        path = _dotted(schema, problem.path)
        comparable = re.search(r"(^|_)(id|uuid)$|I[dD]$", path) and "record" not in kinds[path]
        found[path] = "pseudonym" if comparable else "encrypt"
    return found


def _dotted(schema: dict[str, Any], pointer: str) -> str:
    """`user.email` from the JSON pointer of that field."""
    names: list[str] = []
    node: Any = {"schema": schema}
    steps = pointer.split("/")[1:]
    for before, step in zip(["", *steps], steps, strict=False):
        node = node[int(step)] if isinstance(node, list) else node[step]
        if before == "fields":
            names.append(str(node["name"]))
    return ".".join(names)


def _require_sound(event_type: str, text: str, schema: dict[str, Any]) -> None:
    from registry.declaration import check
    from registry.document import parse_yaml

    problems = check({**parse_yaml(text.encode()), "schema": schema})
    if problems:
        said = [f"  - {problem.path}: {problem.message}; {problem.fix}" for problem in problems]
        raise WrongInput("\n".join([f"the declaration of {event_type} would not be sound", *said]))


def _nothing_there(*files: Path) -> None:
    for file in files:
        if file.exists() or file.is_symlink():
            raise WrongInput("there is such a file already", where=str(file), remedy="change that one, or name another --in FOLDER")


def _write(folder: Path, texts: dict[Path, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            with file.open("x", encoding="utf-8") as out:  # never over a file that came meanwhile
                out.write(text)
    except OSError as exc:
        raise WrongInput(f"cannot write: {exc.strerror}", where=str(exc.filename or folder)) from exc


def _told(event_type: str, declaration: Path, schema: Path, draft: Draft) -> list[str]:
    lines = [f"wrote {declaration}", f"wrote {schema}"]
    if draft.private:
        lines += ["", f"looks like personal data, and is protected for now: {', '.join(draft.private)}; see privacy in {declaration.name}"]
    lines += ["", *(f"look at {note}" for note in draft.notes)] if draft.notes else []
    if draft.renamed:
        lines += ["", "these keys cannot be names of fields; until their senders rename them, the sample itself is refused:"]
        lines += [f"  {json.dumps(path)} → {name}" for path, name in draft.renamed.items()]
    lines += ["", "next:", f"  edit {schema} and {declaration}", f"  hourmark check {declaration}", f"  hourmark apply {declaration}"]
    return [*lines, f"  hourmark send {event_type} '{{…}}'"]


def _record_name(event_type: str) -> str:
    words = re.split(r"[^a-z0-9]+", event_type.rpartition(".")[2])
    name = "".join(word.capitalize() for word in words)
    return name if name and not name[0].isdigit() else f"Event{name}"


def _key(path: str) -> str:
    return (
        path
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", path) and path.lower() not in ("y", "n", "yes", "no", "on", "off")
        else json.dumps(path)
    )


def _nearest(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    steps = [step for step in (re.sub(r"[^a-z0-9_]+", "_", step).strip("_") for step in spaced.split(".")) if step]
    steps = [step if step[0].isalpha() else f"n{step}" for step in steps] or ["thing_happened"]
    named = ".".join(steps if len(steps) > 1 else ["my", *steps])
    return named if len(named) <= EVENT_TYPE_MAX else ".".join(step[:40] for step in named.split(".")[:2])
