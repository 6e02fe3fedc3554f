"""TLS in front of a server that speaks none: what a balancer does for receivers, and stands in for a Valkey that was built without."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from local.ports import HOST, free_port


@contextlib.contextmanager
def tls_front(certificate: tuple[Path, Path], behind: int) -> Iterator[int]:
    """A port that speaks TLS; what comes is passed on to the port `behind`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*map(str, certificate))
    port, loop = free_port(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tls-front", daemon=True)
    thread.start()

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(HOST, behind)
        await asyncio.gather(_copy(reader, outer), _copy(inner, writer))

    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(passed_on, HOST, port, ssl=context), loop).result(10.0)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5.0)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # one side has gone: the other one is told
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
