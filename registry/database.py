"""The edge to the SQL database: engine, transactions that serialise writers, migrations, and the one-process lock of SQLite.

SQLite belongs to one registry. PostgreSQL serves any number of them: they meet in two advisory locks, which the server takes back from
a process that was stopped in the middle (idle_in_transaction_session_timeout).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Column, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from hourmark.errors import InvariantBroken, RegistryUnavailable, SettingsError

MIGRATIONS = Path(__file__).with_name("migrations")
# PostgreSQL advisory locks; any constants of our own
_WRITERS: Final = 0x686D7267
_PUBLISHERS: Final = 0x686D7062
_OPTIONS: Final = {
    "connect_timeout": 5,
    "application_name": "hourmark-registry",
    # lock_timeout: who waits this long for another registry says so instead of hanging
    "options": "-c lock_timeout=20s -c idle_in_transaction_session_timeout=15s -c tcp_keepalives_idle=30",
}
_PASSING: Final = ("OperationalError", "InterfaceError", "TimeoutError")


class Database:
    """`reading()` and `writing()` give connections inside one transaction. Writers queue, so revisions commit in order.

    `shared`: other registries may work on the same database.
    """

    def __init__(self, url: str) -> None:
        try:
            address = _driven(make_url(url))
            self.shared = address.get_backend_name() != "sqlite"
            more: dict[str, Any] = {"pool_pre_ping": True, "connect_args": _OPTIONS} if self.shared else {}
            # what a failed statement held stays out of its error, and so out of the log
            self.engine: Engine = create_engine(address, hide_parameters=True, **more)
        except (ArgumentError, ImportError) as exc:
            raise SettingsError([f"HOURMARK_REGISTRY_DATABASE_URL cannot be used: {exc}"]) from exc
        self._lock: int | None = None
        if not self.shared:
            if address.database in (None, "", ":memory:"):
                raise SettingsError(["HOURMARK_REGISTRY_DATABASE_URL must name a file: a store in memory forgets"])
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
            self._take(connection, _WRITERS)
            yield connection

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """One registry at a time, so that two do not fence each other in turn. Order does not rest on it: Kafka fences who lost it."""
        if not self.shared:
            yield
            return
        with _translated(), self.engine.connect() as connection, connection.begin():
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '60s'"))  # Kafka may be slow
            self._take(connection, _PUBLISHERS)
            yield

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
        """The next number this column counts to is above `floor`, and above whatever it has counted to."""
        facts = {"table": column.table.name, "column": column.name, "floor": floor}
        if self.shared:
            sequence = connection.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), facts).scalar_one()
            last = connection.execute(text(f"SELECT last_value FROM {sequence}")).scalar_one()  # as the server itself quotes it
            connection.execute(text("SELECT setval(:sequence, :floor)"), {"sequence": sequence, "floor": max(last, floor)})
            return
        moved = connection.execute(text("UPDATE sqlite_sequence SET seq = max(seq, :floor) WHERE name = :table"), facts)
        if not moved.rowcount:
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :floor)"), facts)

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self, connection: Connection, lock: int) -> None:
        if self.shared:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


def _driven(address: URL) -> URL:
    """`postgresql://` means the driver that comes with us."""
    return address.set(drivername="postgresql+psycopg") if address.drivername in ("postgresql", "postgres") else address


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
        cut = isinstance(exc, DBAPIError) and exc.connection_invalidated
        if cut or type(exc).__name__ in _PASSING:
            raise RegistryUnavailable(f"the store does not answer: {told}") from exc
        raise InvariantBroken(f"the store refused a statement: {told}") from exc
