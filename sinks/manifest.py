"""The documents in the lake, byte for byte: commit entries, seal plans and manifests. All JSON, all written once and never changed."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec

from hourmark.event import CleanBarrier

FORMAT: Final = 1


class Mark(msgspec.Struct, frozen=True, order=True, array_like=True):
    """High-water mark of a partition: the newest raw record that has been dealt with. Compared by source, then offset."""

    source: int
    offset: int


class PartRef(msgspec.Struct, frozen=True, kw_only=True):
    """A staged part. `events_bytes`: size of its events as they stood in Kafka, a measure of the memory they need."""

    path: str
    hour: int
    schema_id: int
    rows: int
    bytes: int
    sha256: str
    events_bytes: int


class HourCount(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one commit entry did with the records of one hour. `skewed`: rows whose `_skewed` is true."""

    written: int = 0
    poisoned: int = 0
    skewed: int = 0


class Seam(msgspec.Struct, frozen=True, kw_only=True):
    """Where another clean log begins in a chain: its offset 0 stands at `position`. What the chain holds before was appended up to
    `before_ms`, and had closed the hour `closed`. Positions of a chain are clean offsets until its first seam.
    """

    position: int
    before_ms: int
    closed: int | None

    def opens(self, barrier: CleanBarrier) -> bool:
        """Whether this barrier of the log behind it closes an hour in which the log before may have been lost.

        That at raw offset 0 closes all hours before the log's first, the next one that in which the log begins.
        """
        return barrier.first <= 1 and (self.closed is None or barrier.hour > self.closed)


class CommitEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the commit chain of a clean partition: what became of its positions `first` … `next` - 1.

    `mark` and `closed` are the state after it; `previous` is the SHA-256 of the entry before (empty for the first). `appended_ms`: clean
    append time of the last record, by which the log is known again; 0: unknown. `seam`: the newest one before `next`.
    """

    format_version: int = FORMAT
    type: str
    partition: int
    first: int
    next: int
    mark: Mark | None
    closed: int | None
    parts: list[PartRef]
    hours: dict[int, HourCount]
    barriers: list[CleanBarrier]
    repeats: int
    foreign: int
    previous: str
    writer: str
    appended_ms: int = 0
    seam: Seam | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of a chain from `first` to `next` in one file, verbatim. `previous`: digest of the entry before them."""

    format_version: int = FORMAT
    type: str
    partition: int
    first: int
    next: int
    previous: str
    entries: list[str]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The books of one raw partition for one hour. Offsets are raw offsets; the barrier is the one that closed the hour.

    An hour sealed by force lacks a partition's barrier: -1 and an empty time; what it consumed is then what was written so far, and the
    rest of its books stands in the hour that is sealed after its barrier came.
    """

    raw_partition: int
    from_offset: int
    barrier_offset: int
    barrier_append_time: str
    consumed: int
    forwarded: int
    written: int
    poisoned: int
    duplicates: int
    rejected: int
    skewed: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    rows: int
    consumed: int
    duplicates: int
    rejected: int
    poisoned: int
    skewed: int


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """`delta`: consumed - (written + poisoned + duplicates + rejected). `faults`: every rule that does not hold, in words."""

    equal: bool
    delta: int
    faults: list[str]


class PlannedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A staged part of the hour. `late`: of an hour before, sealed by force; its rows are presented as skewed."""

    path: str
    schema_id: int
    late: bool = False


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the presented hour, as planned: so many rows of all parts merged and sorted, after those of the output before."""

    name: str
    rows: int


class Forced(msgspec.Struct, frozen=True, kw_only=True):
    """An hour that was sealed although partitions had not closed it. `by`: who said so; `missing`: those partitions."""

    by: str
    reason: str
    at: str
    missing: list[int]


class LastBarrier(msgspec.Struct, frozen=True, kw_only=True):
    """The newest barrier that had closed only sealed hours: the next one's interval must begin right after it."""

    source: int
    offset: int
    left: int


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition owes since an hour was sealed by force without its barrier. Hours from `since` on have no final books yet.

    Entries before the clean offset `entry` are presented, with `written` rows and `poisoned` records in all those hours; what later
    entries hold of sealed hours belongs to the next one that is sealed.
    """

    since: int
    entry: int
    written: int
    poisoned: int


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader of one commit chain must start to see everything of the hours after this one."""

    entry: int
    last: LastBarrier | None
    owed: Owed | None = None
    seam: Seam | None = None


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    host: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What has been decided about one hour. Whoever holds it can publish the hour, any number of times, with the same result.

    `schema_ids`: writer schemas of the hour, newest first; the first gives the columns their order. All but `sealed_at`, `parts`,
    `resume`, `writer` and `forced` follows from the clean log alone, whatever the parts were cut into.
    """

    format_version: int = FORMAT
    type: str
    hour: str
    revision: int
    complete: bool
    sealed_at: str
    hour_ends_at: str
    schema_ids: list[int]
    partitions: list[Account]
    parts: list[PlannedPart]
    outputs: list[Output]
    totals: Totals
    audit: Audit
    resume: dict[int, Resume]
    writer: Writer
    forced: Forced | None = None

    def essence(self) -> str:
        """SHA-256 of what was decided, without clocks, hosts and the names of staged parts."""
        decided = [self.type, self.hour, self.revision, self.complete, self.schema_ids, self.partitions, self.outputs, self.totals]
        return digest(encode([*decided, self.audit, self.forced]))


class FileRef(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    bytes: int
    rows: int
    sha256: str


class SchemaRef(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    fingerprint: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`_manifest.json` of a presented hour. `plan`: SHA-256 of what was decided (`Plan.essence`).

    `content`: SHA-256 of this document without `sealed_at`, `writer` and itself: equal contents, equal hours. A replay of the clean log
    into an empty lake gives the same document but for `sealed_at` and `writer`. `forced` is there only when it was.
    """

    format_version: int
    type: str
    hour: str
    revision: int
    complete: bool
    sealed_at: str
    hour_ends_at: str
    schema: SchemaRef
    partitions: list[Account]
    files: list[FileRef]
    totals: Totals
    audit: Audit
    writer: Writer
    plan: str
    content: str = ""
    forced: Forced | msgspec.UnsetType = msgspec.UNSET

    def contents(self) -> str:
        """What `content` must be."""
        nobody = Writer(version="", host="")
        return digest(encode(msgspec.structs.replace(self, sealed_at="", writer=nobody, content="")))


class SealedHour(msgspec.Struct, frozen=True, kw_only=True):
    """Value of a record on `hourmark.sealed-hours`; its key is `type/hour`. `content_sha256`: the manifest's `content`, which a lake
    that was built again from the log repeats."""

    type: str
    hour: str
    manifest_sha256: str
    rows: int
    complete: bool
    content_sha256: str = ""


T = TypeVar("T")


def encode(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def decode(kind: type[T], data: bytes) -> T:
    """Raises msgspec.DecodeError (or its ValidationError) on damage."""
    return msgspec.json.decode(data, type=kind)


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()
