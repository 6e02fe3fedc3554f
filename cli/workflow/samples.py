"""JSON samples from a file or standard input: one object, a list of objects, or one object a line. Bounded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from registry.document import parse_json
from registry.refusal import Refused

from ..failures import WrongInput

MAX_SAMPLE_BYTES: Final = 16 * 1024 * 1024


def read(source: str) -> list[dict[str, Any]]:
    """All samples; `-`: standard input. Raises WrongInput with file and line."""
    body, where = _body(source)
    if not body.strip():
        raise WrongInput("there is no sample", where=where, remedy="give one JSON object, a list of them, or one a line")
    try:
        found = parse_json(body)
    except Refused as whole:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].rstrip().endswith(b"}"):
            raise WrongInput(f"the sample is no JSON: {whole.problems[0].message}", where=where) from None
        return [_object(_line(line, f"{where}, line {number}"), f"{where}, line {number}") for number, line in lines]
    if isinstance(found, list):
        return [_object(item, f"{where}, item {number}") for number, item in enumerate(found, 1)]
    return [_object(found, where)]


def _line(line: bytes, where: str) -> Any:
    try:
        return parse_json(line)
    except Refused as exc:
        raise WrongInput(f"this line is no JSON: {exc.problems[0].message}", where=where) from None


def _object(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise WrongInput("a sample is one JSON object: the payload of an event", where=where)
    return found


def _body(source: str) -> tuple[bytes, str]:
    try:
        if source == "-":
            where, body = "standard input", sys.stdin.buffer.read(MAX_SAMPLE_BYTES + 1)
        else:
            where = source
            if not Path(source).is_file():
                raise WrongInput("no such file", where=source)
            with open(source, "rb") as file:
                body = file.read(MAX_SAMPLE_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise WrongInput(f"cannot read: {getattr(exc, 'strerror', None) or exc}", where=source) from exc
    if len(body) > MAX_SAMPLE_BYTES:
        raise WrongInput(f"more than {MAX_SAMPLE_BYTES:,} bytes", where=where, remedy="a few hundred samples are enough")
    return body.removeprefix(b"\xef\xbb\xbf"), where
