"""Whatever paths, parameters and headers are sent to the registry, the answer is a clear 4xx, and nothing changes but the audit log."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.registry.documents import declaration
from tests.registry.hostile import EVENT, KNOWN, SQL, Hostile, path_of

PARAMETERS: list[tuple[str, str, str]] = [
    ("PUT", f"{EVENT}?wait=long", "?wait"),
    ("PUT", f"{EVENT}?wait=-1s", "?wait"),
    ("PUT", f"{EVENT}?wait={quote('٣s')}", "?wait"),
    ("PUT", f"{EVENT}?author={'a' * 201}", "?author"),
    ("PUT", f"{EVENT}?author=a%0ab", "?author"),
    ("PUT", f"{EVENT}?message=%07", "?message"),
    ("PUT", f"{EVENT}?message={'a' * 2001}", "?message"),
    ("GET", "/v1/events?limit=-1", "?limit"),
    ("GET", f"/v1/events?limit={quote('1; DROP')}", "?limit"),
    ("GET", f"/v1/events?limit={'9' * 20}", "?limit"),
    ("GET", "/v1/events?after=%00", "?after"),
    ("GET", f"/v1/events?q={'a' * 500}", "?q"),
    ("GET", "/v1/control?since=x", "?since"),
    ("GET", "/v1/control?timeout=x", "?timeout"),
    ("GET", "/v1/audit?after=-1", "?after"),
    ("GET", "/v1/audit?limit=1001", "?limit"),
    ("GET", "/v1/audit?subject=%0a", "?subject"),
    ("GET", f"{KNOWN}/revisions?before=x", "?before"),
]


@pytest.mark.parametrize(("method", "path", "where"), PARAMETERS)
def test_parameters(hostile: Hostile, method: str, path: str, where: str) -> None:
    body = declaration("a.b") if method == "PUT" else None
    hostile.refused(hostile.ask(method, path, body), 400, "invalid_parameter", where)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Hourmark-Author", "\xe9"), ("Hourmark-Author", "a" * 201), ("Hourmark-Message", "a" * 2001)]
    + [("If-Match", value) for value in ('"abc"', '"1", "2"', "9" * 500, '"-1"', "W/", "٣".encode().decode("latin-1"))],
)
def test_headers(hostile: Hostile, name: str, value: str) -> None:
    hostile.refused(hostile.ask("PUT", EVENT, declaration("a.b"), {name: value}), 400, "invalid_parameter", name)


@pytest.mark.parametrize(
    ("path", "headers"),
    [(EVENT, {"If-Match": "*"}), (EVENT, {"If-Match": '"1"'}), (KNOWN, {"If-Match": '"999"'}), (KNOWN, {"If-None-Match": "*"})],
)
def test_a_412_says_what_is_current_and_who_made_it(hostile: Hostile, path: str, headers: dict[str, str]) -> None:
    said = hostile.ask("PUT", path, declaration(path.rpartition("/")[2], owner="another"), headers)
    hostile.refused(said, 412, "revision_mismatch", "If-Match")
    if path == EVENT:
        assert (said.body["revision"], said.body["current"], said.headers["ETag"]) == (0, None, None)
    else:
        revision = hostile.ask("GET", path).body["revision"]
        assert (said.body["revision"], said.body["current"]["author"], said.headers["ETag"]) == (revision, "me", f'"{revision}"')


MISSING: list[tuple[str, str, int, str]] = [
    ("GET", "/v1/events/nope.nope", 404, "unknown_event_type"),
    ("GET", "/v1/events/%ED%A0%80", 404, "unknown_event_type"),
    ("GET", "/v1/events/nope.nope/revisions", 404, "unknown_event_type"),
    ("GET", f"{path_of(SQL)}/revisions", 404, "unknown_event_type"),
    ("GET", f"{KNOWN}/revisions/99999999", 404, "unknown_revision"),
    ("GET", f"{KNOWN}/revisions/latest", 404, "unknown_revision"),
    ("GET", f"{KNOWN}/revisions/{'9' * 40}", 404, "unknown_revision"),
    ("GET", f"{KNOWN}/schema/99", 404, "unknown_version"),
    ("GET", f"{KNOWN}/schema/%00", 404, "unknown_version"),
    ("GET", "/v1/keys/nope", 404, "unknown_key"),
    ("GET", "/v1/nope", 404, "unknown_path"),
    ("DELETE", KNOWN, 405, "method_not_allowed"),
    ("PATCH", KNOWN, 405, "method_not_allowed"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), MISSING)
def test_what_is_not_there(hostile: Hostile, method: str, path: str, status: int, code: str) -> None:
    hostile.refused(hostile.ask(method, path), status, code, "")


KEYS: list[tuple[str, Any, str, str]] = [
    (quote(SQL), {}, "invalid_key_name", ""),
    ("a%00", {}, "invalid_key_name", ""),
    ("a", {"types": []}, "invalid_body", "/types"),
    ("a", {"types": ["*", 5]}, "invalid_body", "/types/1"),
    ("a", {"types": [SQL]}, "invalid_body", "/types"),
    ("a", {"tipes": ["*"]}, "invalid_body", ""),
    ("a", [], "invalid_body", ""),
    ("a", b"{", "malformed_body", ""),
]


@pytest.mark.parametrize(("name", "body", "code", "where"), KEYS)
def test_keys(hostile: Hostile, name: str, body: Any, code: str, where: str) -> None:
    hostile.refused(hostile.ask("PUT", f"/v1/keys/{name}", body), 400, code, where)


@pytest.mark.parametrize(
    "request_",
    [
        b"PUT /v1/events/a.b HTTP/1.1\r\nHost: x\r\nHourmark-Author: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        b"PUT /v1/events/a.b HTTP/1.1\r\nHost: x\r\nHourmark-Author: a\x07b\r\nContent-Length: 2\r\n\r\n{}",
        b"PUT /v1/events/a.b HTTP/1.1\r\nHost: x\r\nIf-Match: \x01\r\nContent-Length: 2\r\n\r\n{}",
        b"PUT /v1/events/a.b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n{}",
        b"PUT /v1/events/a.b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PUT /v1/events/" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/events HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"PUT /v1/events/\xff\xfe HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_what_is_hardly_http(hostile: Hostile, request_: bytes) -> None:
    status, body = hostile.raw(request_)
    assert 400 <= status < 500, body
    assert body["code"]
    assert body["message"]


def test_nothing_has_changed_and_every_refused_write_is_in_the_audit_log(hostile: Hostile) -> None:
    before = hostile.ask("GET", "/v1/audit?limit=1000").body["audit"]
    asked = f"{KNOWN}?author=eve&message={quote(SQL)}"
    assert hostile.ask("PUT", asked, declaration("known.type", lifecycle="draft")).status == 409
    assert hostile.ask("PUT", EVENT, b"{", {"Hourmark-Author": "jos\xc3\xa9"}).status == 400
    assert hostile.ask("DELETE", "/v1/keys/%00%0a").status == 404
    assert hostile.ask("POST", f"{EVENT}/check", b"{").status == 400
    assert [one["event"] for one in hostile.ask("GET", "/v1/events").body["events"]] == ["known.blocked", "known.other", "known.type"]
    assert len(hostile.ask("GET", f"{KNOWN}/revisions").body["revisions"]) == 1
    after, rows = before[-1]["number"], []
    while page := hostile.ask("GET", f"/v1/audit?after={after}&limit=1").body["audit"]:
        rows += page
        after = page[-1]["number"]
    assert [(row["author"], row["message"], row["action"], row["subject"], row["detail"]["code"]) for row in rows[:2]] == [
        ("eve", SQL, "declare", "event/known.type", "lifecycle_transition"),
        ("josé", "", "declare", "event/a.b", "malformed_body"),
    ]
    assert [row["number"] for row in rows] == list(range(rows[0]["number"], rows[0]["number"] + len(rows)))
    assert all(row["detail"]["outcome"] == "refused" and row["revision"] is None for row in rows)
    mine = hostile.ask("GET", "/v1/audit?subject=event/known.type&limit=1000").body["audit"]
    assert {row["subject"] for row in mine} == {"event/known.type"}
    assert json.dumps(mine).count("lifecycle_transition")


def test_refused_writes_through_the_face_are_in_the_audit_log_and_look_ups_are_not(hostile: Hostile) -> None:
    after = hostile.ask("GET", "/v1/audit?limit=1000").body["next"]
    assert hostile.ask("PUT", "/config/orders-value?author=eve", {"compatibility": "SOMETIMES"}).status == 422
    assert hostile.ask("POST", "/contexts/.other/subjects/orders-value/versions", {"schema": "{"}).status == 422
    assert hostile.ask("DELETE", "/subjects/nobody-value").status == 404
    assert hostile.ask("POST", "/subjects/nobody-value", {"schema": '"string"'}).status == 404
    assert hostile.ask("GET", "/subjects/nobody-value/versions").status == 404
    rows = hostile.ask("GET", f"/v1/audit?after={after}").body["audit"]
    assert [(row["author"], row["action"], row["subject"], row["detail"]["code"]) for row in rows] == [
        ("eve", "config_update", "subject/orders-value", 42203),
        ("", "schema_register", "subject/.other:orders-value", 42201),
        ("", "schema_delete", "subject/nobody-value", 40401),
    ]
    assert all(row["detail"]["outcome"] == "refused" and row["detail"]["reason"] for row in rows)


def test_what_has_not_changed_costs_no_body(hostile: Hostile) -> None:
    paths = ("/v1/events", KNOWN, f"{KNOWN}/schema", f"{KNOWN}/revisions", "/v1/keys", "/v1/audit?limit=1")
    for path in paths:
        tag = hostile.ask("GET", path).headers["ETag"]
        assert tag
        said = hostile.ask("GET", path, None, {"If-None-Match": f'"x", {tag}'})
        assert (said.status, said.body, said.headers["ETag"]) == (304, None, tag)
        assert hostile.ask("GET", path, None, {"If-None-Match": '"x"'}).status == 200
