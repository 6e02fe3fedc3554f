"""Who changed what, when and why: the revisions of declarations, and the audit log of every change and every refused write.

Both only grow: there is no other statement here than insert and select, and the database refuses the others (migration 0004).
An author is whoever the writer says to be; the registry knows tokens, not people.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, insert, select

from .database import Database
from .tables import audit, revisions

ITSELF: Final = "registry"  # the author of what the registry does by itself
_SUMMARY = (revisions.c.revision, revisions.c.author, revisions.c.at, revisions.c.message)


class Byline(NamedTuple):
    """Who asks for a change, and why, in their own words; empty when they do not say."""

    author: str = ""
    message: str = ""


class Record(NamedTuple):
    """A row of the audit log. `subject`: `event/<type>`, `key/<name>`; `revision`: of the change, None when it was refused."""

    action: str
    subject: str
    byline: Byline
    revision: int | None = None
    detail: Mapping[str, Any] = {}


def record(connection: Connection, entry: Record) -> None:
    """Add a row to the audit log, within the transaction of the change itself."""
    row = {"action": entry.action, "subject": entry.subject[:300], "revision": entry.revision, "detail": json.dumps(entry.detail)}
    connection.execute(insert(audit).values(at=time.time(), **entry.byline._asdict(), **row))


def revise(connection: Connection, event: str, document: str, entry: Record) -> None:
    """Add a revision of a declaration (`document`: its JSON text) and its row of the audit log."""
    row = {"revision": entry.revision, "event": event, "document": document, "at": time.time(), **entry.byline._asdict()}
    connection.execute(insert(revisions).values(**row))
    record(connection, entry)


class History:
    """Reads the past; and keeps what was refused, which has no transaction of its own. Blocking: call it from a thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def refused(self, entry: Record) -> None:
        with self._database.writing() as connection:
            record(connection, entry)

    def revisions(self, event: str, before: int, limit: int) -> list[dict[str, Any]]:
        """Revisions of an event type below `before`, newest first: revision, author, at (seconds since 1970), message."""
        query = select(*_SUMMARY).where(revisions.c.event == event, revisions.c.revision < before)
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query.order_by(revisions.c.revision.desc()).limit(limit)).mappings()]

    def revision(self, event: str, number: int) -> dict[str, Any] | None:
        """One revision with the declaration as it was then."""
        query = select(*_SUMMARY, revisions.c.document).where(revisions.c.event == event, revisions.c.revision == number)
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().first()
        if found is None:
            return None
        return {**{name: value for name, value in found.items() if name != "document"}, "declaration": json.loads(found["document"])}

    def audit(self, after: int, limit: int, subject: str = "") -> list[dict[str, Any]]:
        """Rows of the audit log behind number `after`, oldest first; all, or those of one subject."""
        query = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
        if subject:
            query = query.where(audit.c.subject == subject)
        with self._database.reading() as connection:
            return [{**row, "detail": json.loads(row["detail"])} for row in connection.execute(query).mappings()]
