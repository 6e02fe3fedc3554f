"""Drills about processes and what they stand on: Kafka, the id index, the lake's volume."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from cli.catalogue import Catalogue
from hourmark.errors import PlatformError

from .events import DEDUP, STALLED
from .scene import Drill, Scene

SINKS = ("sinks-1", "sinks-2")
RESTARTED = "sinks-2"
HELD_S = 60.0
STORED_S = 15.0


def _receiver_frozen(scene: Scene) -> None:
    scene.later(scene.ground.freeze("receiver-2"))


def _sinks_stopped(scene: Scene) -> None:
    scene.later(scene.ground.stop_all(*SINKS))


def _killed_again_and_again(scene: Scene) -> None:
    ground, prometheus = scene.ground, scene.prometheus
    started = f'process_start_time_seconds{{instance="{ground.address(RESTARTED)}"}}'

    def began() -> str:
        found = prometheus.query(started)
        return str(found[0]["value"][1]) if found else ""

    while scene.seen["HourmarkRestarting"].fired is None and time.monotonic() < scene.seen["HourmarkRestarting"].caused + HELD_S * 5:
        before = scene.until("its page to be seen", began)
        ground.stack.kill(RESTARTED)
        scene.until("it to be seen again", partial(_is_another, began, before))


def _is_another(began: Callable[[], str], before: str) -> bool:
    return began() not in ("", before)


def _kafka_frozen(scene: Scene) -> None:
    """Frozen in the moment in which the registry has stored a change and not yet broadcast it."""
    for number in range(5):
        thaw, settled = _change_and_freeze(scene, f"For drills, {number}")
        scene.caused()
        if scene.sees(lambda: scene.prometheus.query("max(hourmark_registry_outbox_unpublished) > 0"), STORED_S + 10.0):
            scene.caused("HourmarkOutboxStuck")  # from now on it waits: how long we held it back does not count
            break
        thaw()  # it was quicker
        settled()
    scene.later(settled)
    scene.later(thaw)
    scene.ground.stack.kill(DEDUP[1])
    scene.caused("HourmarkNodeBehind")


def _change_and_freeze(scene: Scene, description: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Change a declaration; freeze Kafka as soon as it is stored. The answers thaw Kafka, and wait for the end of the change."""
    ground, name = scene.ground, "drill.debug"
    catalogue = Catalogue(ground.platform.registry, timeout=60.0)
    before = catalogue.get(name)["revision"]
    end = ground.slow("registry.committed", STORED_S)  # so long it is stored and the publisher not told

    def declare() -> None:
        with suppress(PlatformError):  # stored, and not broadcast in time
            ground.declare(name, description)

    change = threading.Thread(target=declare, daemon=True)
    change.start()
    deadline = time.monotonic() + 120.0
    while catalogue.get(name)["revision"] == before and time.monotonic() < deadline:
        time.sleep(0.05)
    thaw = ground.freeze("kafka")
    end()
    return thaw, lambda: change.join(300.0)


def _valkey_frozen(scene: Scene) -> None:
    scene.later(scene.ground.freeze("valkey"))


def _index_emptied(scene: Scene) -> None:
    scene.ground.index("FLUSHALL")
    scene.firing()
    start = scene.ground.stop_all(*DEDUP)
    done = scene.until("the rebuild", lambda: (ran := scene.ground.command("dedup", "rebuild")).returncode == 0 and ran)
    scene.say(f"        {done.stdout.strip()}")
    scene.later(start)


def _index_nearly_full(scene: Scene) -> None:
    ground = scene.ground
    before = ground.index("CONFIG", "GET", "maxmemory")
    was = before[b"maxmemory"] if isinstance(before, dict) else before[1]
    scene.later(lambda: ground.index("CONFIG", "SET", "maxmemory", was))
    used = int(ground.index("INFO", "memory")["used_memory"])
    ground.index("CONFIG", "SET", "maxmemory", str(int(used / 0.92)))


def _lake_filling(scene: Scene) -> None:
    scene.later(_fill(scene, scene.ground.platform.lake, 0.05))


def _lake_full(scene: Scene) -> None:
    """Hours must stay open while nothing can be written, and be sealed when there is room again."""
    ground, name = scene.ground, "drill.critical"
    scene.later(_fill(scene, ground.platform.lake, 0.0))
    scene.firing()
    stood = ground.newest_sealed(name)
    end = time.monotonic() + HELD_S
    scene.until("hours to pass", lambda: time.monotonic() > end)
    said = ground.command("hours", name)
    assert ground.newest_sealed(name) <= stood, f"hours of {name} were sealed on a full volume: {said.stdout}"
    for line in said.stdout.splitlines():
        if " open " in line:
            scene.say(f"        {line.strip()}")


def _kafka_filling(scene: Scene) -> None:
    volume = scene.ground.home / "kafka"
    scene.later(_fill(scene, volume, 0.1))
    scene.firing("HourmarkKafkaFilling")
    scene.later(_fill(scene, volume, 0.03))
    scene.caused("HourmarkKafkaFull")


def _fill(scene: Scene, volume: Path, left: float) -> Callable[[], None]:
    """A file that leaves this share of a volume free, at 0 not a byte; the answer takes it away."""
    assert scene.ground.small, "lake and Kafka have no small volumes here: that needs `unshare --mount`, and `mount` in it"
    ballast = volume / f"ballast-{left}"
    room = shutil.disk_usage(volume)
    with ballast.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, room.free - int(room.total * left))
    return lambda: ballast.unlink(missing_ok=True)


PROCESSES = (
    Drill({"HourmarkProcessDown": "a receiver frozen"}, _receiver_frozen),
    Drill({"HourmarkRoomGone": "both sink workers stopped"}, _sinks_stopped, STALLED),
    # each time its partitions move
    Drill({"HourmarkRestarting": "a sink worker killed again and again"}, _killed_again_and_again, STALLED),
)
VOLUMES = (
    Drill({"HourmarkLakeFilling": "the lake's volume filled to 95 %"}, _lake_filling),
    Drill({"HourmarkSinkHeld": "the lake's volume filled to the last byte"}, _lake_full, STALLED),
    Drill(
        {
            "HourmarkKafkaFilling": "the volume of Kafka's logs filled to 90 %",
            "HourmarkKafkaFull": "the volume of Kafka's logs filled to 97 %",
        },
        _kafka_filling,
    ),
)
SERVERS = (
    Drill({"HourmarkIndexFull": "`maxmemory` of Valkey set to little more than it uses"}, _index_nearly_full),
    Drill(
        {
            "HourmarkIndexAway": "Valkey frozen under load",
            "HourmarkHourBlocked": "Valkey frozen under load",
            "HourmarkWatermarkLate": "Valkey frozen; in hours of 20 s the promises are 30 s",
            "HourmarkLagGrowing": "Valkey frozen for more than two minutes",
        },
        _valkey_frozen,
        STALLED,
    ),
    Drill({"HourmarkIndexLost": "`FLUSHALL` under load; over by `hourmark dedup rebuild`"}, _index_emptied, STALLED | {"HourmarkRoomGone"}),
    Drill(
        {
            "HourmarkReceiverRefusing": "Kafka frozen under load",
            "HourmarkCanarySilent": "Kafka frozen for more than two minutes",
            "HourmarkNodeBehind": "a dedup worker killed while Kafka is frozen: it knows the catalogue from its disk, and cannot apply it",
            "HourmarkOutboxStuck": "a declaration changed in the moment in which Kafka froze",
        },
        _kafka_frozen,
        STALLED | {"HourmarkRoomGone"},
    ),
)
