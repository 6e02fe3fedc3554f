"""Who may do what: administrators, producers with write keys, and everybody."""

from __future__ import annotations

import base64
from pathlib import Path

from hourmark.schemas import WriteKey, token_digest
from registry.expected import Expected
from registry.history import Byline, History, Record
from tests.registry.documents import declaration
from tests.registry.face.service import Serving, serving

SENT = {"schema": '"string"'}
OTHER = {"schema": '"long"'}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"ada:{password}".encode()).decode()}


def keep_key(face: Serving, token: str, *types: str) -> None:
    key = WriteKey(revision=0, name="app", token_sha256=token_digest(token), types=types)
    face.store.put_key(key, Record("put_key", "key/app", Byline()), None)


async def test_writes_need_the_admin_token(tmp_path: Path) -> None:
    async with serving(tmp_path, admin_token="s3cret") as face:
        ask = face.client.ask
        writes = (
            ("POST", "/subjects/a/versions", SENT),
            ("DELETE", "/subjects/a", None),
            ("DELETE", "/subjects/a/versions/1", None),
            ("PUT", "/config", {"compatibility": "NONE"}),
            ("PUT", "/config/a", {"compatibility": "NONE"}),
            ("DELETE", "/config", None),
            ("PUT", "/mode", {"mode": "READWRITE"}),
            ("DELETE", "/mode/a", None),
            ("POST", "/subjects/a/versions", b"no schema"),
            ("PUT", "/config/%00", b"no config"),
            ("DELETE", "/subjects/a/versions/x", None),
        )
        for method, path, body in writes:
            for headers in ({}, bearer("wrong"), basic("wrong"), {"Authorization": "Basic %%%"}, {"Authorization": "\u00e9"}):
                answer = await ask(method, path, body, **headers)
                assert (answer.status, answer.body["error_code"]) == (401, 40101), (method, path, headers)
                assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert (await ask("POST", "/subjects/a/versions", SENT, **bearer("s3cret"))).status == 200
        assert (await ask("POST", "/subjects/a/versions", OTHER, **basic("s3cret"))).status == 409
        assert (await ask("PUT", "/config/a", {"compatibility": "NONE"}, **basic("s3cret"))).status == 200
        for path in ("/subjects", "/subjects/a/versions", "/config", "/mode", "/contexts", "/schemas/ids/1"):
            assert (await ask("GET", path)).status == 200
        assert (await ask("POST", "/subjects/a", SENT)).body["version"] == 1
        assert (await ask("POST", "/compatibility/subjects/a/versions/latest", OTHER)).body == {"is_compatible": True}


async def test_producers_learn_ids_and_register_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, admin_token="s3cret") as face:
        keep_key(face, "hm_app", "*")
        ask = face.client.ask
        known = (await ask("POST", "/subjects/a-value/versions", SENT, **bearer("s3cret"))).body
        for headers in (bearer("hm_app"), basic("hm_app")):
            assert (await ask("POST", "/subjects/a-value/versions", SENT, **headers)).body == known
            refused = await ask("POST", "/subjects/a-value/versions", OTHER, **headers)
            assert (refused.status, refused.body["error_code"], "AUTO_REGISTER" in refused.body["message"]) == (403, 40301, True)
            assert (await ask("PUT", "/config", {"compatibility": "NONE"}, **headers)).body["error_code"] == 40301
            assert (await ask("DELETE", "/subjects/a-value", **headers)).body["error_code"] == 40301


async def test_a_write_key_is_no_administrator_where_there_is_no_token(tmp_path: Path) -> None:
    async with serving(tmp_path) as face:
        keep_key(face, "hm_app", "*")
        assert (await face.client.post("/subjects/a/versions", SENT, **bearer("hm_app"))).body["error_code"] == 40301
        assert (await face.client.post("/subjects/a/versions", SENT)).status == 200


async def test_auto_register_lets_producers_register_what_their_key_is_for(tmp_path: Path) -> None:
    async with serving(tmp_path, admin_token="s3cret", auto_register=True) as face:
        keep_key(face, "hm_app", "player.*")
        ask = face.client.ask
        assert (await ask("POST", "/subjects/player.x-value/versions", SENT, **basic("hm_app"))).status == 200
        assert (await ask("POST", "/subjects/billing.x-value/versions", SENT, **basic("hm_app"))).body["error_code"] == 40301
        await face.catalog.declare(declaration("billing.paid"), Expected(), Byline())
        wire = (await ask("GET", "/subjects/raw.billing.paid-value/versions/1")).body["schema"]
        assert (await ask("POST", "/subjects/raw.billing.paid-value/versions", {"schema": wire}, **basic("hm_app"))).status == 200
        wider = {"schema": wire[:-2] + ', {"name": "n", "type": "int", "default": 0}]}'}
        assert (await ask("POST", "/subjects/raw.billing.paid-value/versions", wider, **basic("hm_app"))).body["error_code"] == 40301


async def test_changes_stand_in_the_audit_log(tmp_path: Path) -> None:
    async with serving(tmp_path, admin_token="s3cret") as face:
        await face.client.post("/subjects/a/versions", SENT, **basic("s3cret"))
        await face.client.ask("DELETE", "/subjects/a", **basic("s3cret"), Hourmark_Message="no longer used")
        rows = History(face.store._database).audit(0, 10)
        assert [(row["action"], row["subject"], row["author"]) for row in rows] == [
            ("schema_register", "subject/a", "ada"),
            ("schema_delete", "subject/a", "ada"),
        ]
        assert rows[1]["message"] == "no longer used"
