"""What a writer believes is current (`If-Match`, `If-None-Match`): of two who read the same revision, one is told to look again."""

from __future__ import annotations

from typing import NamedTuple

from .refusal import refuse


class Expected(NamedTuple):
    """What the writer believes is current. `revision` 0: nothing; `exists`: something, whatever its revision; neither: no opinion."""

    revision: int | None = None
    exists: bool = False

    def fits(self, found: int) -> bool:
        """`found`: the current revision, 0 when there is none."""
        return (self.revision is None or self.revision == found) and (found > 0 or not self.exists)

    def check(self, found: int, *, careful: bool, **more: object) -> None:
        """Raises Refused: 412 when the writer is wrong; 428 when `careful`, and nothing is said about something that exists."""
        if not self.fits(found):
            believed = "something" if self.exists else f"revision {self.revision}" if self.revision else "nothing"
            told = f"the current revision is {found or 'none'}; the request expects {believed}"
            fix = "read it again, and repeat the change on its current revision"
            raise refuse(412, "revision_mismatch", told, fix, "If-Match", revision=found, **more)
        if careful and found and self == Expected():
            told = f"it exists with revision {found}, and changes need If-Match here"
            raise refuse(428, "precondition_required", told, f'send If-Match: "{found}"', "If-Match", revision=found)
