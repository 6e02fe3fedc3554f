"""The Redis (>= 7) or Valkey, or the cluster of them, that holds an index. Checks that it is fit, runs scripts, translates its errors.

Nothing is retried down here: the caller loops, and every call is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, NamedTuple

import redis.asyncio as redis
import structlog
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)
from redis.utils import str_if_bytes

from hourmark.errors import IndexLost, IndexUnavailable, InvariantBroken, PlatformError

from .canary import HELP, UNFINISHED

log = structlog.get_logger()

RIGHTS: Final = "+@read +@write +@scripting +@connection +info +config|get"  # the last one may be missing
OLDEST: Final = 7  # the first with SET NX GET, and with scripts that may run when memory is full

_PASSING = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    ClusterDownError,
    MasterDownError,
    TryAgainError,
    RedisClusterException,
    OSError,
)
_REFUSES_WRITES: Final = ("OOM", "MISCONF", "NOREPLICAS", "LOADING", "BUSY", "CLUSTERDOWN")


class Needs(NamedTuple):
    """What an index asks of its server. `listpack`: least hash-max-listpack-entries, 0: any. `cluster`: it works on a cluster too.
    `durable`: a server that keeps nothing on disk is refused, else only warned about."""

    durable: bool
    cluster: bool = False
    listpack: int = 0


class Script(NamedTuple):
    """A Lua script and its name on the server."""

    text: str
    sha: str

    @classmethod
    def read(cls, *names: str) -> Script:
        """The scripts of these names as one text; a `#!` line of the last one goes first."""
        texts = [files("dedup").joinpath(f"scripts/{name}.lua").read_text() for name in names]
        if texts[-1].startswith("#!"):
            first, _, rest = texts[-1].partition("\n")
            texts = [first + "\n", *texts[:-1], rest]
        text = "".join(texts)
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class IndexServer:
    """`client` after `connect`. `replicas`: how many must have what `evaluate` wrote before it returns.

    Every method but `close` raises IndexUnavailable, IndexLost or InvariantBroken, never a vendor's error.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout = url, timeout
        self.replicas = 0
        self._plain: Any = redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None)
        self._cluster: Any = None
        self._warned = False

    @property
    def client(self) -> Any:
        return self._plain if self._cluster is None else self._cluster

    async def connect(self, needs: Needs) -> None:
        """Connect, and check every primary: version, eviction, persistence, what `needs` says. Safe to call again."""
        with translated():
            clustered = bool((await self._plain.info("cluster")).get("cluster_enabled"))
        if clustered and not needs.cluster:
            raise InvariantBroken(
                "HOURMARK_REDIS_URL is a cluster, and the index `plain` needs one server: set HOURMARK_DEDUP_BACKEND=compact or another URL"
            )
        if clustered and self.replicas:
            raise InvariantBroken("HOURMARK_DEDUP_WAIT_REPLICAS is for one server, and HOURMARK_REDIS_URL is a cluster: unset it")
        with translated():
            if clustered:
                await self._join()
            for info, config in await self._primaries():
                self._check(info, config, needs)

    async def visit(self) -> None:
        """Connect, to all of a cluster, without any check: for those who only look."""
        with translated():
            if (await self._plain.info("cluster")).get("cluster_enabled"):
                await self._join()

    async def _join(self) -> None:
        if self._cluster is None:
            cluster = RedisCluster.from_url(
                self._url,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),
            )
            await cluster.initialize()
            self._cluster = cluster

    async def evaluate(self, script: Script, calls: Iterable[Sequence[Any]]) -> list[Any]:
        """The script's replies, one for each call: its key (none: an empty string), then its arguments. One round trip per node."""
        calls = list(calls)
        with translated():
            try:
                return await self._evaluate(script, calls)
            except NoScriptError:  # a server restarted or failed over: the canary decides what that means
                await self.client.script_load(script.text)
                return await self._evaluate(script, calls)

    async def _evaluate(self, script: Script, calls: list[Sequence[Any]]) -> list[Any]:
        pipe = self.client.pipeline(transaction=False)
        for key, *arguments in calls:
            pipe.execute_command("EVALSHA", script.sha, *((1, key) if key else (0,)), *arguments)
        if self.replicas:
            pipe.execute_command("WAIT", self.replicas, int(self._timeout * 500))
        replies: list[Any] = await pipe.execute()
        if self.replicas and (reached := replies.pop()) < self.replicas:
            raise IndexUnavailable(
                f"{reached} replicas of the id index have the newest claims, and HOURMARK_DEDUP_WAIT_REPLICAS wants {self.replicas}"
            )
        return replies

    async def memory(self) -> list[dict[str, Any]]:
        """INFO memory of every primary."""
        with translated():
            return await self._ask("INFO", "memory")

    async def size(self) -> int:
        """Keys of all primaries."""
        with translated():
            return sum(await self._ask("DBSIZE"))

    async def names(self) -> str:
        """Names the lives of all primaries: another one after a restart, a failover, or when the servers are others."""
        with translated():
            infos = await self._ask("INFO", "server"), await self._ask("INFO", "replication")
        return " ".join(sorted(f"{one['run_id']} {other['master_replid']}" for one, other in zip(*infos, strict=True)))

    async def close(self) -> None:
        for client in (self._plain, self._cluster):
            try:
                if client is not None:
                    await client.aclose()
            except (RedisError, OSError):
                continue

    async def _ask(self, *command: str) -> list[Any]:
        """The answers of every primary."""
        if self._cluster is None:
            return [await self._plain.execute_command(*command)]
        return [await self._cluster.execute_command(*command, target_nodes=node) for node in self._cluster.get_primaries()]

    async def _primaries(self) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """INFO and CONFIG of every primary; an empty CONFIG where it may not be read, as on rented servers."""
        infos = await self._ask("INFO")
        try:
            configs = [_texts(found) for found in await self._ask("CONFIG GET", "hash-max-listpack-entries", "save")]
        except (NoPermissionError, ResponseError):
            configs = [{} for _ in infos]
        return list(zip(infos, configs, strict=True))

    def _check(self, info: dict[str, Any], config: dict[str, str], needs: Needs) -> None:
        version = str(info.get("redis_version", "0"))
        if int(version.split(".")[0]) < OLDEST:
            raise InvariantBroken(f"the id index needs Redis >= {OLDEST} or Valkey, this server is {version}")
        policy = info.get("maxmemory_policy")
        if policy != "noeviction":
            raise InvariantBroken(
                f"the id index must never forget early, but its server evicts ({policy}): set `maxmemory-policy noeviction` and restart"
            )
        entries = int(config.get("hash-max-listpack-entries", needs.listpack))
        if entries < needs.listpack:
            raise InvariantBroken(
                f"the compact index would take ten times its memory on this server (hash-max-listpack-entries {entries}): "
                f"set `hash-max-listpack-entries {needs.listpack}` in its configuration"
            )
        if not info.get("aof_enabled") and not config.get("save", "unknown"):
            said = "the server of the id index keeps nothing on disk (no append-only file, no `save`): a restart loses all ids"
            if needs.durable:
                raise InvariantBroken(
                    f"{said}. Set `appendonly yes`, or HOURMARK_DEDUP_VOLATILE=true if a rebuild after each restart is what you want"
                )
            if not self._warned:
                log.warning(said)
                self._warned = True


