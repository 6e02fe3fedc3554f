"""The containers' health check says what a service's own page says, and otherwise no."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hourmark import probe


class Page(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(b"said by the service")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[tuple[type[Page], int]]:
    page = type("OnePage", (Page,), {})
    server = HTTPServer(("127.0.0.1", 0), page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield page, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "fine"), [(200, True), (503, False), (404, False), (500, False)])
def test_it_says_what_the_page_says(service: tuple[type[Page], int], status: int, fine: bool) -> None:
    page, port = service
    page.status = status
    assert probe.ready(f"0.0.0.0:{port}") == (fine, "said by the service")


def test_a_service_that_is_gone_is_not_ready(service: tuple[type[Page], int]) -> None:
    _, port = service
    found, said = probe.ready(f"127.0.0.2:{port}")
    assert not found
    assert "no answer" in said


@pytest.mark.parametrize("listen", ["", "nonsense", "host:"])
def test_a_service_without_a_page_is_not_ready(listen: str) -> None:
    found, said = probe.ready(listen)
    assert not found
    assert "HOURMARK_METRICS_LISTEN" in said


def test_exit_code_and_line(service: tuple[type[Page], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    page, port = service
    monkeypatch.setattr("sys.argv", ["probe"])
    monkeypatch.setenv("HOURMARK_METRICS_LISTEN", f":{port}")
    assert probe.main() == 0
    page.status = 503
    assert probe.main() == 1
    monkeypatch.setattr("sys.argv", ["probe", "127.0.0.1:nowhere"])
    assert probe.main() == 1
    assert capsys.readouterr().out.splitlines()[:2] == ["said by the service"] * 2
