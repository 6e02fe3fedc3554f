"""`hourmark apply`: carries a plan out, type by type, each only if nobody has changed it since it was planned. Safe to repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from hourmark.errors import PlatformError

from .. import declarations
from ..catalogue import Overtaken
from ..failures import WrongInput
from .delta import Step
from .plan import REMOVED, Item

if TYPE_CHECKING:
    from ..catalogue import Catalogue

SIDE_BY_SIDE = 32  # the registry makes topics for many at a time


class Applied(NamedTuple):
    """What became of a plan. `done`: event type → the registry's answer; `failed`: event type → why not; `left`: not tried after that."""

    done: dict[str, dict[str, Any]]
    failed: dict[str, PlatformError]
    left: list[str]

    @property
    def late(self) -> list[dict[str, Any]]:
        """Answers about types that some live node did not take up in time."""
        return [answer for answer in self.done.values() if answer.get("waited") == "timeout"]


Tell = Callable[[Item, Mapping[str, Any]], None]


def carry_out(catalogue: Catalogue, items: list[Item], *, wait_s: float, message: str, tell: Tell) -> Applied:
    """Declare these, replacements before what they replace, many side by side. After the first refusal nothing new is begun.

    `tell` hears of each as it is done, from this thread.
    """
    done: dict[str, dict[str, Any]] = {}
    failed: dict[str, PlatformError] = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for wave in waves(items):
            waiting = list(reversed(wave))
            running: dict[Future[dict[str, Any]], Item] = {}
            while running or (waiting and not failed):
                while waiting and not failed and len(running) < SIDE_BY_SIDE:
                    item = waiting.pop()
                    running[pool.submit(_declare, catalogue, item, wait_s, message)] = item
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    item = running.pop(future)
                    try:
                        done[item.event] = future.result()
                    except PlatformError as exc:
                        failed[item.event] = exc
                    else:
                        tell(item, done[item.event])
            if failed:
                break
    return Applied(done, failed, [item.event for item in items if item.event not in done and item.event not in failed])


def waves(items: list[Item]) -> list[list[Item]]:
    """The items in groups, so that what replaces another one stands in an earlier group than that."""
    named = {item.event: item for item in items}
    return [[named[event] for event in wave] for wave in declarations.waves({item.event: item.document for item in items})]


def _declare(catalogue: Catalogue, item: Item, wait_s: float, message: str) -> dict[str, Any]:
    try:
        return catalogue.replace(item.event, item.document, item.revision, wait_s, message or ("" if item.file else REMOVED))
    except Overtaken as exc:
        raise Overtaken(_who(catalogue, item, exc), remedy="plan again, and look at what they did") from exc


def _who(catalogue: Catalogue, item: Item, exc: Overtaken) -> str:
    """Who was faster, by the newest revision."""
    current: Any = exc.facts.get("current")
    if not isinstance(current, dict):
        return f"{item.event} has changed since it was planned: {exc.message}"
    planned = f"planned on revision {item.revision}" if item.revision else "planned as new"
    message = f" ({current['message']})" if current.get("message") else ""
    at = current.get("at")
    when = f" at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC" if isinstance(at, int | float) else f" at {at}" if at else ""
    author = current.get("author") or "somebody"
    return f"{item.event} was {planned}, but {author} made revision {current.get('revision')}{when}{message}"


def require_message(items: list[Item], message: str) -> None:
    """Raises WrongInput when a change needs a word of why: who unblocks an event type undoes somebody's decision."""
    lifted = [item.event for item in items if not message and any(_unblocks(step) for step in item.steps)]
    if lifted:
        raise WrongInput(f"{', '.join(lifted)}: to lift a block needs a reason", remedy='say why with -m "…"')


def _unblocks(step: Step) -> bool:
    return step.what == "lifecycle.state" and step.old == "blocked"
