"""The account of a storm: every id that was acknowledged against every row of the sealed hours, and everything else that was promised."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from cli.demo.ledger import Ledger
from cli.hour_rows import hour_of, manifest_of
from cli.sealed import MARKER, sealed_files, sealed_folders
from hourmark.hours import label
from hourmark.rejects import read_reject
from hourmark.topics import PARKED, REJECTED, SEALED_HOURS
from sinks.fsck import fsck
from sinks.lake import open_store


@dataclass
class Account:
    """One event type. Every number of `wrong` must be zero; `notes` say more about those that are not."""

    event_type: str
    sent: int
    stored: int
    copies: int
    rows: int = 0
    hours: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def fault(self, what: str, number: int, note: object = "") -> None:
        if number:
            self.wrong[what] += number
            self.notes.append(f"{number:,} {what}{': ' if note else ''}{note}")


WRONG = ("lost", "doubled", "in two hours", "unknown", "refused", "not complete", "changed", "stale", "unannounced", "fsck", "rejects")


class Watch:
    """Looks at the sealed hours now and then: watermarks must not go back, and what was presented must not change."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._seen: dict[Path, bytes] = {}
        self._newest: dict[str, int] = {}
        self.stale: Counter[str] = Counter()

    def look(self, event_types: list[str]) -> int:
        """How many hours are sealed."""
        total = 0
        for name in event_types:
            folders = sealed_folders(self._lake, name)
            total += len(folders)
            hours = [hour_of(folder) for folder in folders]
            newest = hours[-1] if hours else -1
            if newest < self._newest.get(name, -1) or (hours and hours != list(range(hours[0], newest + 1))):
                self.stale[name] += 1
            self._newest[name] = newest
            for folder in folders:
                if folder not in self._seen:
                    self._seen[folder] = _manifest(folder)
        return total

    def changed(self, event_type: str) -> list[str]:
        """Hours of a type that are not what they were when they were first seen."""
        mine = {folder: data for folder, data in self._seen.items() if folder.parent.parent.name == event_type}
        return [folder.name for folder, data in mine.items() if not (folder / MARKER).exists() or _manifest(folder) != data]


def strike(lake: Path, ledger: Ledger, until: int, watch: Watch, spoilt: set[str]) -> Account:
    """The account of one type, whose hours should be sealed up to `until`."""
    account = Account(ledger.event_type, ledger.sent, len(set(ledger.acknowledged)), len(ledger.copies))
    for folder in sealed_folders(lake, ledger.event_type):
        manifest = manifest_of(folder)
        account.hours += 1
        account.rows += manifest["totals"]["rows"]
        if not manifest["complete"] or not manifest["audit"]["equal"]:
            account.fault("not complete", 1, f"{manifest['hour']} {manifest['audit']}")
    newest = max((hour_of(folder) for folder in sealed_folders(lake, ledger.event_type)), default=-1)
    if newest < until:
        account.fault("stale", 1, f"sealed up to {label(newest) if newest >= 0 else 'nothing'}, not {label(until)}")
    account.fault("stale", watch.stale[ledger.event_type], "the watermark went back or had a hole")
    account.fault("changed", len(changed := watch.changed(ledger.event_type)), changed)
    # parked while no receiver could ask the registry: durable, checked against the topic `parked`, and replayed
    refused = {v.event_id: v for v in ledger.refused if v.verdict != "parked" and v.event_id not in spoilt}
    account.fault("refused", len(refused), Counter(f"{v.verdict} {v.code} {v.detail}"[:120] for v in refused.values()).most_common(3))
    _compare_ids(account, lake, ledger)
    found = fsck(open_store(lake.as_uri()), ledger.event_type)
    account.fault("fsck", len(found), found[:3])
    return account


def _compare_ids(account: Account, lake: Path, ledger: Ledger) -> None:
    import duckdb
    import pyarrow as pa

    told = pa.table({"id": pa.array(sorted({*ledger.acknowledged, *ledger.copies}), pa.string())})
    replayed = pa.table({"id": pa.array([v.event_id for v in ledger.refused if v.verdict == "parked"], pa.string())})  # sooner or later
    files = [str(file) for file in sealed_files(lake, ledger.event_type)]
    if not files:
        account.fault("lost", told.num_rows, "no hour is sealed")
        return
    with duckdb.connect() as connection:
        connection.register("told", told)
        connection.register("replayed", replayed)
        connection.read_parquet(files, union_by_name=True, hive_partitioning=False, filename=True).create_view("files")
        connection.execute("CREATE TABLE lake AS SELECT _event_id AS id, regexp_extract(filename, 'dt=[^/]+/hour=\\d+') AS hour FROM files")
        for what, query in {
            "lost": "SELECT id FROM told ANTI JOIN lake USING (id)",
            "unknown": "SELECT DISTINCT id FROM lake ANTI JOIN told USING (id) ANTI JOIN replayed USING (id)",
            "doubled": "SELECT id FROM lake GROUP BY id, hour HAVING count(*) > 1",
            "in two hours": "SELECT id FROM lake GROUP BY id HAVING count(DISTINCT hour) > 1",
        }.items():
            ids = [row[0] for row in connection.execute(query).fetchall()]
            account.fault(what, len(ids), ids[:3])
        counted = connection.execute("SELECT count(*) FROM lake").fetchone()
    if counted != (account.rows,):
        account.fault("fsck", 1, f"the manifests say {account.rows} rows, the files hold {counted}")


