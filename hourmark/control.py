"""The tail of `hourmark.control`: keeps this node's snapshot current, on disk too, and reports the applied revision on `hourmark.nodes`.

One thread, no group, always from the start of the compacted topic. With Kafka away the snapshot from disk serves; nothing here
raises into a data path.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from . import __version__
from .errors import PlatformError
from .identity import Identity
from .kafka import FORBIDDEN, producer_config, read_now, tail_config, translate
from .metrics import Gauge, Ready
from .nodes import HEARTBEAT_S, TEXT_MOST, NodeReport
from .runtime import node_name
from .schemas import EMPTY, Entry, Snapshot, decode_entry, entry_key, read_snapshot, snapshot_bytes
from .settings import PlatformSettings
from .topics import CONTROL, NODES

log = structlog.get_logger()
_LOST = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)

# by room, so that a process without a tail shows none
KNOWN = Gauge(
    "hourmark_control_known_revision", "Newest revision of the catalogue that this process has read from hourmark.control", ["room"]
)
APPLIED = Gauge("hourmark_control_applied_revision", "Revision of the catalogue by which this process works", ["room"])
APPLIED_AT = Gauge("hourmark_control_applied_timestamp_seconds", "When this process began to work by it, in seconds since 1970", ["room"])

SAVE_EVERY_S = 1.0
SAVE_SHARE = 0.05  # of the time at most, however large the catalogue is
LOOK_AT_SELF_S = 1.0
DISK_AFTER_S = 10.0  # that long the control topic is waited for, before a worker starts by what lies on the disk


class ControlTail:
    """`snapshot` is always usable (empty at first). `on_change` is called on the tail's thread with each new snapshot, before the
    revision counts as applied; a PlatformError from it is reported, and the revision does not count. A room that applies later passes
    `reports=False` and calls `applied(revision)` itself. `ready`: as for the MetricsPage; it is reported, too.
    """

    def __init__(
        self,
        settings: PlatformSettings,
        room: str,
        on_change: Callable[[Snapshot], None] | None = None,
        *,
        reports: bool = True,
        ready: Ready = lambda: None,
    ) -> None:
        self.snapshot: Snapshot = EMPTY
        self.caught_up = threading.Event()
        self.node = node_name(settings, room)
        self._settings, self._room, self._on_change, self._reports, self._ready = settings, room, on_change, reports, ready
        self._path = Path(settings.home) / "snapshots" / f"{room}.json"
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._report_now = threading.Event()
        self._troubled = self._unheard = False
        self._unsaved, self._save_at = False, 0.0
        self._trouble = ""
        self._applied, self._applied_at, self._started_at = 0, 0.0, time.time()
        self._threads = [
            threading.Thread(target=t, name=f"control-{n}", daemon=True) for n, t in (("tail", self._tail), ("report", self._report))
        ]

    def start(self) -> ControlTail:
        """Load the snapshot from disk, if any, and begin to follow the topic."""
        KNOWN.labels(self._room).set(0)
        APPLIED.labels(self._room).set(0)
        try:
            self._publish(read_snapshot(self._path.read_bytes()), save=False)
        except FileNotFoundError:
            pass  # the first start
        except (msgspec.DecodeError, OSError) as exc:
            log.warning("snapshot on disk is unreadable, starting without", path=str(self._path), error=str(exc))
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        """Stop following; the node says goodbye on hourmark.nodes."""
        self._stop.set()
        self._report_now.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5.0)

    def wait_for(self, found: Callable[[Snapshot], bool], timeout: float) -> bool:
        """Block until a snapshot satisfies `found`, at most `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: found(self.snapshot), timeout)

    def usable(self, timeout: float) -> bool:
        """True when a worker may start by `snapshot`: the topic was read to its end, or cannot be read while the disk remembers it."""
        if self.caught_up.wait(timeout):
            return True
        return self.snapshot is not EMPTY and time.time() - self._started_at > DISK_AFTER_S

    def applied(self, revision: int) -> None:
        """This node now works by `revision`; reported at once."""
        if revision > self._applied or self._trouble:
            self._trouble = ""
            self._applied, self._applied_at = max(revision, self._applied), time.time()
            APPLIED.labels(self._room).set(self._applied)
            APPLIED_AT.labels(self._room).set(self._applied_at)
            self._report_now.set()

    def offer(self, changes: list[tuple[str, Entry | None]]) -> None:
        """Entries learned on another way (a read-through to the registry); newer ones win. The applied revision stays: others may miss."""
        with self._changed:
            merged = self.snapshot.with_changes(changes)
            self._publish(msgspec.structs.replace(merged, revision=self.snapshot.revision), save=False)

    def _publish(self, snapshot: Snapshot, *, save: bool) -> None:
        with self._changed:
            self.snapshot = snapshot
            KNOWN.labels(self._room).set(snapshot.revision)
            self._changed.notify_all()
        self._unsaved = self._unsaved or save
        if self._on_change is not None:
            try:
                self._on_change(snapshot)
            except PlatformError as exc:
                log.error("this node cannot work by a revision", code=exc.code, revision=snapshot.revision, message=exc.message)
                self._trouble = exc.message
                self._report_now.set()
                return
        if self._reports:
            self.applied(snapshot.revision)

    def _save_sometimes(self, *, at_last: bool = False) -> None:
        """The first change at once, a flood of them now and then: every save writes the whole catalogue."""
        started = time.monotonic()
        if self._unsaved and (at_last or started >= self._save_at):
            self._unsaved = False
            self._save(self.snapshot)
            ended = time.monotonic()
            self._save_at = ended + max(SAVE_EVERY_S, (ended - started) / SAVE_SHARE)

    def _save(self, snapshot: Snapshot) -> None:
        aside = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(snapshot_bytes(snapshot))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as exc:
            log.warning("cannot save the snapshot; a restart without Kafka would start empty", path=str(self._path), error=str(exc))

    def _tail(self) -> None:
        identity = Identity(self._settings)
        identity.changed()
        consumer = self._from_the_beginning()
        first: Snapshot | None = EMPTY  # what the topic alone says, until its end is reached once
        while not self._stop.is_set():
            changes, ended, lost = self._read(consumer)
            if lost or identity.changed():  # the topic was made anew: another consumer, because this one may stay deaf for it
                consumer.close()
                consumer, first = self._from_the_beginning(), EMPTY
                continue
            if first is not None:
                first = first.with_changes(changes) if changes else first
                if ended:
                    self._catch_up(first)
                    first = None
            elif changes:
                with self._changed:  # an offer must not come between merging and publishing
                    self._publish(self.snapshot.with_changes(changes), save=True)
            self._save_sometimes()
        self._save_sometimes(at_last=True)
        consumer.close()

    def _from_the_beginning(self) -> Consumer:
        consumer = Consumer(tail_config(self._settings, enable_partition_eof=True, fetch_wait_max_ms=50))
        consumer.assign([TopicPartition(CONTROL, 0, OFFSET_BEGINNING)])
        return consumer

    def _catch_up(self, topic: Snapshot) -> None:
        """The topic replaces the snapshot from disk, so that what was deleted meanwhile goes; a topic that knows less (wiped) does not."""
        if topic.revision >= self.snapshot.revision:
            self._publish(topic, save=True)
        else:
            log.warning("control topic is older than the snapshot on disk, keeping both", topic=topic.revision, disk=self.snapshot.revision)
            self._publish(self.snapshot.with_changes((entry_key(e), e) for e in topic.entries()), save=False)
        self.caught_up.set()

    def _read(self, consumer: Consumer) -> tuple[list[tuple[str, Entry | None]], bool, bool]:
        """Changes, whether the end was reached, and whether the place where we read is gone."""
        changes: list[tuple[str, Entry | None]] = []
        ended = lost = False
        for message in read_now(consumer, 1000, 0.1):
            error = message.error()
            if error is None:
                changes.append(_change(message))
                self._troubled = False
            elif error.code() == KafkaError._PARTITION_EOF:
                ended = True
            else:
                lost = lost or error.code() in _LOST
                if not self._troubled:
                    self._troubled = True
                    said = translate(error, f"reading {CONTROL}").message
                    log.warning("control topic is unreadable, working by the last snapshot", error=said, revision=self.snapshot.revision)
        if lost:
            self._stop.wait(0.2)
        return changes, ended, lost

    def _report(self) -> None:
        # not idempotent: nothing can make that producer fatal, and the newest report is the one that counts
        more = {"enable_idempotence": False, "max_in_flight": 1, "linger_ms": 0, "delivery_timeout_ms": 5000}
        producer = Producer(producer_config(self._settings, **more))
        due, said = 0.0, ""
        while not self._stop.is_set():
            asked = self._report_now.is_set()
            self._report_now.clear()
            report = self._own_report()
            if (self._applied or self.caught_up.is_set()) and (asked or report.not_ready != said or time.monotonic() >= due):
                self._say(producer, msgspec.json.encode(report))
                due, said = time.monotonic() + HEARTBEAT_S, report.not_ready
            self._report_now.wait(LOOK_AT_SELF_S)
        self._say(producer, None)
        producer.flush(3.0)

    def _own_report(self) -> NodeReport:
        return NodeReport(
            node=self.node,
            room=self._room,
            revision=self._applied,
            applied_at=self._applied_at,
            started_at=self._started_at,
            at=time.time(),
            trouble=self._trouble[:TEXT_MOST],
            not_ready=(self._ready() or "")[:TEXT_MOST],
            version=__version__,
        )

    def _say(self, producer: Producer, value: bytes | None) -> None:
        try:
            producer.produce(NODES, value=value, key=self.node.encode(), on_delivery=self._said)
            producer.poll(0)
        except BufferError:
            pass  # Kafka is away, and others say so
        except KafkaException as exc:
            self._said(exc.args[0])

    def _said(self, error: KafkaError | None, _message: Message | None = None) -> None:
        if error is None:
            self._unheard = False
        elif error.code() in FORBIDDEN and not self._unheard:
            self._unheard = True
            log.warning("this node cannot say by which revision it works", error=translate(error, f"writing to {NODES}").message)


def _change(message: Message) -> tuple[str, Entry | None]:
    key = (message.key() or b"").decode("utf-8", "replace")
    value = message.value()
    if value is None:
        return key, None
    try:
        return key, decode_entry(value)
    except msgspec.DecodeError as exc:
        # A newer registry may write kinds we do not know: they are not for us.
        log.warning("control entry ignored: not understood", key=key, error=str(exc), offset=message.offset())
        return f"unknown/{key}", None
