"""What a container says, whether its service is ready, and what its metrics page shows: asked inside, since nothing is published."""

from __future__ import annotations

import json
import subprocess

from cli.compose import Project
from cli.failures import Unreachable

PROBE = """
import os, sys
from hourmark.probe import ready
print(*ready("127.0.0.1:8081" if sys.argv[1] == "registry" else os.environ["HOURMARK_METRICS_LISTEN"]))
"""
PAGE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics', timeout=5).read().decode())"


def said(project: Project, container: str) -> list[str]:
    """The lines of its log, oldest first; none when there is no such container yet."""
    ran = subprocess.run(["docker", "logs", container], env=dict(project.environ), capture_output=True, text=True, timeout=60)
    return [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()] if ran.returncode == 0 else []


def ready(project: Project, container: str) -> tuple[bool, str]:
    """What its /readyz answers, or why nothing does."""
    service = container.removeprefix(f"{project.name}-").rpartition("-")[0]
    try:
        fine, _, why = project.docker("exec", container, "python", "-c", PROBE, service).strip().partition(" ")
    except Unreachable as exc:
        return False, exc.message
    return fine == "True", why


def metric(project: Project, container: str, name: str) -> dict[str, float]:
    """Its samples of one metric, by their labels as the page writes them; empty when it does not answer."""
    try:
        page = project.docker("exec", container, "python", "-c", PAGE)
    except Unreachable:
        return {}
    found = [line.rpartition(" ") for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    return {labels.removeprefix(name): float(value) for labels, _, value in found}


def event(line: str) -> str:
    """What a log line tells, when it is one of ours."""
    try:
        return str(json.loads(line).get("event", ""))
    except (ValueError, AttributeError):
        return ""
