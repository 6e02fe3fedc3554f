"""One drill under way: when each cause began, when Prometheus said firing, when it was healed, when nothing fired any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hourmark.errors import PlatformError

from ..tools import Prometheus
from .ground import Ground

LOOK_S = 0.5
FIRES_S = 420.0
OVER_S = 600.0


class Drill(NamedTuple):
    """`causes`: alert → how it is made to fire, for the table. `brings`: critical alerts that the same cause may raise besides."""

    causes: Mapping[str, str]
    act: Callable[[Scene], None]
    brings: frozenset[str] = frozenset()


@dataclass
class Seen:
    """One alert of a drill; seconds since the cause began, and since it ended."""

    alert: str
    caused: float
    fired: float | None = None
    healed: float | None = None
    over: float | None = None
    wrong: str = ""


class Scene:
    """What a drill acts on. It ends its causes by `later`, in the reverse order; who does more calls `firing` and `heal` by itself."""

    def __init__(self, ground: Ground, prometheus: Prometheus, drill: Drill, say: Callable[[str], None]) -> None:
        self.ground, self.prometheus, self.say = ground, prometheus, say
        self._drill, self._undo, self._said = drill, list[Callable[[], object]](), set[str]()
        now = time.monotonic()
        self.seen = {name: Seen(name, now) for name in drill.causes}
        self.along: dict[str, str] = {}  # alert → severity, of those that the drill was not about

    def play(self) -> None:
        """All of it. What goes wrong stands in `seen`."""
        try:
            self._drill.act(self)
            self.firing()
        except (AssertionError, PlatformError, OSError) as exc:
            for seen in self._open():
                seen.wrong = f"the drill broke off: {exc}"
        finally:
            self.heal()
        self.over()

    def caused(self, *names: str) -> None:
        """The cause begins now (all of them, unless named)."""
        for name in names or self.seen:
            self.seen[name].caused = time.monotonic()

    def later(self, undo: Callable[[], object]) -> None:
        """Ends a cause when all has fired."""
        self._undo.append(undo)

    def firing(self, *names: str) -> None:
        """Until they fire (all of the drill, unless named)."""
        wanted = [seen for seen in self._open() if seen.alert in (names or self.seen)]
        self.sees(lambda: all(seen.fired is not None for seen in wanted), FIRES_S)
        for seen in wanted:
            if seen.fired is None:
                seen.wrong = f"it did not fire in {time.monotonic() - seen.caused:.0f} s"
                self.say(f"  {seen.alert} DID NOT FIRE")

    def sees(self, found: Callable[[], Any], seconds: float) -> Any:
        """Wait for a condition while looking at the alerts; what it was at the end."""
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            value = found()
            if value or time.monotonic() > deadline:
                return value
            time.sleep(LOOK_S)

    def until(self, what: str, found: Callable[[], Any], seconds: float = FIRES_S) -> Any:
        """As `sees`; raises AssertionError when it did not come true."""
        value = self.sees(found, seconds)
        assert value, f"waited {seconds:.0f} s for {what}"
        return value

    def heal(self, *names: str) -> None:
        """End the causes (all that were left for `later`), for these alerts (all, unless named)."""
        while self._undo:
            try:
                self._undo.pop()()
            except (AssertionError, PlatformError, OSError) as exc:
                self.say(f"  a cause could not be ended: {exc}")
        for name in names or self.seen:
            if self.seen[name].healed is None:
                self.seen[name].healed = time.monotonic()

    def over(self) -> None:
        """Until none of them fires, and the stack is whole again."""
        fired = [seen for seen in self.seen.values() if seen.fired is not None]
        self.sees(lambda: all(seen.over is not None for seen in fired), OVER_S)
        for seen in fired:
            if seen.over is None:
                seen.wrong = seen.wrong or f"it still fires {OVER_S:.0f} s after its cause had ended"
                self.say(f"  {seen.alert} IS NOT RESOLVED")
        for what, found in (("the stack is ready", self._ready), ("no critical alert fires", self._calm)):
            if not self.sees(found, OVER_S):
                for seen in self.seen.values():
                    seen.wrong = seen.wrong or f"{OVER_S:.0f} s later it is still not so that {what}"

    def unexpected(self) -> list[str]:
        """Critical alerts that fired, and had nothing to do with the cause."""
        return sorted(name for name, severity in self.along.items() if severity == "critical" and name not in self._drill.brings)

    def look(self) -> dict[str, list[dict[str, Any]]]:
        """What fires now, noted."""
        try:
            firing = self.prometheus.alerts()
        except OSError:  # busy
            return {}
        now = time.monotonic()
        for name, alerts in firing.items():
            seen = self.seen.get(name)
            if seen is None:
                severities = {alert["labels"]["severity"] for alert in alerts}
                self.along[name] = "critical" if "critical" in severities | {self.along.get(name)} else severities.pop()
            elif seen.fired is None:
                seen.fired = now - seen.caused
            if name not in self._said:
                self._said.add(name)
                self.say(f"  {'FIRES' if seen else 'also '} {name}{f' after {seen.fired:.0f} s' if seen else ''}")
                for line in _texts(alerts):
                    self.say(f"        {line}")
        for seen in self.seen.values():
            if seen.healed is not None and seen.fired is not None and seen.over is None and seen.alert not in firing:
                seen.over = now - seen.healed
                self.say(f"  over  {seen.alert} after {seen.over:.0f} s")
        return firing

    def _ready(self) -> bool:
        return self.ground.stack.status().ready

    def _calm(self) -> bool:
        return not any(alert["labels"]["severity"] == "critical" for alerts in self.look().values() for alert in alerts)

    def _open(self) -> Iterator[Seen]:
        return (seen for seen in self.seen.values() if seen.fired is None and not seen.wrong)


def _texts(alerts: list[dict[str, Any]]) -> list[str]:
    """As an operator reads them: the three worst at most, since an alert may fire for many types."""
    alerts = sorted(alerts, key=lambda alert: ("critical", "warning", "info").index(alert["labels"]["severity"]))
    first = alerts[0]["annotations"]
    summaries = [f"[{alert['labels']['severity']}] {alert['annotations']['summary']}" for alert in alerts[:3]]
    more = [f"… and {len(alerts) - 3} more"] if len(alerts) > 3 else []
    return [*summaries, *more, first["description"]]
