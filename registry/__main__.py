"""`python -m registry`: load the settings, run until stopped."""

from __future__ import annotations

from hourmark.runtime import run
from hourmark.settings import load

from .app import Registry
from .settings import Settings


async def main(settings: Settings) -> None:
    async with Registry(settings) as registry:
        await registry.run()


if __name__ == "__main__":
    run("registry", lambda: load(Settings), main)