def _texts(found: dict[Any, Any]) -> dict[str, str]:
    return {str_if_bytes(key): str_if_bytes(value) for key, value in found.items()}


@contextmanager
def translated() -> Iterator[None]:
    """What the client library raises inside becomes an error of our tree."""
    try:
        yield
    except (RedisError, OSError) as exc:
        raise _translation(exc) from exc


def _translation(exc: Exception) -> PlatformError:
    said = str(exc)
    if "NOCANARY" in said:
        return IndexLost(f"no canary in the id index: {UNFINISHED if 'being rebuilt' in said else HELP}")
    if isinstance(exc, OutOfMemoryError) or (isinstance(exc, ResponseError) and "OOM " in said):
        return IndexUnavailable(f"the server of the id index is full (its maxmemory): give it more, or shorten the window: {said}")
    if isinstance(exc, NoPermissionError):
        return IndexUnavailable(f"the id index does not allow this to its user, who needs {RIGHTS} on all keys: {said}", retry_after=5.0)
    if isinstance(exc, AuthenticationError):
        return IndexUnavailable(f"the id index refuses the user or password of HOURMARK_REDIS_URL: {said}", retry_after=5.0)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        told = "HOURMARK_REDIS_URL must name a host of that certificate, and in ?ssl_ca_certs=FILE the authority that signed it"
        return IndexUnavailable(f"the certificate of the id index is not trusted; {told}: {said}", retry_after=5.0)
    if isinstance(exc, _PASSING):
        return IndexUnavailable(f"the id index does not answer: {said or repr(exc)}")
    if isinstance(exc, ResponseError) and said.startswith(_REFUSES_WRITES):
        return IndexUnavailable(f"the id index refuses to write: {exc}")
    return InvariantBroken(f"the id index answers what it should not: {exc!r}")
