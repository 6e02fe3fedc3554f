"""The command line's manners: help, exit codes, and words instead of tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import authorship
from cli.catalogue import Change
from cli.declarations import waves
from cli.failures import did_you_mean
from tests.cli.conftest import Command

COMMANDS = ["seal", "lake", "up", "down", "status", "logs", "demo", "declare", "events", "send", "tail", "hours", "query", "fsck", "bench"]


def test_help_names_every_command(command: Command) -> None:
    said = command("--help")
    assert said.code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in said.out] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command: Command, name: str) -> None:
    said = command(name, "--help")
    assert said.code == 0
    assert "Usage: hourmark" in said.out


def test_help_loads_nothing_heavy() -> None:
    heavy = ["duckdb", "pyarrow", "pandas", "confluent_kafka", "pydantic", "rich.table", "matplotlib", "fastavro", "hourmark_client"]
    code = f"import sys, cli.app; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [("events",), ("send", "a.b", "{}"), ("tail", "a.b"), ("query", "SELECT 1"), ("hours", "a.b"), ("hours",), ("fsck",), ("status",)],
)
def test_without_a_stack_each_command_says_how_to_start_one(command: Command, arguments: tuple[str, ...]) -> None:
    said = command(*arguments)
    assert said.code == 3
    assert "hourmark up" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("name", ["up", "down", "logs"])
def test_what_the_image_leaves_out_is_named(name: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_the_native_stack(monkeypatch)
    said = command(name)
    assert said.code == 2
    assert "psutil" in said.err
    assert "docker compose" in said.err
    assert "hourmark status" in said.err


def test_status_needs_nothing_of_the_native_stack(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_the_native_stack(monkeypatch)
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", "http://127.0.0.1:9")
    said = command("status")
    assert said.code == 3
    assert "http://127.0.0.1:9" in said.out
    assert "see docs/runbooks/" in said.out


def _without_the_native_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "psutil" or name.partition(".")[0] == "local"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psutil", None)  # as if it were not installed


def test_down_without_a_stack_is_fine(command: Command) -> None:
    assert command("down").code == 0


def test_a_registry_that_is_away(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", "http://127.0.0.1:9")
    said = command("events")
    assert said.code == 3
    assert "http://127.0.0.1:9" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("seal", "a.b", "2026-03-01T00"),
        ("send", "a.b"),
        ("send", "a.b", "{}", "--stdin"),
        ("send", "a.b", "no json"),
        ("send", "a.b", "[]"),
    ],
)
def test_wrong_arguments_are_2(command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setenv("HOURMARK_CLIENT_RECEIVER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HOURMARK_CLIENT_WRITE_KEY", "none")
    said = command(*arguments)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_a_faulty_declaration_names_the_file_and_every_problem(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", "http://127.0.0.1:9")
    file = tmp_path / "bad.yaml"
    file.write_text("event: NoGood\nowner: me\nschema: {type: record, name: X, fields: [{name: _a, type: string}]}\n")
    said = command("declare", str(file))
    assert said.code == 2
    assert "/event" in said.err
    assert "bad.yaml" in said.err


def test_a_declaration_that_is_not_there(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", "http://127.0.0.1:9")
    assert command("declare", "nowhere.yaml").code == 2


def test_did_you_mean() -> None:
    assert did_you_mean("flight.depart", ["flight.departed", "weather.observed"]) == "; did you mean flight.departed?"
    assert did_you_mean("xyz", ["flight.departed"]) == ""


@pytest.mark.parametrize("address", ["zzz", "http://[::", "ftp://x", "http://x:99999"])
def test_addresses_that_are_none(command: Command, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", address)
    monkeypatch.setenv("HOURMARK_CLIENT_RECEIVER_URL", address)
    monkeypatch.setenv("HOURMARK_CLIENT_WRITE_KEY", "k")
    for arguments in (("events",), ("send", "a.b", "{}")):
        said = command(*arguments)
        assert said.code in (2, 3)
        assert said.err.startswith("error: ")
        assert address in said.err


def test_kafka_options_that_are_no_json(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA", "REGISTRY_URL", "KAFKA_OPTIONS"):
        monkeypatch.setenv(f"HOURMARK_{name}", "{")
    said = command("tail", "a.b", "--rejected")
    assert (said.code, said.err) == (2, said.err)
    assert "HOURMARK_KAFKA_OPTIONS is no JSON" in said.err


def test_a_faulty_schema_file_is_named(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", "http://127.0.0.1:1")
    (tmp_path / "a.yaml").write_text("event: a.b\nowner: me\nschema: ./a.avsc\n")
    (tmp_path / "a.avsc").write_text("{")
    said = command("declare", "a.yaml")
    assert said.code == 2
    assert "/schema" in said.err
    assert "a.avsc: the body is no JSON" in said.err


def outside(arguments: list[str], out: str, **environment: str) -> tuple[int, str, str]:
    """The command in a process of its own, for its streams are what matters."""
    quoted = " ".join(f"'{word}'" for word in [sys.executable, "-m", "cli", *arguments])
    done = subprocess.run(["sh", "-c", f"{quoted} {out}"], capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
def test_a_full_disk_below_the_output() -> None:
    code, _, err = outside(["--version"], ">/dev/full")
    assert (code, err) == (3, "error: [Errno 28] No space left on device\n")


def test_a_closed_output() -> None:
    assert outside(["--version"], ">&-") == (0, "", "")


def test_a_terminal_that_knows_ascii_only(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    code, out, err = outside(["query", "SELECT chr(233) AS x", "--csv"], "", PYTHONIOENCODING="ascii", HOURMARK_LAKE_URL=lake.as_uri())
    assert (code, err) == (0, "")
    assert "\\xe9" in out


def test_one_type_declared_twice(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", "http://127.0.0.1:1")
    text = "event: a.b\nowner: me\nschema: {type: record, name: X, fields: [{name: a, type: string}]}\n"
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(text)
    said = command("declare", "a.yaml", "b.yaml")
    assert (said.code, "a.b is declared twice" in said.err) == (2, True)


def test_replacements_are_declared_before_what_they_replace() -> None:
    life = {"state": "deprecated"}
    documents: dict[str, dict[str, Any]] = {
        "a.one": {"lifecycle": life | {"replaced_by": "a.two"}},
        "a.two": {"lifecycle": life | {"replaced_by": "a.three"}},
        "a.three": {"lifecycle": "active"},
        "a.old": {"lifecycle": life | {"replaced_by": "elsewhere.declared"}},
    }
    assert waves(documents) == [["a.three", "a.old"], ["a.two"], ["a.one"]]
    circle = {"a.one": {"lifecycle": life | {"replaced_by": "a.two"}}, "a.two": {"lifecycle": life | {"replaced_by": "a.one"}}}
    assert waves(circle) == [["a.one", "a.two"]]


def test_the_author_is_who_was_set_or_who_git_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authorship._known.cache_clear()
    monkeypatch.setenv("HOURMARK_AUTHOR", "  ann ")
    assert Change(7, "why\nnot é").headers() == {
        "Hourmark-Author": "ann",
        "Hourmark-Message": "why not Ã©",
        "If-Match": '"7"',
    }
    monkeypatch.delenv("HOURMARK_AUTHOR")
    (tmp_path / "config").write_text("[user]\n\tname = Bob of git\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert authorship.author() == "Bob of git"
    authorship._known.cache_clear()
    assert Change(0).headers()["If-None-Match"] == "*"
    assert not {"If-Match", "If-None-Match"} & Change().headers().keys()
    authorship._known.cache_clear()


def test_a_history_is_of_one_type(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", "http://127.0.0.1:1")
    said = command("events", "--history")
    assert (said.code, "of one event type" in said.err) == (2, True)
    assert command("events", "block", "a.b").code == 2, "a block has a reason"
    assert command("events", "unblock", "a.b").code == 2, "and whoever lifts it too"
    assert command("events", "block", "a.b", "--reason", "x").code == 3
