"""Where one event type stands on its way to the next sealed hour: the books of its partitions since the newest one. Knows no lake."""

from __future__ import annotations

from collections.abc import Iterable

from .books import Books
from .manifest import Plan

LOOK_EVERY_S = 0.25
LOOK_AT_MOST_S = 2.0
ASLEEP_S = 15.0  # an overdue hour of a sleeping type is looked at so often: someone may have sealed it by force


class Line:
    """`sealed`: the newest sealed hour, None when there is none. `schema_id`: newest writer schema of all hours before, 0 for none."""

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type
        self.sealed: int | None = None
        self.schema_id = 0
        self.books: dict[int, Books] = {}
        self.awake = True
        self.look_at = 0.0
        self.pause = LOOK_EVERY_S
        self.trouble = ""
        self.held = False

    def follow(self, hour: int, plan: Plan | None, partitions: int) -> None:
        """Go on from an hour that has been decided about (None: from nothing), with at least so many partitions."""
        resume = plan.resume if plan is not None else {}
        if plan is not None:
            self.sealed, self.schema_id = hour, plan.schema_ids[0]
        # A stale catalogue must not forget a partition that was there.
        self.books = {p: Books(p, self.sealed, resume.get(p)) for p in range(max(partitions, len(resume)))}

    def done(self, hour: int, plan: Plan) -> None:
        """The hour has been decided by these very books."""
        self.sealed, self.schema_id = hour, plan.schema_ids[0]
        for book in self.books.values():
            book.forget(hour)

    def in_order(self) -> list[Books]:
        return [self.books[partition] for partition in sorted(self.books)]

    def next_hour(self) -> int | None:
        """The hour to seal next. None: some partition has no barrier yet, so nobody can tell where the type begins."""
        return next_hour(self.sealed, self.books.values())

    def ready_hour(self) -> int | None:
        """The next hour, if all partitions have closed it."""
        hour = self.next_hour()
        return hour if hour is not None and not self.missing(hour) else None

    def missing(self, hour: int) -> list[int]:
        """Partitions that have not closed the hour."""
        return [partition for partition, book in sorted(self.books.items()) if not book.has_closed(hour)]

    def newest_closed(self) -> int | None:
        """The newest hour that some partition has closed."""
        return max((book.closed for book in self.books.values() if book.closed is not None), default=None)

    def open_hours(self) -> int:
        """Hours that some partition has closed and that are not sealed."""
        newest = self.newest_closed()
        if newest is None:
            return 0
        return max(0, newest - (self.sealed if self.sealed is not None else (self.next_hour() or newest) - 1))

    def rest(self, now: float) -> None:
        """Sleep until woken when no partition is ahead of the others; else look again, ever less often."""
        self.awake = self.next_hour() is None or self.open_hours() > 0
        self.look_at = now + (self.pause if self.awake else ASLEEP_S)
        self.pause = min(self.pause * 1.5, LOOK_AT_MOST_S)


def next_hour(sealed: int | None, books: Iterable[Books]) -> int | None:
    """The hour after the newest sealed one; before the first, the least with which a partition begins, once all are known."""
    if sealed is not None:
        return sealed + 1
    floors = [book.floor if book.closed is not None else None for book in books]
    known = [floor for floor in floors if floor is not None]
    return min(known) if known and len(known) == len(floors) else None
