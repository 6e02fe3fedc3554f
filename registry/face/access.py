"""Who asks: the administrator's token may change everything, a producer's write key may register what is known, anyone may read.

Tokens come as `Authorization: Bearer <token>` or as the password of Basic, which is what Confluent's clients send.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from hourmark.schemas import token_digest

from ..rows import StoredKey
from ..store import Store
from . import catalogue_subjects as declared
from .errors import FaceError
from .names import Subject

_SUFFIXES: Final = ("-value", "-key")


class Caller(NamedTuple):
    """Whoever sent a request. `key`: the write key of a producer; None for others. `name`: the user name of Basic, for the records."""

    administrator: bool
    key: StoredKey | None = None
    name: str = ""


class Access:
    """Tells callers apart. Without an admin token everybody who shows no write key is an administrator, as in the rest of the registry."""

    def __init__(self, store: Store, admin_token: str, *, auto_register: bool) -> None:
        self._store, self._token, self._auto_register = store, admin_token, auto_register

    def caller(self, authorization: str) -> Caller:
        """Blocking. Never raises: unknown credentials are those of nobody."""
        name, token = _credentials(authorization)
        if token and self._token and hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token.encode()):
            return Caller(True, None, name)
        key = self._key(token) if token else None
        return Caller(key is None and not self._token, key, name if key is None else f"key/{key.name}")

    def check_write(self, caller: Caller) -> None:
        """Raises FaceError (401, 403) unless the caller may change things."""
        if caller.administrator:
            return
        if caller.key is not None:
            raise FaceError(403, 40301, f"The write key {caller.key.name} may look schemas up, not change anything")
        raise FaceError(401, 40101, "Writes need the admin token, as Authorization: Bearer or as the password of Basic")

    def check_known(self, caller: Caller) -> None:
        """Raises FaceError unless the caller may be told the id of a schema that is registered already, when asking to register it."""
        if caller.key is None:
            self.check_write(caller)

    def check_new(self, caller: Caller, subject: Subject) -> None:
        """Raises FaceError unless the caller may register a new schema here."""
        key = caller.key
        if key is None:
            self.check_write(caller)
        elif not self._auto_register:
            told = f"The schema is not registered under {subject.shown!r:.200}, and producers do not register schemas here; "
            raise FaceError(403, 40301, told + "let its owner do it, or set HOURMARK_REGISTRY_AUTO_REGISTER=true")
        elif not any(fnmatchcase(_about(subject), pattern) for pattern in key.types):
            raise FaceError(403, 40301, f"The write key {key.name} may not register under {subject.shown!r:.200}: it is for {key.types}")

    def _key(self, token: str) -> StoredKey | None:
        digest = token_digest(token)
        return next((key for key in self._store.write_keys() if key.token_sha256 == digest), None)


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return "", value.strip()
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return "", ""
        return name, password
    return "", ""


def _about(subject: Subject) -> str:
    event = declared.event_of(subject)
    if event is not None:
        return event
    return next((subject.name.removesuffix(suffix) for suffix in _SUFFIXES if subject.name.endswith(suffix)), subject.name)
