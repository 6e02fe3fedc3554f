"""From the caller's mapping to JSON bytes, once, at send: what is sent cannot change any more and is known to be sendable.

Refuses what JSON would silently bend: NaN and infinity (become null), integers beyond 64 bit, lone surrogates, keys that are not text,
and types with no agreed form. bytes become base64, decimals text, moments RFC 3339, UUIDs text, enums their value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any, Final
from uuid import UUID

import msgspec

from .errors import InvalidEvent

EVENT_BYTES_MAX: Final = 1024 * 1024
ENVELOPE_BYTES: Final = 512  # id, times, sequence and punctuation around a payload, rounded up; the receiver counts the whole event

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
_AS_THEY_ARE: Final = frozenset({str, bool, type(None), bytes, datetime, date, time, UUID})
_EVENT_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_EVENT_TYPE_MAX: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO: Final = timedelta(microseconds=1)
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999


def _scalar_of(value: Any) -> Any:
    """numpy and pandas scalars know their Python value; everything else has no agreed form."""
    if type(value).__module__.split(".")[0] in ("numpy", "pandas") and hasattr(value, "item"):
        return value.item()
    raise InvalidEvent(f"a value of type {type(value).__name__} cannot be sent")


_encoder: Final = msgspec.json.Encoder(enc_hook=_scalar_of, decimal_format="string", uuid_format="canonical")


def encode_payload(payload: Mapping[str, Any]) -> bytes:
    """The payload as one JSON object. Raises InvalidEvent naming the place, or that it is above 1 MiB."""
    if not isinstance(payload, Mapping):
        raise InvalidEvent(f"a payload is a mapping of fields, not {type(payload).__name__}", "/payload")
    try:
        _check_mapping(payload, "/payload")
        encoded = _encoder.encode(payload if type(payload) is dict else dict(payload))
    except UnicodeEncodeError as exc:
        raise InvalidEvent(f"text that is not valid Unicode (lone surrogate): {exc.object!r:.80}", "/payload") from None
    except RecursionError:
        raise InvalidEvent("nested too deep, or contains itself", "/payload") from None
    except (TypeError, ValueError) as exc:
        if isinstance(exc, InvalidEvent):
            raise
        raise InvalidEvent(str(exc), "/payload") from exc
    if len(encoded) > EVENT_BYTES_MAX - ENVELOPE_BYTES:
        raise InvalidEvent(f"{len(encoded)} bytes as JSON; an event may have 1 MiB with its envelope", "/payload")
    return encoded


def _check_mapping(mapping: Mapping[Any, Any], path: str) -> None:
    for key, value in mapping.items():
        kind = type(value)
        if type(key) is not str and not isinstance(key, str):
            raise InvalidEvent(f"field names are text, not {key!r:.80}", path)
        if kind in _AS_THEY_ARE:
            continue
        if kind is int:
            if not _INT_MIN <= value <= _INT_MAX:
                _check_number(value, f"{path}/{key}")
        elif kind is float:
            if not isfinite(value):
                _check_number(value, f"{path}/{key}")
        else:
            _check_value(value, f"{path}/{key}")


def _check_value(value: Any, path: str) -> None:
    if isinstance(value, Mapping):
        if not isinstance(value, dict):
            raise InvalidEvent(f"nested mappings must be dicts, not {type(value).__name__}", path)
        _check_mapping(value, path)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check_value(item, f"{path}/{number}")
    elif isinstance(value, Enum):
        _check_value(value.value, path)
    elif isinstance(value, bool | str | bytes | bytearray | memoryview | datetime | date | time | UUID | None):
        return
    elif isinstance(value, int | float | Decimal):
        _check_number(value, path)
    else:
        try:
            _check_value(_scalar_of(value), path)
        except InvalidEvent as exc:
            raise exc if exc.path else InvalidEvent(str(exc), path) from None


def _check_number(value: float | Decimal, path: str) -> None:
    if not isfinite(value):
        raise InvalidEvent(f"{value} has no form in JSON; send null instead", path)
    if isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX:
        raise InvalidEvent("an integer beyond 64 bit", path)


@lru_cache(4096)
def check_event_type(name: str) -> str:
    """The name, if it is one like `player.song_played`. Raises InvalidEvent."""
    if not isinstance(name, str) or len(name) > _EVENT_TYPE_MAX or not _EVENT_TYPE.fullmatch(name):
        raise InvalidEvent(f"{name!r:.120} is not an event type; they look like player.song_played")
    return name


def micros(moment: datetime | float) -> int:
    """Microseconds since 1970 of an aware datetime or of seconds since 1970, in the years 1 to 9999. Raises InvalidEvent."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidEvent("a datetime without a time zone names no moment; use datetime.now(UTC)", "/time")
        found = (moment - _EPOCH) // _MICRO
    elif isinstance(moment, int | float) and not isinstance(moment, bool) and isfinite(moment):
        found = int(moment // 1) * 1_000_000 + round(moment % 1 * 1_000_000)
    else:
        raise InvalidEvent(f"{moment!r:.80} is no time; give an aware datetime or seconds since 1970", "/time")
    if not _FIRST_US <= found <= _LAST_US:
        raise InvalidEvent(f"{moment!r:.80} lies outside the years 1 to 9999", "/time")
    return found


@lru_cache(64)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def rfc3339(time_us: int) -> str:
    """`2026-03-01T06:59:58.000123Z` of microseconds since 1970."""
    seconds, rest = divmod(time_us, 1_000_000)
    return f"{_second(seconds)}.{rest:06d}Z"
