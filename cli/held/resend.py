"""Sends rejected events once more through the receiver, as they were: the same bytes, ids and sender, at a bounded rate.

How far this is stands in Kafka, in one consumer group per event type and code, so that a second run begins where the first ended.
What is rejected again stands on `rejected` again, behind that point, and can be sent after the next fix.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.kafka import client_config, translate
from hourmark.rejects import Reject
from hourmark.topics import REJECTED

from ..addresses import Addresses
from ..failures import Unreachable, WrongInput
from ..watch.log import Log, Span
from .refused import RECEIVER, Wanted, reject_of, spans_of

GROUP: Final = "hourmark-rejected."
BATCH: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
TRIES: Final = 8
TIMEOUT_S: Final = 60.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Sender(NamedTuple):
    """What one request says of all its events; `sent_at` in microseconds, 0 unknown."""

    sdk: str
    version: str
    app: str
    install: str
    sent_at: int

    @classmethod
    def of(cls, reject: Reject) -> Sender:
        return cls(reject.sdk, reject.sdk_version, reject.app, reject.install, reject.sent_at)

    def request(self, events: list[bytes]) -> bytes:
        said: dict[str, Any] = {"sdk": {"name": self.sdk, "version": self.version}, "app": self.app}
        if self.install:
            said["install"] = self.install
        if self.sent_at:
            said["sent_at"] = (_EPOCH + timedelta(microseconds=self.sent_at)).isoformat()
        return json.dumps(said).encode()[:-1] + b',"events":[' + b",".join(events) + b"]}"


class Outcome:
    """`verdicts`: (verdict, code) → events. `left`: why events could not be sent → events."""

    def __init__(self) -> None:
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.left: Counter[str] = Counter()
        self.before = 0  # sent by an earlier run


class FrontDoor:
    """The receiver. Raises Unreachable when it takes nothing, WrongInput when the request is wrong (a write key)."""

    def __init__(self, at: Addresses, rate: float) -> None:
        self._url, self._key, self._rate = f"{at.receiver.rstrip('/')}/v1/events", at.write_key, rate
        self._free_at = time.monotonic()

    def send(self, sender: Sender, events: Mapping[str, bytes], outcome: Outcome) -> None:
        """Returns when each of these events, by id, has its final verdict."""
        left = dict(events)
        for attempt in range(TRIES):
            time.sleep(max(0.0, self._free_at - time.monotonic()))
            self._free_at = max(self._free_at, time.monotonic()) + len(left) / self._rate
            results, wait = self._post(sender.request(list(left.values())))
            for event_id, verdict in results.items():
                if verdict["verdict"] != "retry":
                    outcome.verdicts[verdict["verdict"], verdict.get("code") or ""] += 1
                    left.pop(event_id, None)
            if not left:
                return
            time.sleep(max(wait, min(5.0, 0.1 * 2**attempt)))
        raise Unreachable(
            f"the receiver has not taken {len(left)} events", where=self._url, remedy="see `hourmark status`; then run it again"
        )

    def _post(self, body: bytes) -> tuple[dict[str, Any], float]:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                found: dict[str, Any] = json.load(answer)["results"]
                return found, max((one.get("retry_after") or 0.0 for one in found.values()), default=0.0)
        except urllib.error.HTTPError as exc:
            if exc.code in (429, 503):
                return {}, float(exc.headers.get("Retry-After") or 1)
            raise WrongInput(f"the receiver refuses: {_words(exc)}", where=self._url, remedy=_REMEDY) from exc
        except (OSError, ValueError) as exc:
            raise Unreachable(
                f"the receiver does not answer: {getattr(exc, 'reason', exc)}", where=self._url, remedy="see `hourmark status`"
            ) from exc


_REMEDY: Final = "set HOURMARK_CLIENT_WRITE_KEY to a key that may send this type"


class Resend:
    """One run: everything of `wanted` that stands on `rejected` now and was not sent by an earlier run."""

    def __init__(self, at: Addresses, wanted: Wanted, door: FrontDoor) -> None:
        self._wanted, self._door = wanted, door
        self._admin = AdminClient(client_config(at.settings()))
        self._log = Log(at)
        self._waiting: dict[Sender, dict[str, bytes]] = {}
        self._bytes = 0
        self._sent: set[str] = set()
        self._seen: dict[str, dict[int, int]] = {}  # code → partition → offset behind what was read
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Raises Unreachable, BrokerUnavailable, WrongInput; what was settled until then is remembered."""
        whole, _ = spans_of(self._log, self._wanted.since_ms)
        reached = {} if self._wanted.since_ms else self._remembered()

        def see(message: Message) -> None:
            reject = reject_of(message)
            if reject is not None and self._wanted.has(reject):
                self._take(message, reject, reached.get(reject.code, {}))

        self._log.scan({place: Span(span.start, span.end) for place, span in whole.items()}, float("inf"), see)
        self._flush()
        return self.outcome

    def _take(self, message: Message, reject: Reject, reached: Mapping[int, int]) -> None:
        partition, offset, value = message.partition() or 0, message.offset() or 0, message.value() or b""
        if offset < reached.get(partition, 0):
            self.outcome.before += 1
            return
        event_id, why = sendable(reject, value)
        if why:
            self.outcome.left[why] += 1
        elif event_id not in self._sent:
            self._sent.add(event_id)
            self._waiting.setdefault(Sender.of(reject), {})[event_id] = value
            self._bytes += len(value)
        self._seen.setdefault(reject.code, {})[partition] = offset + 1
        if len(self._waiting) > 100 or self._bytes > BATCH_BYTES or any(len(events) >= BATCH for events in self._waiting.values()):
            self._flush()

    def _flush(self) -> None:
        for sender, events in self._waiting.items():
            self._door.send(sender, events, self.outcome)
        self._waiting.clear()
        self._bytes = 0
        if not self._wanted.since_ms:
            self._remember()

    def _remembered(self) -> dict[str, dict[int, int]]:
        prefix = f"{GROUP}{self._wanted.event_type}."
        try:
            names = [group.group_id for group in self._admin.list_consumer_groups().result().valid if group.group_id.startswith(prefix)]
            found = {}
            for name in names:
                answer = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result()
                found[name.removeprefix(prefix)] = {one.partition: one.offset for one in answer.topic_partitions or ()}
        except KafkaException as exc:
            raise translate(exc, "asking what was sent before") from exc
        return found

    def _remember(self) -> None:
        try:
            for code, offsets in self._seen.items():
                places = [TopicPartition(REJECTED, partition, offset) for partition, offset in offsets.items()]
                name = f"{GROUP}{self._wanted.event_type}.{code}"
                self._admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, places)])[name].result()
        except KafkaException as exc:
            raise translate(exc, "writing down what was sent") from exc
        self._seen.clear()


def sendable(reject: Reject, value: bytes) -> tuple[str, str]:
    """The id under which the receiver will answer, or why the event cannot be sent."""
    if reject.room != RECEIVER:
        return "", f"refused by {reject.room}: its bytes are no event that a receiver could read"
    if not reject.sdk:
        return "", "nobody knows who sent it"
    try:
        event = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return "", "its bytes are no JSON, or were cut off"
    event_id = event.get("id") if isinstance(event, dict) else None
    if not isinstance(event_id, str) or not reject.event_id:
        return "", "it has no usable id"
    return event_id, ""


def _words(exc: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(exc).get("message"))
    except (ValueError, AttributeError):
        return f"{exc.code} {exc.reason}"
