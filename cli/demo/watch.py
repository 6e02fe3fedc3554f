"""Shows the demo while it runs: a live table on a terminal, plain lines elsewhere; notices stay on the screen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cli import sealed
from cli.output import table

from .ledger import Ledger

PLAIN_EVERY_S = 3.0


class _Notices(logging.Handler):
    def __init__(self, notice: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._notice = notice

    def emit(self, record: logging.LogRecord) -> None:
        self._notice(record.getMessage())


class Watch:
    """`show()` as often as you like; it draws when something is to be drawn."""

    def __init__(self, console: Any, lake: Path, ledgers: Sequence[Ledger], total: int) -> None:
        self._console, self._lake, self._ledgers, self._total = console, lake, ledgers, total
        self._started = self._drawn = time.monotonic()
        self._before, self._rate = 0, 0.0
        self._live: Any = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def acknowledged(self) -> int:
        return sum(len(ledger.acknowledged) for ledger in self._ledgers)

    def notice(self, text: str) -> None:
        """A line that stays."""
        from rich.markup import escape

        self._console.print(f"[bold yellow]{self._clock}[/] {escape(text)}")

    @contextmanager
    def hears(self, name: str) -> Iterator[None]:
        """Warnings of this logger become notices, so that they do not tear the table."""
        handler = _Notices(self.notice)
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    def show(self, *, force: bool = False) -> None:
        """Draw the present state if it is time to."""
        now = time.monotonic()
        since = now - self._drawn
        if not force and since < (0.5 if self._live is not None else PLAIN_EVERY_S):
            return
        settled = sum(ledger.settled for ledger in self._ledgers)
        self._rate = (settled - self._before) / since if since > 0.05 else self._rate
        self._before, self._drawn = settled, now
        if self._live is not None:
            self._live.update(self._table())
        else:
            self._console.print(f"{self._clock} {self._line()}")

    @property
    def _clock(self) -> str:
        return f"{time.monotonic() - self._started:5.1f} s"

    def _line(self) -> str:
        hours = sum(self._sealed(ledger) for ledger in self._ledgers)
        copies = sum(len(ledger.copies) for ledger in self._ledgers)
        return f"{self.acknowledged:,} of {self._total:,} acknowledged, {self._rate:,.0f}/s; {copies:,} copies; {hours} hours sealed"

    def _table(self) -> Any:
        rows = [
            (ledger.event_type, ledger.sent, len(ledger.acknowledged), len(ledger.copies), len(ledger.refused), self._sealed(ledger))
            for ledger in self._ledgers
        ]
        columns = ("event type", "sent", "stored", "copies stored", "not stored", "hours sealed")
        return table(columns, rows, title=f"{self._clock}   {self._rate:,.0f} events/s", right=columns[1:])

    def _sealed(self, ledger: Ledger) -> int:
        return len(sealed.sealed_folders(self._lake, ledger.event_type))
