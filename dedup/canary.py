"""What an index remembers of itself: whose memory it is, and with which settings it was initialised. Without it no claim is made."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

import msgspec

from hourmark.errors import IndexLost, InvariantBroken

HELP: Final = (
    "the index has lost its memory, or this is another server; claims made into an empty index would double events. "
    "Point HOURMARK_REDIS_URL at the right server, or restore its data, or rebuild it from the lake and the clean topics: "
    "`hourmark dedup rebuild`"
)
UNFINISHED: Final = "a rebuild of it has begun and is not finished; run `hourmark dedup rebuild` again, it goes on where it stopped"


class Canary(msgspec.Struct, frozen=True, omit_defaults=True):
    """`key`: digest of the secret of the id hashes. `shards`: of a compact index. `instance`: random, tells one index from another."""

    layout: str
    window_days: int
    key: str
    instance: str = ""
    shards: int = 0

    @classmethod
    def of(cls, layout: str, window_days: int, hash_key: bytes, shards: int = 0) -> Canary:
        return cls(layout, window_days, blake2b(hash_key, digest_size=8).hexdigest(), shards=shards)

    def born(self) -> bytes:
        """This canary for a new index, as it is stored."""
        return msgspec.json.encode(msgspec.structs.replace(self, instance=secrets.token_hex(8)))

    def check(self, found: bytes) -> Canary:
        """What is stored, when it is ours. Raises IndexLost when it cannot be read, InvariantBroken when it is of other settings."""
        try:
            canary = msgspec.json.decode(found, type=Canary)
        except msgspec.DecodeError as exc:
            raise IndexLost(f"the canary cannot be read: {HELP}") from exc
        if msgspec.structs.replace(canary, instance="") != self:
            raise InvariantBroken(
                "this index was initialised with other settings (HOURMARK_DEDUP_WINDOW_DAYS, _SECRET, _BACKEND or _INDEX_SHARDS): "
                f"it has {canary._words()}; the settings say {self._words()}"
            )
        return canary

    def _words(self) -> str:
        shards = f", {self.shards} shards" if self.shards else ""
        return f"{self.layout}, {self.window_days} days, key {self.key}{shards}"
