"""The client: one call to send, one buffer, one transport. `send` returns when the event is accepted into memory, the verdict comes later.

Promises: an accepted event keeps its id on every attempt and is held until its final verdict, or is told `undelivered`; memory is bounded;
nothing is lost without a callback, an exception or a warning. Refuses to send after close.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Literal, Self
from uuid import UUID, uuid4

from .buffer import EVENT_OVERHEAD, Buffer, Stats
from .encode import check_event_type, encode_payload, micros
from .errors import BufferFull, ClientError, Undelivered
from .http import HttpOptions, HttpTransport
from .ids import event_ids, id_text
from .loud import Episode, log
from .notices import Held, Notices, Teller
from .transport import Sender, Transport
from .verdicts import OnVerdict

WhenFull = Literal["block", "raise", "drop_newest"]

EXIT_FLUSH_S: Final = 5.0
NAME_MAX: Final = 240  # a receiver takes 256; a forked child adds 13

_open: Final[set[Client]] = set()


class Client:
    """Thread-safe. `buffer_bytes` bounds the memory of unsettled events; `when_full` says what `send` does then: "block" (up to
    `block_timeout` seconds, then BufferFull), "raise" BufferFull, or "drop_newest" (told `undelivered`; one warning per episode).

    `install` names this installation: `_sequence` runs gapless per (install, event type). `on_verdict` is told about every event.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        app: str,
        install: str | None = None,
        buffer_bytes: int = 64 * 1024 * 1024,
        when_full: WhenFull = "block",
        block_timeout: float = 60.0,
        on_verdict: OnVerdict | None = None,
    ) -> None:
        for name, text in (("app", app), ("install", install or "default")):
            if not text or len(text) > NAME_MAX or not text.isprintable():
                raise ClientError(f"{name} is a name of 1 to {NAME_MAX} printable characters, not {text!r:.80}")
        if when_full not in ("block", "raise", "drop_newest"):
            raise ClientError(f"when_full is block, raise or drop_newest, not {when_full!r}")
        self._transport = transport
        self._when_full = when_full
        self.block_timeout = block_timeout
        self._sender = Sender(app, install or str(uuid4()))
        self._teller = Teller(on_verdict)
        self._buffer = Buffer(buffer_bytes, transport.batch, self._teller)
        self._starting = threading.Lock()
        self._started = self._closed = False
        self._full = Episode(f"buffer of {app} full at {buffer_bytes} bytes, policy {when_full}")
        _open.add(self)

    @classmethod
    def http(cls, url: str, *, write_key: str, app: str, options: HttpOptions | None = None, **settings: Any) -> Self:
        """A client that posts to a receiver. `settings` are those of the class; `options` tune batching, compression and time-outs."""
        return cls(HttpTransport(url, write_key=write_key, options=options), app=app, **settings)

    @classmethod
    def kafka(cls, bootstrap: str, *, registry: str, app: str, options: Mapping[str, Any] | None = None, **settings: Any) -> Self:
        """A client that writes to Kafka itself (extra `kafka`). `options` go to librdkafka, for instance TLS and SASL."""
        from .kafka import KafkaTransport  # needs the extra

        return cls(KafkaTransport(bootstrap, registry=registry, options=options), app=app, **settings)

    @property
    def install(self) -> str:
        """The installation's name; another one in a forked child, so that sequences stay gapless."""
        return self._sender.install

    def send(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        *,
        time: datetime | float | None = None,
        event_id: UUID | str | bytes | None = None,
        on_verdict: OnVerdict | None = None,
    ) -> str:
        """Accept one event and return its id. `time`: when it happened (aware datetime or seconds since 1970), default now.

        `on_verdict` is called once, in a thread of the client. The payload is encoded here: changing it later changes nothing.
        Raises InvalidEvent, BufferFull, ClientClosed.
        """
        held = self.prepare(event_type, payload, time, event_id, on_verdict)
        if not self.admit(held):
            self.no_room(held)
        return held.event_id

    def prepare(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        when: datetime | float | None,
        event_id: UUID | str | bytes | None,
        on_verdict: OnVerdict | None,
    ) -> Held:
        """An event ready to be admitted. Raises InvalidEvent."""
        check_event_type(event_type)
        body = encode_payload(payload)
        return Held(
            event_type,
            event_ids() if event_id is None else id_text(event_id),
            time.time_ns() // 1000 if when is None else micros(when),
            body,
            len(body) + EVENT_OVERHEAD,
            on_verdict,
        )

    def admit(self, held: Held) -> bool:
        """Take the event into the buffer; False when it is full. Raises ClientClosed."""
        if not self._started:
            self._start()
        if not self._buffer.admit(held):
            return False
        if self._full.count:
            self._full.over()
        return True

    def no_room(self, held: Held) -> None:
        """What the policy says when `admit` said no: wait and admit, or drop, or raise BufferFull."""
        self.say_full()
        if self._when_full == "drop_newest":
            self._buffer.drop(held)
            return
        if self.blocks and not self._transport.owns_thread():  # in a callback nobody would make room meanwhile
            deadline = time.monotonic() + self.block_timeout
            while self._buffer.wait_for_space(held.size, deadline):
                if self._buffer.admit(held):
                    return
        raise BufferFull(f"{self._buffer.limit} bytes of events wait for delivery")

    @property
    def blocks(self) -> bool:
        """Is the policy "block"?"""
        return self._when_full == "block"

    def say_full(self) -> None:
        self._full.trouble("no room for an event")

    def hand_over(self, notify: Callable[[Notices], None], on_space: Callable[[], None]) -> None:
        """For AsyncClient: callbacks go through `notify`, in batches; `on_space` is called after room was made."""
        self._teller.notify = notify
        self._buffer.on_space = on_space

    def _start(self) -> None:
        with self._starting:
            if not self._started and not self._closed:
                self._transport.start(self._buffer, self._sender)
                self._started = True

    def flush(self, timeout: float | None = 30.0) -> bool:
        """Wait until every accepted event has its final verdict and its callback has run; False when time ran out (None: never)."""
        if self._transport.owns_thread():
            raise ClientError("flush in a callback would wait for itself")
        return self._buffer.flush(_deadline(timeout))

    def close(self, timeout: float | None = 30.0) -> None:
        """Flush, then end threads and connections. When time runs out: the callbacks are told, and Undelivered(count) is raised."""
        if self._transport.owns_thread():
            raise ClientError("close in a callback would wait for itself")
        with self._starting:
            closed, self._closed = self._closed, True
        if closed:
            return
        deadline = _deadline(timeout)
        self._buffer.close()
        self._buffer.flush(deadline)
        lost = self._buffer.stop()
        if self._started:
            self._transport.stop(max(0.5, min(deadline - time.monotonic(), 5.0)))
        _open.discard(self)
        if lost:
            raise Undelivered(lost)

    def stats(self) -> Stats:
        """Counts so far."""
        return self._buffer.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except Undelivered as lost:
            if exc is None:
                raise
            log.error("%s", lost)

    def _after_fork(self) -> None:
        """In the child: the parent delivers what it has accepted; here everything begins again under another installation."""
        self._starting = threading.Lock()
        self._started = False
        self._full.forget()
        self._teller.refusals.forget()
        self._transport.forget()
        self._buffer.forget()
        base = self._sender.install.partition("~")[0]
        self._sender = self._sender._replace(install=f"{base}~{uuid4().hex[:12]}")
        if self._closed:
            self._buffer.close()


def _deadline(timeout: float | None) -> float:
    return time.monotonic() + (threading.TIMEOUT_MAX / 2 if timeout is None else timeout)


def _forked() -> None:
    for client in list(_open):
        client._after_fork()


def close_all(timeout: float = EXIT_FLUSH_S) -> None:
    """Close every open client, together within `timeout` seconds. Runs at exit; what could not be delivered is logged."""
    deadline = time.monotonic() + timeout
    for client in list(_open):
        try:
            client.close(max(0.0, deadline - time.monotonic()))
        except Undelivered as lost:
            log.error("at exit: %s", lost)


os.register_at_fork(after_in_child=_forked)
atexit.register(close_all)
