"""Answers that aiohttp gives by itself are JSON, over the bare server and over an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
import pytest
from aiohttp import web

from hourmark.serving import AppRunner, Server


class Told(NamedTuple):
    status: int
    code: str
    message: str


async def fail(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/late":
        response = web.StreamResponse()
        await response.prepare(request)
    raise RuntimeError("a secret")


@pytest.fixture(params=["server", "application"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    runner: web.BaseRunner
    if request.param == "server":
        runner = web.ServerRunner(Server(fail, access_log=None))
    else:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", fail)
        runner = AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def ask(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def told(port: int, sent: bytes) -> Told:
    head, _, body = (await ask(port, sent)).partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    return Told(int(head.split()[1]), **msgspec.json.decode(body))


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["bytes", "TLS", "version", "no host", "no colon", "long header", "negative length", "two lengths"],
)
async def test_what_is_no_http(port: int, sent: bytes) -> None:
    found = await told(port, sent)
    assert (found.status, found.code) == (400, "bad_request")
    assert 0 < len(found.message) <= 300
    assert "\n" not in found.message


async def test_what_nobody_caught(port: int) -> None:
    found = await told(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found == Told(500, "internal", "the service failed; see its log")


async def test_a_failure_after_the_first_byte_only_ends_the_connection(port: int) -> None:
    answer = await ask(port, b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"internal" not in answer
