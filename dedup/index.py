"""The seam to the id index: which raw record owns an event id. Implementations: memory (tests), plain (one key per id in
Redis), compact (days of buckets in Redis).

A claim stores the coordinates of the raw record that made it, and the first claim inside the window stays. So claims are safe to repeat:
after a time-out, a lost reply or a crash the same record finds itself as the owner and is forwarded again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

ID_BYTES: Final = 16
OWNER_BYTES: Final = 8
RECORD_BYTES: Final = ID_BYTES + OWNER_BYTES
HOURS_A_DAY: Final = 24


SEALED_OWNER: Final = bytes(OWNER_BYTES)  # of an id whose owner's coordinates are not kept any more; no record stands there: source 0


class Claims(NamedTuple):
    """Claims of one polled slice, in offset order: concatenated records of 24 bytes, keyed hash of the id (16) and owner (8, packed
    `Coordinates`). `append_ms` names their day, for an index that keeps days: the append time, but not before the hour that is open in
    their partition. `times`: the same for each record, when they are not all of one day."""

    append_ms: int
    records: bytes
    times: Sequence[int] = ()


class Owners(dict[int, bytes]):
    """Conflicts only: position of the claim in the whole batch → packed coordinates of the other record that owns the id, or SEALED_OWNER.

    `echoes`: positions of claims whose day is sealed, and whose id was found there. The record was settled long ago and is read again; it
    may be the owner itself, so it is to be forwarded and flagged, and who has seen its coordinates drops it.
    """

    def __init__(self, conflicts: Mapping[int, bytes] | None = None, echoes: Collection[int] = ()) -> None:
        super().__init__(conflicts or {})
        self.echoes = frozenset(echoes)


class Index(Protocol):
    """Call `open` (or `restore`) once, then `claim` any number of times, one at a time; `close` at the end.

    Every method but `close` raises IndexUnavailable when the index does not answer (call again), and IndexLost when it answers but its
    memory is gone (never go on: everything would look new).
    """

    async def open(self) -> None:
        """Connect and check that the index is fit to be used: version, eviction policy, canary. Does not create anything."""

    async def initialise(self) -> None:
        """Declare the empty index to be the beginning. Only for a platform that has never forwarded an event.

        Raises IndexLost when it holds claims already. Safe to call twice, and from two workers at once.
        """

    async def restore(self) -> None:
        """Open for rebuilding an index that lost its memory: the server is fit, no canary is demanded, claims are allowed, and nobody else
        can use the index until `finish_restore`. Safe to call again after a crash: what was claimed before stays.

        Raises InvariantBroken when the index is not lost, or when another rebuild with other settings has begun.
        """

    async def finish_restore(self) -> None:
        """Everything is claimed: write the canary, so that workers can use the index. Safe to call twice."""

    async def memory(self) -> str:
        """Names the memory that answers. Another name: another server, or the same one restarted, promoted, emptied or rebuilt, so that
        claims made a moment ago may be missing."""

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        """Claim every id for its record. Earlier claims win, also inside the batch."""

    async def close(self) -> None:
        """Let go of connections. Never raises."""


def id_hasher(secret: bytes, event_type: str) -> Callable[[bytes], bytes]:
    """Keyed BLAKE2b-128 of an id, per event type: clients choose ids, so they must not be able to choose keys of the index.

    A copy of a prepared state costs half of building one per id (0.5 µs against 1.1).
    """
    prepared = blake2b(digest_size=ID_BYTES, key=secret, person=blake2b(event_type.encode(), digest_size=16).digest())
    copy = prepared.copy

    def hashed(event_id: bytes) -> bytes:
        state = copy()
        state.update(event_id)
        return state.digest()

    return hashed
