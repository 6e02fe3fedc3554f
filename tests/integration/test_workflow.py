"""A folder in git against a real registry, receiver and Kafka: planned, applied by the recipe in the docs, read, changed, pruned."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import Any

import fastavro
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from cli.catalogue import Catalogue, Change
from cli.workflow.apply import carry_out
from cli.workflow.check import offline, online
from cli.workflow.folder import Finding
from cli.workflow.plan import plan
from cli.workflow.trees import Disk
from hourmark.event import ENVELOPE, frame
from registry.app import Registry
from tests.cli.git_folder import GitFolder, field, optional
from tests.cli.recipe import Ran, shell, step
from tests.integration.front_door import Services
from tests.registry.service import settings_for

pytestmark = pytest.mark.real


async def test_plan_apply_and_prune(services: Services, tmp_path: Path) -> None:
    space = f"t{token_hex(6)}"
    folder = GitFolder(tmp_path / "source")
    at = {"HOURMARK_REGISTRY_URL": services.registry, "HOURMARK_KAFKA": services.kafka, "HOURMARK_HOME": str(tmp_path / "home")}
    registry = Catalogue(services.registry)

    async def said(lines: str, **more: str) -> Ran:
        return await asyncio.to_thread(shell, lines, folder.root, **at, **more)

    async def document(lines: str) -> tuple[int, Any]:
        ran = await said(lines)
        return ran.code, json.loads(ran.out)

    old, new = f"{space}.old", f"{space}.new"
    retired = {"state": "deprecated", "replaced_by": new}
    folder.declare(old, field("track", "string"), owner=space, tier="debug", lifecycle=retired)
    folder.declare(new, field("track", "string"), owner=space, tier="debug")
    folder.commit()
    code, shown = await document("hourmark plan events --json")
    assert (code, [(e["event"], e["state"]) for e in shown["events"]]) == (0, [(new, "created"), (old, "created")])
    assert (await said("hourmark check events --server here")).code == 0

    ran = await said(step("apply"), GITHUB_ACTOR="ann", GITHUB_SHA="abc123")
    assert ran.code == 0, ran
    assert ran.out.index(f"+ {new} revision") < ran.out.index(f"+ {old} revision")
    assert "receiver 1/1" in ran.out
    current = await asyncio.to_thread(registry.ask, "GET", f"/v1/events/{old}/revisions")
    assert [(r["author"], r["message"]) for r in current["revisions"]] == [("ann", "abc123")]
    again = await said(step("apply"), GITHUB_ACTOR="ann", GITHUB_SHA="abc123")
    assert again.code == 0
    assert "nothing to do" in again.out

    await asyncio.to_thread(_commits, services.kafka, f"{space}-reader", f"clean.{new}")
    await asyncio.to_thread(_arrives, services.kafka, f"clean.{new}")
    folder.declare(new, field("track", "string"), optional("ms", "long"), owner=space, tier="debug")
    code, shown = await document("hourmark plan events --json")
    [change] = [event for event in shown["events"] if event["state"] == "changed"]
    assert [(step["kind"], step["what"]) for step in change["changes"]] == [("added", "field ms")]
    assert [reader["group"] for reader in change["readers"]] == [f"{space}-reader"]
    assert change["senders"] == [{"sdk": "hourmark-python", "version": "9.9", "app": "web", "events": 2}]
    assert "sent lately by hourmark-python 9.9 (web)" in (await said("hourmark plan events")).out

    folder.declare(old, field("track", "long"), owner=space, tier="debug", lifecycle=retired)
    ran = await said("hourmark apply events --yes")
    assert ran.code == 1
    assert "nothing was applied" in ran.err
    assert f"events/{old}.avsc:4" in ran.out

    (folder.events / f"{old}.yaml").unlink()
    (folder.events / f"{old}.avsc").unlink()
    ran = await said(f"hourmark apply events --yes --prune --owner {space}")
    assert ran.code == 0, ran
    gone = await asyncio.to_thread(registry.get, old)
    assert gone["declaration"]["lifecycle"] == {"state": "blocked", "reason": "removed from source"}
    first = current["revisions"][0]["revision"]
    ran = await said(f"hourmark diff {old}@{first} {old}")
    assert (ran.code, "lifecycle.state: deprecated → blocked" in ran.out) == (0, True)


@pytest.fixture
async def registry(kafka: str, tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with Registry(settings_for(kafka, tmp_path / "registry")) as running:
        await running.ready()
        yield Catalogue(running.url)


async def test_somebody_else_was_faster(registry: Catalogue, tmp_path: Path) -> None:
    event = f"t{token_hex(6)}.thing"
    folder = GitFolder(tmp_path / "source")
    folder.declare(event, tier="debug")
    found = await asyncio.to_thread(plan, Disk(folder.events), registry)
    document = found.items[0].document
    await asyncio.to_thread(registry.declare, event, document | {"description": "other"}, 0.0, Change(0, "theirs", "ann"))
    applied = await asyncio.to_thread(lambda: carry_out(registry, found.to_do, wait_s=0.0, message="", tell=lambda *_: None))
    assert applied.done == {}
    assert f"{event} was planned as new, but ann made revision " in applied.failed[event].message
    assert applied.failed[event].message.endswith("(theirs)")


async def test_offline_and_the_registry_say_the_same(registry: Catalogue, tmp_path: Path) -> None:
    event = f"t{token_hex(6)}.thing"
    folder = GitFolder(tmp_path / "source")
    states = [
        (field("track", "string"), field("ms", "long")),
        (field("track", "string"), field("ms", "long"), optional("album", "string")),
        (field("track", "string"), field("ms", "long")),
    ]
    for fields in states:
        folder.declare(event, *fields, tier="debug")
        folder.commit()
        found = await asyncio.to_thread(plan, Disk(folder.events), registry)
        await asyncio.to_thread(lambda items=found.to_do: carry_out(registry, items, wait_s=0.0, message="", tell=lambda *_: None))
    changes: list[tuple[tuple[dict[str, Any], ...], dict[str, Any]]] = [
        ((field("track", "string"), field("ms", "int")), {}),
        ((field("track", "string"), field("MS", "long"), optional("album", "long")), {}),
        ((field("track", "bytes"),), {"partitions": 1}),
        ((*states[0], field("more", "string")), {"lifecycle": "draft"}),
        ((*states[0], field("email", "string")), {"key": "nothing"}),
        ((*states[0], optional("album", {"type": "enum", "name": "A", "symbols": ["X"]})), {}),
        (states[1], {"description": "fine"}),
    ]
    for fields, more in changes:
        folder.declare(event, *fields, **{"tier": "debug", **more})
        here, there = (
            await asyncio.to_thread(offline, Disk(folder.events), None),
            await asyncio.to_thread(online, Disk(folder.events), registry),
        )
        assert [_said(finding) for finding in here.findings] == [_said(finding) for finding in there.findings]
        assert [outcome.state for outcome in here.outcomes] == [outcome.state for outcome in there.outcomes]
        assert here.ok == ("description" in more)


def _said(finding: Finding) -> tuple[Any, ...]:
    problem = finding.problem
    return finding.file, finding.line, problem.path, problem.rule, problem.message, problem.fix, problem.direction, problem.old, problem.new


def _arrives(kafka: str, topic: str) -> None:
    """Two events and a record without a value."""
    facts = {"_event_id": bytes(16), "_event_time": 0, "_sent_at": 0, "_received_at": 0, "_attempt": 1}
    who = {"_sdk": "hourmark-python", "_sdk_version": "9.9", "_app": "web"}
    datum = BytesIO()
    fastavro.schemaless_writer(datum, {"type": "record", "name": "E", "fields": list(ENVELOPE)}, facts | who)
    producer = Producer({"bootstrap.servers": kafka})
    for value in (frame(1) + datum.getvalue() + b"payload", frame(1) + datum.getvalue(), None):
        producer.produce(topic, value, partition=0)
    assert producer.flush(60) == 0


def _commits(kafka: str, group: str, topic: str) -> None:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()
