"""`hourmark gen`: what it writes passes the strictest checker, sends what the receiver takes, and is known to be stale when it is."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import fastavro
import mypy.api
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from cli.gen import model, python, typescript
from hourmark_client.encode import encode_payload
from receiver.payload import PayloadReader
from registry.compile import fingerprint, wire_schema
from registry.declaration import check

from .conftest import Command

DEVICE = {"type": "enum", "name": "Device", "symbols": ["PHONE", "TV"], "doc": 'a "quoted" word\\'}
CONTEXT = {
    "type": "record",
    "name": "Context",
    "fields": [{"name": "page", "type": "string"}, {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}],
}
# Names that Python, TypeScript or the generated module itself would trip over.
AWKWARD = {
    "type": "record",
    "name": "Any",
    "fields": [
        {"name": "class", "type": "string", "doc": 'ends with a quote"'},
        {"name": "str", "type": "string", "default": "x"},
        {"name": "dict", "type": ["null", "long"], "default": None},
        {"name": "date", "type": {"type": "int", "logicalType": "date"}},
        {"name": "datetime", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "Device", "type": DEVICE, "default": "TV"},
        {"name": "UNSET", "type": {"type": "map", "values": ["null", CONTEXT]}, "default": {}},
        {"name": "plain", "type": {"type": "array", "items": "Context"}},
        {"name": "to_payload", "type": {"type": "fixed", "name": "Four", "size": 4}, "default": "\u0000\u0001\u0002\u00ff"},
        {"name": "again", "type": "Four"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, "doc": "*/ ends a comment"},
        {"name": "Final", "type": ["int", "string", {"type": "array", "items": "Device"}]},
        {"name": "key", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "ratio", "type": "double", "default": 1},
        {"name": "Literal", "type": "boolean", "default": True},
    ],
}
VALUES: dict[str, Any] = {
    "class_": "c",
    "date": date(2026, 3, 1),
    "datetime": datetime(2026, 3, 1, 7, 0, 0, 1, tzinfo=UTC),
    "plain_": [],
    "again": b"1234",
    "price": Decimal("12.34"),
    "Final_": ["PHONE"],
    "key": UUID(int=7),
}


def source(schema: dict[str, Any], event: str = "player.any", revision: int = 12) -> model.Source:
    wire = wire_schema(event, schema)
    return model.Source(event, 'What """it""" means.', wire, fingerprint(wire), revision)


def module(tmp_path: Path, text: str, name: str) -> ModuleType:
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def declaration(folder: Path, event: str, schema: dict[str, Any], **more: Any) -> None:
    document = {"event": event, "owner": "team-a", "schema": schema, **more}
    assert check(document) == []
    folder.mkdir(exist_ok=True)
    (folder / f"{event}.json").write_text(json.dumps(document))


def reader(schema: dict[str, Any]) -> PayloadReader:
    """As the receiver has it for this event type."""
    parsed: Any = fastavro.parse_schema(wire_schema("player.any", schema))
    return PayloadReader("Payload", [field for field in parsed["fields"] if not field["name"].startswith("_")])


def test_awkward_names_pass_the_strict_checker_and_the_receiver(tmp_path: Path) -> None:
    found = module(tmp_path, python.text_of(model.module_of(source(AWKWARD), python.allowed)), "awkward_event")
    told, errors, code = mypy.api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "awkward_event.py")])
    assert (code, errors) == (0, ""), told
    event = getattr(found, found.send.__annotations__["event"])(**VALUES)
    context = found.Context(page="p")
    full = {**VALUES, "plain_": [context], "UNSET_": {"a": context, "b": None}, "to_payload_": b"\0\0\0\0", "dict": 3}
    for each in (event, type(event)(**full)):
        assert reader(AWKWARD).read(Raw(encode_payload(each.to_payload())))["class"] == "c"


def test_what_is_left_out_is_left_to_the_registered_schema(tmp_path: Path) -> None:
    found = module(tmp_path, python.text_of(model.module_of(source(AWKWARD), python.allowed)), "left_out_event")
    payload = getattr(found, found.send.__annotations__["event"])(**VALUES).to_payload()
    assert {"UNSET", "to_payload"}.isdisjoint(payload)
    assert payload["str"] == "x"


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True) | st.sampled_from(["None", "def", "self", "found", "int", "type"])


@settings(max_examples=60, deadline=None)
@given(st.lists(names, min_size=1, max_size=6, unique_by=str.lower), names)
def test_any_names_give_a_module_that_runs(fields: list[str], record: str) -> None:
    inner = {"type": "record", "name": record, "fields": [{"name": name, "type": "long"} for name in fields]}
    schema = {"type": "record", "name": "P", "fields": [*inner["fields"], {"name": "zz_inner", "type": inner}]}
    if check({"event": "a.b", "owner": "o", "schema": schema}):
        return  # a name that no declaration may have
    text = python.text_of(model.module_of(source(schema, "a.b"), python.allowed))
    space: dict[str, Any] = {"__name__": "generated_for_a_test"}
    sys.modules["generated_for_a_test"] = ModuleType("generated_for_a_test")
    exec(compile(text, "generated", "exec"), space)
    made = model.module_of(source(schema, "a.b"), python.allowed)
    values = dict.fromkeys(python.attributes(made.records[0], frozenset(space)), 1)
    assert len(values) == len(fields)
    assert "readonly zz_inner" in typescript.text_of(model.module_of(source(schema, "a.b"), typescript.allowed))


def test_stale_code_is_found(tmp_path: Path, command: Command) -> None:
    folder, out = tmp_path / "declarations", tmp_path / "out"
    declaration(folder, "a.b", CONTEXT)
    declaration(folder, "a.c", CONTEXT)
    for language in ("python", "typescript"):
        arguments = ("gen", language, "--from", str(folder), "--out", str(out / language))
        assert command(*arguments, "--check").code == 1
        assert command(*arguments).code == 0
        assert command(*arguments, "--check").code == 0
    declaration(folder, "a.b", {**CONTEXT, "fields": [*CONTEXT["fields"], {"name": "more", "type": "int", "default": 0}]})
    (folder / "a.c.json").unlink()
    for language, suffix in (("python", ".py"), ("typescript", ".ts")):
        arguments = ("gen", language, "--from", str(folder), "--out", str(out / language))
        code, said, _ = command(*arguments, "--check")
        assert code == 1
        assert f"a_b{suffix}: stale" in said
        assert f"a_c{suffix}: of no event type any more" in said
        assert command(*arguments).code == 0
        assert not (out / language / f"a_c{suffix}").exists()
        assert command(*arguments, "--check").code == 0


def test_a_revision_alone_makes_nothing_stale(tmp_path: Path) -> None:
    from cli.gen.folder import PYTHON, TYPESCRIPT, Folder

    for language in (PYTHON, TYPESCRIPT):
        Folder(tmp_path, language, [source(CONTEXT, revision=3)], whole=True).write()
        assert not Folder(tmp_path, language, [source(CONTEXT, revision=4)], whole=True).difference()


def test_files_of_others_are_never_touched(tmp_path: Path, command: Command) -> None:
    folder, out = tmp_path / "declarations", tmp_path / "out"
    declaration(folder, "a.b", CONTEXT)
    out.mkdir()
    (out / "mine.py").write_text("mine")
    (out / "a_b.py").write_text("mine too")
    said = command("gen", "python", "--from", str(folder), "--out", str(out))
    assert said.code == 2
    assert "would be overwritten" in said.err
    assert (out / "a_b.py").read_text() == "mine too"
    (out / "a_b.py").unlink()
    assert command("gen", "python", "--from", str(folder), "--out", str(out)).code == 0
    assert (out / "mine.py").read_text() == "mine"
    assert command("gen", "python", "a.x", "--from", str(folder), "--out", str(out)).code == 2


def test_deprecated_and_blocked_types(tmp_path: Path, command: Command) -> None:
    folder, out = tmp_path / "declarations", tmp_path / "out"
    declaration(folder, "a.old", CONTEXT, lifecycle="deprecated")
    declaration(folder, "a.gone", CONTEXT, lifecycle="blocked")
    assert command("gen", "typescript", "--from", str(folder), "--out", str(out)).code == 0
    assert "@deprecated" in (out / "a_old.ts").read_text()
    assert not (out / "a_gone.ts").exists()
