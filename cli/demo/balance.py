"""Strikes the balance: what the senders were told against what stands in the sealed hours, by event id, with DuckDB over the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cli import sealed
from hourmark.hours import Hours, parse_folder

from .ledger import Ledger


@dataclass
class Account:
    """One event type's balance. `delays`: seconds from each hour's end to its seal. `faults` is empty when everything balances."""

    event_type: str
    sent: int
    acknowledged: int
    copies: int
    removed: int = 0
    rows: int = 0
    hours: int = 0
    delays: list[float] = field(default_factory=list)
    audit_equal: bool = True
    faults: list[str] = field(default_factory=list)


def strike(lake: Path, hours: Hours, ledger: Ledger) -> Account:
    """The account of one event type over all its sealed hours."""
    account = Account(ledger.event_type, ledger.sent, len(ledger.acknowledged), len(ledger.copies))
    for folder in sealed.sealed_folders(lake, ledger.event_type):
        _add_hour(account, folder, hours)
    _compare_ids(account, lake, ledger)
    _compare_totals(account, ledger)
    return account


def _add_hour(account: Account, folder: Path, hours: Hours) -> None:
    manifest: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    hour = parse_folder(f"{folder.parent.name}/{folder.name}")
    account.hours += 1
    account.rows += manifest["totals"]["rows"]
    account.removed += manifest["totals"]["duplicates"]
    sealed_at = datetime.fromisoformat(manifest["sealed_at"]).timestamp()
    account.delays.append(sealed_at - hours.end_ms(hour) / 1000)
    if not manifest["audit"]["equal"] or not manifest["complete"]:
        account.audit_equal = False
        account.faults.append(f"the audit of {folder.parent.name}/{folder.name} is not equal: {manifest['audit']}")


def _compare_ids(account: Account, lake: Path, ledger: Ledger) -> None:
    import pyarrow as pa

    told = pa.table({"id": pa.array(ledger.acknowledged, pa.string())})
    with sealed.connect(lake, [ledger.event_type]) as connection:
        connection.register("told", told)
        if not sealed.sealed_files(lake, ledger.event_type):
            account.faults.append(f"no hour was sealed; {len(ledger.acknowledged):,} events were acknowledged")
            return
        view = f'"{sealed.view_names(ledger.event_type)[0]}"'
        counts = connection.execute(
            f"WITH lake AS (SELECT _event_id AS id, count(*) AS times FROM {view} GROUP BY 1), "
            "acknowledged AS (SELECT DISTINCT id FROM told) "
            "SELECT (SELECT count(*) FROM acknowledged ANTI JOIN lake USING (id)), "
            "(SELECT count(*) FROM lake ANTI JOIN acknowledged USING (id)), "
            "(SELECT count(*) FROM lake WHERE times > 1), (SELECT sum(times) FROM lake)"
        ).fetchone()
    missing, extra, doubled, rows = counts or (0, 0, 0, 0)
    for number, what in ((missing, "acknowledged and not there"), (extra, "there and not acknowledged"), (doubled, "there twice")):
        if number:
            account.faults.append(f"{number:,} events {what}")
    if (rows or 0) != account.rows:
        account.faults.append(f"the manifests say {account.rows:,} rows, the files hold {rows:,}")


def _compare_totals(account: Account, ledger: Ledger) -> None:
    if account.acknowledged != account.sent:
        lost = account.sent - account.acknowledged
        account.faults.append(f"{lost:,} of {account.sent:,} sent were not acknowledged: {ledger.refusals()}")
    if account.copies != ledger.copies_sent:
        account.faults.append(f"{ledger.copies_sent - account.copies:,} copies were not acknowledged")
    # A request that the client repeated by itself may have left its first copies in the log, or not: at most so many more.
    if not account.copies <= account.removed <= account.copies + ledger.hidden_resends:
        account.faults.append(f"{account.removed:,} copies were removed, {account.copies:,} had been sent")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))] if ordered else 0.0
