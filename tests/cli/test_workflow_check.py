"""`hourmark check` in real git repositories: verdicts, lines, and every way in which a folder or a repository can be odd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.workflow.folder import Folder, across
from cli.workflow.places import Lines
from cli.workflow.trees import Unreadable
from tests.cli.conftest import Command
from tests.cli.git_folder import GitFolder, field, optional


@pytest.fixture
def folder(command: Command, tmp_path: Path) -> GitFolder:
    """A repository in the working folder; `song.played` is committed on main."""
    made = GitFolder(tmp_path)
    made.declare("song.played", field("track", "string"), field("ms", "long"))
    made.commit()
    return made


def checked(command: Command, *arguments: str) -> tuple[int, dict[str, Any]]:
    said = command("check", "events", "--json", *arguments)
    assert said.err == ""
    return said.code, json.loads(said.out)


def rules(report: dict[str, Any], severity: str = "error") -> list[tuple[str, int, str]]:
    return [(p["file"], p["line"], p["rule"]) for p in report["problems"] if p["severity"] == severity]


def states(report: dict[str, Any]) -> dict[str, str]:
    return {event["event"]: event["state"] for event in report["events"]}


def test_nothing_changed(command: Command, folder: GitFolder) -> None:
    code, report = checked(command)
    assert (code, states(report), report["problems"]) == (0, {"song.played": "identical"}, [])


def test_a_change_that_breaks_readers_is_refused_at_its_line(command: Command, folder: GitFolder) -> None:
    folder.declare("song.played", field("track", "string"), field("ms", "string"))
    code, report = checked(command)
    assert (code, states(report)) == (1, {"song.played": "refused"})
    assert rules(report) == [("events/song.played.avsc", 5, "type_changed")]
    assert report["problems"][0]["against"] == folder.git("rev-parse", "--short=9", "HEAD")
    folder.declare("song.played", field("track", "string"), field("ms", "long"), optional("album", "string"))
    code, report = checked(command)
    assert (code, states(report)) == (0, {"song.played": "changed"})


def test_new_event_types_are_free(command: Command, folder: GitFolder) -> None:
    folder.declare("song.liked", file="team/deep/liked")
    code, report = checked(command)
    assert (code, states(report)["song.liked"]) == (0, "created")


def test_against_every_version_that_the_branch_had(command: Command, folder: GitFolder) -> None:
    base = (field("track", "string"), field("ms", "long"))
    folder.declare("song.played", *base, optional("album", "string"))
    had = folder.commit("album as text")
    folder.declare("song.played", *base)
    folder.commit("no album")
    folder.declare("song.played", *base, optional("album", "long"))
    code, report = checked(command)
    assert (code, [p["against"] for p in report["problems"]]) == (1, [had])
    assert checked(command, "--no-history")[0] == 0


def test_states_of_merged_branches_count_only_as_merged(command: Command, folder: GitFolder) -> None:
    base = (field("track", "string"), field("ms", "long"))
    folder.git("checkout", "-q", "-b", "work")
    folder.declare("song.played", *base, optional("album", "string"))
    folder.commit("a mistake")
    folder.declare("song.played", *base, optional("album", "long"))
    folder.commit("mended")
    folder.git("checkout", "-q", "main")
    folder.git("merge", "-q", "--no-ff", "-m", "merge", "work")
    assert checked(command)[0] == 0
    folder.declare("song.played", *base, optional("album", "double"))
    assert checked(command)[0] == 1


def test_a_schema_outside_the_folder_has_a_history_too(command: Command, folder: GitFolder) -> None:
    (folder.root / "schemas").mkdir()
    schema = folder.root / "schemas" / "skip.avsc"
    schema.write_text('{"type": "record", "name": "Skip", "fields": [\n{"name": "a", "type": "long"}]}')
    (folder.events / "skip.yaml").write_text("event: song.skipped\nowner: me\nschema: ../schemas/skip.avsc\n")
    folder.commit()
    schema.write_text(schema.read_text().replace("long", "string"))
    code, report = checked(command)
    assert (code, rules(report)) == (1, [("schemas/skip.avsc", 2, "type_changed")])


def test_partitions_and_lifecycle_follow_the_same_rules(command: Command, folder: GitFolder) -> None:
    folder.declare("song.played", field("track", "string"), field("ms", "long"), partitions=1, lifecycle="draft")
    code, report = checked(command)
    assert code == 1
    assert {rule for _, _, rule in rules(report)} == {"partitions_shrink", "lifecycle_transition"}


def test_what_is_gone_or_renamed_is_a_warning(command: Command, folder: GitFolder) -> None:
    folder.declare("song.skipped", field("why", "string"))
    folder.commit()
    (folder.events / "song.skipped.yaml").unlink()
    (folder.events / "song.skipped.avsc").unlink()
    text = (folder.events / "song.played.yaml").read_text()
    (folder.events / "song.played.yaml").write_text(text.replace("song.played", "track.played", 1))
    code, report = checked(command)
    assert code == 0
    told = {p["event"]: p["message"] for p in report["problems"]}
    assert "looks renamed to track.played" in told["song.played"]
    assert "gone from the folder" in told["song.skipped"]


def test_what_others_added_meanwhile_is_not_gone(command: Command, folder: GitFolder) -> None:
    folder.git("checkout", "-q", "-b", "work")
    folder.git("checkout", "-q", "main")
    folder.declare("song.liked")
    folder.commit()
    folder.git("checkout", "-q", "work")
    code, report = checked(command, "--against", "main")
    assert (code, report["problems"]) == (0, [])


def test_compares_with_where_the_work_left_the_main_branch(command: Command, folder: GitFolder, tmp_path: Path) -> None:
    folder.git("update-ref", "refs/remotes/origin/main", "HEAD")
    folder.declare("song.played", field("track", "string"), field("ms", "string"))
    folder.commit("already committed on the branch")
    assert checked(command)[0] == 1


def test_across_files(command: Command, folder: GitFolder) -> None:
    folder.declare("song.played", file="again")
    folder.declare("song_x.played")
    folder.declare("song.x.played", lifecycle={"state": "deprecated", "replaced_by": "no.such"})
    code, report = checked(command)
    assert code == 1
    assert {rule for _, _, rule in rules(report)} >= {"event_name_twice", "event_name_taken"}
    assert [rule for _, _, rule in rules(report, "warning")] == ["replaced_by"]


def test_a_schema_may_be_a_json_file(command: Command, folder: GitFolder) -> None:
    (folder.events / "skip.yaml").write_text("event: song.skipped\nowner: me\nschema: ./skip.schema.json\n")
    (folder.events / "skip.schema.json").write_text('{"type": "record", "name": "S", "fields": [{"name": "a", "type": "long"}]}')
    code, report = checked(command)
    assert (code, states(report)) == (0, {"song.played": "identical", "song.skipped": "created"})


def test_the_schema_of_nobody(command: Command, folder: GitFolder) -> None:
    (folder.events / "left.avsc").write_text("{}")
    code, report = checked(command)
    assert (code, rules(report, "warning")) == (0, [("events/left.avsc", 1, "unused_schema")])


ROOT = Path(__file__).parents[2]
SOUND = "event: a.b\nowner: me\nschema: {type: record, name: X, fields: [{name: a, type: string}]}\n"
OTHERS = "services:\n  web: {image: x}\nvolumes: {}\n"
LATIN = "event: a.b\nowner: café\n".encode("latin-1")
BROKEN: dict[str, tuple[Callable[[Path], object], int]] = {
    "empty": (lambda p: p.write_text(""), 1),
    "binary": (lambda p: p.write_bytes(bytes(range(256))), 1),
    "latin": (lambda p: p.write_bytes(LATIN), 1),
    "twice": (lambda p: p.write_text("event: a.b\nowner: me\nowner: you\n"), 3),
    "alias": (lambda p: p.write_text("event: a.b\nowner: &x me\ndescription: *x\n"), 3),
    "not ours": (lambda p: p.write_text(OTHERS), 1),
    "no mapping": (lambda p: p.write_text("- a\n"), 1),
    "syntax": (lambda p: p.write_text("event: a.b\nowner: [me\n"), 3),
    "huge": (lambda p: p.write_bytes(b"# " + b"x" * 2_000_000), 1),
    "loop": (lambda p: p.symlink_to(p.name), 1),
    "pipe": (lambda p: os.mkfifo(p), 1),
    "folder": (lambda p: p.mkdir(), 0),
    "deep": (lambda p: p.write_text("event: a.b\nowner: me\nschema: " + "[" * 5000), 1),
    "no schema": (lambda p: p.write_text("event: a.b\nowner: me\nschema: ./no.avsc\n"), 3),
    "schema elsewhere": (lambda p: p.write_text("event: a.b\nowner: me\n\nschema: /dev/zero\n"), 4),
    "unknown field": (lambda p: p.write_text("event: a.b\nowner: me\ncolour: red\nschema: {type: string}\n"), 3),
    "inline": (
        lambda p: p.write_text("event: a.b\nowner: me\nschema:\n  type: record\n  name: X\n  fields:\n  - name: a\n    type: text\n"),
        8,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_problems_with_a_line(command: Command, folder: GitFolder, name: str) -> None:
    write, line = BROKEN[name]
    write(folder.events / "bad.yaml")
    code, report = checked(command)
    if not line:
        assert code == 0
        return
    assert code == 1
    assert [(p["file"], p["line"]) for p in report["problems"] if p["severity"] == "error"][:1] == [("events/bad.yaml", line)]
    assert states(report)["song.played"] == "identical"


def test_a_broken_schema_is_shown_in_its_own_file(command: Command, folder: GitFolder) -> None:
    (folder.events / "song.played.avsc").write_text('{"type": "record",\n "name": "X",\n "fields": [}\n')
    assert rules(checked(command)[1]) == [("events/song.played.avsc", 3, "malformed_json")]
    (folder.events / "song.played.avsc").write_text('{"type": "record",\n\t"name": "X",\n\t"fields": [],\n "name": "Y"}\n')
    assert rules(checked(command)[1]) == [("events/song.played.avsc", 4, "malformed_json")]


def test_links_that_go_in_circles(command: Command, folder: GitFolder) -> None:
    (folder.events / "again").symlink_to(folder.events, target_is_directory=True)
    assert states(checked(command)[1]) == {"song.played": "identical"}


def test_a_linked_declaration_is_read_in_git_as_on_the_disk(command: Command, folder: GitFolder) -> None:
    kept = folder.root / "kept.yaml"
    kept.write_text("event: song.linked\nowner: me\nschema: {type: record, name: X, fields: [{name: a, type: string}]}\n")
    (folder.events / "linked.yaml").symlink_to("../kept.yaml")
    folder.commit()
    assert states(checked(command)[1])["song.linked"] == "created"  # what the link leads to lies outside of what is compared


@pytest.mark.parametrize("ref", ["no-such", "--output=/tmp/x", "-h", "main:events", "", "a b", "\x00"])
def test_a_ref_that_is_none(command: Command, folder: GitFolder, ref: str) -> None:
    said = command("check", "events", f"--against={ref}")
    assert (said.code, said.out) == (2, "")
    assert "error:" in said.err


def test_without_git_only_soundness(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "a.yaml").write_text(
        "event: a.b\nowner: me\nschema: {type: record, name: X, fields: [{name: a, type: string}]}\n"
    )
    code, report = checked(command)
    assert (code, states(report), report["compared_with"]) == (0, {"a.b": "created"}, "nothing")
    assert "not a git repository" in report["notes"][0]
    assert command("check", "events", "--against", "main").code == 2
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checked(command)[1]["notes"] == ["not compared with anything: git is not installed"]


def test_nothing_committed_yet_and_bare(command: Command, tmp_path: Path) -> None:
    made = GitFolder(tmp_path / "fresh")
    made.declare("a.b")
    said = command("check", str(made.events))
    assert said.code == 0
    assert "nothing is committed yet" in said.out
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    (bare / "a.yaml").write_text(SOUND)
    said = command("check", str(bare))
    assert (said.code, said.err) == (0, "")


def test_a_shallow_clone_says_what_it_does_not_know(command: Command, folder: GitFolder) -> None:
    folder.declare("song.liked")
    folder.commit()
    folder.git("clone", "-q", "--depth", "1", f"file://{folder.root}", "clone")
    said = command("check", "clone/events", "--against", "origin/gone")
    assert said.code == 2
    assert "fetch-depth: 0" in said.err
    said = command("check", "clone/events")
    assert said.code == 0
    assert "shallow" in said.out


def test_in_a_hook(command: Command, folder: GitFolder) -> None:
    hook = folder.root / ".git" / "hooks" / "pre-commit"
    hook.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m cli check events\n')
    hook.chmod(0o755)
    folder.declare("song.played", field("track", "string"), field("ms", "string"))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        folder.git("commit", "-q", "-a", "-m", "broken")
    assert b"song.played.avsc:5" in refused.value.stdout + refused.value.stderr
    folder.declare("song.played", field("track", "string"), field("ms", "long"), optional("album", "string"))
    folder.git("commit", "-q", "-a", "-m", "fine")


def test_names_that_are_no_text(command: Command, folder: GitFolder) -> None:
    (folder.events / os.fsdecode(b"caf\xe9.yaml")).write_bytes(b"event: [")
    folder.commit()
    code, report = checked(command)
    assert code == 1
    assert [p["rule"] for p in report["problems"]] == ["malformed_yaml"]
    for form in ("terminal", "github", "junit"):
        assert command("check", "events", "--format", form, "--output", "out").code == 1


def test_an_empty_or_missing_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = command("check", "empty")
    assert said.code == 0
    assert "0 declarations" in said.out
    assert command("check", "missing").code == 2
    assert command("check", "empty", "--server", "http://127.0.0.1:9", "--against", "main").code == 2
    assert command("check", "empty", "--server", "http://127.0.0.1:9").code == 3


def test_github_annotations_count_from_the_root(command: Command, folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.declare("song.played", field("track", "string"), field("ms", "string"))
    monkeypatch.chdir(folder.events)
    said = command("check", "--format", "github")
    first = said.out.splitlines()[0]
    assert said.code == 1
    assert first.startswith("::error file=events/song.played.avsc,line=5,title=song.played%3A type_changed::/schema/fields/1/type: ")
    assert "%0Ato do: " in first


def test_junit_and_an_output_file(command: Command, folder: GitFolder) -> None:
    folder.declare("song.played", field("track", "string"), field("ms", "string"), description="hostile <&]]>")
    folder.declare("song.liked")
    said = command("check", "events", "--format", "junit", "--output", "out.xml")
    assert (said.code, said.out.count("\n")) == (1, 1)
    suite = ElementTree.parse("out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failure = suite.find("testcase[@name='song.played']/failure")
    assert failure is not None
    assert "events/song.played.avsc:5" in (failure.text or "")


def test_hostile_names_do_nothing_to_the_terminal(command: Command, folder: GitFolder) -> None:
    (folder.events / "[red]x\x1b[31m.yaml").write_text('event: "[bold]a\\e[31m"\nowner: me\n')
    said = command("check", "events")
    assert said.code == 1
    assert "\x1b" not in said.out
    assert "[red]x" in said.out


def test_every_pointer_leads_to_its_line() -> None:
    text = '{"a":\n {"b/c":\n  [1,\n\t2,\n   {"d~":\n true}]}}'
    lines = Lines(text.encode())
    places = {"": 1, "/a": 1, "/a/b~1c": 2, "/a/b~1c/0": 3, "/a/b~1c/1": 4, "/a/b~1c/2": 5, "/a/b~1c/2/d~0": 5, "/a/b~1c/2/no": 5, "/zz": 1}
    assert {pointer: lines.of(pointer) for pointer in places} == places


class Memory:
    """A tree of bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def paths(self) -> list[str]:
        return sorted(self._files)

    def read(self, path: str) -> bytes:
        if path not in self._files:
            raise Unreadable("it is not there")
        return self._files[path]


VALID = b"event: a.b\nowner: me\nlifecycle: {state: deprecated, replaced_by: a.c}\nschema: ./x.avsc\nsdks: [web]\n"
SCHEMA = b'{"type": "record", "name": "X",\n "fields": [{"name": "a", "type": ["null", "long"], "default": null}]}'


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some bytes of it replaced by others."""
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(start + 12, len(whole))))
    new = draw(
        st.binary(max_size=6) | st.sampled_from(b"[ { } : - &x *x !!bool 1e999 null 7 \" ' , #".split()) | st.sampled_from([b"\n", b"\t"])
    )
    return whole[:start] + new + whole[end:]


@settings(deadline=None, max_examples=300)
@given(spoilt(VALID), spoilt(SCHEMA))
def test_any_bytes_get_an_answer_with_a_place(declaration: bytes, schema: bytes) -> None:
    found = Folder(Memory({"d.yaml": declaration, "x.avsc": schema}))
    found.sound()
    findings = found.findings + across(found, {"a_b"})
    assert all(finding.file in ("d.yaml", "x.avsc") and finding.line >= 1 for finding in findings)
    assert all(finding.problem.message and finding.problem.fix for finding in findings)
