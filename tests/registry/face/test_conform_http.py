"""The protocol around it: content types, paths, bodies that are none."""

from __future__ import annotations

import json

import pytest

from tests.registry.face.steps import KIND, Face, record

SCHEMA = {"schema": record("Play", track="string")}


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        (None, 200, KIND),
        (KIND, 200, KIND),
        ("application/vnd.schemaregistry+json", 200, "application/vnd.schemaregistry+json"),
        ("application/json", 200, "application/json"),
        (f"{KIND}, application/vnd.schemaregistry+json, application/json", 200, KIND),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", 200, KIND),
        (
            "application/vnd.schemaregistry.v2+json; q=0.1, application/vnd.schemaregistry+json; q=0.9",
            200,
            "application/vnd.schemaregistry+json",
        ),
        ("application/*", 200, KIND),
        ("*", 200, KIND),
        ("*/*", 200, KIND),
        ("text/*", 406, None),
        ("application/vnd.schemaregistry.v2+json", 406, None),
        ("application/octet-stream", 406, None),
    ],
)
def test_what_is_accepted_decides_the_content_type(face: Face, accept: str | None, status: int, kind: str | None) -> None:
    answer = face.ask("GET", "/subjects", headers={"Accept": accept} if accept else None)
    assert answer.status == status
    if kind is None:
        assert answer.body == {"error_code": 406, "message": "HTTP 406 Not Acceptable"}
    else:
        assert answer.headers["content-type"].split(";")[0] == kind


@pytest.mark.parametrize(
    ("kind", "encoding", "status"),
    [
        (KIND, "utf-8", 200),
        ("application/vnd.schemaregistry+json", "utf-8", 200),
        ("application/json", "utf-8", 200),
        ("application/octet-stream", "utf-8", 200),
        (f"{KIND}; charset=utf-8", "utf-8", 200),
        (f"{KIND}; charset=utf-16", "utf-16", 200),
        ("text/html", "utf-8", 415),
    ],
)
def test_content_types_of_requests(face: Face, kind: str, encoding: str, status: int) -> None:
    answer = face.ask("PUT", "/config/kinds", json.dumps({"compatibility": "NONE"}).encode(encoding), {"Content-Type": kind})
    assert answer.status == status, answer.text
    assert answer.headers["content-type"].startswith(KIND)
    if status == 415:
        assert answer.body == {"error_code": 415, "message": "HTTP 415 Unsupported Media Type"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/subjects"), ("GET", "/config"), ("GET", "/mode"), ("GET", "/schemas/types"), ("GET", "/contexts"), ("GET", "/schemas")],
)
def test_a_slash_at_the_end_is_nothing(face: Face, method: str, path: str) -> None:
    assert face.ask(method, path + "/").status == 200


def test_slashes_at_the_end_of_writes(face: Face) -> None:
    assert face.ask("POST", "/subjects/slashed/versions/", SCHEMA).status == 200
    assert face.ask("POST", "/subjects/slashed/", SCHEMA).status == 200
    assert face.ask("PUT", "/config/slashed/", {"compatibility": "NONE"}).status == 200
    assert face.ask("GET", "/config/slashed/").body["compatibilityLevel"] == "NONE"
    assert face.ask("GET", "/subjects/slashed/versions/1/").status == 200
    assert face.ask("POST", "/compatibility/subjects/slashed/versions/latest/", SCHEMA).body == {"is_compatible": True}
    assert face.ask("DELETE", "/subjects/slashed/").body == [1]


@pytest.mark.parametrize("path", ["/subjects/body", "/subjects/body/versions"])
@pytest.mark.parametrize("body", [b"", b"[]", b"5", b'"text"', b"{", b"null", b'{"schema": 5}', b"\xff\xfe", b'{"schema": null}'])
def test_bodies_that_are_none(face: Face, path: str, body: bytes) -> None:
    face.ask("POST", "/subjects/body/versions", SCHEMA)
    answer = face.ask("POST", path, body)
    assert 400 <= answer.status < 500, answer.text
    assert answer.body.keys() == {"error_code", "message"}


@pytest.mark.parametrize("path", ["/subjects/strange", "/subjects/strange/versions"])
def test_unknown_fields(face: Face, path: str) -> None:
    for body in ({"invalid_field": 1}, {**SCHEMA, "invalid_field": 1}):
        answer = face.ask("POST", path, body)
        assert (answer.status, answer.body) == (422, {"error_code": 422, "message": "Unrecognized field: invalid_field"})


def test_a_missing_schema(face: Face) -> None:
    answer = face.ask("POST", "/subjects/missing/versions", {})
    assert (answer.status, answer.body) == (422, {"error_code": 42201, "message": "Empty schema"})


def test_messages_in_full(face: Face) -> None:
    face.ask("POST", "/subjects/told/versions", SCHEMA)
    said = {
        ("GET", "/subjects/told/versions/0"): "The specified version '0' is not a valid version id. "
        'Allowed values are between [1, 2^31-1] and the string "latest"',
        ("DELETE", "/subjects/told?permanent=true"): "Subject 'told' was not deleted first before being permanently deleted",
        (
            "DELETE",
            "/subjects/told/versions/1?permanent=true",
        ): "Subject 'told' Version 1 was not deleted first before being permanently deleted",
    }
    for (method, path), message in said.items():
        assert face.ask(method, path).body["message"] == message


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("POST", "/nonexistent/endpoint"), ("DELETE", "/subjects/a/b/c")])
def test_unknown_paths(face: Face, method: str, path: str) -> None:
    answer = face.ask(method, path, {"a": 1} if method == "POST" else None)
    assert answer.status == 404
    assert answer.body["error_code"] == 404


def test_odds_and_ends(face: Face) -> None:
    assert face.ask("GET", "/").body == {}
    assert "id" in face.ask("GET", "/v1/metadata/id").body
    assert face.ask("GET", "/v1/metadata/version").body["version"]
    assert face.ask("GET", "/master_available").status == 200
    assert face.ask("GET", "/subjects", headers={"Accept-Encoding": "gzip"}).status == 200
