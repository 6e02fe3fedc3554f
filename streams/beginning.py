"""Opens the id index, and decides whether an index without canary is a beginning or a loss.

It is a beginning only when the index holds no claims and this shard's group has never committed anything. Everything else is IndexLost.
"""

from __future__ import annotations

import asyncio

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from dedup.index import Index
from hourmark.errors import BrokerUnavailable, IndexLost, IndexUnavailable
from hourmark.kafka import client_config, translate

from .settings import Settings

log = structlog.get_logger()


async def open_index(settings: Settings, index: Index) -> None:
    """Returns with an index that is fit for claims; waits while it does not answer. Raises IndexLost or InvariantBroken."""
    wait, told = 0.2, False
    while True:
        try:
            await _open(settings, index)
            return
        except (IndexUnavailable, BrokerUnavailable) as exc:
            if not told:
                log.warning("waiting for the id index", error=exc.message)
                told = True
        await asyncio.sleep(wait)
        wait = min(wait * 2, 2.0)


async def _open(settings: Settings, index: Index) -> None:
    try:
        await index.open()
    except IndexLost:
        if await asyncio.to_thread(has_committed, settings):
            await index.open()  # another worker may have begun between the two looks
            return
        await index.initialise()
        log.info("a new platform: the id index was empty and nothing was ever committed, so it starts here", group=settings.app_id)


def has_committed(settings: Settings) -> bool:
    """True when the group has committed offsets anywhere. Raises BrokerUnavailable."""
    try:
        admin = AdminClient(client_config(settings))
        answers = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(settings.app_id)], request_timeout=10)
        found = answers[settings.app_id].result()
    except KafkaException as exc:
        if exc.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return False
        raise translate(exc, f"asking for the committed offsets of {settings.app_id}") from exc
    return any(partition.offset >= 0 for partition in found.topic_partitions or ())
