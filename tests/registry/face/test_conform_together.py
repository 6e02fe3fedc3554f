"""Many writers at once: one id for one schema, versions without gaps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex

from tests.registry.face.steps import Answer, Face, record, sent

WRITERS = 8


def together(url: str, asks: list[Callable[[Face], Answer]]) -> list[Answer]:
    """Each by a client of its own, at once."""

    def one(ask: Callable[[Face], Answer]) -> Answer:
        face = Face(url)
        try:
            return ask(face)
        finally:
            face.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, asks))


def posting(subject: str, schema: str) -> Callable[[Face], Answer]:
    return lambda one: one.ask("POST", f"/subjects/{subject}/versions", sent(schema))


def test_one_schema_by_all(url: str, face: Face) -> None:
    subject, schema = f"s-{token_hex(6)}", record("Together", a="int")
    answers = together(url, [posting(subject, schema) for _ in range(WRITERS * 2)])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert face.ask("GET", f"/subjects/{subject}/versions").body == [1]


def test_one_schema_under_many_subjects(url: str) -> None:
    mark, schema = token_hex(6), record("Everywhere", a="int")
    asks = [posting(f"{mark}-{n}", schema) for n in range(WRITERS * 2)]
    answers = together(url, asks)
    assert len({answer.body["id"] for answer in answers}) == 1


def test_many_schemas_in_one_subject(url: str, face: Face) -> None:
    subject, count = f"s-{token_hex(6)}", WRITERS * 3
    face.ask("PUT", f"/config/{subject}", {"compatibility": "NONE"})
    asks = [posting(subject, record(f"R{n}", a="int")) for n in range(count)]
    answers = together(url, asks)
    assert {answer.status for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.body["id"] for answer in answers}) == count
    assert face.ask("GET", f"/subjects/{subject}/versions").body == list(range(1, count + 1))


def test_incompatible_schemas_at_once(url: str, face: Face) -> None:
    subject = f"s-{token_hex(6)}"
    kinds = ["int", "string", "boolean", "bytes"] * 2
    asks = [posting(subject, record("One", a=kind)) for kind in kinds]
    statuses = [answer.status for answer in together(url, asks)]
    assert set(statuses) <= {200, 409}
    versions = face.ask("GET", f"/subjects/{subject}/versions").body
    assert versions in ([1], [1, 2]), versions  # bytes and string read each other, nothing else does


def test_deletions_at_once(url: str, face: Face) -> None:
    subject = f"s-{token_hex(6)}"
    face.ask("POST", f"/subjects/{subject}/versions", sent(record("Gone", a="int")))
    answers = together(url, [lambda one: one.ask("DELETE", f"/subjects/{subject}") for _ in range(WRITERS)])
    assert sorted(answer.status for answer in answers) == [200] + [404] * (WRITERS - 1)
