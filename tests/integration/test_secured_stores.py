"""Stores behind TLS and users: what works, and what is said where something is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from dedup.backends import open_index
from dedup.server import RIGHTS
from hourmark.errors import IndexLost, IndexUnavailable, RegistryUnavailable
from local.redis import RedisServer
from registry.database import Database
from streams.settings import Settings
from tests.secured.authority import Authority
from tests.secured.tls_front import tls_front
from tests.stores.postgres import NOBODY, PostgresServer, encrypting_programs

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


async def test_an_index_behind_tls_with_a_user_of_few_rights(valkey_server: RedisServer, authority: Authority, tmp_path: Path) -> None:
    elsewhere = Authority(tmp_path / "elsewhere")

    async def said(name: str, host: str = "127.0.0.1", trusted: Authority = authority) -> str:
        url = f"rediss://{name}@{host}:{port}/9?ssl_ca_certs={trusted.certificate}"
        index = open_index(Settings(redis_url=url, secret="s" * 32, home=tmp_path))
        try:
            await index.open()
        except (IndexLost, IndexUnavailable) as exc:
            return f"{exc.code}: {exc.message}"
        finally:
            await index.close()
        return ""

    with redis.Redis(port=valkey_server.port) as admin, tls_front(authority.issue("valkey"), valkey_server.port) as port:
        for user, rights in (("few", RIGHTS), ("none", "+@connection")):
            admin.execute_command("ACL", "SETUSER", user, "reset", "on", ">secret", "~*", *rights.split())
        assert "index_lost: no canary" in await said("few:secret")  # it was let in, and has found an empty database
        assert "refuses the user or password of HOURMARK_REDIS_URL" in await said("few:wrong")
        assert "does not allow this to its user, who needs +@read" in await said("none:secret")
        assert "certificate of the id index is not trusted" in await said("few:secret", trusted=elsewhere)
        assert "certificate is not valid for 'localhost'" in await said("few:secret", host="localhost")
        admin.execute_command("ACL", "DELUSER", "few", "none")


class EncryptingPostgres(PostgresServer):
    """Takes connections by TLS and password only. `key` is readable for the user that it runs as."""

    def __init__(self, home: Path, programs: Path, certificate: Path, key: Path) -> None:
        super().__init__(home, programs)
        self._tls = [f"ssl_cert_file={certificate}", f"ssl_key_file={key}", "ssl=on"]

    def command(self) -> list[str]:
        return [*super().command(), *(word for setting in self._tls for word in ("-c", setting))]


@pytest.fixture
def encrypting(authority: Authority) -> Iterator[EncryptingPostgres]:
    programs = encrypting_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here that was built with TLS: the package's is not")
    home = Path(tempfile.mkdtemp(prefix=f"hourmark-test-{os.getpid()}-postgres-tls-"))
    home.chmod(0o755)
    files = [Path(shutil.copy(file, home)) for file in authority.issue("postgres")]
    for file in files:
        file.chmod(0o600)
        if os.getuid() == 0:
            os.chown(file, NOBODY, NOBODY)
    server = EncryptingPostgres(home, programs, files[0], files[1])
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def test_a_registry_verifies_its_database(encrypting: EncryptingPostgres, authority: Authority, tmp_path: Path) -> None:
    def said(url: str, trusted: Authority) -> str:
        database = Database(f"{url}?sslmode=verify-full&sslrootcert={trusted.certificate}")
        try:
            database.migrate()
        except RegistryUnavailable as exc:
            return exc.message
        finally:
            database.close()
        return ""

    with encrypting.database() as url:
        assert said(url, authority) == ""
        assert "certificate verify failed" in said(url, Authority(tmp_path / "elsewhere"))
        assert "localhost" in said(url.replace("127.0.0.1", "localhost"), authority)


ASKING = """
import asyncio, sys, urllib.request
import aiohttp
from cli.catalogue import Catalogue
from hourmark_client.catalog import Registry
url = sys.argv[1]
async def asked():
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status
print(Catalogue(url).names(), Registry(url).declared("a.b")[0].event, urllib.request.urlopen(url).status, asyncio.run(asked()))
"""


def test_every_client_of_the_registry_takes_an_authority_of_its_own(authority: Authority) -> None:
    """The command line, the client library, and what receivers and sinks ask with, by the variable that OpenSSL knows."""
    said = b'{"events": [], "event": "a.b", "schema_id": 1, "partitions": 1, "wire_schema": {}, "declaration": {}}'

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server, tls_front(authority.issue("registry"), server.server_port) as port:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(authority.certificate)}
        command = [sys.executable, "-c", ASKING, f"https://127.0.0.1:{port}"]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
        server.shutdown()
    assert ran.stdout == "[] a.b 200 200\n", ran.stderr
