"""Names of subjects and contexts: `:.context:subject` is a subject of a context, everything else one of the default context."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from . import errors
from .tables import SUBJECT

DEFAULT: Final = "."
GLOBAL: Final = ".__GLOBAL"  # holds settings for all contexts, never a schema
_CONTEXT: Final = re.compile(r"\.[A-Za-z0-9._-]{0,254}")
_RESERVED: Final = frozenset({"__GLOBAL", "__EMPTY"})


class Subject(NamedTuple):
    """A subject of a context; with an empty name, the context itself. `shown`: as the caller wrote it."""

    context: str
    name: str
    shown: str = ""

    def qualified(self) -> str:
        return self.name if self.context == DEFAULT else f":{self.context}:{self.name}"

    def key(self) -> tuple[str, str]:
        return self.context, self.name


def context_named(text: str) -> str:
    """A context as in URLs: `.staging`, `:.staging:` or `staging`. Raises FaceError (422)."""
    name = text.removeprefix(":").removesuffix(":")
    name = name if name.startswith(".") else f".{name}"
    if not _CONTEXT.fullmatch(name):
        raise errors.FaceError(422, 422, f"Invalid context name '{text:.100}': letters, digits and . _ - behind a dot")
    return name


def subject_named(text: str, context: str = DEFAULT) -> Subject:
    """A subject as in URLs and references; `context`: where unqualified names belong. Raises FaceError (42208)."""
    where, name = context, text
    if text.startswith(":."):
        qualifier, colon, rest = text[1:].partition(":")
        if colon:
            if not _CONTEXT.fullmatch(qualifier):
                raise errors.invalid_subject(text, "its context may have letters, digits and . _ - behind a dot")
            where, name = qualifier, rest
    elif text.startswith(":") and text.endswith(":") and len(text) > 1:
        raise errors.invalid_subject(text, "a context begins with a dot, as in :.context:subject")
    return Subject(where, _valid(name, text), text)


def _valid(name: str, text: str) -> str:
    if len(name) > SUBJECT:
        raise errors.invalid_subject(text, f"it has more than {SUBJECT} characters")
    if name in _RESERVED:
        raise errors.invalid_subject(text, "the name is reserved")
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        raise errors.invalid_subject(text, "it holds control characters")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise errors.invalid_subject(ascii(text), "it is no Unicode text") from None
    return name
