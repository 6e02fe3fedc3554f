"""The canary of this receiver: one small event every few seconds through the front door, and how long it took to each stage.

Sent as any client sends, followed from outside as any reader sees it: on its clean topic, and when its hour is announced as sealed. Costs
the workers nothing that another event would not; whatever happens to it, live traffic does not notice.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import structlog

from hourmark import __version__
from hourmark.canary import CANARY, SDK
from hourmark.metrics import Counter, Gauge, Histogram
from hourmark.schemas import token_digest

from .catalogue import Tail
from .settings import Settings
from .sighting import Lookout, Sent

log = structlog.get_logger()

TIMEOUT_S: Final = 10.0
READY_S: Final = 0.5
PATIENCE_S: Final = 10.0
DECLARED_S: Final = 60.0  # the registry may have to wait for its own servers
_CODE: Final = re.compile(r"[a-z_]{1,40}")

SENT = Counter("hourmark_canary_sent_total", "Canary events that this receiver has sent through the front door")
FAILED = Counter(
    "hourmark_canary_failed_total", "Canary events that were not stored, by code; `lost`: their hour was sealed with fewer rows", ["code"]
)
SECONDS = Histogram(
    "hourmark_canary_seconds",
    "From the sending of a canary event to its being stored, on the clean topic, and in a sealed hour",
    ["stage"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 3900, 4500, 5400, 7200),
)
LAST = Gauge("hourmark_canary_last_timestamp_seconds", "When the newest canary event that has reached the stage was sent", ["stage"])
_newest: dict[str, float] = {}


class Canary:
    """Runs on the receiver's event loop, with one thread that looks out for what was sent. `url`: the front door."""

    def __init__(self, settings: Settings, tail: Tail, name: str) -> None:
        self._settings, self._tail, self._name = settings, tail, name
        self._key = settings.canary_key.get_secret_value()
        self._lookout = Lookout(settings, self._partitions, reached, lost)
        self._task: asyncio.Task[None] | None = None
        self._troubled = False
        self._number = 0

    def start(self) -> None:
        self._lookout.start()
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """What is on its way is not waited for."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._lookout.close)

    def _partitions(self) -> int:
        found = self._tail.snapshot.types.get(CANARY)
        return found.partitions if found is not None else 0

    async def _run(self) -> None:
        try:
            await self._declared()
            await self._sending()
        except Exception:  # live traffic must not end because of a canary
            log.exception("no canary events any more: an unexpected error", code="internal", event_type=CANARY)

    async def _declared(self) -> None:
        """Until the registry has declared the event type and told its write key; then a little, until someone looks out."""
        digest, told = token_digest(self._key), False
        since = time.monotonic()
        while not (self._partitions() and digest in self._tail.snapshot.keys):
            if not told and time.monotonic() - since > DECLARED_S:
                told = True
                log.warning(
                    "canary events wait for their declaration: give the registry the same HOURMARK_CANARY_URL and HOURMARK_CANARY_KEY",
                    event_type=CANARY,
                )
            await asyncio.sleep(READY_S)
        await asyncio.to_thread(self._lookout.placed.wait, PATIENCE_S)

    async def _sending(self) -> None:
        every, loop = self._settings.canary_seconds, asyncio.get_running_loop()
        due = loop.time()
        connector = aiohttp.TCPConnector(force_close=True)  # each by a connection of its own, as the front door deals them out
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            while True:
                code, error = await self._send(session)
                if code:
                    FAILED.labels(code).inc()
                if bool(code) != self._troubled:
                    self._troubled = bool(code)
                    if code:
                        log.warning(
                            "canary events do not come through", code=code, event_type=CANARY, url=self._settings.canary_url, error=error
                        )
                    else:
                        log.info("canary events come through again", event_type=CANARY)
                due = max(due + every, loop.time())
                await asyncio.sleep(due - loop.time())

    async def _send(self, session: aiohttp.ClientSession) -> tuple[str, str]:
        """One event; why it was not stored (code and words), or nothing."""
        self._number += 1
        name, sent = uuid.uuid4(), Sent(time.monotonic(), time.time())
        self._lookout.expect(name.bytes, sent)
        SENT.inc()
        LAST.labels("sent").set(sent.at)
        try:
            url, headers = f"{self._settings.canary_url}/v1/events", {"Authorization": f"Bearer {self._key}"}
            async with session.post(url, json=self._body(name, sent.at), headers=headers, allow_redirects=False) as answer:
                found = await _json(answer)
                code = _fault(answer.status, found, str(name))
        except TimeoutError:
            return "timeout", f"no answer within {TIMEOUT_S:.0f} s"
        except (aiohttp.ClientError, OSError) as exc:
            return "unreachable", str(exc)[:200]
        if not code:
            reached("stored", sent)
        return code, ""

    def _body(self, name: uuid.UUID, at: float) -> dict[str, Any]:
        moment = datetime.fromtimestamp(at, UTC).isoformat()
        event = {"type": CANARY, "id": str(name), "time": moment, "payload": {"receiver": self._name[:200], "number": self._number}}
        return {"sdk": {"name": SDK, "version": __version__}, "app": "receiver", "sent_at": moment, "events": [event]}


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The answer's body; empty when something between us and the receiver has answered in another language."""
    try:
        found = await answer.json(content_type=None)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _fault(status: int, body: dict[str, Any], name: str) -> str:
    """Empty when the event is stored, else a bounded code."""
    results = body.get("results")
    verdict = results.get(name) if status == 200 and isinstance(results, dict) else None
    if isinstance(verdict, dict) and verdict.get("verdict") == "stored":
        return ""
    code = (verdict if isinstance(verdict, dict) else body).get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else f"http_{status}"


def reached(stage: str, sent: Sent, now: Callable[[], float] = time.monotonic) -> None:
    SECONDS.labels(stage).observe(now() - sent.clock)
    _newest[stage] = max(sent.at, _newest.get(stage, 0.0))
    LAST.labels(stage).set(_newest[stage])


def lost(count: int) -> None:
    FAILED.labels("lost").inc(count)
