"""A lake in an object store as DuckDB reads it: through the same client and credentials as the sink, in ranges, never whole files.

DuckDB's own reader for such stores is an extension that it downloads at first use, with credentials of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from hourmark.topics import is_event_type
from sinks import layout
from sinks.object_store import ObjectStore

if TYPE_CHECKING:
    import duckdb

SCHEME: Final = "hourmark-lake"
BLOCK: Final = 4 << 20  # bytes asked for at once when reading on


class RemoteLake:
    """`where`: for messages. One listing tells the sealed files of an event type, a page per 1,000 of them."""

    def __init__(self, store: ObjectStore, where: str) -> None:
        self._store, self.where = store, where
        self._files = _Files(store)

    def event_types(self) -> list[str]:
        return [name for name in self._store.folders(layout.EVENTS) if is_event_type(name)]

    def sealed_files(self, event_type: str) -> list[str]:
        found = self._store.paths(f"{layout.EVENTS}/{event_type}")
        sealed = {path.rpartition("/")[0] for path in found if path.endswith(f"/{layout.SUCCESS}")}
        files = sorted(path for path in found if path.endswith(".parquet") and path.rpartition("/")[0] in sealed)
        self._files.sizes.update((path, found[path]) for path in files)
        return [f"{SCHEME}://{path}" for path in files]

    def staged_files(self, event_type: str, paths: list[str]) -> list[str]:
        found = self._store.paths(f"{layout.PARTS}/{event_type}") if paths else {}
        self._files.sizes.update((path, found[path]) for path in paths if path in found)
        return [f"{SCHEME}://{path}" for path in paths]

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.register_filesystem(self._files)


class _Files(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """Sealed files, read only. They never change, so what the listing said of them stays true."""

    protocol = SCHEME
    cachable = False

    def __init__(self, store: ObjectStore) -> None:
        super().__init__()
        self.store = store
        self.sizes: dict[str, int] = {}

    def info(self, path: str, **_more: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if path not in self.sizes:
            raise FileNotFoundError(path)
        return {"name": path, "size": self.sizes[path], "type": "file"}

    def glob(self, path: str, **_more: Any) -> list[str]:
        return [path] if self._strip_protocol(path) in self.sizes else []

    def modified(self, path: str) -> datetime:
        """DuckDB asks, to know whether what it has cached still holds. It does."""
        return datetime.fromtimestamp(0, UTC)

    def _open(self, path: str, mode: str = "rb", **_more: Any) -> _Ranges:
        return _Ranges(self, path, mode, block_size=BLOCK, size=self.info(path)["size"])


class _Ranges(AbstractBufferedFile):  # type: ignore[misc]  # fsspec ships no types
    def _fetch_range(self, start: int, end: int) -> bytes:
        found: bytes = self.fs.store.piece(self.path, start, end)
        return found
