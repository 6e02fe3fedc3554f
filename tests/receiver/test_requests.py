"""Requests that are wrong as a whole: each has its answer, as JSON, and nothing of it is taken."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
import zstandard

from hourmark.errors import BrokerUnavailable, InvariantBroken, Unavailable
from receiver.app import Receiver
from receiver.settings import Settings

from .conftest import Rig, event, request
from .fakes import TOKEN, FakePublisher, FixedTail, catalogue

UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"hello",
    "cut off": request(event())[:-3],
    "more behind the end": request(event()) + b"x",
    "a byte order mark": b"\xef\xbb\xbf" + request(event()),
    "a list": b"[]",
    "no events": b'{"sdk":{"name":"a"},"app":"b"}',
    "events is no list": b'{"sdk":{"name":"a"},"app":"b","events":{}}',
    "no sdk": b'{"app":"b","events":[]}',
    "sdk without a name": b'{"sdk":{"name":""},"app":"b","events":[]}',
    "no app": b'{"sdk":{"name":"a"},"events":[]}',
    "a name of 257 characters": request(event(), app="x" * 257),
    "an unknown field": request(event(), events_=[]),
    "sent_at is no time": request(event(), sent_at="now"),
    "sent_at before the year 1": request(event(), sent_at="0001-01-01T00:00:00+01:00"),
    "not UTF-8 in the envelope": request(event()).replace(b'"web"', b'"\xed\xa0\x80"'),
    "a lone surrogate in the envelope": request(event()).replace(b'"web"', b'"\\ud800"'),
    "a wrong escape": request(event()).replace(b'"t"', b'"\\q"'),
    "very deep": request(event()).replace(b"31000", b"[" * 100_000 + b"]" * 100_000),
    "deep and open": b'{"events":' * 50_000,
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_a_body_that_cannot_be_read(rig: Rig, case: str) -> None:
    answer = await rig.post(UNREADABLE[case])
    assert (answer.status, answer.body["code"]) == (400, "invalid_envelope"), answer.body
    assert answer.body["message"]
    assert rig.publisher.records == []


@pytest.mark.parametrize("text", [rb'"\ud800"', rb'"\ud800abcdefgh"', rb'"\udc00"', rb'"\ud83d\ud83d"', rb'"x\udfff"'])
async def test_lone_surrogates_are_never_stored(rig: Rig, text: bytes) -> None:
    answer = await rig.post(request(event()).replace(b'"t"', text))
    assert answer.status == 200
    assert answer.verdicts[0]["verdict"] == "rejected"
    assert answer.verdicts[0]["code"] in ("schema_mismatch", "invalid_envelope")
    assert [record for record in rig.publisher.records if record[0].startswith("raw.")] == []


async def test_an_empty_batch_is_fine(rig: Rig) -> None:
    answer = await rig.send()
    assert (answer.status, answer.body) == (200, {"results": {}})


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer   {TOKEN}  ", 200),
        (f"BEARER {TOKEN}", 200),
        ("Bearer wrong", 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer \udcff\udcfe", 401),
        (None, 401),
    ],
)
async def test_write_keys(rig: Rig, header: str | None, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    if header is not None:
        headers["Authorization"] = header.encode("utf-8", "surrogateescape").decode("latin-1")
    async with rig.session.post(rig.url, data=request(event()), headers=headers) as answer:
        assert answer.status == status
        if status == 401:
            assert (await answer.json())["code"] == "unauthorized"
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_unknown_key_may_be_a_new_one_until_the_catalogue_was_read(rig: Rig) -> None:
    """A receiver that starts from an old snapshot must not say what a sender takes for final."""
    headers = {"Authorization": "Bearer new", "Content-Type": "application/json"}
    rig.tail.caught_up.clear()
    async with rig.session.post(rig.url, data=request(event()), headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "registry_unavailable")
        assert answer.headers["Retry-After"] == "1"
    assert (await rig.send(event())).status == 200
    rig.tail.caught_up.set()
    async with rig.session.post(rig.url, data=request(event()), headers=headers) as answer:
        assert answer.status == 401


async def test_limits_of_size_and_number(rig: Rig) -> None:
    assert (await rig.post(b" " * (20 * 1024 * 1024 + 1))).body["code"] == "body_too_large"
    too_many = await rig.send(*([event()] * 10_001))
    assert (too_many.status, too_many.body["code"]) == (413, "too_many_events")
    assert rig.publisher.records == []


async def test_a_body_without_a_length_is_cut_at_the_limit(rig: Rig) -> None:
    async def endless() -> Any:
        for _ in range(400):
            yield b" " * 65536

    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    try:
        async with rig.session.post(rig.url, data=endless(), headers=headers) as answer:
            assert answer.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the connection may be closed before the client has sent all and looked
    assert rig.receiver.reading.used == 0


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json; charset="utf-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
async def test_content_types(rig: Rig, kind: str, status: int) -> None:
    assert (await rig.post(request(event()), Content_Type=kind)).status == status


ENCODED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "GZIP": gzip.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("encoding", ENCODED)
async def test_encodings(rig: Rig, encoding: str) -> None:
    answer = await rig.post(ENCODED[encoding](request(event(), event())), Content_Encoding=encoding)
    assert [verdict["verdict"] for verdict in answer.verdicts] == ["stored", "stored"]


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress", "x-gzip"])
async def test_other_encodings(rig: Rig, encoding: str) -> None:
    answer = await rig.post(request(event()), Content_Encoding=encoding)
    assert answer.status == 415
    assert answer.headers["Accept-Encoding"] == "gzip, deflate, zstd"


async def test_a_gzip_of_many_members_is_refused(rig: Rig) -> None:
    answer = await rig.post(gzip.compress(b"") * 50_000, Content_Encoding="gzip")
    assert (answer.status, answer.body["code"]) == (400, "invalid_envelope")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_bombs(rig: Rig, encoding: str) -> None:
    bomb = ENCODED[encoding](b" " * (100 * 1024 * 1024))
    answer = await rig.post(bomb, Content_Encoding=encoding)
    assert (answer.status, answer.body["code"]) == (413, "body_too_large")


async def _stalled(url: str, head: bytes) -> bytes:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head)
    found = await reader.read()
    writer.close()
    return found


async def test_a_stalled_body(rig: Rig) -> None:
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: 1000\r\n\r\n{" % TOKEN.encode()
    found = await asyncio.wait_for(_stalled(rig.url, head), 20)
    assert found.startswith(b"HTTP/1.1 408")
    assert b"body_stalled" in found
    assert rig.receiver.reading.used == 0


async def test_continue_is_answered(rig: Rig) -> None:
    parts = urlsplit(rig.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = request(event())
    head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    writer.write(head.format(TOKEN, len(body)).encode())
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_other_paths_and_methods(rig: Rig) -> None:
    async def get(path: str, method: str = "GET") -> tuple[int, Any, Any]:
        async with rig.session.request(method, rig.receiver.url + path) as answer:
            body = await answer.read()
            return answer.status, answer.headers, msgspec.json.decode(body) if answer.content_type == "application/json" else body

    assert (await get("/v1/event"))[2]["code"] == "not_found"
    status, headers, body = await get("/v1/events")
    assert (status, headers["Allow"], body["code"]) == (405, "POST", "method_not_allowed")
    assert (await get("/healthz", "DELETE"))[0] == 405
    assert (await get("/healthz"))[0] == 200
    assert (await get("/readyz"))[0] == 200
    await rig.send(event(), event(type="no.such"), event(seq=-1))
    status, _, page = await get("/metrics")
    assert status == 200
    assert b'hourmark_receiver_stored_total{event_type="play.song"}' in page
    assert b'hourmark_receiver_acked_total{event_type="play.song"' in page
    rig.publisher.away = BrokerUnavailable("Kafka does not answer", retry_after=2.0)
    status, headers, body = await get("/readyz")
    assert (status, body["reason"]) == (503, "Kafka does not answer")
    assert (await get("/healthz"))[0] == 200


async def test_nothing_is_accepted_while_kafka_is_away(rig: Rig) -> None:
    rig.publisher.away = BrokerUnavailable("Kafka does not answer", retry_after=2.0)
    answer = await rig.send(event())
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (503, "broker_unavailable", "2")
    rig.publisher.away = None
    rig.publisher.broken = InvariantBroken("fatal")
    assert (await rig.send(event())).status == 503
    assert rig.publisher.records == []


async def test_quota(settings: Settings) -> None:
    limited = settings.model_copy(update={"quota_events_s": 10.0})
    async with Receiver(limited, tail=FixedTail(catalogue()), publisher=FakePublisher()) as receiver, aiohttp.ClientSession() as session:
        rig = Rig(receiver, FakePublisher(), FixedTail(catalogue()), session)
        assert (await rig.send(*[event() for _ in range(15)])).status == 200
        answer = await rig.send(*[event() for _ in range(15)])
    assert (answer.status, answer.body["code"]) == (429, "quota_exceeded")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_too_many_bodies_at_once(rig: Rig) -> None:
    rig.receiver.reading.used = rig.receiver.reading.limit
    answer = await rig.post(request(event()) + b" " * 3_000_000)
    assert (answer.status, answer.body["code"]) == (503, "overloaded")
    rig.receiver.reading.used = 0


async def test_a_stop_answers_what_was_accepted(settings: Settings) -> None:
    publisher = FakePublisher()
    publisher.free.clear()
    receiver = Receiver(settings, tail=FixedTail(catalogue()), publisher=publisher)
    async with aiohttp.ClientSession() as session:
        await receiver.__aenter__()
        rig = Rig(receiver, publisher, FixedTail(catalogue()), session)
        sent = asyncio.ensure_future(rig.send(event()))
        while not receiver.intake.budget.total:  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.01)
        stopping = asyncio.ensure_future(receiver.__aexit__(None, None, None))
        await asyncio.sleep(0.05)
        publisher.free.set()
        assert (await sent).verdicts[0]["verdict"] == "stored"
        await stopping
    assert receiver.intake.budget.total == 0


async def test_the_address_is_taken(settings: Settings) -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    taken = settings.model_copy(update={"listen": f"127.0.0.1:{port}"})
    with pytest.raises(Unavailable, match="cannot listen"):
        await Receiver(taken, tail=FixedTail(catalogue()), publisher=FakePublisher()).__aenter__()
    server.close()
