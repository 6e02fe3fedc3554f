"""The face's tables on SQLite and PostgreSQL: ids, versions and deletions, also with many writers at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from registry.expected import Expected
from registry.history import Byline
from tests.registry.documents import declaration, payload
from tests.registry.face.service import serving


def record(*fields: str) -> dict[str, str]:
    found = [{"name": name, "type": ["null", "string"], "default": None} for name in fields]
    return {"schema": json.dumps({"type": "record", "name": "Row", "fields": found})}


async def test_the_life_of_a_subject(database_url: str) -> None:
    async with serving(database_url) as face:
        client = face.client
        first = (await client.post("/subjects/a/versions", record("x"))).body["id"]
        declared = (await face.catalog.declare(declaration(schema=payload()), Expected(), Byline())).stored.schema_id
        second = (await client.post("/subjects/a/versions", record("x", "y"))).body["id"]
        assert first < declared < second
        assert (await client.get("/subjects/a/versions")).body == [1, 2]
        assert (await client.ask("DELETE", "/subjects/a/versions/2")).body == 2
        assert (await client.get("/subjects/a/versions?deletedOnly=true")).body == [2]
        assert (await client.ask("DELETE", "/subjects/a/versions/2?permanent=true")).body == 2
        assert (await client.get(f"/schemas/ids/{second}")).status == 404
        assert (await client.post("/subjects/a/versions", record("x", "y"))).body["id"] == second
        assert (await client.get("/subjects/a/versions")).body == [1, 2]
        assert (await client.put("/mode/b", {"mode": "IMPORT"})).status == 200
        assert (await client.post("/subjects/b/versions", record("z") | {"id": 900, "version": 4})).body == {"id": 900}
        later = (await face.catalog.declare(declaration("player.other", schema=payload()), Expected(), Byline())).stored.schema_id
        assert later > 900
        assert (await client.post("/subjects/:.own:c/versions", record("z"))).body == {"id": 1}
        assert (await client.get("/contexts")).body == [".", ".own"]
        uses = {"schema": '{"type":"record","name":"B","fields":[{"name":"a","type":"Row"}]}'}
        uses |= {"references": [{"name": "Row", "subject": "a", "version": 1}]}  # type: ignore[dict-item] # a body, not a table
        used = (await client.post("/subjects/d/versions", uses)).body["id"]
        assert (await client.get("/subjects/a/versions/1/referencedby")).body == [used]
        assert (await client.ask("DELETE", "/subjects/a")).body["error_code"] == 42206
        assert (await client.put("/config", {"compatibility": "FULL"})).body == {"compatibility": "FULL"}
        assert (await client.ask("DELETE", "/config")).body == {"compatibilityLevel": "FULL"}


async def test_many_writers(database_url: str) -> None:
    async with serving(database_url) as face:
        client = face.client

        async def ids(*bodies: Any) -> list[int]:
            answers = await asyncio.gather(*(client.post("/subjects/a/versions", body) for body in bodies))
            assert [answer.status for answer in answers] == [200] * len(bodies), answers
            return [answer.body["id"] for answer in answers]

        assert len(set(await ids(*[record("x")] * 8))) == 1
        assert (await client.get("/subjects/a/versions")).body == [1]
        found = await ids(*(record("x", f"y{number}") for number in range(8)))
        assert len(set(found)) == 8
        assert (await client.get("/subjects/a/versions")).body == list(range(1, 10))
        for number in range(2, 10):
            version = (await client.get(f"/subjects/a/versions/{number}")).body
            assert (await client.get(f"/schemas/ids/{version['id']}")).body["schema"] == version["schema"]
