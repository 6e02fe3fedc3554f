"""Decides where the stack of a home listens and how its hours run, from what is asked and what is remembered. Starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from local.errors import StackUnavailable
from local.ports import HOST, free_port, is_free, require_free
from local.programs import purposes
from local.remembered import Remembered
from local.settings import StackSettings


def plan(settings: StackSettings, known: Remembered | None, environ: Mapping[str, str]) -> Remembered:
    """The memory for the next start of a stack that is down. Raises PortTaken; StackUnavailable when hours would change."""
    memory = known or Remembered()
    seconds, anchor = _time_lapse(settings, known)
    ports = _ports(settings, memory.ports)
    return replace(
        memory,
        receiver=f"http://{HOST}:{ports['receiver']}",
        registry=f"http://{HOST}:{ports['registry']}",
        kafka=settings.kafka or f"{HOST}:{ports['kafka']}",
        redis=settings.redis_url or f"redis://{HOST}:{ports['valkey']}/0",
        lake=settings.lake_url or (settings.home / "lake").as_uri(),
        hour_seconds=seconds,
        hour_anchor=anchor,
        own_kafka=not settings.kafka,
        own_redis=not settings.redis_url,
        ports=ports,
        told=settings.digests(environ),
    )


def changes(settings: StackSettings, memory: Remembered, environ: Mapping[str, str]) -> list[str]:
    """Names of what is asked now and is not what the running stack was told. What is not asked for does not count."""
    return [name for name, digest in settings.digests(environ).items() if memory.told.get(name) != digest]


def _ports(settings: StackSettings, kept: Mapping[str, int]) -> dict[str, int]:
    """Purpose → port: the one asked for, else the one of last time where it is still free, else a free one."""
    wanted = purposes(settings)
    ports: dict[str, int] = {}
    for purpose, asked in wanted.items():
        if asked:
            require_free(asked, purpose)
            ports[purpose] = asked
    for purpose in wanted.keys() - ports.keys():
        last = kept.get(purpose, 0)
        if last and last not in ports.values() and is_free(last):
            ports[purpose] = last
    for purpose in sorted(wanted.keys() - ports.keys()):
        ports[purpose] = free_port({*ports.values(), *kept.values()})
    return dict(sorted(ports.items()))


def _time_lapse(settings: StackSettings, known: Remembered | None) -> tuple[int, str]:
    """Hour seconds and anchor. A home keeps those of its first `up`: other ones would give its events other hours."""
    if known is not None:
        other_seconds = "hour_seconds" in settings.model_fields_set and settings.hour_seconds != known.hour_seconds
        other_anchor = bool(settings.hour_anchor) and settings.hour_anchor != known.hour_anchor
        if other_seconds or other_anchor:
            was = f"HOURMARK_HOUR_SECONDS={known.hour_seconds}" + (
                f" HOURMARK_HOUR_ANCHOR={known.hour_anchor}" if known.hour_anchor else ""
            )
            raise StackUnavailable(
                f"{settings.home} holds hours made with {was}; leave these unset to go on with them, "
                "or set HOURMARK_HOME to another folder (or remove this one, with its events)"
            )
        return known.hour_seconds, known.hour_anchor
    if settings.hour_anchor or settings.hour_seconds == 3600:
        return settings.hour_seconds, settings.hour_anchor
    return settings.hour_seconds, datetime.now(UTC).strftime("%Y-%m-%dT%H")
