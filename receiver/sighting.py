"""Looks out for canary events that were sent: on their clean topic, and in the announcements of sealed hours. Reads only, in no group."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from hourmark.canary import CANARY
from hourmark.event import ID_END, ID_START, STAMP_HEADER, unpack_stamp
from hourmark.hours import label, parse_label
from hourmark.kafka import read_now, tail_config
from hourmark.settings import PlatformSettings
from hourmark.topics import SEALED_HOURS, clean_topic

log = structlog.get_logger()

PLACE_S: Final = 5.0
STOP_S: Final = 1.0  # who waits for Kafka longer than that ends with the process
RETRY_S: Final = 1.0
WAIT_S: Final = 0.5
MOST: Final = 20_000  # canaries that are remembered
_LOST: Final = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError.UNKNOWN_TOPIC_OR_PART)


class Sent(NamedTuple):
    """When a canary was sent: by the monotonic clock, and in seconds since 1970."""

    clock: float
    at: float


class _Sealed(msgspec.Struct):
    rows: int


class Sightings:
    """What has been seen of what was sent. `reached(stage, sent)` and `lost(count)` are called at each sighting."""

    def __init__(self, reached: Callable[[str, Sent], None], lost: Callable[[int], None]) -> None:
        self._reached, self._lost = reached, lost
        self._awaited: dict[bytes, Sent] = {}
        self._hours: dict[int, list[Sent]] = {}
        self._count = 0

    def expect(self, event_id: bytes, sent: Sent) -> None:
        """Called before it is sent."""
        self._awaited[event_id] = sent
        while len(self._awaited) > MOST:
            self._awaited.pop(next(iter(self._awaited)), None)

    def clean(self, value: bytes | None, stamp: bytes | None) -> None:
        """A record of the clean topic: of other receivers' canaries and of barriers nothing is wanted."""
        sent = self._awaited.pop(value[ID_START:ID_END], None) if value else None
        if sent is None:
            return
        self._reached("clean", sent)
        try:
            hour = unpack_stamp(stamp or b"").hour
        except struct.error:
            return  # none of a dedup worker
        self._hours.setdefault(hour, []).append(sent)
        self._count += 1
        while self._count > MOST:
            self._count -= len(self._hours.pop(min(self._hours)))

    def sealed(self, hour: int, rows: int) -> None:
        """The hour is presented, with so many canaries of all receivers. Hours are sealed in order: earlier ones are, too."""
        for known in sorted(known for known in self._hours if known <= hour):
            mine = self._hours.pop(known)
            self._count -= len(mine)
            missing = max(0, len(mine) - rows) if known == hour else 0
            if missing:
                log.error("canary events are not in their sealed hour", code="lost", event_type=CANARY, hour=label(hour), missing=missing)
                self._lost(missing)
            for sent in mine[missing:]:
                self._reached("sealed", sent)


class Lookout:
    """One thread. `placed` is set when what is sent from now on will be seen; `partitions()`: of the clean topic, 0 as long as unknown."""

    def __init__(
        self, settings: PlatformSettings, partitions: Callable[[], int], reached: Callable[[str, Sent], None], lost: Callable[[int], None]
    ) -> None:
        self.placed = threading.Event()
        self._settings, self._partitions = settings, partitions
        self._sightings = Sightings(reached, lost)
        self.expect = self._sightings.expect
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            consumer = Consumer(tail_config(self._settings, fetch_wait_max_ms=500))
            width = 0
            while not self._stop.is_set():
                if not width:
                    width = self._place(consumer)
                elif self._partitions() > width:
                    width = self._widen(consumer, width)
                elif not self._read(consumer):
                    width = 0  # the logs were made anew
            consumer.close()
        except Exception:  # a receiver goes on without
            log.exception("canary events are not followed any more: an unexpected error", code="internal", event_type=CANARY)

    def _place(self, consumer: Consumer) -> int:
        """Behind what is there now. Returns the partitions of the clean topic; 0 when that cannot be done yet."""
        width = self._partitions()
        try:
            wanted = [TopicPartition(SEALED_HOURS, 0), *(TopicPartition(clean_topic(CANARY), number) for number in range(width))]
            for one in wanted if width else ():
                one.offset = consumer.get_watermark_offsets(one, timeout=PLACE_S)[1]
        except KafkaException:
            width = 0
        if not width:
            self._stop.wait(RETRY_S)
            return 0
        consumer.assign(wanted)
        self.placed.set()
        return width

    def _widen(self, consumer: Consumer, width: int) -> int:
        wider = self._partitions()
        consumer.incremental_assign([TopicPartition(clean_topic(CANARY), number, OFFSET_BEGINNING) for number in range(width, wider)])
        return wider

    def _read(self, consumer: Consumer) -> bool:
        """False: the place where we read is gone."""
        sound = True
        for message in read_now(consumer, 1000, WAIT_S):
            error = message.error()
            if error is not None:
                sound = sound and error.code() not in _LOST
            elif message.topic() == SEALED_HOURS:
                self._announced(message)
            else:
                headers: Any = message.headers() or ()
                self._sightings.clean(message.value(), next((found for name, found in headers if name == STAMP_HEADER), None))
        return sound

    def _announced(self, message: Message) -> None:
        event_type, _, hour = (message.key() or b"").decode("utf-8", "replace").partition("/")
        if event_type != CANARY:
            return
        try:
            self._sightings.sealed(parse_label(hour), msgspec.json.decode(message.value() or b"", type=_Sealed).rows)
        except (ValueError, msgspec.DecodeError) as exc:
            log.warning("an announcement of a sealed hour is not understood", event_type=CANARY, hour=hour[:40], error=str(exc)[:200])
