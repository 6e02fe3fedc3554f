"""The id index by itself: claims a second, CPU of client and server, memory per id after two weeks: `python -m benchmarks.index`.

Each kind fills a Valkey of its own with simulated days, and is measured on the last one, when the window is full. `bare` is a loop that
sends the same ids as prepared script calls of the plain index and reads no reply; `bare SETs` a pipeline of SET NX GET EX.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import redis.asyncio as redis

from dedup.compact import CompactIndex, CompactOptions
from dedup.index import RECORD_BYTES, Claims
from dedup.plain import CHUNK, PlainIndex
from dedup.sealing import DaySealing
from dedup.server import Script
from hourmark.hours import Hours
from local.redis import RedisServer

POLL = 20_000
DAY_MS = 86_400_000
WINDOW = 14
LIFE_S = (WINDOW + 1) * 86_400

Claim = Callable[[Claims], Awaitable[Any]]


def main(ids: int = 200_000, rounds: int = 3, days: int = WINDOW) -> dict[str, Any]:
    """Figures of each kind: `ids` a day, over `days` that are over and one that is measured. CPU in µs a claim, memory in bytes an id."""
    result: dict[str, Any] = {"stage": "index", "ids_a_day": ids, "days": days, "rounds": rounds}
    for name, measure in (("plain", _plain), ("compact", _compact), ("bare", _bare), ("bare SETs", _bare_sets)):
        result[name] = _on_a_server(lambda url, measure=measure: measure(url, ids, days, rounds))
    return result


def _on_a_server(work: Callable[[str], Awaitable[dict[str, float]]]) -> dict[str, float]:
    home = Path(tempfile.mkdtemp(prefix="hourmark-bench-"))
    server = RedisServer(home)
    server.start()
    try:
        return asyncio.run(_awaited(work(server.url)))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


async def _awaited(work: Awaitable[dict[str, float]]) -> dict[str, float]:
    return await work


def _polls(count: int, day_ms: int) -> Iterator[Claims]:
    """New ids, as polls of one day."""
    for first in range(0, count, POLL):
        size = min(POLL, count - first)
        records = np.frombuffer(os.urandom(size * RECORD_BYTES), np.uint8).reshape(-1, RECORD_BYTES).copy()
        records[:, 16] = 1  # a source
        yield Claims(day_ms, records.tobytes())


async def _plain(url: str, ids: int, days: int, rounds: int) -> dict[str, float]:
    index = PlainIndex(url, hash_key=b"bench", window_days=WINDOW, claim_seconds=LIFE_S)
    await index.initialise()
    before = await _memory(url)
    for _ in range(days):
        for poll in _polls(ids, 0):
            await index.claim([poll])
    figures = await _timed(url, lambda poll: index.claim([poll]), ids, int(time.time() * 1000), rounds)
    figures |= _per_id(before, await _memory(url), ids * days + ids * rounds)
    await index.close()
    return figures


async def _compact(url: str, ids: int, days: int, rounds: int) -> dict[str, float]:
    index = CompactIndex(url, CompactOptions(b"bench", WINDOW, Hours(), ids_a_day=ids))
    await index.initialise()
    sealing, today = DaySealing(index), int(time.time() * 1000) // DAY_MS
    before = await _memory(url)
    sealed_us = 0.0
    for day in range(days):
        for poll in _polls(ids, (today + day) * DAY_MS):
            await index.claim([poll])
        if day:
            cpu = await _server_cpu(url)
            await sealing.round(today + day - 1)
            sealed_us = (await _server_cpu(url) - cpu) / ids * 1e6
    memory = _per_id(before, await _memory(url), ids * days)
    figures = await _timed(url, lambda poll: index.claim([poll]), ids, (today + days - 1) * DAY_MS, rounds)
    await index.close()
    return figures | memory | {"sealing_us": sealed_us}


async def _bare(url: str, ids: int, days: int, rounds: int) -> dict[str, float]:
    client, script = redis.Redis.from_url(url), Script.read("claim")
    await client.set("hm:canary", b"bench")
    await client.script_load(script.text)

    async def claim(poll: Claims) -> None:
        pipe, step = client.pipeline(transaction=False), RECORD_BYTES * CHUNK
        for at in range(0, len(poll.records), step):
            pipe.execute_command("EVALSHA", script.sha, 0, poll.records[at : at + step], LIFE_S, "hm:canary")
        await pipe.execute()

    figures = await _timed(url, claim, ids, 0, rounds)
    await client.aclose()
    return figures


async def _bare_sets(url: str, ids: int, days: int, rounds: int) -> dict[str, float]:
    client = redis.Redis.from_url(url)

    async def claim(poll: Claims) -> None:
        pipe = client.pipeline(transaction=False)
        for at in range(0, len(poll.records), RECORD_BYTES):
            key, owner = poll.records[at : at + 16], poll.records[at + 16 : at + RECORD_BYTES]
            pipe.execute_command("SET", b"d" + key, owner, "NX", "GET", "EX", LIFE_S)
        await pipe.execute()

    figures = await _timed(url, claim, ids, 0, rounds)
    await client.aclose()
    return figures


async def _timed(url: str, claim: Claim, ids: int, day_ms: int, rounds: int) -> dict[str, float]:
    """Medians over the rounds; each one claims new ids."""
    found: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        polls = list(_polls(ids, day_ms))
        server, client, started = await _server_cpu(url), time.process_time(), time.perf_counter()
        for poll in polls:
            await claim(poll)
        took = time.perf_counter() - started, time.process_time() - client, await _server_cpu(url) - server
        found.append(took)
    wall, client, server = (statistics.median(column) for column in zip(*found, strict=True))
    return {
        "events_per_s": ids / wall,
        "claims_per_server_cpu_s": ids / server,
        "client_us": client / ids * 1e6,
        "valkey_us": server / ids * 1e6,
        "cpu_us": (client + server) / ids * 1e6,
    }


async def _info(url: str, section: str) -> dict[str, Any]:
    client = redis.Redis.from_url(url)
    try:
        found: dict[str, Any] = await client.info(section)
    finally:
        await client.aclose()
    return found


async def _server_cpu(url: str) -> float:
    found = await _info(url, "cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


async def _memory(url: str) -> tuple[int, int]:
    found = await _info(url, "memory")
    return int(found["used_memory"]), int(found["used_memory_rss"])


def _per_id(before: tuple[int, int], after: tuple[int, int], ids: int) -> dict[str, float]:
    return {"used_bytes_per_id": (after[0] - before[0]) / ids, "rss_bytes_per_id": (after[1] - before[1]) / ids, "ids": float(ids)}


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    columns = {
        "claims/s": "events_per_s",
        "client µs": "client_us",
        "server µs": "valkey_us",
        "claims per server core s": "claims_per_server_cpu_s",
        "used B/id": "used_bytes_per_id",
        "RSS B/id": "rss_bytes_per_id",
    }
    lines = [f"{result['ids_a_day']:,} ids a day, {result['days']} days", " " * 10 + "".join(f"{name:>26}" for name in columns)]
    for kind, figures in result.items():
        if isinstance(figures, dict):
            cells = [f"{figures[key]:,.2f}" if key in figures else "-" for key in columns.values()]
            lines.append(f"{kind:10}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=WINDOW)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = main(arguments.ids, arguments.rounds, arguments.days)
    print(json.dumps(figures) if arguments.json else table(figures))
