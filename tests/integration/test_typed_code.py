"""Generated code against the platform: what Python and TypeScript programs send is stored alike, by the schema that is registered."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import mypy.api
import pytest

from cli.app import run as hourmark
from hourmark_client import AsyncClient
from tests.client.schemas import EVERYTHING
from tests.client.test_avro import GOOD
from tests.integration.front_door import KEY, Services, declared, decoded
from tests.integration.test_client_kafka import read_raw
from tests.node.toolchain import Node

pytestmark = pytest.mark.real

PROGRAM = """
import { Sender, MODULE as e } from "./index.js";

const sender = new Sender({ url: process.argv[2]!, writeKey: process.argv[3]!, app: "web" });
const payload: e.Thing = {
  flag: true, small: -(2 ** 31), large: 2n ** 63n - 1n, thin: 0.5, wide: 3, text: "é😀", raw: new Uint8Array([0, 255]),
  hash: new TextEncoder().encode("abcd"), same_hash: new TextEncoder().encode("abcd"), colour: "RED", price: "12.30",
  uuid: "00000000-0000-0000-0000-000000000007", day: "2026-03-01", clock: "07:00:00.000005", at: new Date(Date.UTC(2026, 2, 1, 7)),
  local: "2026-03-01T07:00:00", maybe: 5,
  list: [1, 2n], map: { a: 1, b: null }, inner: { class: "x", deep: [{ n: 1 }, { n: 2 }] }, either: 3,
};
const least: e.Thing = { flag: true, small: 1, large: 1, thin: 0, wide: 0, text: "", raw: new Uint8Array(), hash: payload.hash,
  price: "0.00",
  uuid: payload.uuid, day: "1970-01-01", clock: "00:00:00", at: new Date(0), local: "1970-01-01T00:00:00" };
const verdicts = [await sender.send(e.thingEvent, payload), await sender.send(e.thingEvent, least)];
// @ts-expect-error a field that nobody declared
verdicts.push(await sender.send(e.thingEvent, { ...least, unknown: 1 }));
// @ts-expect-error a value of another type
verdicts.push(await sender.send(e.thingEvent, { ...least, small: "1" }));
await sender.close();
process.stdout.write(JSON.stringify(verdicts));
"""


def generate(language: str, event: str, out: Path, monkeypatch: pytest.MonkeyPatch, services: Services, *more: str) -> int:
    monkeypatch.setenv("HOURMARK_REGISTRY_URL", services.registry)
    monkeypatch.setattr(sys, "argv", ["hourmark", "gen", language, event, "--out", str(out), *more])
    return hourmark()


def typed_event(module: Any) -> Any:
    inner = module.Inner(class_="x", deep=[module.Deep(n=1), module.Deep(n=2)])
    return module.Thing(**{**GOOD, "same_hash": b"abcd", "inner": inner})


async def test_python_and_typescript_programs_send_the_same(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: Node
) -> None:
    event, schema = await declared(services, EVERYTHING)
    stem = event.replace(".", "_")
    assert await asyncio.to_thread(generate, "python", event, tmp_path / "py", monkeypatch, services) == 0
    assert await asyncio.to_thread(generate, "typescript", event, tmp_path / "ts", monkeypatch, services) == 0
    spec = importlib.util.spec_from_file_location(stem, tmp_path / "py" / f"{stem}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    over_http = AsyncClient.http(services.receiver, write_key=KEY, app="web")
    straight = AsyncClient.kafka(services.kafka, registry=services.registry, app="web")
    async with over_http, straight:
        await module.send_async(over_http, typed_event(module))
        await module.send_async(straight, typed_event(module))
    (tmp_path / "ts" / "program.ts").write_text(PROGRAM.replace("MODULE", stem))

    def program() -> list[dict[str, Any]]:
        node.compile(tmp_path / "ts", (tmp_path / "ts").glob("*.ts"))
        found: list[dict[str, Any]] = json.loads(node.run("program.js", services.receiver, KEY, cwd=tmp_path / "ts").stdout)
        return found

    verdicts = await asyncio.to_thread(program)
    assert [verdict["verdict"] for verdict in verdicts] == ["stored", "stored", "rejected", "rejected"]
    assert [verdict.get("path") for verdict in verdicts[2:]] == ["/payload/unknown", "/payload/small"]
    messages = await asyncio.to_thread(read_raw, services.kafka, event, 4, 8)
    payloads = [{k: v for k, v in decoded(message, schema).items() if not k.startswith("_")} for message in messages]
    assert sum(payload["text"] == GOOD["text"] for payload in payloads) == 3
    assert all(payload == payloads[0] for payload in payloads if payload["text"] == payloads[0]["text"])
    [least] = [payload for payload in payloads if payload["text"] != GOOD["text"]]
    assert (least["colour"], least["list"], least["maybe"]) == ("BLUE", [], None)
    told, _, code = mypy.api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "py")])
    assert code == 0, told


async def test_a_change_in_the_registry_makes_code_stale(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event, _ = await declared(services, [{"name": "n", "type": "long"}])
    arguments = ("python", event, tmp_path, monkeypatch, services)
    assert await asyncio.to_thread(generate, *arguments) == 0
    assert await asyncio.to_thread(generate, *arguments, "--check") == 0
    await declared(services, [{"name": "n", "type": "long"}, {"name": "more", "type": "int", "default": 0}], event=event)
    assert await asyncio.to_thread(generate, *arguments, "--check") == 1
