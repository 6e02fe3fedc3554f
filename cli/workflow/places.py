"""On which line of a YAML or JSON file a JSON pointer ends, so that a problem is shown where it was written. Best effort, never raises."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

_LINE = re.compile(r"\bline (\d+)")


class Lines:
    """The lines of one file; 1 where nothing better is known."""

    def __init__(self, body: bytes) -> None:
        self._root = _composed(body)

    def of(self, pointer: str) -> int:
        """The line of the pointer's end, or of the nearest step before it that exists."""
        node, line = self._root, 1
        for step in pointer.split("/")[1:]:
            found = _step(node, step.replace("~1", "/").replace("~0", "~"))
            if found is None:
                break
            line, node = found
        return line

    def twice(self) -> int | None:
        """The line of the first key that stands twice in its mapping."""
        stack = [self._root]
        while stack:
            node = stack.pop()
            seen = set()
            for key, value in _members(node):
                if key is not None:
                    if key.value in seen:
                        return int(key.start_mark.line) + 1
                    seen.add(key.value)
                stack.append(value)
        return None


def of_malformed(body: bytes, message: str) -> int:
    """The line that a parser's message speaks of."""
    if "stands twice" in message and (line := Lines(body).twice()) is not None:
        return line
    said = _LINE.findall(message)
    return int(said[-1]) if said else 1


def _composed(body: bytes) -> yaml.Node | None:
    try:  # JSON is YAML but for tabs, which stand nowhere else in JSON
        return yaml.compose(body.decode("utf-8").replace("\t", " "), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _members(node: yaml.Node | None) -> Iterator[tuple[yaml.Node | None, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from node.value
    elif isinstance(node, yaml.SequenceNode):
        yield from ((None, item) for item in node.value)


def _step(node: yaml.Node | None, step: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        item = node.value[int(step)]
        return item.start_mark.line + 1, item
    return None
