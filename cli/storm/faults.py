"""The faults of a storm: what is done to processes, servers, disk and clocks. Each says in one line what it did, and plans its own end."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from hourmark.crashpoints import POINTS

from . import mischief
from .rig import WORKERS, Rig

SESSION_S = 6.0  # of the native stack's workers (local/programs.py)
STEPS = [name for name in POINTS if not name.startswith(("registry.", "replay."))]  # hardly anything is declared or parked in a storm
SERVICES = ("receiver", "dedup", "sinks", "registry")


class Fault(NamedTuple):
    """`row`: the line of the design's list of faults that it comes from. `weight`: how often it is in one deck."""

    name: str
    row: str
    weight: int
    strike: Callable[[Rig, random.Random], str]


def _kill(rig: Rig, rng: random.Random) -> str:
    return _killed(rig, rng.sample(rig.names(*SERVICES), 1))


def _kill_several(rig: Rig, rng: random.Random) -> str:
    names = rig.names(*SERVICES)
    return _killed(rig, rng.sample(names, min(len(names), rng.randint(2, 6))))


def _killed(rig: Rig, names: list[str]) -> str:
    return "kill -9 " + ", ".join(f"{name} ({rig.signal(name, signal.SIGKILL)})" for name in names)


def _kill_everything(rig: Rig, _rng: random.Random) -> str:
    rig.stack.kill_everything()
    rig.up()
    return "kill -9 the whole stack with its supervisor, and up again"


def _freeze(rig: Rig, name: str, seconds: float) -> str:
    pid = rig.signal(name, signal.SIGSTOP)
    rig.later(seconds, lambda: rig.signal(name, signal.SIGCONT))
    return f"SIGSTOP {name} ({pid}) for {seconds:.1f} s"


def _zombie(rig: Rig, rng: random.Random) -> str:
    return _freeze(rig, rng.choice(rig.names("dedup", "sinks") or ["dedup-1"]), SESSION_S + rng.uniform(1.0, 5.0))


def _nap(rig: Rig, rng: random.Random) -> str:
    return _freeze(rig, rng.choice(rig.names(*SERVICES) or ["registry"]), rng.uniform(0.3, 4.0))


def _leave(rig: Rig, rng: random.Random) -> str:
    stage, seconds = rng.choice(("dedup", "sinks", "receiver")), rng.uniform(2.0, 8.0)
    name = f"{stage}-{rng.randint(1, 2)}"
    rig.signal(name, signal.SIGTERM)  # ordered; the supervisor starts it again
    if rng.random() < 0.5:
        return f"{name} stops in order and starts again"
    rig.stop(name)
    rig.later(seconds, lambda: rig.stack.start(name))
    return f"{name} stops in order for {seconds:.1f} s"


def _join(rig: Rig, rng: random.Random) -> str:
    stage, seconds = rng.choice(("dedup", "sinks")), rng.uniform(6.0, 15.0)
    name = rig.join("streams" if stage == "dedup" else stage, stage)
    if rng.random() < 0.5:
        rig.later(seconds, lambda: rig.signal(name, signal.SIGKILL))
        return f"{name} joins, and is killed after {seconds:.1f} s"
    rig.later(seconds, lambda: rig.signal(name, signal.SIGTERM))
    return f"{name} joins, and leaves after {seconds:.1f} s"


def _broker_killed(rig: Rig, _rng: random.Random) -> str:
    return f"kill -9 kafka ({rig.signal('kafka', signal.SIGKILL)})"


def _broker_frozen(rig: Rig, rng: random.Random) -> str:
    return _freeze(rig, "kafka", rng.uniform(1.0, 8.0))


def _index_frozen(rig: Rig, rng: random.Random) -> str:
    return _freeze(rig, "valkey", rng.uniform(1.0, 8.0))


def _index_killed(rig: Rig, _rng: random.Random) -> str:
    return f"kill -9 valkey ({rig.signal('valkey', signal.SIGKILL)}), back with its append-only file"


def _index_emptied(rig: Rig, _rng: random.Random) -> str:
    """The workers must refuse to go on; then an operator stops them, rebuilds the index, and starts them again."""
    rig.empty_index()
    time.sleep(2.0)
    names = [f"dedup-{number}" for number in range(1, WORKERS + 1)]
    for name in [name for name in rig.extras if name.startswith("dedup")]:
        rig.leave(name)
    for name in names:
        rig.stop(name)
    said = rig.rebuild_index()
    for name in names:
        rig.later(0.0, lambda name=name: rig.stack.start(name))  # type: ignore[misc]  # bound here, not at the end of the loop
    return f"the index is emptied, and rebuilt: {said}"


