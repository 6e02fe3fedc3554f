"""The sealed hours of a lake, and a DuckDB with one view per event type over them. Open hours are never read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hourmark.errors import LakeUnavailable
from hourmark.topics import is_event_type

from .failures import Unreachable, WrongInput, did_you_mean

if TYPE_CHECKING:
    import duckdb

MARKER = "_SUCCESS"


class Lake(Protocol):
    """What `connect` needs of a lake, wherever it is: its event types, and how DuckDB comes to their files."""

    where: str

    def event_types(self) -> list[str]: ...

    def sealed_files(self, event_type: str) -> list[str]:
        """As DuckDB names them, oldest hour first."""
        ...

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the files readable."""
        ...


class LocalLake:
    """A lake on the local disk."""

    def __init__(self, root: Path) -> None:
        self._root, self.where = root, str(root)

    def event_types(self) -> list[str]:
        return event_types(self._root)

    def sealed_files(self, event_type: str) -> list[str]:
        return [str(file) for file in sealed_files(self._root, event_type)]

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """DuckDB reads a local disk as it is."""


def event_types(lake: Path) -> list[str]:
    """Event types that have a folder in the lake."""
    root = lake / "events"
    if not root.is_dir():
        return []
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir() and is_event_type(folder.name))


def sealed_folders(lake: Path, event_type: str) -> list[Path]:
    """Folders of its sealed hours, oldest first."""
    return sorted(marker.parent for marker in (lake / "events" / event_type).glob(f"dt=*/hour=*/{MARKER}"))


def sealed_files(lake: Path, event_type: str) -> list[Path]:
    """The Parquet files of its sealed hours, oldest hour first."""
    return [file for folder in sealed_folders(lake, event_type) for file in sorted(folder.glob("*.parquet"))]


def view_names(event_type: str) -> tuple[str, str]:
    """How SQL may call an event type: `flight_departed`, and "flight.departed" in double quotes."""
    return event_type.replace(".", "_"), event_type


def connect(lake: Path | Lake, wanted: Iterable[str]) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB, times in UTC, with the views of these event types. A type without a sealed hour has none."""
    import duckdb

    lake = LocalLake(lake) if isinstance(lake, Path) else lake
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    lake.attach(connection)
    for event_type in wanted:
        files = lake.sealed_files(event_type)
        if not files:
            continue
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        for name in view_names(event_type):
            connection.execute(
                f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet([{listed}], union_by_name=true, hive_partitioning=false)'
            )
    return connection


def mentioned(sql: str, known: Iterable[str]) -> list[str]:
    """Those event types whose name stands in the statement: only their files are opened."""
    words = set(re.findall(r"[a-z0-9_.]+", sql.lower()))
    return [t for t in known if any(name in words for name in view_names(t))]


def ask(lake: Lake, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of one statement over the sealed hours. Raises WrongInput for SQL that does not work."""
    import duckdb

    known = lake.event_types()
    try:
        with connect(lake, mentioned(sql, known)) as connection:
            if not connection.extract_statements(sql):
                raise WrongInput("there is no statement in this", remedy="hourmark query 'SELECT count(*) FROM flight_departed'")
            cursor = connection.execute(sql)
            return [column[0] for column in cursor.description or ()], cursor.fetchall()
    except (duckdb.IOException, duckdb.OutOfMemoryException) as exc:
        raise Unreachable(str(exc), where=lake.where) from exc
    except (duckdb.Error, RuntimeError) as exc:  # some bytes make its own error messages fail
        away = re.search(rf"{LakeUnavailable.__name__}: (.*)", str(exc))  # it came through DuckDB, from reading a remote file
        if away:
            raise Unreachable(away.group(1), where=lake.where) from exc
        raise _explained(exc, lake.where, known) from exc


def _explained(exc: Exception, where: str, known: list[str]) -> WrongInput:
    text = str(exc).strip()
    missing = re.search(r"Table with name (\S+) does not exist", text)
    if missing is None:
        return WrongInput(text, remedy='event types are views: SELECT count(*) FROM flight_departed, or FROM "flight.departed"')
    name = missing.group(1).strip('"!')
    own = next((t for t in known if name in view_names(t)), None)
    if own is not None:
        return WrongInput(f"{own} has no sealed hour yet", where=where, remedy=f"`hourmark hours {own}` shows how far it is")
    names = [view for t in known for view in view_names(t)]
    views = ", ".join(view_names(t)[0] for t in known) or "none yet"
    return WrongInput(f"no event type called {name}{did_you_mean(name, names)}", where=where, remedy=f"there are: {views}")
