"""The error tree: every failure of the platform is one of three branches, and each branch is one action.

    PlatformError        code (stable snake_case), message; facts as attributes
    ├ Rejected           the event's fault: never retried, kept with its bytes on the rejected topic
    ├ Unavailable        the world's fault: hold, back off, commit nothing; `retry_after` seconds
    └ InvariantBroken    our fault: stop the process before anything more is committed
    SettingsError        only before start-up

Adapters translate a vendor's exceptions at their own edge; nobody else imports those.
"""

from __future__ import annotations

from collections.abc import Sequence


class PlatformError(Exception):
    """Base of the tree. `code` is stable and bounded (it becomes a metric label); `facts` are free (they become log fields)."""

    code = "platform_error"

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class Rejected(PlatformError):
    """The event itself is wrong and will never be accepted. `path` is a JSON pointer into the event, empty when it is the whole."""

    code = "rejected"

    def __init__(self, message: str, *, path: str = "", **facts: object) -> None:
        super().__init__(message, **facts)
        self.path = path


class InvalidEnvelope(Rejected):
    code = "invalid_envelope"


class UnknownEventType(Rejected):
    code = "unknown_event_type"


class SchemaMismatch(Rejected):
    code = "schema_mismatch"


class EventTooLarge(Rejected):
    code = "event_too_large"


class SdkNotBound(Rejected):
    code = "sdk_not_bound"


class BlockedEventType(Rejected):
    code = "blocked_event_type"


class DuplicateInBatch(Rejected):
    code = "duplicate_in_batch"


class Unavailable(PlatformError):
    """The outside world does not answer now. `retry_after` is in seconds."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after: float = 1.0, **facts: object) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class BrokerUnavailable(Unavailable):
    code = "broker_unavailable"


class NotAllowed(BrokerUnavailable):
    """Kafka answers, and this user lacks a right. Somebody will give it, and the work goes on."""


class IndexUnavailable(Unavailable):
    code = "index_unavailable"


class LakeUnavailable(Unavailable):
    code = "lake_unavailable"


class RegistryUnavailable(Unavailable):
    code = "registry_unavailable"


class Overloaded(Unavailable):
    code = "overloaded"


class QuotaExceeded(Unavailable):
    code = "quota_exceeded"


class InvariantBroken(PlatformError):
    """Something that cannot be, is. Going on could lose or double an event, so the process ends."""

    code = "invariant_broken"


class OffsetLost(InvariantBroken):
    code = "offset_lost"


class IndexLost(InvariantBroken):
    code = "index_lost"


class ChainConflict(InvariantBroken):
    code = "chain_conflict"


class SettingsError(Exception):
    """Wrong or missing settings; lists every fault at once, one a line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("settings:\n" + "\n".join(f"  - {fault}" for fault in faults))
        self.faults = tuple(faults)
