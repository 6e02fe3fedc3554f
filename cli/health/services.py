"""Asks every address that is configured whether it works: the front door, the registry, Kafka, the id index, the lake."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from hourmark.errors import IndexUnavailable, PlatformError
from hourmark.kafka import check_options, client_config, translate
from hourmark.topics import raw_topic

from ..addresses import Addresses
from ..catalogue import Catalogue
from .asking import page, together
from .model import Service

ASK_S: Final = 10.0
KAFKA_S: Final = 4.0
NOWHERE: Final = {
    "receiver": "HOURMARK_CLIENT_RECEIVER_URL",
    "registry": "HOURMARK_REGISTRY_URL",
    "kafka": "HOURMARK_KAFKA",
    "index": "HOURMARK_REDIS_URL",
    "lake": "HOURMARK_LAKE_URL",
}
NEARLY_FULL: Final = 0.9
FULL, LOST = "nearly full", "has no canary: it has lost its memory, or is another server"


class Catalogued(NamedTuple):
    """What the registry lists: its event types by name, its nodes, and the revision that those should work by."""

    types: Mapping[str, Mapping[str, Any]]
    nodes: Sequence[Mapping[str, Any]]
    revision: int


class Asked(NamedTuple):
    """`catalogued` None: no registry answered. `topics`: event types that have a raw topic; None: no Kafka answered."""

    services: tuple[Service, ...]
    catalogued: Catalogued | None
    topics: frozenset[str] | None


def ask_all(at: Addresses) -> Asked:
    """Within some ten seconds, whatever is away."""
    addresses = {"receiver": at.receiver, "registry": at.registry, "kafka": at.kafka, "index": at.redis, "lake": at.lake}
    asks = {"receiver": _receiver, "registry": _registry, "kafka": _kafka, "index": _index, "lake": _lake}
    found = together({name: partial(asks[name], at) for name, address in addresses.items() if address}, ASK_S)
    services = []
    for name, address in addresses.items():
        if not address:
            services.append(Service(name, "", None, f"not asked: {NOWHERE[name]} is not set"))
        elif isinstance(answer := found[name], Exception):
            services.append(Service(name, shown(address), False, f"does not answer: {getattr(answer, 'message', answer)}"))
        else:
            services.append(Service(name, shown(address), *answer[:2]))
    rest = {name: answer[2] for name, answer in found.items() if isinstance(answer, tuple)}
    return Asked(tuple(services), rest.get("registry"), rest.get("kafka"))


def shown(address: str) -> str:
    """An address without a password."""
    parts = urlsplit(address) if "://" in address else None
    if parts is None or "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


Answer = tuple[bool, str, Any]


def _receiver(at: Addresses) -> Answer:
    found = page(at.receiver.rstrip("/") + "/readyz")
    if found.status == 200:
        return True, "ready", None
    if found.status is None:
        return False, f"does not answer: {found.body}", None
    reason = found.body.get("reason") if isinstance(found.body, dict) else f"no receiver behind it ({found.status})"
    return False, f"not ready: {reason}", None


def _registry(at: Addresses) -> Answer:
    ready = page(at.registry.rstrip("/") + "/readyz")
    if ready.status is None:
        return False, f"does not answer: {ready.body}", None
    catalogue = Catalogue(at.registry)
    try:
        listed, nodes = catalogue.all(), catalogue.ask("GET", "/v1/nodes")
    except PlatformError as exc:
        return False, exc.message, None
    known = Catalogued({str(entry["event"]): entry for entry in listed}, nodes["nodes"], int(nodes["revision"]))
    if ready.status == 200:
        return True, f"ready, revision {known.revision}", known
    reason = ready.body.get("message") if isinstance(ready.body, dict) else ready.status
    return False, f"not ready: {reason}", known


def _kafka(at: Addresses) -> Answer:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    settings = at.settings()
    check_options(settings)
    try:
        found = AdminClient(client_config(settings)).list_topics(timeout=KAFKA_S)
    except KafkaException as exc:
        return False, f"does not answer: {translate(exc, 'listing topics').message}", None
    prefix = raw_topic("")
    raw = frozenset(str(name).removeprefix(prefix) for name in found.topics if str(name).startswith(prefix))
    brokers = len(found.brokers)
    return True, f"answers, {brokers} broker{'s' if brokers != 1 else ''}", raw


def _index(at: Addresses) -> Answer:
    from dedup.look import look

    try:
        seen = asyncio.run(look(at.redis))
    except IndexUnavailable as exc:
        return False, f"does not answer: {exc.message.removeprefix('the id index does not answer: ')}", None
    except ValueError as exc:
        return False, f"cannot be asked: {exc}", None
    if not seen.canary:
        return True, LOST, None
    if seen.used is None:
        return True, "answers", None
    return True, f"{FULL if seen.used > NEARLY_FULL else 'answers'}, {seen.used:.0%} of maxmemory", None


def _lake(at: Addresses) -> Answer:
    from sinks import layout

    from ..hour_rows import store_of

    store_of(at).read(f"{layout.SEALS}/asked")
    if "://" in at.lake and not at.lake.startswith("file:"):
        return True, "answers", None
    room = shutil.disk_usage(at.lake_path)
    share = room.free / room.total
    return share >= 1 - NEARLY_FULL, f"has {room.free / 1e9:,.1f} GB free, {share:.0%} of its volume", None
