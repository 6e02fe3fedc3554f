"""What the sink knows of event types and wire schemas: the control snapshot, and the registry for an id that the snapshot lacks."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Protocol

from hourmark.errors import RegistryUnavailable
from hourmark.schemas import Entry, Snapshot, WireSchema, avro_text

HTTP_TIMEOUT_S = 5.0


class Catalogue(Protocol):
    """What the worker needs of a ControlTail."""

    @property
    def snapshot(self) -> Snapshot: ...

    def offer(self, changes: list[tuple[str, Entry | None]]) -> None: ...

    def applied(self, revision: int) -> None:
        """The worker now works by this revision."""


class FixedCatalogue:
    """A catalogue that changes only by `offer`: for tests, benchmarks and tools."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.applied_revision = 0

    def applied(self, revision: int) -> None:
        self.applied_revision = revision

    def offer(self, changes: list[tuple[str, Entry | None]]) -> None:
        self.snapshot = self.snapshot.with_changes(changes)


class Schemas:
    """Wire schemas by id. Never blocks for the catalogue to catch up: it says Unavailable, the caller holds that partition."""

    def __init__(self, catalogue: Catalogue, registry_url: str, wait_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._catalogue, self._url, self._wait_s, self._now = catalogue, registry_url.rstrip("/"), wait_s, now
        self._missing: dict[int, float] = {}

    def get(self, schema_id: int, event_type: str) -> WireSchema | None:
        """The schema, or None when the registry is sure that there is none. Raises RegistryUnavailable: ask again later."""
        known = self._catalogue.snapshot.schemas.get(schema_id)
        if known is None:
            since = self._missing.setdefault(schema_id, self._now())
            if self._now() - since < self._wait_s:
                raise RegistryUnavailable(f"schema {schema_id} of {event_type} is not in the catalogue yet", retry_after=0.5)
            known = self._ask(schema_id, event_type)
        if known is not None:
            self._missing.pop(schema_id, None)
        return known

    def newest(self, event_type: str) -> WireSchema | None:
        """The newest schema of a type that the catalogue knows."""
        declared = self._catalogue.snapshot.types.get(event_type)
        return self._catalogue.snapshot.schemas.get(declared.schema_id) if declared else None

    def _ask(self, schema_id: int, event_type: str) -> WireSchema | None:
        url = f"{self._url}/schemas/ids/{schema_id}"
        try:
            with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as answer:
                document: dict[str, Any] = json.load(answer)
                avro = json.loads(document["schema"])
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                return None
            raise RegistryUnavailable(f"GET {url}: {exc.code}", retry_after=2.0) from exc
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise RegistryUnavailable(f"GET {url}: {type(exc).__name__}: {exc}", retry_after=2.0) from exc
        # The Confluent answer names no event type: the record's topic does. Version 0 makes it older than any that the catalogue knows.
        schema = WireSchema(revision=0, schema_id=schema_id, event=event_type, version=0, fingerprint="", text=avro_text(avro))
        self._catalogue.offer([(f"schema/{schema_id}", schema)])
        return schema
