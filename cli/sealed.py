"""The sealed hours of a lake, and a DuckDB with one view per event type over them.

Open hours are read only by who gives them as `Opened`: then each row says in `_final` whether it stands in a sealed hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

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

    def staged_files(self, event_type: str, paths: list[str]) -> list[str]:
        """Files of its open hours, given as paths in the lake, as DuckDB names them."""
        ...

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the files readable."""
        ...


class Opened(NamedTuple):
    """Of one event type: files of sealed hours (`final`) and of open ones, as DuckDB names them. `notes`: what is to be known of these."""

    final: list[str]
    open: list[str]
    notes: list[str]


class LocalLake:
    """A lake on the local disk."""

    def __init__(self, root: Path) -> None:
        self._root, self.where = root, str(root)

    def event_types(self) -> list[str]:
        return event_types(self._root)

    def sealed_files(self, event_type: str) -> list[str]:
        return [str(file) for file in sealed_files(self._root, event_type)]

    def staged_files(self, event_type: str, paths: list[str]) -> list[str]:
        return [str(self._root / path) for path in paths]

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


def connect(lake: Path | Lake, wanted: Iterable[str], opened: Mapping[str, Opened] | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB, times in UTC, with the views of these event types. A type without rows to read has none."""
    import duckdb

    lake = LocalLake(lake) if isinstance(lake, Path) else lake
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    lake.attach(connection)
    for event_type in wanted:
        rows = _rows(lake.sealed_files(event_type)) if opened is None else _both(opened[event_type])
        if rows:
            for name in view_names(event_type):
                connection.execute(f'CREATE VIEW "{name}" AS {rows}')
    return connection


def _rows(files: list[str], more: str = "") -> str:
    if not files:
        return ""
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"SELECT *{more} FROM read_parquet([{listed}], union_by_name=true, hive_partitioning=false)"


def _both(found: Opened) -> str:
    kinds = (_rows(found.final, ", true AS _final"), _rows(found.open, ", false AS _final"))
    return " UNION ALL BY NAME ".join(rows for rows in kinds if rows)


def mentioned(sql: str, known: Iterable[str]) -> list[str]:
    """Those event types whose name stands in the statement: only their files are opened."""
    words = set(re.findall(r"[a-z0-9_.]+", sql.lower()))
    return [t for t in known if any(name in words for name in view_names(t))]


def ask(
    lake: Lake, sql: str, known: list[str] | None = None, opened: Mapping[str, Opened] | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of one statement over the sealed hours. Raises WrongInput for SQL that does not work.

    `known`: event types (default: those of the lake). `opened`: of each one that is mentioned, if open hours are wanted too.
    """
    import duckdb

    known = lake.event_types() if known is None else known
    try:
        with connect(lake, mentioned(sql, known), opened) as connection:
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
        remedy = f"`hourmark query --open` shows what has come already, `hourmark hours {own}` how far it is"
        return WrongInput(f"{own} has no sealed hour yet", where=where, remedy=remedy)
    names = [view for t in known for view in view_names(t)]
    views = ", ".join(view_names(t)[0] for t in known) or "none yet"
    return WrongInput(
        f"no event type called {name}{did_you_mean(name, names)}",
        where=where,
        remedy=f"there are: {views}; `--open` knows types without a sealed hour too",
    )
