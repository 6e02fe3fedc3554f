"""Every process of the stack: its command, its environment, and its stage. Stages start in order and stop in reverse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from local.kafka import KafkaServer
from local.ports import HOST
from local.redis import RedisServer
from local.remembered import Remembered
from local.settings import StackSettings

# receivers stop first, so that what they accepted flows on; Kafka stops last, because everybody writes to it to the end
STAGES = ("kafka", "valkey", "registry", "sinks", "dedup", "receiver")


@dataclass(frozen=True)
class Program:
    """One process as the supervisor runs it. `metrics` is the port of its /metrics, /healthz and /readyz, 0 for none."""

    name: str
    stage: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: int = 0


def kafka_server(settings: StackSettings, memory: Remembered) -> KafkaServer | None:
    """The stack's own broker, None when it uses an existing one."""
    if not memory.own_kafka:
        return None
    ports = memory.ports
    return KafkaServer(settings.home / "kafka", ports["kafka"], controller_port=ports["kafka-controller"], heap_mb=settings.kafka_heap_mb)


def redis_server(settings: StackSettings, memory: Remembered) -> RedisServer | None:
    """The stack's own Valkey, None when it uses an existing one."""
    return RedisServer(settings.home / "valkey", memory.ports["valkey"]) if memory.own_redis else None


# On one machine a worker that is killed is back within seconds; its partitions should not wait longer for it than that.
SESSIONS = {"HOURMARK_SINKS_SESSION_TIMEOUT_MS": "6000", "HOURMARK_STREAMS_SESSION_TIMEOUT": "6"}


def environment(settings: StackSettings, memory: Remembered) -> dict[str, str]:
    """What every service of this stack is told; the rest of the caller's environment passes through."""
    home, ports = settings.home, memory.ports
    return {
        "HOURMARK_KAFKA": memory.kafka,
        "HOURMARK_REDIS_URL": memory.redis,
        "HOURMARK_REGISTRY_URL": memory.registry,
        "HOURMARK_LAKE_URL": memory.lake,
        "HOURMARK_HOUR_SECONDS": str(memory.hour_seconds),
        "HOURMARK_HOUR_ANCHOR": memory.hour_anchor,
        "HOURMARK_PROFILE": settings.profile,
        "HOURMARK_HOME": str(home),
        "HOURMARK_LOG_FORMAT": settings.log_format,
        "HOURMARK_REGISTRY_LISTEN": f"{HOST}:{ports['registry']}",
        "HOURMARK_REGISTRY_DATABASE_URL": f"sqlite:///{home / 'registry.db'}",
        "HOURMARK_REGISTRY_LOCAL_WRITE_KEY": memory.write_key,
        "HOURMARK_RECEIVER_LISTEN": f"{HOST}:{ports['receiver']}",
        "HOURMARK_STREAMS_SHARDS": str(settings.dedup_shards),
        "PYTHONUNBUFFERED": "1",
    } | ({"HOURMARK_CANARY_URL": memory.receiver, "HOURMARK_CANARY_KEY": memory.canary_key} if settings.canary else {})


def service_names(settings: StackSettings) -> Iterator[tuple[str, str]]:
    """Stage and name of every service process."""
    yield "registry", "registry"
    for stage, count in (("sinks", settings.sink_workers), ("dedup", settings.dedup_workers), ("receiver", settings.receivers)):
        for number in range(1, count + 1):
            yield stage, f"{stage}-{number}"


def purposes(settings: StackSettings) -> dict[str, int]:
    """Every port the stack needs, purpose → the one asked for (0: any)."""
    wanted = {"registry": settings.registry_port, "receiver": settings.receiver_port}
    if not settings.kafka:
        wanted |= {"kafka": settings.kafka_port, "kafka-controller": 0}
    if not settings.redis_url:
        wanted |= {"valkey": settings.redis_port}
    return wanted | {f"metrics-{name}": 0 for _, name in service_names(settings)}


def programs(settings: StackSettings, memory: Remembered, command_of: Callable[[str], list[str]]) -> list[Program]:
    """All processes, after what must exist for them has been prepared. Raises ServerUnavailable."""
    found = []
    for server in (kafka_server(settings, memory), redis_server(settings, memory)):
        if server is not None:
            server.prepare()
            found.append(Program(server.name, server.name, server.command()))
    for stage, name in service_names(settings):
        port = memory.ports[f"metrics-{name}"]
        module = "streams" if stage == "dedup" else stage
        own = {"HOURMARK_METRICS_LISTEN": f"{HOST}:{port}", "HOURMARK_NODE": name}
        if stage == "dedup":
            own["HOURMARK_STREAMS_SHARD"] = str((int(name.rpartition("-")[2]) - 1) % settings.dedup_shards)
        found.append(Program(name, stage, command_of(module), own, port))
    return found


def service_command(module: str) -> list[str]:
    """`python -m MODULE` of this environment; -P: what lies in the working directory is never imported."""
    return [sys.executable, "-P", "-m", module]
