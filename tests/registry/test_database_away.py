"""A registry whose database server is away waits for it, and says so once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from local.ports import free_port
from registry.app import Registry
from registry.settings import Settings


async def test_it_waits_with_one_line(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/hourmark"
    registry = Registry(Settings(home=tmp_path, listen="127.0.0.1:0", database_url=url))
    with capture_logs() as said:
        starting = asyncio.create_task(registry.__aenter__())
        await asyncio.wait({starting}, timeout=3.0)  # several attempts
        assert not starting.done()
        starting.cancel()
        await asyncio.wait({starting})
    assert [line["event"] for line in said] == ["waiting for the database"]
    assert "does not answer" in said[0]["message"]
