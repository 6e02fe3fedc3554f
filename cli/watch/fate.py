"""Which hour an event belongs to, and whether its row is really there: the lake's part of `trace`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from hourmark.errors import LakeUnavailable
from hourmark.event import Stamp
from hourmark.hours import folder, label, parse_folder
from hourmark.topics import Partition
from sinks import layout
from sinks.blocking import blocks
from sinks.commits import CommitChain
from sinks.store import Store
from sinks.watermarks import line_of, presented, sealed_hours

from ..addresses import Addresses
from ..failures import Unreachable
from ..hour_rows import newest_ended, sealed_of, store_of, surroundings
from ..sealed import Lake

FILES: Final = 200  # asked at once
COLUMNS: Final = (
    "_event_id",
    "_event_time",
    "_append_time",
    "_raw_partition",
    "_raw_offset",
    "_skewed",
    "_sdk",
    "_sdk_version",
    "_app",
    "_attempt",
)


class Row(NamedTuple):
    """An event in a sealed hour. `file`: below the lake."""

    hour: int
    file: str
    facts: Mapping[str, Any]


class LakeView:
    """The lake of one platform. Raises LakeUnavailable, Unreachable, WrongInput."""

    def __init__(self, at: Addresses) -> None:
        self._at = at
        self.store: Store = store_of(at)
        self._lake: Lake = sealed_of(at)

    def event_types(self) -> list[str]:
        return self._lake.event_types()

    def rows(self, event_type: str, event_id: str, hours: Iterable[int] | None, deadline: float) -> tuple[list[Row], bool]:
        """The rows with this id in sealed hours, oldest first (None: all, newest first); False when the time was up before the end."""
        wanted = None if hours is None else set(hours)
        files = [(hour_of(name), name) for name in self._lake.sealed_files(event_type)]
        chosen = sorted((one for one in files if wanted is None or one[0] in wanted), reverse=wanted is None)
        for low in range(0, len(chosen), FILES):
            if time.monotonic() > deadline:
                return [], False
            found = self._ask([name for _, name in chosen[low : low + FILES]], event_id)
            if found:
                return found, True
        return [], True

    def _ask(self, files: list[str], event_id: str) -> list[Row]:
        import duckdb

        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        names = ", ".join(COLUMNS)
        source = f"read_parquet([{listed}], union_by_name=true, hive_partitioning=false, filename=true)"
        try:
            with duckdb.connect() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                self._lake.attach(connection)
                found = connection.execute(f"SELECT filename, {names} FROM {source} WHERE _event_id = ?", [event_id]).fetchall()
        except (duckdb.Error, RuntimeError) as exc:
            raise Unreachable(str(exc), where=self._lake.where) from exc
        return [Row(hour_of(name), name[name.index("events/") :], dict(zip(COLUMNS, facts, strict=True))) for name, *facts in found]

    def fate(self, event_type: str, stamp: Stamp, clean_offset: int, event_id: str, deadline: float) -> dict[str, Any]:
        """Of a record that dedup has forwarded: its hour, whether that is sealed, and where the row is, or why it is not there yet."""
        known = sealed_hours(self.store, event_type)
        decided = bool(known) and known[-1] >= stamp.hour
        if decided and (known[-1] > stamp.hour or presented(self.store, event_type, known[-1])):
            return self._sealed(event_type, stamp, event_id, deadline)
        return {"hour": label(stamp.hour), "state": "open", **self._unsealed(event_type, stamp, clean_offset)}

    def _sealed(self, event_type: str, stamp: Stamp, event_id: str, deadline: float) -> dict[str, Any]:
        newest = sealed_hours(self.store, event_type)[-1]
        # an hour that was sealed by force may lack it: then it stands in a later one
        for hours in ([stamp.hour], range(stamp.hour + 1, newest + 1)):
            rows, whole = self.rows(event_type, event_id, hours, deadline)
            own = [row for row in rows if (row.facts["_raw_partition"], row.facts["_raw_offset"]) == (stamp.partition, stamp.offset)]
            if own:
                row = own[0]
                return {"hour": label(row.hour), "state": "sealed", "file": row.file, "row": True}
            if not whole:
                return {"hour": label(stamp.hour), "state": "sealed", "row": None, "why": ["the time was up before its files were read"]}
        place = f"{layout.EVENTS}/{event_type}/{folder(stamp.hour)}"
        why = [f"the row is not in {place}: `hourmark fsck {event_type}` says whether the hour is whole"]
        return {"hour": label(stamp.hour), "state": "sealed", "row": False, "why": why}

    def _unsealed(self, event_type: str, stamp: Stamp, clean_offset: int) -> dict[str, Any]:
        around = surroundings(self._at, [event_type])
        line = line_of(self.store, event_type, around.partitions(event_type))
        now = around.situation(event_type, newest_ended(self._at))
        found = blocks(line, stamp.hour, now) if stamp.hour > (line.sealed if line.sealed is not None else -1) else []
        why = [block.detail if block.partition is None else f"partition {block.partition}: {block.detail}" for block in found]
        tip = CommitChain(self.store).tip(Partition(event_type, stamp.partition))
        if clean_offset >= tip.offset:
            where = "in Kafka: the sink has not written it out yet"
            return {"row": False, "why": [*why, *([around.trouble] if around.trouble else [])], "where": where}
        parts = [
            part.path
            for book in line.in_order()
            for held in book.parts.values()
            for part in held
            if _covers(part.path, stamp, clean_offset + tip.shift)
        ]
        return {"row": False, "why": why, "where": f"in a staged part: {parts[0]}" if parts else "written out; the hour is being presented"}


def hour_of(file: str) -> int:
    """Hour number of a sealed file, as a lake names it."""
    return parse_folder("/".join(file.split("/")[-3:-1]))


def _covers(path: str, stamp: Stamp, position: int) -> bool:
    name = path.rpartition("/")[2]
    return (
        f"/{layout.partition_folder(stamp.partition)}/" in path
        and int(name[:20]) <= position <= int(name[21:41])
        and label(stamp.hour) in name
    )


def lake_view(at: Addresses) -> LakeView | None:
    """None: no lake is known here, or it does not answer."""
    if not at.lake:
        return None
    try:
        return LakeView(at)
    except (Unreachable, LakeUnavailable):
        return None
