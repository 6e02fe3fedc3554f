"""The way out over HTTP: batches to `POST /v1/events`, again and again until every event has its final verdict.

A few threads share the buffer. Each holds its batch until it is settled: order between batches is not promised, and not needed.
The time-out of a request is above the receiver's produce time-out, so that a retry does not race its own first attempt.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

import msgspec
import urllib3

from .answers import Answer, Settle, Split, Wait, decide
from .buffer import BatchLimits, Buffer
from .deprecated import HEADER, Deprecations
from .encode import rfc3339
from .errors import ClientError
from .loud import Episode, log
from .notices import Held
from .retry import Backoff
from .transport import Sender

UNEXPECTED_PAUSE_S: Final = 1.0
SMALLEST_BATCH: Final = 64 * 1024
SERVER_EVENTS_MAX: Final = 10_000
SERVER_BYTES_MAX: Final = 20 * 1024 * 1024


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Tuning. `threads`: requests in flight. `compression`: gzip, zstd (needs the zstandard package) or none.

    `request_timeout` must exceed the receiver's produce time-out (30 s). `ca_certs`: a bundle instead of the system's.
    """

    batch: BatchLimits = BatchLimits()
    backoff: Backoff = Backoff()
    threads: int = 2
    compression: str = "gzip"
    connect_timeout: float = 5.0
    request_timeout: float = 40.0
    ca_certs: str | None = None

    def __post_init__(self) -> None:
        if not (0 < self.batch.events <= SERVER_EVENTS_MAX and 0 < self.batch.bytes <= SERVER_BYTES_MAX // 2):
            raise ClientError(f"a batch may have at most {SERVER_EVENTS_MAX} events and {SERVER_BYTES_MAX // 2} payload bytes")
        if self.threads < 1:
            raise ClientError("at least one thread is needed")


class _Event(msgspec.Struct, gc=False):
    type: str
    id: str
    time: str
    seq: int
    attempt: int
    payload: msgspec.Raw


class _Body(msgspec.Struct):
    sdk: dict[str, str]
    app: str
    install: str
    sent_at: str
    events: list[_Event]


class HttpTransport:
    """Speaks the receiver's native protocol. `url` is the receiver's root, like https://events.example.org."""

    def __init__(self, url: str, *, write_key: str, options: HttpOptions | None = None) -> None:
        try:
            parsed = urllib3.util.parse_url(url)
            usable = parsed.scheme in ("http", "https") and bool(parsed.host)
        except urllib3.exceptions.LocationValueError:
            usable = False
        if not usable:
            raise ClientError(f"{url!r} is not the http(s) address of a receiver")
        self._url = url.rstrip("/") + "/v1/events"
        self._options = options or HttpOptions()
        self.batch = self._options.batch
        self._compress, encoding = _compressor(self._options.compression)
        self._headers = {"Authorization": f"Bearer {write_key}", "Content-Type": "application/json"}
        self._encoding = {"Content-Encoding": encoding} if encoding else {}
        self._trouble = Episode(f"cannot deliver to {self._url}")
        self._encoder = msgspec.json.Encoder()
        self._deprecations = Deprecations()
        self.forget()

    def forget(self) -> None:
        self._threads: list[threading.Thread] = []
        self._trouble.forget()
        self._deprecations.forget()
        options = self._options
        self._pool = urllib3.PoolManager(
            maxsize=options.threads,
            retries=False,
            timeout=urllib3.Timeout(connect=options.connect_timeout, read=options.request_timeout),
            ca_certs=options.ca_certs,
        )

    def start(self, buffer: Buffer, sender: Sender) -> None:
        self._threads = [
            threading.Thread(target=self._run, args=(buffer, sender), name=f"hourmark-http-{number}", daemon=True)
            for number in range(self._options.threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._pool.clear()

    def owns_thread(self) -> bool:
        return threading.current_thread() in self._threads

    def _run(self, buffer: Buffer, sender: Sender) -> None:
        while (batch := buffer.take()) is not None:
            first, twins = _without_twins(batch)
            if twins:
                buffer.postpone((held, self.batch.linger) for held in twins)
            try:
                self._deliver(first, buffer, sender)
            except Exception:  # a fault of ours must not strand events: loud, and the same ids again
                log.exception("unexpected, the batch is sent again")
                buffer.postpone((held, UNEXPECTED_PAUSE_S) for held in first)

    def _deliver(self, batch: list[Held], buffer: Buffer, sender: Sender) -> None:
        """Until each event is settled or postponed, or the buffer has stopped."""
        parts = [batch] if batch else []
        failures = 0
        while parts:
            part = parts.pop()
            decision = self._post(part, sender)
            if isinstance(decision, Settle):
                failures = 0
                buffer.settle(decision.final)
                self._give_back(decision, buffer)
                self._trouble.over()
                continue
            buffer.retried(len(part))
            if isinstance(decision, Split):
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                if decision.smaller:
                    self._shrink(part, buffer)
                continue
            parts.append(part)
            failures += 1
            self._trouble.trouble(decision.reason)
            if decision.plain and self._encoding:
                self._compress, self._encoding = _as_it_is, {}
                continue
            if not buffer.sleep(self._options.backoff.delay(failures, decision.retry_after)):
                return

    def _give_back(self, decision: Settle, buffer: Buffer) -> None:
        if decision.again:
            self._trouble.trouble(f"verdict retry, {decision.again[0][1].code}", len(decision.again))
            buffer.retried(len(decision.again))
            buffer.postpone(self._options.backoff.together((held, held.attempt, outcome.retry_after) for held, outcome in decision.again))

    def _shrink(self, part: Sequence[Held], buffer: Buffer) -> None:
        """A 413 teaches the size of batches that something on the way lets pass."""
        seen = sum(held.size for held in part)
        smaller = max(SMALLEST_BATCH, min(buffer.batch.bytes, seen // 2))
        buffer.batch = msgspec.structs.replace(buffer.batch, bytes=smaller)

    def _post(self, part: Sequence[Held], sender: Sender) -> Settle | Split | Wait:
        events = []
        for held in part:
            held.attempt += 1
            events.append(
                _Event(held.event_type, held.event_id, rfc3339(held.time_us), held.sequence, held.attempt, msgspec.Raw(held.payload))
            )
        sdk = {"name": sender.sdk, "version": sender.sdk_version}
        body = self._encoder.encode(_Body(sdk, sender.app, sender.install, rfc3339(time.time_ns() // 1000), events))
        try:
            response = self._pool.request(
                "POST", self._url, body=self._compress(body), headers=self._headers | self._encoding, redirect=False, retries=False
            )
            answer = Answer(response.status, response.data, response.headers.get("Retry-After"))
            if HEADER in response.headers:
                self._deprecations.heard(response.headers[HEADER])
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            return Wait(None, f"{type(exc).__name__}: {exc}")
        return decide(part, answer)


def _without_twins(batch: list[Held]) -> tuple[list[Held], list[Held]]:
    """Verdicts come by id, so one request holds an id once; further copies (the caller's own ids) go later."""
    by_id = {held.event_id: held for held in reversed(batch)}
    if len(by_id) == len(batch):
        return batch, []
    firsts = set(by_id.values())
    return [held for held in batch if held in firsts], [held for held in batch if held not in firsts]


def _as_it_is(body: bytes) -> bytes:
    return body


def _compressor(name: str) -> tuple[Callable[[bytes], bytes], str | None]:
    """The function and the name for `Content-Encoding`."""
    if name == "none":
        return _as_it_is, None
    if name == "gzip":
        return (lambda body: zlib.compress(body, 1, 31)), "gzip"
    if name == "zstd":
        try:
            zstandard = import_module("zstandard")
        except ImportError:
            raise ClientError("compression zstd needs the package zstandard") from None

        def compress(body: bytes) -> bytes:
            return bytes(zstandard.ZstdCompressor(level=1).compress(body))  # one per call: a compressor is not thread-safe

        return compress, "zstd"
    raise ClientError(f"compression is gzip, zstd or none, not {name!r}")
