"""Thousands of odd requests in a row: whatever the face is sent, and in whatever state, it answers, in its one shape, and fails never."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote

from registry.expected import Expected
from registry.history import Byline
from tests.registry.documents import declaration, payload
from tests.registry.face.service import serving

REQUESTS = 600
ATOMS: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    1.5,
    "",
    "int",
    "x",
    "latest",
    "NONE",
    "IMPORT",
    "\ud800",
    "\0",
    "é" * 600,
    [],
    {},
    ["a"],
    {"a": 1},
]
SCHEMAS = [
    '"int"',
    '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}',
    '{"type":"record","name":"B","fields":[{"name":"r","type":"R"}]}',
    '{"type":"enum","name":"E","symbols":["A"]}',
    '{"type":"object","properties":{"a":{}}}',
    'syntax="proto3"; message A { int32 a = 1; }',
]
FIELDS = ["schemaType", "references", "metadata", "ruleSet", "id", "version"]
CONFIG = ["compatibility", "alias", "normalize", "defaultMetadata", "overrideRuleSet", "compatibilityGroup", "validateFields"]
SUBJECTS = ["a", "b", ":.x:a", ":.x:", ":.__GLOBAL:", "raw.p.q-value", "clean.p.q-value", "raw.n.n-value", "%", "é"]
QUERIES = ["", "deleted=true", "permanent=true", "normalize=true", "format=resolved", "force=true", "verbose=true", "defaultToGlobal=true"]


class Oddities:
    """A stream of requests that is the same for the same seed."""

    def __init__(self, seed: int, wire: str) -> None:
        self._dice, self._schemas = random.Random(seed), [*SCHEMAS, wire]

    def request(self) -> tuple[str, str, bytes | None]:
        one = self._dice.choice
        subject, version = quote(one(SUBJECTS), safe=""), one(["1", "2", "latest", "9"])
        numbered = f"/subjects/{subject}/versions/{version}"
        method, path, body = one(
            [
                *[("POST", f"/subjects/{subject}/versions", self._schema_body())] * 6,
                ("POST", f"/subjects/{subject}", self._schema_body()),
                ("POST", f"/compatibility{numbered}", self._schema_body()),
                ("PUT", f"/config/{subject}", {"compatibility": "NONE"} | {one(CONFIG): self._value()}),
                ("PUT", "/config", {one(CONFIG): self._value()}),
                ("PUT", f"/mode/{subject}", {"mode": one(["IMPORT", "READWRITE", "READONLY", self._value()])}),
                *[
                    ("DELETE", path, None)
                    for path in (f"/mode/{subject}", f"/config/{subject}", "/config", f"/subjects/{subject}", numbered)
                ],
                *[
                    ("GET", path, None)
                    for path in (numbered, f"{numbered}/referencedby", "/schemas", f"/schemas/ids/{self._dice.randint(1, 9)}")
                ],
            ]
        )
        raw = None if body is None else json.dumps(body).encode()
        return method, one(["", "", "/contexts/.x"]) + path + "?" + one(QUERIES), raw

    def _value(self, depth: int = 0) -> Any:
        roll = self._dice.random()
        if roll < 0.6 or depth > 2:
            return self._dice.choice(ATOMS)
        if roll < 0.85:
            return {self._dice.choice([*FIELDS, "properties", "domainRules", "name"]): self._value(depth + 1) for _ in range(3)}
        return [self._value(depth + 1) for _ in range(2)]

    def _schema_body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"schema": self._bent(self._dice.choice(self._schemas)) if self._dice.random() < 0.9 else self._value()}
        for name in self._dice.sample(FIELDS, self._dice.randint(0, 2)):
            sound = {"schemaType": self._dice.choice(["AVRO", "JSON", "PROTOBUF"]), "id": self._dice.randint(1, 9), "version": 2**31 - 1}
            sound["references"] = [{"name": "R", "subject": self._dice.choice(["a", "b"]), "version": self._dice.choice([1, 2, -1])}]
            body[name] = sound.get(name, self._value()) if self._dice.random() < 0.8 else self._value()
        return body

    def _bent(self, text: str) -> str:
        try:
            return json.dumps(self._bend(json.loads(text)))
        except ValueError:
            return text

    def _bend(self, node: Any) -> Any:
        if self._dice.random() < 0.08:
            return self._value()
        if isinstance(node, dict):
            return {name: self._bend(value) for name, value in node.items() if self._dice.random() > 0.03}
        return [self._bend(item) for item in node] if isinstance(node, list) else node


async def test_nothing_makes_it_fail(database_url: str) -> None:
    async with serving(database_url) as face:
        await face.catalog.declare(declaration("p.q", schema=payload()), Expected(), Byline())
        wire = (await face.client.get("/subjects/raw.p.q-value/versions/1")).body["schema"]
        oddities, seen = Oddities(11, wire), set()
        for _ in range(REQUESTS):
            method, path, body = oddities.request()
            answer = await face.client.ask(method, path, body)
            seen.add(answer.status)
            assert answer.status < 500, (method, path, body, answer.body)
            assert answer.status == 200 or set(answer.body) == {"error_code", "message"}, (method, path, body, answer.body)
        assert {200, 404, 422} <= seen
        assert (await face.client.get("/subjects/raw.p.q-value/versions/1")).body["schema"] == wire
