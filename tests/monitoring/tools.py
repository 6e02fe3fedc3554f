"""The real Prometheus and promtool for tests: from the PATH, else Debian's package, unpacked into the cache of this user.

Nothing is installed: no root is needed, no service is started. Where none can be had, tests skip and say so.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local.java import cache_dir
from local.server import bound_to_parent

RULES = Path(__file__).parents[2] / "docker" / "prometheus"


class Tools(NamedTuple):
    prometheus: Path
    promtool: Path


def tools() -> Tools:
    """Skips the test when there are none."""
    found = _find()
    if found is None:
        pytest.skip(
            "no Prometheus: put `prometheus` and `promtool` on the PATH (Debian's package has both; apt-get could not fetch it here)"
        )
    return found


@cache
def _find() -> Tools | None:
    on_path = [shutil.which(name) for name in Tools._fields]
    if all(on_path):
        return Tools(*(Path(str(found)) for found in on_path))
    home = cache_dir() / "prometheus"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes must not fetch at once
        if not home.is_dir() and not _fetch(home):
            return None
    return Tools(home / "prometheus", home / "promtool")


def _fetch(home: Path) -> bool:
    """Debian's package, by apt's own way and keys, with lists of our own where those of the system are empty."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return False
    with tempfile.TemporaryDirectory(prefix="prometheus-") as name:
        work = Path(name)
        (work / "lists" / "partial").mkdir(parents=True)
        private = ["-o", f"Dir::State::Lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        steps: Sequence[list[str]] = (["download", "prometheus"], [*private, "update"], [*private, "download", "prometheus"])
        for options in steps:
            try:
                subprocess.run(["apt-get", "-q", *options], cwd=work, capture_output=True, timeout=240, check=False)
            except (OSError, subprocess.SubprocessError):
                return False
            if packages := list(work.glob("prometheus_*.deb")):
                break
        else:
            return False
        done = subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(work / "tree")], capture_output=True, check=False)
        found = work / "tree" / "usr" / "bin"
        if done.returncode or not all((found / name).is_file() for name in Tools._fields):
            return False
        aside = home.with_suffix(".partial")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(found, aside)
        aside.rename(home)
    return True


class Prometheus:
    """A running server. Every query raises AssertionError with the server's words when it is not understood."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series of an instant query; a scalar is one series."""
        found = self._get("/api/v1/query", {"query": expression})
        result: list[dict[str, Any]] = [{"metric": {}, "value": found["result"]}] if found["resultType"] == "scalar" else found["result"]
        return result

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """Alert name → those that fire now."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self._get("/api/v1/alerts", {})["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("/api/v1/rules", {})["groups"] for rule in group["rules"]]

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        request = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as exc:
            raise AssertionError(f"{json.load(exc).get('error')}: {query}") from None


@contextmanager
def running(folder: Path, pages: Sequence[str] | Mapping[str, Sequence[str]], rules: Path | None = None) -> Iterator[Prometheus]:
    """A Prometheus that scrapes these addresses every two seconds, and evaluates the rules every second. `folder` is its own.

    `pages` by service: each has the label `service`, as in containers. `rules`: a file, or a pattern for some.
    """
    found = pages.items() if isinstance(pages, Mapping) else [("", pages)]
    targets = [{"targets": list(addresses), "labels": {"service": service}} for service, addresses in found]  # empty: as without it
    config = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "1s"},
        "rule_files": [str(rules or RULES / "hourmark.rules.yml")],
        "scrape_configs": [{"job_name": "hourmark", "static_configs": targets}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "prometheus.log").open("wb") as log:
        options = [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ]
        command = bound_to_parent([str(tools().prometheus), *options])
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _until_ready(process, address, folder / "prometheus.log")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(30)


def _until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"Prometheus is not ready: {log.read_text()[-2000:]}")
