"""How far a declaration has come, in words: a line for each stage, and who is behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WORDS: Final = {"topics": "topics ready"}


def stage(said: Mapping[str, Any]) -> str:
    """`receiver 3/3`, or `topics ready`."""
    name = str(said["stage"])
    return f"{name} {said['applied']}/{said['of']}" if "of" in said else _WORDS.get(name, name)


def line(said: Mapping[str, Any]) -> str:
    """A stage with its time; rooms count from the request on, what the registry itself does is told by how long it took."""
    return f"  {stage(said):<14}{float(said['ms']):>9,.1f} ms"


def summary(answer: Mapping[str, Any]) -> str:
    """All stages of an answer on one line."""
    return " → ".join(f"{stage(said)} {float(said['ms']):.0f} ms" for said in answer.get("stages") or ())


def behind(answer: Mapping[str, Any]) -> list[str]:
    """One line for each live node that does not yet work by the answer's revision."""
    wanted = answer["revision"]
    return [
        f"{node['node']} ({node['room']}) is at revision {node['revision']}, not yet at {wanted}"
        + (f": {node['reason']}" if node.get("reason") else "")
        for node in answer.get("behind") or ()
    ]
