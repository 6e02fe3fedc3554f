"""The life of an event type on real servers: a block at the command line is felt by the receiver and by a Kafka client within seconds, with
its reason; it is lifted with a message; and all of it stands in the history."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hourmark_client import Verdict
from hourmark_client.aio import AsyncClient
from tests.integration.front_door import KEY, Services, declared
from tests.registry.documents import declaration, payload
from tests.registry.service import Client, new_type

pytestmark = pytest.mark.real
DONE = (0, 1)  # 1: done, and some node of another test on the same Kafka has not said yet that it knows


async def command(services: Services, *arguments: str) -> tuple[int, str]:
    """`hourmark ARGUMENTS…` against these services; its exit code and all it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")}
    environment |= {"HOURMARK_REGISTRY_URL": services.registry, "HOURMARK_AUTHOR": "ann"}
    words = [sys.executable, "-m", "cli", *arguments]
    done = await asyncio.to_thread(subprocess.run, words, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def sent(client: AsyncClient, event: str) -> Verdict:
    return await (await client.submit(event, {"track": "t"}))


async def until(client: AsyncClient, event: str, verdict: str) -> Verdict:
    """Send until the answer is this."""
    deadline = time.monotonic() + 60
    while (said := await sent(client, event)).verdict != verdict:
        assert time.monotonic() < deadline, said
        await asyncio.sleep(0.1)
    return said


async def test_a_block_is_felt_within_seconds_with_its_reason_and_lifted_with_a_message(services: Services) -> None:
    event, _ = await declared(services, payload()["fields"])
    over_http = AsyncClient.http(services.receiver, write_key=KEY, app="web")
    straight = AsyncClient.kafka(services.kafka, registry=services.registry, app="web")
    async with over_http, straight:
        assert [(await sent(client, event)).verdict for client in (over_http, straight)] == ["stored", "stored"]
        started = time.monotonic()
        code, said = await command(services, "events", "block", event, "--reason", "it floods us: é")
        assert code in DONE, said
        for client, name in ((over_http, "receiver"), (straight, "Kafka client")):
            refused = await until(client, event, "rejected")
            assert (refused.code, refused.detail) == ("blocked_event_type", f"{event} is blocked by its owner: it floods us: é")
            print(f"refused by the {name} {time.monotonic() - started:.2f} s after `events block` began")
        async with Client(services.registry) as registry:
            silent = await registry.put(f"/v1/events/{event}", declaration(event))
            assert (silent.status, silent.body["code"]) == (400, "message_required")
        code, said = await command(services, "events", "unblock", event, "-m", "the flood is over")
        assert code in DONE, said
        for client in (over_http, straight):
            await until(client, event, "stored")
    code, said = await command(services, "events", event, "--history", "--json")
    assert code == 0, said
    told = [(one["author"], one["message"]) for one in json.loads(said)]
    assert told == [("ann", "the flood is over"), ("ann", "it floods us: é"), ("", "")]
    async with Client(services.registry) as registry:
        audit = (await registry.get(f"/v1/audit?subject=event/{event}")).body["audit"]
    outcomes: list[Any] = [(row["detail"]["outcome"], row["detail"].get("code"), row["revision"] is not None) for row in audit]
    assert outcomes == [
        ("created", None, True),
        ("changed", None, True),
        ("refused", "message_required", False),
        ("changed", None, True),
    ]


async def test_a_replacement_is_declared_first_and_leads_nowhere_back(services: Services) -> None:
    old, new = new_type(), new_type()
    life: Any = {"state": "deprecated", "until": "2027-03-01", "replaced_by": new}
    async with Client(services.registry) as registry:
        await registry.put(f"/v1/events/{old}", declaration(old))
        early = await registry.put(f"/v1/events/{old}", declaration(old, lifecycle=life))
        assert (early.status, early.body["code"]) == (409, "unknown_replacement")
        assert early.body["problems"][0]["path"] == "/lifecycle/replaced_by"
        await registry.put(f"/v1/events/{new}", declaration(new))
        assert (await registry.put(f"/v1/events/{old}", declaration(old, lifecycle=life))).status == 200
        back = await registry.put(f"/v1/events/{new}", declaration(new, lifecycle={"state": "deprecated", "replaced_by": old}))
        assert (back.status, back.body["code"]) == (409, "replacement_loop")
        draft = await registry.put(f"/v1/events/{old}", declaration(old, lifecycle="draft"))
        assert (draft.status, draft.body["code"]) == (409, "lifecycle_transition")
    code, said = await command(services, "events", old)
    assert code == 0, said
    assert f"deprecated until 2027-03-01, replaced by {new}" in said
    async with AsyncClient.http(services.receiver, write_key=KEY, app="web") as client:
        assert (await sent(client, old)).verdict == "stored"


async def test_a_folder_is_declared_in_the_order_of_replacements_with_its_author(services: Services, tmp_path: Path) -> None:
    old, new, folder = new_type(), new_type(), tmp_path / "declarations"
    folder.mkdir()
    life = {"state": "deprecated", "replaced_by": new}
    for name, more in ((old, {"lifecycle": life}), (new, {})):
        (folder / f"{name}.json").write_text(json.dumps(declaration(name, **more)))
    code, said = await command(services, "declare", str(folder), "-m", "both at once", "--author", "bob", "--json")
    assert code == 0, said
    again, said = await command(services, "declare", str(folder), "--json")
    assert (again, [answer["changed"] for answer in json.loads(said)]) == (0, [False, False])
    async with Client(services.registry) as registry:
        for name in (old, new):
            revisions = (await registry.get(f"/v1/events/{name}/revisions")).body["revisions"]
            assert [(one["author"], one["message"]) for one in revisions] == [("bob", "both at once")]
            then = await registry.get(f"/v1/events/{name}/revisions/{revisions[0]['revision']}")
            assert then.body["declaration"] == (await registry.get(f"/v1/events/{name}")).body["declaration"]