def rejects(kafka: str, poison: dict[tuple[str, int, int], str], ledgers: list[Ledger], spoilt: set[str]) -> Account:
    """Everything on `rejected` and `parked` against what should be there: each at least once, and nothing else."""
    account = Account("(rejected)", 0, 0, 0)
    refused = {v.event_id for ledger in ledgers for v in ledger.refused if v.verdict == "rejected" and v.code != "unknown_event_type"}
    parked = {v.event_id for ledger in ledgers for v in ledger.refused if v.verdict == "parked"}
    missing, ids, kept = dict(poison), set(refused), set(parked)
    strange: list[object] = []
    for message in _all(kafka, REJECTED):
        reject = read_reject(message.headers())
        account.rows += 1
        if reject is None:
            strange.append("no header")
        elif reject.room == "receiver":
            ids.discard(reject.event_id)
            if reject.event_id not in spoilt and reject.event_id not in refused:
                strange.append(reject)
        elif (where := (reject.topic, reject.partition, reject.offset)) in poison:
            missing.pop(where, None)
        else:
            strange.append(reject)
    for message in _all(kafka, PARKED):
        kept.discard(json.loads(message.value())["event"]["id"])
    account.fault("rejects", len(missing), f"poison of which `rejected` knows nothing, {Counter(missing.values()).most_common(4)}")
    account.fault("rejects", len(ids), f"refused events that are not on `rejected`, {sorted(ids)[:3]}")
    account.fault("rejects", len(kept), f"parked events that are not on `parked`, {sorted(kept)[:3]}")
    account.fault("rejects", len(strange), f"on `rejected` without reason, {strange[:2]}")
    return account


def unannounced(kafka: str, lake: Path, accounts: list[Account]) -> None:
    """Every sealed hour must stand on `hourmark.sealed-hours`, with the digest of its manifest."""
    from hashlib import sha256

    said = {message.key().decode(): json.loads(message.value()) for message in _all(kafka, SEALED_HOURS) if message.value()}
    for account in accounts:
        for folder in sealed_folders(lake, account.event_type):
            key = f"{account.event_type}/{label(hour_of(folder))}"
            digest = sha256(_manifest(folder)).hexdigest()
            if said.get(key, {}).get("manifest_sha256") != digest:
                account.fault("unannounced", 1, key)


def poison_counted(lake: Path, account: Account, poison: dict[tuple[str, int, int], str]) -> None:
    """The manifests' rejected and poisoned records of a type are those that were written, each once."""
    wanted = sum(1 for topic, _, _ in poison if topic == f"raw.{account.event_type}")
    totals = [manifest_of(folder)["totals"] for folder in sealed_folders(lake, account.event_type)]
    found = sum(total["rejected"] + total["poisoned"] for total in totals)
    account.fault("rejects", abs(found - wanted), f"the manifests count {found} rejected and poisoned, {wanted} were written")


def sealed_long_enough(lake: Path, event_types: list[str], hour: int) -> bool:
    """True when every type is sealed up to this hour."""
    return all((folders := sealed_folders(lake, name)) and hour_of(folders[-1]) >= hour for name in event_types)


def _manifest(folder: Path) -> bytes:
    return (folder / "_manifest.json").read_bytes()


def _all(kafka: str, topic: str) -> list[Any]:
    """Every message of a topic."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "storm", "enable.auto.commit": False, "log_level": 0})
    try:
        found = consumer.list_topics(topic, timeout=30.0).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30.0) for p in found}
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in ends.items()])
        open_, messages = {p: high for p, (low, high) in ends.items() if high > low}, []
        while open_:
            for message in consumer.consume(1000, 1.0):
                if message.error() is None:
                    messages.append(message)
            for where in consumer.position([TopicPartition(topic, p) for p in open_]):
                if where.offset >= open_[where.partition]:
                    del open_[where.partition]
        return messages
    finally:
        consumer.close()
