"""Presenting a decided hour: its parts merged into the planned files, its manifest, its marker. Twice is as good as once.

Promise: two publishers of one plan make the same rows under the same names, and only the first presents them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import IO, Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from hourmark.crashpoints import crashpoint
from hourmark.errors import ChainConflict, InvariantBroken
from hourmark.hours import parse_label

from . import layout
from .arrow import STAMP_COLUMNS, Column, HourSchema, Shape
from .catalogue import Catalogue
from .flush import Shapes
from .manifest import FileRef, Manifest, Plan, PlannedPart, SchemaRef, decode, encode
from .memory import give_back
from .parts import SortedFile, in_order, merge_sorted, read_pieces, read_table, sort_order
from .store import Store

AT_ONCE_ROWS: Final = 20_000  # an hour of so many rows is sorted in memory: quicker, and the same bytes
# Parts open at once; of more, as many are first merged into one temporary file. Of 1 M events in 185 parts (CPU of the sink, peak RSS):
# 24: 5.6 µs an event, 307 MB; 64: 7 µs, 380 MB; 256: 12 µs, 490 MB. Below 24 nothing is gained, and the usual hour would be spilled too.
OPEN_MOST: Final = 24


class Publisher:
    """Makes a decided hour visible. Two publishers of one plan make the same files; the second one changes nothing."""

    def __init__(self, store: Store, shapes: Shapes, catalogue: Catalogue) -> None:
        self._store, self._shapes, self._catalogue = store, shapes, catalogue

    def publish(self, plan: Plan) -> bytes:
        """Present the hour unless it is presented; returns the manifest that stands there. Raises Unavailable, ChainConflict."""
        folder = layout.hour_folder(plan.type, parse_label(plan.hour))
        if self._store.read(f"{folder}/{layout.SUCCESS}") is None:
            schema = HourSchema(self._shapes_of(plan))
            files, done = [], 0
            with ExitStack() as stack:
                rows = _Rows(_merged(self._store, plan, schema, stack), schema.schema)
                publication = self._store.publication(folder)
                for output in plan.outputs:
                    stored = publication.write(output.name, rows.writing(done, output.rows))
                    done += output.rows
                    files.append(FileRef(name=output.name, bytes=stored.bytes, rows=output.rows, sha256=stored.sha256))
                    crashpoint("sink.file_published")
            give_back(sum(file.bytes for file in files))
            manifest = encode(manifest_of(plan, files, self._fingerprint(plan.schema_ids[0])))
            if publication.finish([(layout.MANIFEST, manifest), (layout.SUCCESS, b"")]):
                return manifest
        return self._verified(folder, plan)

    def _verified(self, folder: str, plan: Plan) -> bytes:
        """Someone has presented this hour: by the same decision, or something is very wrong."""
        data = self._store.read(f"{folder}/{layout.MANIFEST}")
        found = None
        if data is not None:
            try:
                found = decode(Manifest, data).plan
            except msgspec.DecodeError:
                found = "an unreadable manifest"
        if data is None or found != plan.essence():
            raise ChainConflict(f"{folder} is there, but was made from {found}, not from {plan.essence()}", folder=folder)
        return data

    def _shapes_of(self, plan: Plan) -> list[Shape]:
        return [self._shapes.get(schema_id, plan.type) or self._as_written(plan, schema_id) for schema_id in plan.schema_ids]

    def _as_written(self, plan: Plan, schema_id: int) -> Shape:
        """A schema that the registry does not have, since it was begun anew beside this lake: its columns as the lake has them."""
        before = layout.hour_folder(plan.type, parse_label(plan.hour) - 1)
        presented = [f"{before}/{name}" for name in self._store.names(before) if name.endswith(".parquet")]
        for path in [part.path for part in plan.parts if part.schema_id == schema_id] or presented:
            with closing(self._store.open(path)) as file:
                fields = [field for field in pq.read_schema(file) if field.name not in STAMP_COLUMNS]
            return Shape(schema_id, 0, None, tuple(Column(field.name, field.type, field.type, None) for field in fields))
        raise InvariantBroken(f"{plan.type} {plan.hour}: schema {schema_id} is planned for, and neither registry nor lake have it")

    def _fingerprint(self, schema_id: int) -> str:
        schema = self._catalogue.snapshot.schemas.get(schema_id)
        return schema.fingerprint if schema is not None else ""


class _Rows:
    """The rows of an hour in their order, taken file by file. A file that is there already may be left out."""

    def __init__(self, tables: Iterator[Any], schema: Any) -> None:
        self._tables, self._schema = tables, schema
        self._rest: Any = None
        self._position = 0

    def writing(self, first: int, rows: int) -> Callable[[IO[bytes]], None]:
        """What writes the rows `first` … `first + rows` - 1 to a file."""

        def fill(file: IO[bytes]) -> None:
            out = SortedFile(file, self._schema)
            for table in self._take(first - self._position):
                del table
            for table in self._take(rows):
                out.append(table)
            out.close()
            if out.rows != rows or (not rows and next(self._take(1), None) is not None):
                raise InvariantBroken(f"the parts of this hour hold {self._position} rows, not those that its plan names")

        return fill

    def _take(self, rows: int) -> Iterator[Any]:
        while rows > 0:
            table = self._rest if self._rest is not None else next(self._tables, None)
            if table is None:
                return
            taken = table.slice(0, rows)
            self._rest = table.slice(rows) if table.num_rows > rows else None
            self._position += taken.num_rows
            rows -= taken.num_rows
            yield taken


def _merged(store: Store, plan: Plan, schema: HourSchema, stack: ExitStack) -> Iterator[Any]:
    """All rows of the hour in their order. What is opened is closed with `stack`."""
    if plan.totals.rows <= AT_ONCE_ROWS:
        return _at_once(store, plan, schema)
    groups = [plan.parts[low : low + OPEN_MOST] for low in range(0, len(plan.parts), OPEN_MOST)]
    if len(groups) == 1:
        return in_order(_lanes(store, groups[0], schema, stack))
    return in_order([read_pieces(_spilled(store, group, schema, stack), len(groups)) for group in groups])


def _at_once(store: Store, plan: Plan, schema: HourSchema) -> Iterator[Any]:
    tables = []
    for part in plan.parts:
        with closing(store.open(part.path)) as source:
            tables.append(_conformed(read_table(source), schema, part))
    if tables:
        table = pa.concat_tables(tables)
        yield table.take(sort_order(table))


def _lanes(store: Store, parts: Sequence[PlannedPart], schema: HourSchema, stack: ExitStack) -> list[Iterator[Any]]:
    def lane(part: PlannedPart, source: Any) -> Iterator[Any]:
        return (_conformed(table, schema, part) for table in read_pieces(source, len(parts)))

    return [lane(part, stack.enter_context(closing(store.open(part.path)))) for part in parts]


def _spilled(store: Store, parts: Sequence[PlannedPart], schema: HourSchema, stack: ExitStack) -> IO[bytes]:
    """These parts as one sorted file, which is gone when it is closed."""
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # the stack closes it
    with ExitStack() as sources:
        merge_sorted(_lanes(store, parts, schema, sources), schema.schema, file)
    file.seek(0)
    return file


def _conformed(table: Any, schema: HourSchema, part: PlannedPart) -> Any:
    table = schema.conform(table, part.schema_id)
    if not part.late:
        return table
    return table.set_column(table.column_names.index("_skewed"), "_skewed", pa.repeat(pa.scalar(True), table.num_rows))


def manifest_of(plan: Plan, files: list[FileRef], fingerprint: str) -> Manifest:
    manifest = Manifest(
        format_version=plan.format_version,
        type=plan.type,
        hour=plan.hour,
        revision=plan.revision,
        complete=plan.complete,
        sealed_at=plan.sealed_at,
        hour_ends_at=plan.hour_ends_at,
        schema=SchemaRef(id=plan.schema_ids[0], fingerprint=fingerprint),
        partitions=plan.partitions,
        files=files,
        totals=plan.totals,
        audit=plan.audit,
        writer=plan.writer,
        plan=plan.essence(),
        forced=plan.forced or msgspec.UNSET,
    )
    return msgspec.structs.replace(manifest, content=manifest.contents())
