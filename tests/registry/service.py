"""A registry of a test's own, real and on a free port, and a client that speaks JSON to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, NamedTuple

import aiohttp
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from pydantic import SecretStr

from registry.app import Registry
from registry.settings import Settings

SECRETS = ("admin_token", "local_write_key", "database_url")


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]


class Client:
    """`await client.put("/v1/…", {...})` → Answer."""

    def __init__(self, url: str) -> None:
        self._session = aiohttp.ClientSession(url)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent: Any = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with self._session.request(method, path, headers=names, **sent) as answer:
            found = await answer.json(content_type=None) if answer.content_type.endswith("json") else await answer.text()
            return Answer(answer.status, found, answer.headers)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, **headers)

    async def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.ask("PUT", path, body, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.ask("POST", path, body, **headers)


def settings_for(kafka: str, home: Path, **more: Any) -> Settings:
    given: dict[str, Any] = {name: SecretStr(value) if name in SECRETS else value for name, value in more.items()}
    return Settings(kafka=kafka, home=home, listen="127.0.0.1:0", **given)


@asynccontextmanager
async def running(settings: Settings, *, ready: bool = True) -> AsyncIterator[Client]:
    """A client of a running registry."""
    async with Registry(settings) as registry, Client(registry.url) as client:
        if ready:
            await registry.ready()
        yield client


def new_type() -> str:
    """An event type nobody else uses."""
    return f"t{token_hex(6)}.thing"


def records(kafka: str, topic: str, partition: int = 0) -> list[Message]:
    """Everything in a partition now."""
    options = {"bootstrap.servers": kafka, "group.id": "registry-test", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(options)
    found: list[Message] = []
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        for _ in range(100_000):
            message = consumer.poll(30.0)
            error = message.error() if message is not None else None
            if message is None or (error is not None and error.code() == KafkaError._PARTITION_EOF):
                return found
            assert error is None, error
            found.append(message)
        return found
    finally:
        consumer.close()


async def until(found: Callable[[], Awaitable[bool]], timeout: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout
    while not await found():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0.1)
