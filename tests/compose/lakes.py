"""A lake that is no folder of this machine, but a volume or a bucket: it is read from inside the stack, and copied here to be counted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from cli.compose import Project

COPY = """
import pathlib
from hourmark.settings import load
from sinks.lake import open_store
from sinks.settings import Settings

def copy(folder):
    target = pathlib.Path("/to", folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in store.names(folder):
        data = store.read(f"{folder}/{name}")
        if data is not None:
            (target / name).write_bytes(data)
    for name in store.folders(folder):
        copy(f"{folder}/{name}")

settings = load(Settings)
store = open_store(settings.lake_url, settings.plain_lake_options)
for root in ("events", "meta"):  # in this order: what is presented has been decided about
    copy(root)
"""


def copier(project: Project) -> Callable[[], None]:
    """What brings the lake as it is now into the project's folder `lake`."""
    fresh = project.lake.with_name("lake-copy")

    def fetch() -> None:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        fresh.chmod(0o777)
        into = ("run", "--rm", "-T", "--no-deps", "--user", f"{os.geteuid()}:{os.getegid()}", "-v", f"{fresh}:/to")
        project.compose(*into, "--entrypoint", "python", "hourmark", "-c", COPY)
        shutil.rmtree(project.lake)
        fresh.rename(project.lake)

    return fetch
