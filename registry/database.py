"""The edge to the SQL database: engine, transactions that serialise writers, migrations, and the one-process lock of SQLite."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hourmark.errors import InvariantBroken, RegistryUnavailable

MIGRATIONS = Path(__file__).with_name("migrations")
_WRITERS_LOCK = 0x686D7267  # PostgreSQL advisory lock; any constant of our own


class Database:
    """`reading()` and `writing()` give connections inside one transaction. Writers queue, so revisions commit in order."""

    def __init__(self, url: str) -> None:
        try:
            address = make_url(url)
            self._sqlite = address.get_backend_name() == "sqlite"
            self.engine: Engine = create_engine(address, pool_pre_ping=not self._sqlite)
        except (ArgumentError, ImportError) as exc:
            raise RegistryUnavailable(f"HOURMARK_REGISTRY_DATABASE_URL cannot be used: {exc}") from exc
        self._lock: int | None = None
        if self._sqlite:
            if address.database in (None, "", ":memory:"):
                raise RegistryUnavailable("HOURMARK_REGISTRY_DATABASE_URL must name a file: a store in memory forgets")
            self._lock = _own(Path(str(address.database)))
            event.listen(self.engine, "connect", _prepare)
            event.listen(self.engine, "begin", _begin)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises RegistryUnavailable when the database does not answer."""
        with _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write; all or nothing."""
        with _translated(), self.engine.connect().execution_options(hourmark_writes=True) as connection, connection.begin():
            if not self._sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITERS_LOCK})
            yield connection

    def migrate(self) -> None:
        """Bring the tables to the newest form."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def skip_numbers(self, connection: Connection, column: Column[int], floor: int) -> None:
        """The next number this column counts to is above `floor` (which its highest value is not)."""
        facts = {"table": column.table.name, "column": column.name, "floor": floor}
        if not self._sqlite:
            connection.execute(text("SELECT setval(pg_get_serial_sequence(:table, :column), :floor)"), facts)
            return
        moved = connection.execute(text("UPDATE sqlite_sequence SET seq = max(seq, :floor) WHERE name = :table"), facts)
        if not moved.rowcount:
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :floor)"), facts)

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _own(path: Path) -> int:
    """Take the SQLite file for this process. Two registries on one file would publish in two orders."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise RegistryUnavailable(f"cannot open the store {path}: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(lock)
        raise RegistryUnavailable(f"another registry works on {path}; stop it, or set HOURMARK_REGISTRY_DATABASE_URL") from exc
    return lock


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("hourmark_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as exc:
        told = str(getattr(exc, "orig", None) or exc).splitlines()[0]
        if type(exc).__name__ in ("OperationalError", "InterfaceError", "TimeoutError"):
            raise RegistryUnavailable(f"the store does not answer: {told}") from exc
        raise InvariantBroken(f"the store refused a statement: {told}") from exc
