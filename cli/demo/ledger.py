"""What the senders know: every event id the platform acknowledged, and every copy sent again. The balance is struck against this."""

from __future__ import annotations

from collections import Counter

from hourmark_client import Verdict


class Ledger:
    """One event type's account. Callbacks come from the client's threads, so they only append."""

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type
        self.sent = 0
        self.copies_sent = 0
        self.acknowledged: list[str] = []
        self.copies: list[str] = []
        self.resends: list[int] = []
        self.refused: list[Verdict] = []

    def original(self, verdict: Verdict) -> None:
        """The verdict on an event sent for the first time."""
        self._note(verdict, self.acknowledged)

    def copy(self, verdict: Verdict) -> None:
        """The verdict on an event sent again with the id it had."""
        self._note(verdict, self.copies)

    def _note(self, verdict: Verdict, stored: list[str]) -> None:
        if verdict.verdict == "stored":
            stored.append(verdict.event_id)
        else:
            self.refused.append(verdict)
        if verdict.attempt > 1:
            self.resends.append(verdict.attempt - 1)

    @property
    def settled(self) -> int:
        """Events, copies included, that have their verdict."""
        return len(self.acknowledged) + len(self.copies) + len(self.refused)

    @property
    def unsettled(self) -> int:
        """Events, copies included, that have been sent and wait for their verdict."""
        return self.sent + self.copies_sent - self.settled

    @property
    def hidden_resends(self) -> int:
        """Attempts beyond the first that the client made by itself: each may have left one more copy in the log, or none."""
        return sum(self.resends)

    def refusals(self) -> dict[str, int]:
        """How often each code was answered."""
        return dict(Counter(verdict.code or verdict.verdict for verdict in self.refused))
