"""The private names of Faust and aiokafka that we override or call must exist: run after every upgrade of either."""

from __future__ import annotations

import inspect

import aiokafka
import mode
import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.app import App
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer, Fetcher
from faust.transport.drivers import aiokafka as driver

CONTRACT = {
    driver.Consumer: (
        "_drain_messages",
        "_new_consumer_thread",
        "_wait_next_records",
        "ack",
        "commit",
        "force_commit",
        "on_buffer_drop",
        "on_buffer_full",
        "on_partitions_revoked",
        "perform_seek",
        "stop_flow",
        "subscribe",
        "verify_all_partitions_active",
    ),
    driver.AIOKafkaConsumerThread: ("_ensure_consumer", "_fetch_records", "assignment", "call_thread"),
    driver.Transport: ("Conductor", "Consumer"),
    Conductor: ("_flag_changes", "_resubscribe_sleep_lock_seconds"),
    Fetcher: ("_fetcher",),
    GroupCoordinator: ("fetch_committed_offsets",),
    aiokafka.AIOKafkaConsumer: ("assignment", "beginning_offsets", "commit", "end_offsets", "seek"),
    aiokafka.AIOKafkaProducer: ("create_batch", "partitions_for", "send_batch"),
    BatchBuilder: ("append",),
    mode.Service: ("crash_reason", "crashed", "wait_first"),
    App: ("on_rebalance_end", "on_rebalance_start"),
}


@pytest.mark.parametrize("owner", CONTRACT, ids=lambda owner: owner.__name__)
def test_names_that_we_rely_on_exist(owner: type) -> None:
    assert [name for name in CONTRACT[owner] if not hasattr(owner, name)] == []


def test_faust_rewinds_and_commits_through_what_we_override() -> None:
    assert "force_commit" in inspect.getsource(Consumer.commit)
    assert "_drain_messages" in inspect.getsource(Fetcher)
    from faust.tables.recovery import Recovery

    assert "perform_seek" in inspect.getsource(Recovery)


def test_the_fetcher_says_in_each_request_what_the_pace_sets() -> None:
    from aiokafka.consumer.fetcher import Fetcher as KafkaFetcher

    source = inspect.getsource(KafkaFetcher._get_actions_per_node)
    assert "self._fetch_max_wait_ms" in source
    assert "self._fetch_min_bytes" in source
    assert "self._max_partition_fetch_bytes" in source


def test_metadata_are_renewed_as_often_as_we_say() -> None:
    from aiokafka.client import AIOKafkaClient

    assert "timeout=self._metadata_max_age_ms" in inspect.getsource(AIOKafkaClient._md_synchronizer)
    assert hasattr(AIOKafkaClient, "force_metadata_update")
    assert "self.client = AIOKafkaClient(" in inspect.getsource(aiokafka.AIOKafkaProducer.__init__)


def test_state_that_we_read_is_set_at_the_start() -> None:
    source = inspect.getsource(Consumer)
    for name in ("_unacked_messages", "flow_active", "suspend_flow"):
        assert name in source
    assert "self._crashed" in inspect.getsource(mode.Service)
    assert "rebalancing_count" in inspect.getsource(App)
