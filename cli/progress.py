"""How far each event type is, for `status`: its watermark, its open hours and what blocks them, and what dedup has not read yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .addresses import Addresses
from .catalogue import Catalogue
from .flows import flows, held, sink_pages
from .hour_rows import Surroundings, progress, store_of

if TYPE_CHECKING:
    from local.status import StackStatus


def of_all(found: StackStatus) -> list[dict[str, Any]]:
    """`{type, watermark, open_hours, seal_delay_seconds, blocked_by, lag}` of every declared event type.

    `watermark`: the first hour that is not sealed, or None. `lag`: records on the raw topic that dedup has not read.
    Raises BrokerUnavailable, LakeUnavailable.
    """
    at = Addresses(
        registry=found.registry, kafka=found.kafka, lake=found.lake, hour_seconds=found.hour_seconds, hour_anchor=found.hour_anchor
    )
    names = sorted(Catalogue(at.registry).names())
    around = Surroundings(flows(at, names), held(sink_pages()))
    store = store_of(at) if "://" in found.lake or Path(found.lake).is_dir() else None
    rows = []
    for name in names:
        known: dict[str, Any] = {"type": name, "watermark": None, "open_hours": 1, "seal_delay_seconds": None, "blocked_by": []}
        if store is not None:
            known = progress(store, at, name, around).as_json()
        rows.append(known | {"lag": sum(flow.dedup_lag or 0 for flow in around.flows.get(name, {}).values())})
    return rows
