"""What a process says of itself on `hourmark.nodes`, a few times a minute: what it works by, and whether it works."""

from __future__ import annotations

from typing import Final

import msgspec

HEARTBEAT_S: Final = 5.0
LIVE_S: Final = 16.0  # a node that has not reported for three heartbeats is not waited for
TEXT_MOST: Final = 500


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """Value of a record whose key is the node's name; none: it has gone in order. `at`, `started_at`, `applied_at`: seconds since 1970.

    `trouble`: why it cannot work by a newer revision that it knows. `not_ready`: what its /readyz says, empty when it does its work.
    """

    node: str
    room: str
    revision: int
    applied_at: float
    started_at: float
    at: float
    trouble: str = ""
    not_ready: str = ""
    version: str = ""
