"""Plan, apply and diff: what differs, in which order it is applied, and what happens when somebody else is faster."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from cli.addresses import Addresses
from cli.catalogue import Catalogue, Overtaken
from cli.failures import AnswerIsNo, Unreachable, WrongInput
from cli.workflow.apply import carry_out, require_message, waves
from cli.workflow.applying import span
from cli.workflow.delta import changes, type_text
from cli.workflow.plan import Item, Plan, as_json, plan
from cli.workflow.plan_text import lines
from cli.workflow.readers import Reader, Readers, readers
from cli.workflow.trees import Disk
from cli.workflow.verdict import complete
from registry.declaration import check
from tests.cli.conftest import Command
from tests.cli.git_folder import GitFolder, field, optional
from tests.registry.documents import declaration, payload


class FakeRegistry(Catalogue):
    """Declarations in memory, with revisions; refuses what is not sound and what `refuses` names."""

    def __init__(self) -> None:
        super().__init__("http://fake")
        self.stored: dict[str, tuple[int, dict[str, Any]]] = {}
        self.refuses: dict[str, Exception] = {}
        self.order: list[str] = []
        self._lock = threading.Lock()

    def all(self) -> list[dict[str, Any]]:
        return [self._summary(name) for name in sorted(self.stored)]

    def get(self, event_type: str) -> dict[str, Any]:
        return self._summary(event_type) | {"declaration": self.stored[event_type][1]}

    def check(self, event_type: str, declaration: Any) -> dict[str, Any]:
        problems = [{"path": p.path, "rule": p.rule, "message": p.message, "fix": p.fix} for p in check(declaration)]
        _, known = self.stored.get(event_type, (0, None))
        outcome = "created" if known is None else "identical" if known == complete(declaration) else "changed"
        return {"ok": not problems, "outcome": outcome, "problems": problems, "code": "", "message": ""}

    def replace(self, event_type: str, declaration: Any, revision: int, wait: float = 0.0, message: str = "") -> dict[str, Any]:
        with self._lock:
            if event_type in self.refuses:
                raise self.refuses[event_type]
            current = self.stored.get(event_type, (0, {}))[0]
            if current != revision:
                error = Overtaken("the current revision is another")
                error.facts["current"] = {"revision": current, "author": "ann", "at": 1_760_000_000.0, "message": "mine"}
                raise error
            self.stored[event_type] = (len(self.order) + 100, complete(declaration))
            self.order.append(event_type)
            return {"event": event_type, "revision": len(self.order) + 99, "created": not revision, "changed": True}

    def ask(self, method: str, path: str, *_more: Any, **_named: Any) -> Any:
        return {"nodes": [{"room": "receiver", "live": True}, {"room": "sinks", "live": False}]}

    def _summary(self, name: str) -> dict[str, Any]:
        revision, document = self.stored[name]
        lifecycle = document["lifecycle"]
        state = lifecycle if isinstance(lifecycle, str) else lifecycle["state"]
        return {"event": name, "revision": revision, "owner": document["owner"], "lifecycle": state, "partitions": 4}


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def folder(command: Command, tmp_path: Path) -> GitFolder:
    return GitFolder(tmp_path)


def planned(folder: GitFolder, registry: FakeRegistry, owner: str = "") -> Plan:
    return plan(Disk(folder.events), registry, prune_owner=owner)


def applied(found: Plan, registry: FakeRegistry, message: str = "") -> Any:
    return carry_out(registry, found.to_do, wait_s=0.0, message=message, tell=lambda *_: None)


def test_plan_apply_and_nothing_to_do(folder: GitFolder, registry: FakeRegistry) -> None:
    folder.declare("song.played", field("track", "string"))
    folder.declare("song.liked", field("track", "string"))
    first = planned(folder, registry)
    assert [(item.event, item.state, item.revision) for item in first.items] == [
        ("song.liked", "created", 0),
        ("song.played", "created", 0),
    ]
    assert sorted(applied(first, registry).done) == ["song.liked", "song.played"]
    again = planned(folder, registry)
    assert (again.to_do, [item.state for item in again.items]) == ([], ["identical", "identical"])
    assert "nothing to do, 2 as they are" in list(lines(again))[-1]
    folder.declare("song.played", field("track", "string"), optional("ms", "long"), tier="critical", sdks=["web"])
    changed = planned(folder, registry)
    [item] = changed.to_do
    assert [str(step) for step in item.steps] == [
        "field ms: long or null, default null",
        "tier: standard → critical",
        "sdks: *",
        "sdks: web",
    ]
    assert item.partitions == (4, 8)
    assert changed.nodes == {"receiver": 1}


def test_a_refusal_is_in_the_plan(folder: GitFolder, registry: FakeRegistry) -> None:
    folder.declare("song.played", field("_x", "string"))
    folder.declare("song.liked")
    found = planned(folder, registry)
    assert found.refused
    assert [finding.problem.rule for finding in found.findings] == ["field_underscore"]
    assert "1 to create, 1 refused" in list(lines(found))[-1]
    assert json.loads(json.dumps(as_json(found)))["ok"] is False


def test_prune_only_what_the_owner_took_away(folder: GitFolder, registry: FakeRegistry) -> None:
    for name, owner, lifecycle in (
        ("a.mine", "me", "active"),
        ("a.old", "me", "blocked"),
        ("a.other", "you", "active"),
        ("a.kept", "me", "active"),
    ):
        registry.stored[name] = (1, complete(declaration(name, owner=owner, lifecycle=lifecycle)))
    folder.declare("a.kept", owner="me", tier="debug")
    assert planned(folder, registry).prunes == []
    found = planned(folder, registry, "me")
    assert [item.event for item in found.prunes] == ["a.mine"]
    assert {entry["event"] for entry in found.elsewhere} == {"a.old", "a.other"}
    assert "a.mine" in applied(found, registry).done
    assert registry.stored["a.mine"][1]["lifecycle"] == {"state": "blocked", "reason": "removed from source"}
    assert planned(folder, registry, "me").prunes == []


def test_who_was_faster(folder: GitFolder, registry: FakeRegistry) -> None:
    folder.declare("song.played")
    found = planned(folder, registry)
    registry.stored["song.played"] = (7, complete(declaration("song.played")))
    result = applied(found, registry)
    assert result.done == {}
    assert "planned as new, but ann made revision 7 at 2025-10-09 08:53:20 UTC (mine)" in result.failed["song.played"].message


def item(event: str, replaced_by: str = "") -> Item:
    lifecycle: Any = {"state": "deprecated", "replaced_by": replaced_by} if replaced_by else "active"
    return Item(event, f"{event}.yaml", "created", 0, declaration(event, lifecycle=lifecycle), [], (0, 4), [])


def test_replacements_come_first(registry: FakeRegistry) -> None:
    items = [item("a.one", "a.two"), item("a.two", "a.three"), item("a.three"), item("a.four", "not.here")]
    assert [[one.event for one in wave] for wave in waves(items)] == [["a.three", "a.four"], ["a.two"], ["a.one"]]
    assert len(waves([item("a.x", "a.y"), item("a.y", "a.x"), item("a.z", "a.z")])) == 2
    carry_out(registry, items, wait_s=0.0, message="", tell=lambda *_: None)
    assert registry.order.index("a.three") < registry.order.index("a.two") < registry.order.index("a.one")


def test_stops_after_the_first_refusal(registry: FakeRegistry) -> None:
    items = [item(f"a.n{number}", "a.bad") for number in range(100)] + [item("a.bad"), item("a.good")]
    registry.refuses["a.bad"] = AnswerIsNo("the registry refuses")
    result = carry_out(registry, items, wait_s=0.0, message="", tell=lambda *_: None)
    assert set(result.done) <= {"a.good"}
    assert list(result.failed) == ["a.bad"]
    assert len(result.done) + len(result.failed) + len(result.left) == len(items)
    many = [item(f"b.n{number}") for number in range(200)]
    registry.refuses = {one.event: Unreachable("gone") for one in many}
    assert len(carry_out(registry, many, wait_s=0.0, message="", tell=lambda *_: None).left) >= 100


def test_lifting_a_block_needs_a_word(folder: GitFolder, registry: FakeRegistry) -> None:
    registry.stored["song.played"] = (1, complete(declaration("song.played", lifecycle={"state": "blocked", "reason": "flood"})))
    folder.declare("song.played", owner="team-player", tier="debug")
    found = planned(folder, registry)
    with pytest.raises(WrongInput, match="reason"):
        require_message(found.to_do, "")
    require_message(found.to_do, "mended")


def test_readers_are_a_bounded_look() -> None:
    assert "HOURMARK_KAFKA" in readers(Addresses(), ["a.b"]).unknown
    assert "unknown" in readers(Addresses(kafka="127.0.0.1:9"), ["a.b"], 0.3).unknown
    assert readers(Addresses(kafka="127.0.0.1:9"), []) == Readers({})


def test_readers_and_markup_in_the_text(folder: GitFolder, registry: FakeRegistry) -> None:
    registry.stored["song.played"] = (1, complete(declaration("song.played")))
    folder.declare("song.played", description="[red]x[/]")
    found = planned(folder, registry)._replace(readers=Readers({"song.played": [Reader("[b]g", "clean.song.played", 2)]}))
    text = "\n".join(lines(found))
    assert "read by \\[b]g (2 members)" in text
    assert "\\[red]x" in text


@pytest.mark.parametrize(("text", "seconds"), [("", 0.0), ("10s", 10.0), ("500ms", 0.5), ("1m", 60.0), ("3", 3.0)])
def test_spans(text: str, seconds: float) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["x", "-1s", "0", "2m", "1h", "10 s", "٣s", "9" * 50])
def test_no_spans(text: str) -> None:
    with pytest.raises(WrongInput):
        span(text)


def test_types_in_words() -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    assert type_text(["null", {"type": "array", "items": decimal}]) == "array of decimal(9, 2) or null"
    assert type_text({"type": "enum", "name": "E", "symbols": ["A", "B"]}) == "enum A, B"
    assert type_text({"type": "map", "values": {"type": "fixed", "name": "F", "size": 4}}) == "map of fixed of 4 bytes"


def test_what_differs() -> None:
    inner = {"type": "record", "name": "I", "fields": [{"name": "x", "type": "long"}]}
    wider = {"type": "record", "name": "I", "fields": [{"name": "x", "type": "long"}, {"name": "y", "type": "int", "default": 3}]}
    before = complete(declaration(schema=payload(("in", {"type": "array", "items": inner})), retention={"raw": "24h"}))
    after = complete(
        declaration(
            schema=payload(("in", {"type": "array", "items": wider})),
            lifecycle={"state": "deprecated", "until": "2030-01-01"},
            privacy={"fields": {"in.x": {"as": "encrypt"}}},
        )
    )
    assert {str(step) for step in changes(before, after)} == {
        "field in[].y: int, default 3",
        "retention.raw: 24h",
        "lifecycle.state: active → deprecated",
        "lifecycle.until: 2030-01-01",
        "privacy.fields.in.x.as: encrypt",
    }
    assert changes(after, after) == []
    form = complete(declaration(schema=payload(("track", {"type": "string"}))))
    assert [step.what for step in changes(complete(declaration()), form)] == ["schema"]


def test_diff_of_files_and_git(command: Command, folder: GitFolder) -> None:
    folder.declare("song.played", field("track", "string"))
    folder.commit()
    folder.declare("song.played", field("track", "string"), optional("ms", "long"))
    path = "events/song.played.yaml"
    said = command("diff", f"main:{path}", path)
    assert (said.code, "compatible" in said.out, "+ field ms: long or null" in said.out) == (0, True, True)
    assert command("diff", path, path).out.strip().endswith("they say the same")
    folder.declare("song.played", field("track", "long"))
    said = command("diff", f"main:{path}", path, "--json")
    found = json.loads(said.out)
    assert (said.code, found["ok"], [p["rule"] for p in found["problems"]]) == (1, False, ["type_changed"])


@pytest.mark.parametrize(
    "name", ["main:no.yaml", "nope:events/a.yaml", "no/such", "events", ":", "main:", "a b", "\x00", "x" * 5000, "bad.yaml"]
)
def test_diff_of_what_is_not_there(command: Command, folder: GitFolder, name: str) -> None:
    folder.declare("song.played")
    folder.commit()
    (folder.root / "bad.yaml").write_text("event: [")
    said = command("diff", name, "events/song.played.yaml")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")


def test_without_a_registry(command: Command, folder: GitFolder) -> None:
    folder.declare("song.played")
    assert command("plan", "events").code == 3
    assert command("diff", "song.played", "song.played@3").code == 3
    assert command("apply", "events", "--server", "http://127.0.0.1:9").code == 3
    assert command("apply", "events", "--prune").code == 2
    assert command("plan", "events", "--owner", "me").code == 2
    (folder.root / "empty").mkdir()
    for nothing in ("empty", "events/song.played.yaml"):
        said = command("apply", nothing, "--prune", "--owner", "me", "--yes")
        assert (said.code, "would block all" in said.err) == (2, True)
    assert command("check", "events", "--format", "junit", "--output", "no/such/folder.xml").code == 2
    assert command("apply", "events", "--wait", "soon").code == 2
    assert command("plan", "events", "--server", "nonsense").code == 2
