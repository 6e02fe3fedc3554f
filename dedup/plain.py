"""The index in Redis (>= 7) or Valkey, one key per id: `d` + 16 bytes → the owner's coordinates. About 85 bytes an id on Valkey 9.

One round trip per batch: script calls of 2,000 ids each in one pipeline; a call blocks the server for about 5 ms. The canary `hm:canary`
says whose memory this is; without it no claim is made.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Final

import msgspec
import redis.asyncio as redis
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from hourmark.errors import IndexLost, IndexUnavailable, InvariantBroken, PlatformError

from .index import OWNER_BYTES, RECORD_BYTES, Claims, Owners

CANARY: Final = "hm:canary"
LAYOUT: Final = "plain-1"
CHUNK: Final = 2_000
OLDEST: Final = 7  # the first with SET NX GET

_CONFLICT_BYTES: Final = 4 + OWNER_BYTES
_PASSING = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterDownError,
    MasterDownError,
    TryAgainError,
    OSError,
)
_SCRIPT: Final = files("dedup").joinpath("scripts/claim.lua").read_text()

HELP: Final = (
    "the index has lost its memory, or this is another server; claims made into an empty index would double events. "
    "Point HOURMARK_REDIS_URL at the right server or restore its data; on a platform whose events may be lost, start over with new topics"
)


class Canary(msgspec.Struct, frozen=True):
    """What the index remembers of itself. `key`: digest of the secret of the id hashes."""

    layout: str
    window_days: int
    key: str
    instance: str = ""


class PlainIndex:
    """`hash_key` and `window_days` must be those that the index was initialised with. `claim_seconds`: life of a claim."""

    def __init__(self, url: str, *, hash_key: bytes, window_days: int, claim_seconds: int, timeout: float = 3.0) -> None:
        # No retries hidden below us: the caller loops, and every attempt is safe to repeat.
        self._redis: Any = redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None)
        self._claim_seconds = claim_seconds
        self._wanted = Canary(LAYOUT, window_days, blake2b(hash_key, digest_size=8).hexdigest())
        self._sha = ""

    async def open(self) -> None:
        try:
            self._check_server(await self._redis.info("server"), await self._redis.info("memory"))
            found = await self._redis.get(CANARY)
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc
        if found is None:
            raise IndexLost(f"no canary in the id index: {HELP}")
        self._check_canary(found)

    async def initialise(self) -> None:
        try:
            async for key in self._redis.scan_iter(match="d" + "?" * 16, count=10_000):
                if await self._redis.exists(CANARY):
                    break  # another worker was first, and has begun to claim
                raise IndexLost(f"claims without a canary, for example {key.hex()}: {HELP}")
            canary = msgspec.structs.replace(self._wanted, instance=secrets.token_hex(8))
            await self._redis.set(CANARY, msgspec.json.encode(canary), nx=True)
            self._check_canary(await self._redis.get(CANARY))
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        blob = b"".join([claims.records for claims in batch])
        if not blob:
            return {}
        try:
            try:
                replies = await self._call(blob)
            except NoScriptError:  # the server restarted or failed over: the canary decides what that means
                self._sha = ""
                replies = await self._call(blob)
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc
        conflicts: dict[int, bytes] = {}
        for number, reply in enumerate(replies):
            for at in range(0, len(reply), _CONFLICT_BYTES):
                position = number * CHUNK + int.from_bytes(reply[at : at + 4], "big")
                conflicts[position] = reply[at + 4 : at + _CONFLICT_BYTES]
        return conflicts

    async def _call(self, blob: bytes) -> list[bytes]:
        if not self._sha:
            self._sha = await self._redis.script_load(_SCRIPT)
        pipe, step = self._redis.pipeline(transaction=False), RECORD_BYTES * CHUNK
        for at in range(0, len(blob), step):
            pipe.evalsha(self._sha, 0, blob[at : at + step], self._claim_seconds)
        replies: list[bytes] = await pipe.execute()
        return replies

    async def close(self) -> None:
        try:
            await self._redis.aclose()
        except (RedisError, OSError):
            return

    def _check_server(self, server: dict[str, Any], memory: dict[str, Any]) -> None:
        version = str(server.get("redis_version", "0"))
        if int(version.split(".")[0]) < OLDEST:
            raise InvariantBroken(f"the id index needs Redis >= {OLDEST} or Valkey, this server is {version}")
        policy = memory.get("maxmemory_policy")
        if policy != "noeviction":
            raise InvariantBroken(
                f"the id index must never forget early, but its server evicts ({policy}): set `maxmemory-policy noeviction` and restart"
            )

    def _check_canary(self, found: bytes) -> None:
        try:
            canary = msgspec.json.decode(found, type=Canary)
        except msgspec.DecodeError as exc:
            raise IndexLost(f"the canary cannot be read: {HELP}") from exc
        if msgspec.structs.replace(canary, instance="") != self._wanted:
            raise InvariantBroken(
                "this index was initialised with other settings (HOURMARK_DEDUP_WINDOW_DAYS, HOURMARK_DEDUP_SECRET, layout): "
                f"it has {canary.layout}, {canary.window_days} days, key {canary.key}; "
                f"the settings say {self._wanted.layout}, {self._wanted.window_days} days, key {self._wanted.key}"
            )


def _translated(exc: Exception) -> PlatformError:
    if "NOCANARY" in str(exc):
        return IndexLost(f"no canary in the id index: {HELP}")
    if isinstance(exc, _PASSING):
        return IndexUnavailable(f"the id index does not answer: {exc!r}")
    if isinstance(exc, ResponseError) and str(exc).startswith(("OOM", "MISCONF", "NOREPLICAS", "LOADING", "BUSY")):
        return IndexUnavailable(f"the id index refuses to write: {exc}")
    return InvariantBroken(f"the id index answers what it should not: {exc!r}")
