"""Prometheus metrics of this process, and the small HTTP page that shows them with liveness and readiness.

Counters are advanced once per poll or batch, never per event; labels are bounded (event types, codes, rooms).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from .settings import PlatformSettings

__all__ = ["Counter", "Gauge", "Histogram", "MetricsPage", "SummedHistogram", "Sums", "listen_address", "render"]

Ready = Callable[[], str | None]


BUILD = Gauge("hourmark_build_info", "1 in every running process; the labels say which room it is, and its version", ["room", "version"])


class Sums:
    """How often each bucket was met, and the sum of what was seen: gathered in a loop, handed over once."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def merge(self, other: Sums) -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class SummedHistogram(Collector):
    """A histogram by one label that takes the sums of many observations at once."""

    def __init__(self, name: str, documentation: str, label: str, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._name, self._documentation, self._label = name, documentation, label
        self._found: dict[str, Sums] = {}
        REGISTRY.register(self)

    def add(self, label: str, sums: Sums) -> None:
        """`sums` must have been made with `bounds`."""
        self._found.setdefault(label, Sums(self.bounds)).merge(sums)

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
        for label, sums in list(self._found.items()):
            seen, buckets = 0, []
            for bound, count in zip([*map(str, self.bounds), "+Inf"], sums.counts, strict=True):
                seen += count
                buckets.append((bound, seen))
            family.add_metric([label], buckets, sums.total)
        return [family]


def render() -> tuple[bytes, str]:
    """The metrics page and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def listen_address(listen: str) -> tuple[str, int]:
    """`127.0.0.1:9100` → host and port. Raises ValueError with the expected form."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"{listen!r} is no address; write host:port, port 0 for a free one")
    return host.strip("[]") or "127.0.0.1", int(port)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes every few seconds are no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class MetricsPage:
    """`/metrics`, `/healthz`, `/readyz` on a thread of its own, for rooms without an HTTP server.

    `ready` returns None when the process does its work, else why not (shown with 503).
    """

    def __init__(self, settings: PlatformSettings, ready: Ready) -> None:
        self._ready = ready
        self.port = 0
        self._server: WSGIServer | None = None
        if settings.metrics_listen:
            host, port = listen_address(settings.metrics_listen)
            self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_Quiet)
            self.port = self._server.server_port
            threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        status, kind, body = HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n"
        match environ.get("PATH_INFO"):
            case "/metrics":
                body, kind = render()
            case "/healthz":
                pass
            case "/readyz":
                reason = self._ready()
                if reason is not None:
                    status, body = HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {reason}\n".encode()
            case _:
                status, body = HTTPStatus.NOT_FOUND, b"here are /metrics /healthz /readyz\n"
        start(f"{status.value} {status.phrase}", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]
