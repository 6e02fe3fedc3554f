"""A face in a thread of its own, for tests that ask it synchronously."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry.expected import Expected
from registry.history import Byline
from tests.registry.face.service import serving


@contextmanager
def served(home: Path, *declarations: Mapping[str, Any]) -> Iterator[str]:
    """Its address; these events are declared. What ended the server before its time is raised."""
    loop, stop, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    told: list[str] = []
    failed: list[BaseException] = []

    async def serve() -> None:
        async with serving(home) as face:
            for declaration in declarations:
                await face.catalog.declare(dict(declaration), Expected(), Byline())
            told.append(face.url)
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as exc:
            failed.append(exc)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="face")
    thread.start()
    try:
        started.wait(60)
        if not told:
            raise failed[0] if failed else TimeoutError("the face did not start")
        yield told[0]
    finally:
        if not loop.is_closed() and not failed:
            loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()
    if failed:
        raise failed[0]
