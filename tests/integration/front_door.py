"""A registry and a receiver in this process, in front of a real Kafka: what a client has to do with."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

from receiver.app import Receiver
from receiver.settings import Settings as ReceiverSettings
from registry.app import Registry
from tests.registry.documents import declaration
from tests.registry.service import Client as RegistryClient
from tests.registry.service import new_type, settings_for

KEY = secrets.token_urlsafe(16)


class Services(NamedTuple):
    receiver: str
    registry: str
    kafka: str


@contextlib.asynccontextmanager
async def front_door(kafka: str, home: Path) -> AsyncIterator[Services]:
    """Both are ready once entered; `KEY` may send everything."""
    settings = settings_for(kafka, home, local_write_key=KEY)
    async with Registry(settings) as registry:
        await registry.ready()
        listening = ReceiverSettings(kafka=kafka, registry_url=registry.url, home=home, listen="127.0.0.1:0")
        async with Receiver(listening) as receiver:
            for _ in range(600):
                if not receiver.not_ready():
                    break
                await asyncio.sleep(0.05)
            yield Services(receiver.url, registry.url, kafka)


async def declared(services: Services, fields: list[dict[str, Any]], event: str = "", **more: Any) -> tuple[str, Any]:
    """Declare an event type, a new one if none is named; returns its name and its wire schema, parsed."""
    event = event or new_type()
    async with RegistryClient(services.registry) as client:
        schema = {"type": "record", "name": "Payload", "fields": fields}
        answer = await client.put(f"/v1/events/{event}", declaration(event, schema=schema, **more))
        assert answer.status in (200, 201), answer.body
        wire = (await client.get(f"/v1/events/{event}")).body["wire_schema"]
    return event, fastavro.parse_schema(wire)


def decoded(message: Any, schema: Any) -> dict[str, Any]:
    record: Any = fastavro.schemaless_reader(BytesIO(message.value()[5:]), schema, None)
    return {name: value for name, value in record.items() if name not in ("_sent_at", "_received_at")}
