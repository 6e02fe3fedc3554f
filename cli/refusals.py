"""How a refusal of the registry's rules reads on a terminal: where, by which rule, against what, and how to put it right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from registry.refusal import Problem

_DIRECTIONS: Final = {"backward": "new readers, old data", "forward": "old readers, new data", "both": "readers of both"}
_LONGEST: Final = 120


def said(problem: Problem) -> str:
    """Two to four lines: the path and the rule; what is wrong; against which version, old → new; what to do."""
    lines = [f"  - {problem.path or 'declaration'} ({problem.rule})", f"    {problem.message}"]
    if problem.against:
        whom = f" ({_DIRECTIONS.get(problem.direction, problem.direction)})" if problem.direction else ""
        lines.append(f"    against version {problem.against}{whom}: {_short(problem.old)} → {_short(problem.new)}")
    return "\n".join([*lines, f"    to do: {problem.fix}"])


def problem_of(answer: Mapping[str, Any]) -> Problem:
    """A problem in an answer of the registry; what an older registry does not say is empty."""
    try:
        return msgspec.convert({"path": "", "rule": "", "message": "", "fix": ""} | dict(answer), Problem)
    except (msgspec.ValidationError, TypeError, ValueError):
        return Problem("", "unknown", str(answer)[:300], "see the registry's answer")


def _short(piece: Any) -> str:
    text = piece if piece == "(nothing)" else json.dumps(piece, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
