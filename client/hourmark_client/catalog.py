"""What the registry says about event types: asked in a thread of its own, kept while the registry is away, refreshed every few seconds.

A type that the registry does not know is asked again and again for a grace time (it may be declared just now) before it counts as absent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import fastavro.schema
import msgspec
import urllib3

from .avro import WireEncoder
from .deprecated import Deprecations
from .errors import ClientError, RegistryProblem
from .loud import Episode
from .retry import Backoff
from .transport import SDK_NAME
from .verdicts import Outcome, rejected

REFRESH_S: Final = 3.0  # a block is meant to be felt within seconds; what has not changed costs a 304
DOUBT_S: Final = 1.0
GRACE_S: Final = 30.0


class _Lifecycle(msgspec.Struct):
    state: str = "active"
    reason: str = ""
    until: str = ""
    replaced_by: str = ""


class _Declaration(msgspec.Struct):
    key: str | None = None
    sdks: tuple[str, ...] = ("*",)
    lifecycle: str | _Lifecycle = "active"


class Declared(msgspec.Struct):
    """`GET /v1/events/{type}`, as far as a sender needs it."""

    event: str
    schema_id: int
    partitions: int
    wire_schema: dict[str, Any]
    declaration: _Declaration
    revision: int = 0
    source: int = 1


class Route(msgspec.Struct):
    """How events of one type are sent now: `refuse` is set when none may be."""

    encoder: WireEncoder
    topic: str
    partitions: int
    refuse: Outcome | None
    revision: int
    etag: str | None
    checked_at: float


class Registry:
    """The two questions this package asks a registry. Raises RegistryProblem. Thread-safe."""

    def __init__(self, url: str) -> None:
        if urllib3.util.parse_url(url).scheme not in ("http", "https"):
            raise ClientError(f"{url!r} is not the http(s) address of a registry")
        self.url = url.rstrip("/")
        self.forget()

    def forget(self) -> None:
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5.0, read=10.0))

    def declared(self, event_type: str, etag: str | None = None) -> tuple[Declared | None, str | None]:
        """The declaration and its ETag; (None, etag) when it has not changed."""
        response = self._get(f"/v1/events/{event_type}", {"If-None-Match": etag} if etag else {})
        if response.status == 304:
            return None, etag
        return self._read(response, Declared), response.headers.get("ETag")

    def schema(self, schema_id: int) -> dict[str, Any]:
        """A wire schema by the id in the framing, as Confluent's clients ask for it."""
        body = self._read(self._get(f"/schemas/ids/{schema_id}", {}), dict[str, Any])
        try:
            return msgspec.json.decode(body["schema"], type=dict[str, Any])
        except (KeyError, TypeError, msgspec.DecodeError) as exc:
            raise RegistryProblem(f"{self.url} has no readable schema {schema_id}") from exc

    def _get(self, path: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request("GET", self.url + path, headers=headers, retries=False)
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise RegistryProblem(f"{self.url} does not answer: {exc}") from exc

    def _read(self, response: urllib3.BaseHTTPResponse, kind: Any) -> Any:
        if response.status != 200:
            raise RegistryProblem(f"{self.url} answered {response.status}", response.status)
        try:
            return msgspec.json.decode(response.data, type=kind)
        except msgspec.DecodeError as exc:
            raise RegistryProblem(f"{self.url} answered something unreadable: {exc}") from exc


class Catalog:
    """Routes by event type. `known` may be read from any thread; `changed` is called, in our thread, when waiting events can move on."""

    def __init__(self, registry: Registry, changed: Callable[[], None], *, grace: float = GRACE_S, refresh: float = REFRESH_S) -> None:
        self._registry = registry
        self._changed = changed
        self._grace = grace
        self._refresh = refresh
        self._backoff = Backoff(0.1, 1.0)
        self._trouble = Episode(f"no declarations from {registry.url}")
        self.known: dict[str, Route] = {}
        self._doubted: dict[str, Route] = {}
        self._deprecations = Deprecations()
        self.forget()

    def forget(self) -> None:
        """After a fork: new lock; what is known stays known."""
        self._wake = threading.Condition()
        self._asked: dict[str, tuple[float, int]] = {}  # type → due, failures
        self._missing_since: dict[str, float] = {}
        self._absent: set[str] = set()
        self._stopped = False
        self._trouble.forget()
        self._deprecations.forget()
        self._registry.forget()

    def ask(self, event_type: str) -> None:
        """Find out about this type soon; `changed` tells when to look."""
        with self._wake:
            self._absent.discard(event_type)
            if event_type not in self._asked:
                self._asked[event_type] = (0.0, 0)
                self._wake.notify()

    def doubt(self, event_type: str, route: Route) -> bool:
        """A payload does not fit: perhaps there is a newer schema. True: the route is withdrawn until the registry was asked again
        (or did not answer). False: it was checked within the last second."""
        if time.monotonic() - route.checked_at < DOUBT_S:
            return False
        with self._wake:
            self._doubted[event_type] = route
            self.known.pop(event_type, None)
        self.ask(event_type)
        return True

    def absent(self, event_type: str) -> Outcome | None:
        """The refusal for a type that the registry has not known for the grace time."""
        if event_type not in self._absent:
            return None
        return rejected("unknown_event_type", f"{event_type} is not declared")

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def run(self) -> None:
        """The thread: until `stop`."""
        while True:
            with self._wake:
                if self._stopped:
                    return
                now = time.monotonic()
                due = [name for name, (at, _) in self._asked.items() if at <= now]
                due += [name for name, route in self.known.items() if route.checked_at + self._refresh <= now and name not in self._asked]
                if not due:
                    self._wake.wait(self._idle_s(now))
                    continue
            for name in due:
                self._look_up(name)
                if self._stopped:
                    return

    def _idle_s(self, now: float) -> float | None:
        times = [at for at, _ in self._asked.values()] + [route.checked_at + self._refresh for route in self.known.values()]
        return max(0.0, min(times) - now) if times else None

    def _look_up(self, name: str) -> None:
        old = self.known.get(name) or self._doubted.get(name)
        try:
            declared, etag = self._registry.declared(name, old.etag if old else None)
            if declared is not None and (old is None or declared.revision != old.revision or not declared.revision):
                route = self._route(declared, etag)
            elif old is not None:
                route = old
            else:
                raise RegistryProblem("an answer 304 to a first question")
        except RegistryProblem as exc:
            self._failed(name, old, exc)
            return
        self._trouble.over()
        self._settle(name, route)

    def _settle(self, name: str, route: Route) -> None:
        route.checked_at = time.monotonic()
        with self._wake:
            self.known[name] = route
            self._doubted.pop(name, None)
            self._missing_since.pop(name, None)
            asked = self._asked.pop(name, None)
        if asked:
            self._changed()

    def _failed(self, name: str, old: Route | None, problem: RegistryProblem) -> None:
        """An old route stays in use. A 404 counts towards the grace time, anything else is the registry's trouble."""
        if problem.status != 404:
            self._trouble.trouble(f"{name}: {problem}")
        if old is not None:
            self._settle(name, old)
            return
        now = time.monotonic()
        with self._wake:
            _, failures = self._asked.get(name, (0.0, 0))
            gone = problem.status == 404 and now - self._missing_since.setdefault(name, now) >= self._grace
            if gone:
                self._absent.add(name)
                self._asked.pop(name, None)
            else:
                self._asked[name] = (now + self._backoff.delay(failures + 1), failures + 1)
        if gone:
            self._changed()

    def _route(self, declared: Declared, etag: str | None) -> Route:
        said = declared.declaration
        life = said.lifecycle if isinstance(said.lifecycle, _Lifecycle) else _Lifecycle(said.lifecycle)
        if life.state == "draft":
            raise RegistryProblem(f"{declared.event} is a draft", 404)
        refuse = None
        if life.state == "blocked":
            refuse = rejected("blocked_event_type", _why_blocked(declared.event, life))
        elif "*" not in said.sdks and SDK_NAME not in said.sdks:
            refuse = rejected(
                "sdk_not_bound", f"the SDK {SDK_NAME!r} may not send {declared.event}; bound are {', '.join(said.sdks)}"[:300]
            )
        if life.state == "deprecated":
            self._deprecations.tell(declared.event, life.until, life.replaced_by)
        try:
            encoder = WireEncoder(declared.wire_schema, declared.schema_id, said.key)
        except (KeyError, TypeError, ValueError, fastavro.schema.SchemaParseException) as exc:
            raise RegistryProblem(f"the wire schema of {declared.event} cannot be used: {exc!r}") from exc
        return Route(encoder, f"raw.{declared.event}", max(1, declared.partitions), refuse, declared.revision, etag, time.monotonic())


def _why_blocked(event: str, life: _Lifecycle) -> str:
    """In the receiver's words."""
    instead = f"; send {life.replaced_by} instead" if life.replaced_by else ""
    return f"{event} is blocked by its owner{': ' if life.reason else ''}{life.reason}{instead}"
