"""The end of a drill: every acknowledged event is in the lake once, except those whose loss was the point; the hours are proved."""

from __future__ import annotations

import time
from typing import Any

from cli.hour_rows import manifest_of
from cli.sealed import sealed_folders
from cli.storm import account as books
from cli.storm import report

from .ground import Ground

SEAL_S = 420.0


def settle(ground: Ground, out: Any, watch: books.Watch) -> bool:
    """Ends the load, waits for the seals, strikes the account and shows it. True when it is exact."""
    ground.load.finish()
    until = ground.platform.hour_now() + 1  # a barrier may have come early, then the last events belong to the next hour
    names, deadline = sorted(ground.ledgers), time.monotonic() + SEAL_S
    while not books.sealed_long_enough(ground.platform.lake, names, until) and time.monotonic() < deadline:
        time.sleep(0.5)
    watch.look(names)
    accounts, said = [], []
    for name in names:
        lost = ground.lost.get(name, set())
        ledger = ground.ledgers[name]
        ledger.acknowledged = [one for one in ledger.acknowledged if one not in lost]
        account = books.strike(ground.platform.lake, ledger, until, watch, set())
        accounts.append(account)
        if lost:
            said.append(f"{name}: {len(lost)} acknowledged events deleted from Kafka unread, on purpose: not in the lake")
        said += _excused(ground, account)
    spoilt = ground.load.refused
    if spoilt.sent:
        stored = len(spoilt.acknowledged)
        said.append(f"drill.standard: {len(spoilt.refused)} of {spoilt.sent} events that did not fit were rejected, {stored} stored")
    for line in said:
        out.print(line, markup=False)
    wrong = ["events that did not fit were stored"] if spoilt.acknowledged else []
    return report.show(out, accounts, wrong, "Account, by event id", "")


def _excused(ground: Ground, account: books.Account) -> list[str]:
    """Hours that were sealed by force are incomplete, as they should be: no fault when they are the only ones."""
    folders = sealed_folders(ground.platform.lake, account.event_type)
    found = [manifest for manifest in map(manifest_of, folders) if not manifest["complete"] or not manifest["audit"]["equal"]]
    forced = {hour for name, hour in ground.forced if name == account.event_type}
    said = [f"{account.event_type} {manifest['hour']}: sealed by force, complete false" for manifest in found if manifest["hour"] in forced]
    if len(said) == len(found):
        account.wrong.pop("not complete", None)
        account.notes = [note for note in account.notes if " not complete" not in note]
    return said
