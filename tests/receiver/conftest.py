from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from receiver.app import Receiver
from receiver.settings import Settings

from .fakes import TOKEN, FakePublisher, FixedTail, catalogue


class Answer(NamedTuple):
    status: int
    headers: Any
    body: Any

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        return list(self.body["results"].values())


class Rig:
    """A receiver on a free port, without Kafka, and a client for it."""

    def __init__(self, receiver: Receiver, publisher: FakePublisher, tail: FixedTail, session: aiohttp.ClientSession) -> None:
        self.receiver, self.publisher, self.tail, self.session = receiver, publisher, tail, session
        self.url = receiver.url + "/v1/events"

    async def post(self, body: bytes, token: str = TOKEN, **headers: str) -> Answer:
        named = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | {
            n.replace("_", "-"): v for n, v in headers.items()
        }
        async with self.session.post(self.url, data=body, headers=named, skip_auto_headers=["Accept-Encoding"]) as answer:
            assert answer.content_type == "application/json"
            return Answer(answer.status, answer.headers, msgspec.json.decode(await answer.read()))

    async def send(self, *events: bytes | dict[str, Any], token: str = TOKEN, **envelope: Any) -> Answer:
        return await self.post(request(*events, **envelope), token)

    def topic(self, name: str) -> list[Any]:
        return [record for record in self.publisher.records if record[0] == name]


def event(**facts: Any) -> dict[str, Any]:
    """An event that is in order, unless `facts` say otherwise; `without` names fields to leave out."""
    without = facts.pop("without", ())
    found = {
        "type": "play.song",
        "id": str(uuid.uuid4()),
        "time": "2026-03-01T06:59:58.123456Z",
        "seq": 12,
        "attempt": 1,
        "payload": {"track": "t", "ms_played": 31000},
    } | facts
    return {name: value for name, value in found.items() if name not in without}


def request(*events: bytes | dict[str, Any], **envelope: Any) -> bytes:
    """A body; events given as bytes go in as they are."""
    head = {"sdk": {"name": "test", "version": "1"}, "app": "web", "install": "i1", "sent_at": "2026-03-01T07:00:00Z"} | envelope
    texts = [one if isinstance(one, bytes) else msgspec.json.encode(one) for one in events]
    return msgspec.json.encode(head)[:-1] + b',"events":[' + b",".join(texts) + b"]}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(listen="127.0.0.1:0", registry_url="http://127.0.0.1:9", home=tmp_path, stall_s=0.3, body_s=2.0, stop_s=5.0)


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Rig]:
    publisher, tail = FakePublisher(), FixedTail(catalogue())
    async with Receiver(settings, tail=tail, publisher=publisher) as receiver, aiohttp.ClientSession(auto_decompress=False) as session:
        yield Rig(receiver, publisher, tail, session)
