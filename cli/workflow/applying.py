"""What `hourmark apply` says and asks around the work itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from ..failures import ANSWER_IS_NO, WrongInput, exit_code
from ..output import console, escaped, print_json
from ..propagation import behind, summary
from .apply import Applied, carry_out, require_message
from .plan import Item, Plan, as_json

if TYPE_CHECKING:
    from ..catalogue import Catalogue

_SPAN: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)(ms|s|m)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
MOST_WAIT_S: Final = 60.0


class Wishes(NamedTuple):
    """How to apply. `wait_s` 0: do not wait for nodes; `yes`: do not ask."""

    wait_s: float
    yes: bool
    message: str
    as_json: bool


def span(text: str) -> float:
    """`10s`, `500ms`, `1m` in seconds, 0 for nothing. Raises WrongInput."""
    if not text:
        return 0.0
    found = _SPAN.fullmatch(text)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= MOST_WAIT_S:
        raise WrongInput(f"--wait {text!r:.40} is no time from 1ms to {MOST_WAIT_S:.0f}s", remedy="write it like 10s or 500ms")
    return seconds


def run(found: Plan, catalogue: Catalogue, wishes: Wishes) -> None:
    """Ask and do. Ends the command with the exit code of what happened."""
    if found.refused:
        _end(found, None, wishes, "nothing was applied: mend what is refused first", ANSWER_IS_NO)
    items = found.to_do
    if not items:
        _end(found, Applied({}, {}, []), wishes, "", 0)
    require_message(items, wishes.message)
    if not wishes.yes:
        _ask(found, len(items), wishes)
    applied = carry_out(catalogue, items, wait_s=wishes.wait_s, message=wishes.message, tell=_nothing if wishes.as_json else _tell)
    if applied.failed:
        first = next(iter(applied.failed.values()))
        code = min(exit_code(error) for error in applied.failed.values())
        _end(found, applied, wishes, _stopped(applied), code if code else exit_code(first))
    if applied.late:
        lines = {line: None for answer in applied.late for line in behind(answer)}
        _end(found, applied, wishes, "\n".join(["applied, but not everywhere yet:", *(f"  {line}" for line in lines)]), ANSWER_IS_NO)
    _end(found, applied, wishes, f"applied: {len(applied.done)}", 0)


def _ask(found: Plan, many: int, wishes: Wishes) -> None:
    if wishes.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise WrongInput("nobody can be asked here", remedy="look at `hourmark plan`, then apply with --yes")
    if not typer.confirm(f"Apply to {found.url}?" if many == 1 else f"Apply these {many} to {found.url}?"):
        _end(found, None, wishes, "nothing was applied", ANSWER_IS_NO)


def _nothing(_item: Item, _answer: Mapping[str, Any]) -> None:
    """The JSON document tells it all at the end."""


def _tell(item: Item, answer: Mapping[str, Any]) -> None:
    sign = "+" if answer.get("created") else "~" if answer.get("changed") else "="
    line = f"[green]{sign}[/] {escaped(item.event)} [dim]revision {answer['revision']}: {escaped(summary(answer))}[/]"
    console().print(line, soft_wrap=True)


def _stopped(applied: Applied) -> str:
    said = [f"stopped: {len(applied.done)} applied, {len(applied.failed)} refused, {len(applied.left)} not tried"]
    for event, error in applied.failed.items():
        remedy = error.facts.get("remedy")
        said += [f"{event}: {error.message}", *([f"  to do: {remedy}"] if remedy else [])]
    if applied.left:
        said.append(f"not tried: {', '.join(applied.left)}")
    return "\n".join([*said, "to do: put that right and apply again; what was applied is left as it is"])


def _end(found: Plan, applied: Applied | None, wishes: Wishes, told: str, code: int) -> None:
    if wishes.as_json:
        print_json(as_json(found) | {"ok": code == 0, "applied": _applied_json(applied), "message": told})
    elif told:
        console(stderr=bool(code)).print(told, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _applied_json(applied: Applied | None) -> dict[str, Any]:
    if applied is None:
        return {"done": [], "failed": [], "left": []}
    failed = [
        {"event": event, "code": error.facts.get("code", error.code), "message": error.message, "problems": error.facts.get("problems", [])}
        for event, error in applied.failed.items()
    ]
    return {"done": list(applied.done.values()), "failed": failed, "left": applied.left}
