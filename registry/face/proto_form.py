"""Protobuf schemas: their syntax, and one text for equal ones. Imports are not followed, and types are not resolved."""

from __future__ import annotations

from typing import Any, Final

from proto_schema_parser import ast
from proto_schema_parser.generator import Generator
from proto_schema_parser.parser import Parser

from . import errors

MAX_TEXT: Final = 100_000  # its parser takes a second for these
MAX_BRACES: Final = 100


def normal(text: str) -> str:
    """The schema without comments, as the parser prints it. Raises FaceError (42201)."""
    file = _parsed(text)
    file.file_elements = [_bare(element) for element in file.file_elements if not isinstance(element, ast.Comment)]
    return Generator().generate(file)


def fields(text: str) -> frozenset[str]:
    """Names of the first message's fields."""
    for element in _parsed(text).file_elements:
        if isinstance(element, ast.Message):
            return frozenset(field.name for field in element.elements if isinstance(field, ast.Field))
    return frozenset()


class _Complaints:
    """What the parser says beside its result; it is asked for this by name."""

    def __init__(self) -> None:
        self.first = ""

    def syntaxError(self, _recognizer: Any, _symbol: Any, line: int, column: int, message: str, _exc: Any) -> None:
        self.first = self.first or f"line {line}, column {column + 1}: {message.partition(' expecting ')[0]:.200}"

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None  # what it says of ambiguities concerns the grammar, not the schema


def _parsed(text: str) -> ast.File:
    if len(text) > MAX_TEXT or text.count("{") > MAX_TEXT // 20 or _braces(text) > MAX_BRACES:
        raise errors.invalid_schema(f"Invalid schema, details: longer than {MAX_TEXT} characters, or nested too deep")
    complaints = _Complaints()

    def listening(recognizer: Any) -> None:
        recognizer.removeErrorListeners()
        recognizer.addErrorListener(complaints)

    try:
        file = Parser(setup_lexer=listening, setup_parser=listening).parse(text)
    except Exception as exc:  # the library raises whatever its visitor stumbles over
        raise errors.invalid_schema(f"Invalid schema, details: {complaints.first or type(exc).__name__}") from None
    if complaints.first:
        raise errors.invalid_schema(f"Invalid schema, details: {complaints.first}")
    if not any(isinstance(element, ast.Message | ast.Enum | ast.Service | ast.Extension) for element in file.file_elements):
        raise errors.invalid_schema("Invalid schema, details: it defines nothing")
    return file


def _bare(element: Any) -> Any:
    kept = getattr(element, "elements", None)
    if isinstance(kept, list):
        element.elements = [_bare(inner) for inner in kept if not isinstance(inner, ast.Comment)]
    return element


def _braces(text: str) -> int:
    depth = deepest = 0
    for letter in text:
        if letter in "{([":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "})]":
            depth -= 1
    return deepest
