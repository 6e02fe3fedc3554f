"""The registry is down and the control topic is deleted: all start from the disk and go on, and hear again when both are back."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from hourmark.topics import CONTROL
from tests.e2e.platform import Load, Platform, until

ROOMS = {"receiver": ("receiver-1",), "streams": ("dedup-1", "dedup-2"), "sinks": ("sinks-1", "sinks-2")}


def test_everything_starts_from_the_disk(platform: Platform) -> None:
    event_type = platform.declare("remembered", tier="standard")
    disks = [platform.stack.home / "snapshots" / f"{room}.json" for room in ROOMS]
    until("the declaration on every disk", lambda: all(event_type in disk.read_text() for disk in disks))
    admin = AdminClient({"bootstrap.servers": platform.kafka})
    platform.stack.stop("registry")
    admin.delete_topics([CONTROL])[CONTROL].result()
    try:
        with Load(platform, event_type) as load:
            load.flows()
            for processes in ROOMS.values():
                for process in processes:
                    platform.stack.kill(process)
            load.flows(2000)
        platform.assert_exact(load.ledger)
        assert CONTROL not in admin.list_topics(timeout=10).topics
    finally:
        platform.stack.start("registry")
        platform.restored()
    later = platform.declare("heard_again")  # on every node: those that ran on and those that started meanwhile
    with Load(platform, later) as load:
        load.flows()
    platform.assert_exact(load.ledger)
