"""What `tail` lets through: `--where field=value` and the like, parsed once, asked for every event. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, NamedTuple

from ..failures import WrongInput

_FORM: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(!=|>=|<=|=|>|<|~)\s*(.*?)\s*", re.DOTALL)
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_NOTHING: Final = object()
_COMPARED: Final = (bool, int, float, Decimal, datetime, str)


def _within(value: Any, wanted: Any) -> bool:
    return str(wanted) in str(value)


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": eq,
    "!=": ne,
    ">": gt,
    ">=": ge,
    "<": lt,
    "<=": le,
    "~": _within,
}


class Condition(NamedTuple):
    """`path`: names from the outermost in. `text` as it was written; it is read as what the event's value is."""

    path: tuple[str, ...]
    operator: str
    text: str

    def holds(self, event: Mapping[str, Any]) -> bool:
        """A field that is missing or of another kind only satisfies `!=`."""
        value: Any = event
        for name in self.path:
            value = value.get(name, _NOTHING) if isinstance(value, Mapping) else _NOTHING
        if value is _NOTHING:
            return self.operator == "!="
        if self.operator == "~":
            return _within(value, self.text)
        if value is not None and not isinstance(value, _COMPARED):
            value = str(value)  # dates, ids, lists: by their text
        if isinstance(value, str) and self.operator not in ("=", "!="):
            value = _number(value) if _number(self.text) is not None else value
        wanted = _like(value, self.text)
        if wanted is _NOTHING or (value is None and self.operator not in ("=", "!=")):
            return self.operator == "!="
        try:
            return _OPERATORS[self.operator](value, wanted)
        except TypeError:
            return self.operator == "!="


def condition(text: str) -> Condition:
    """`ms_played>3000`, `track=abc`, `user.country!=SE`, `error~timeout`. Raises WrongInput."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise WrongInput(
            f"{text!r} is no condition", remedy="write --where field=value, or with != > >= < <= ~ (contains); fields within fields by dots"
        )
    return Condition(tuple(found[1].split(".")), found[2], found[3])


def all_hold(conditions: Sequence[Condition], event: Mapping[str, Any]) -> bool:
    return all(one.holds(event) for one in conditions)


def _number(text: str) -> float | None:
    """Text that is compared with a number is one itself, or is not compared."""
    try:
        return float(text)
    except ValueError:
        return None


def _like(value: Any, text: str) -> Any:
    """The text as a value of the same kind; _NOTHING when it is none."""
    if value is None:
        return None if text == "null" else _NOTHING
    if isinstance(value, bool):
        return {"true": True, "false": False}.get(text.lower(), _NOTHING)
    try:
        if isinstance(value, Decimal):
            return Decimal(text)
        if isinstance(value, int | float):
            return float(text)
        if isinstance(value, datetime):
            moment = datetime.fromisoformat(text)
            return moment if value.tzinfo is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, ArithmeticError):
        return _NOTHING
    return text


def span_seconds(text: str, option: str) -> float:
    """`10m`, `90s`, `2h`, `1d` in seconds. Raises WrongInput."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise WrongInput(f"{option}: {text!r} is no span of time", remedy="write it like 90s, 10m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]
