"""A real S3 face on this machine: moto's server on a thread, its buckets in memory. One request at a time, so that its conditional
writes are atomic as those of S3 are (moto looks first and writes then).
"""

from __future__ import annotations

import logging
import secrets
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

KEYS = {"access_key_id": "test", "secret_access_key": "not-a-secret", "region": "eu-west-1"}


class S3Server:
    """`url`: where it answers. `bucket()`: the URL of a new lake in it; `options`: what open_store needs beside it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def bucket(self, prefix: str = "a/lake") -> str:
        name = f"t{secrets.token_hex(6)}"
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT"), timeout=60) as reply:
            assert reply.status == 200
        return f"s3://{name}/{prefix}"

    @property
    def options(self) -> dict[str, str]:
        return options_for(self.url)


def options_for(endpoint: str, **more: str) -> dict[str, str]:
    return {**KEYS, "endpoint": endpoint, **more}


@contextmanager
def s3_server() -> Iterator[S3Server]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.port}")
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()
