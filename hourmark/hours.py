"""Platform hours: which hour an append time belongs to, and back. Everything else only handles hour numbers.

An hour number counts UTC hours since 1970 (its label). In time-lapse one platform hour lasts `seconds` real seconds: hour `anchor`
starts at its own real time, and the labels run from there, anchor, anchor + 1, …, at the faster pace.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Hours:
    """The platform's clock face. `seconds`: real seconds per platform hour. `anchor`: hour number that starts at its real time."""

    seconds: int = 3600
    anchor: int = 0

    def __post_init__(self) -> None:
        if self.seconds < 1:
            raise ValueError(f"an hour must last at least 1 second, not {self.seconds}")

    def of(self, append_ms: int) -> int:
        """Hour number of an append time (ms since 1970)."""
        return self.anchor + (append_ms - self.anchor * HOUR_MS) // (self.seconds * 1000)

    def start_ms(self, hour: int) -> int:
        """First millisecond (since 1970) of the hour."""
        return self.anchor * HOUR_MS + (hour - self.anchor) * self.seconds * 1000

    def end_ms(self, hour: int) -> int:
        """First millisecond (since 1970) after the hour."""
        return self.start_ms(hour + 1)

    @property
    def margin_s(self) -> float:
        """How long after an hour's end its barrier is written: above the largest clock skew between broker and worker.

        30 s of a real hour (the skew that NTP-kept fleets stay far below), in proportion in time-lapse, never under 0.2 s.
        """
        return max(0.2, 30.0 * self.seconds / 3600)

    def days_s(self, days: float) -> int:
        """Real seconds that `days` platform days last."""
        return max(1, round(days * 24 * self.seconds))


def label(hour: int) -> str:
    """`2026-03-01T07`: the name of an hour for people and URLs."""
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H")


def parse_label(text: str) -> int:
    """Hour number of a label as `label` writes it. Raises ValueError with the expected form."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{text!r} is not an hour; write it like 2026-03-01T07 (UTC)") from None
    return int(moment.timestamp()) // 3600


def folder(hour: int) -> str:
    """`dt=2026-03-01/hour=07`: the hour's folder under its event type."""
    day, clock = label(hour).split("T")
    return f"dt={day}/hour={clock}"


def parse_folder(path: str) -> int:
    """Hour number of a folder as `folder` writes it."""
    day, clock = path.split("/")
    return parse_label(f"{day.removeprefix('dt=')}T{clock.removeprefix('hour=')}")
