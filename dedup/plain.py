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
REBUILDING: Final = "hm:rebuilding"
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
    "Point HOURMARK_REDIS_URL at the right server, or restore its data, or rebuild it from the lake and the clean topics: "
    "`hourmark dedup rebuild`"
)
UNFINISHED: Final = "a rebuild of it has begun and is not finished; run `hourmark dedup rebuild` again, it goes on where it stopped"


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
        self._witness = CANARY  # the key whose presence allows claims

    async def open(self) -> None:
        try:
            self._check_server(await self._redis.info("server"), await self._redis.info("memory"))
            found, rebuilding = await self._redis.mget(CANARY, REBUILDING)
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc
        if found is None:
            raise IndexLost(f"no canary in the id index: {UNFINISHED if rebuilding else HELP}")
        self._check_canary(found)
        self._witness = CANARY

    async def initialise(self) -> None:
        try:
            if await self._redis.exists(REBUILDING):
                raise IndexLost(f"this is no beginning: {UNFINISHED}")
            async for key in self._redis.scan_iter(match="d" + "?" * 16, count=10_000):
                if await self._redis.exists(CANARY):
                    break  # another worker was first, and has begun to claim
                raise IndexLost(f"claims without a canary, for example {key.hex()}: {HELP}")
            await self._redis.set(CANARY, self._new_canary(), nx=True)
            self._check_canary(await self._redis.get(CANARY))
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc

    async def restore(self) -> None:
        try:
            self._check_server(await self._redis.info("server"), await self._redis.info("memory"))
            if await self._redis.exists(CANARY):
                raise InvariantBroken("this index has its canary: it lost nothing, so there is nothing to rebuild")
            await self._redis.set(REBUILDING, self._new_canary(), nx=True)
            self._check_canary(await self._redis.get(REBUILDING))
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc
        self._witness = REBUILDING

    async def finish_restore(self) -> None:
        try:
            if await self._redis.exists(REBUILDING):
                await self._redis.renamenx(REBUILDING, CANARY)
            found = await self._redis.get(CANARY)
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc
        if found is None:
            raise IndexLost(f"the index was emptied while it was rebuilt: {HELP}")
        self._check_canary(found)
        self._witness = CANARY

    async def memory(self) -> str:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                info, witness = await pipe.info("server", "replication").get(self._witness).execute()
        except (RedisError, OSError) as exc:
            raise _translated(exc) from exc
        if witness is None:
            raise IndexLost(f"no canary in the id index: {HELP}")
        return f"{info['run_id']} {info['master_replid']} {witness.decode()}"

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
            pipe.evalsha(self._sha, 0, blob[at : at + step], self._claim_seconds, self._witness)
        replies: list[bytes] = await pipe.execute()
        return replies

    async def close(self) -> None:
        try:
            await self._redis.aclose()
        except (RedisError, OSError):
            return

    def _new_canary(self) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(self._wanted, instance=secrets.token_hex(8)))

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