def _registry_away(rig: Rig, rng: random.Random) -> str:
    seconds = rng.uniform(3.0, 8.0)
    rig.stop("registry")
    rig.later(seconds, lambda: rig.stack.start("registry"))
    return f"registry away for {seconds:.1f} s"


def _lake_full(rig: Rig, rng: random.Random) -> str:
    """The kernel refuses to let files grow: the same failed writes as on a full disk, half-written files included."""
    names = rig.names("sinks")
    chosen = rng.sample(names, rng.randint(1, len(names))) if names else []
    most, seconds = rng.choice((0, 300, 4096, 20_000)), rng.uniform(2, 8)
    for name in chosen:
        rig.limit_files(name, most)
        rig.later(seconds, lambda name=name: rig.limit_files(name, None))  # type: ignore[misc]  # bound here, not at the end of the loop
    return f"lake full at {most} bytes a file for {', '.join(chosen)}, {seconds:.1f} s"


def _lake_slow(rig: Rig, rng: random.Random) -> str:
    step, slow, seconds = rng.choice(("lake.written", "lake.linked", "sink.before_presenting")), rng.uniform(0.1, 1.2), rng.uniform(2, 6)
    file = rig.put("slow", step, f"{slow:.2f}")
    rig.later(seconds, lambda: file.unlink(missing_ok=True))
    return f"lake slow: {slow:.1f} s at {step} for {seconds:.1f} s"


def _clock(rig: Rig, rng: random.Random) -> str:
    names, seconds = rig.names("dedup", "sinks") or ["dedup-1"], rng.uniform(2, 8)
    name, offset = rng.choice(names), rng.choice((-1, 1)) * rng.choice((0.5, 3.0, 1.5 * rig.hours.seconds, 20 * rig.hours.seconds))
    file = rig.put("clock", name, f"{offset:.1f}")
    rig.later(seconds, lambda: file.unlink(missing_ok=True))
    return f"clock of {name} {offset:+.1f} s for {seconds:.1f} s"


def _crash_point(rig: Rig, rng: random.Random) -> str:
    names = rng.sample(STEPS, rng.choice((1, 1, 2)))
    for name in names:
        rig.put("crash", name)
    return f"the next process at {' and '.join(names)} dies there"


def _lost_replies(rig: Rig, rng: random.Random) -> str:
    seconds = rng.uniform(1.0, 3.0)
    rig.lost_replies_until = time.monotonic() + seconds
    return f"replies of plain requests are lost for {seconds:.1f} s"


ANY_PROCESS = "any process killed, any step"
FAULTS = (
    Fault("kill", ANY_PROCESS, 6, _kill),
    Fault("kill_several", ANY_PROCESS, 4, _kill_several),
    Fault("kill_everything", ANY_PROCESS, 1, _kill_everything),
    Fault("crash_point", ANY_PROCESS, 9, _crash_point),
    Fault("zombie", "zombie", 4, _zombie),
    Fault("nap", "zombie", 3, _nap),
    Fault("leave", "rebalances", 3, _leave),
    Fault("join", "rebalances", 4, _join),
    Fault("declare", "rebalances", 1, mischief.declare),
    Fault("index_frozen", "index away", 3, _index_frozen),
    Fault("index_killed", "index away", 3, _index_killed),
    Fault("index_emptied", "index away", 1, _index_emptied),
    Fault("broker_killed", "broker away", 3, _broker_killed),
    Fault("broker_frozen", "broker away", 3, _broker_frozen),
    Fault("registry_away", "broker away", 2, _registry_away),
    Fault("grow", "resends", 2, mischief.grow),
    Fault("lost_replies", "reply lost", 3, _lost_replies),
    Fault("lake_full", "lake away / full", 4, _lake_full),
    Fault("lake_slow", "lake away / full", 3, _lake_slow),
    Fault("clock", "clocks", 4, _clock),
    Fault("poison", "poison", 4, mischief.poison),
    Fault("evolve", "poison", 2, mischief.evolve),
    Fault("large", "poison", 2, mischief.large),
    Fault("undeclared", "poison", 1, mischief.undeclared),
)


class Deck:
    """Every fault as often as its weight says, shuffled, and again: none is left to luck. `only`: names of those wanted, empty for all."""

    def __init__(self, rng: random.Random, only: tuple[str, ...] = ()) -> None:
        self._rng = rng
        self._all = [fault for fault in FAULTS if not only or fault.name in only for _ in range(fault.weight)]
        self._left: list[Fault] = []

    def draw(self) -> Fault:
        if not self._left:
            self._left = self._rng.sample(self._all, len(self._all))
        return self._left.pop()
