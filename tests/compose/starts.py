"""Bad starts: wrong settings end a service at once with all faults in one line; a server that is absent is waited for; a port is taken."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from cli.compose import Project
from cli.failures import Unreachable

from .inside import ready, said
from .notes import Notes
from .stack import Stack, short_hours

PART = "starts"
OURS = ("registry", "receiver", "dedup", "sink")
SERVERS = ("kafka", "redis", "postgres")
FAULTS_S, WAITING_S, READY_S = 180.0, 180.0, 240.0
WRONG = {"HOURMARK_LOG_FORMATT": "json", "HOURMARK_LOG_FORMAT": "xml", "HOURMARK_HOUR_SECONDS": "0"}
MISSING = {  # without its secrets a service names the files that it cannot read
    "registry": "HOURMARK_REGISTRY_DATABASE_URL_FILE",
    "receiver": "HOURMARK_CANARY_KEY_FILE",
    "dedup": "HOURMARK_DEDUP_SECRET_FILE",
    "sink": "",
}
# Who waits for which server, and what each says.
WAITS: Mapping[str, Mapping[str, str]] = {
    "kafka": {
        "registry": "waiting for Kafka",
        "receiver": "Kafka does not answer, refusing requests",
        "dedup": "waiting for Kafka",
        "sink": "waiting for Kafka",
    },
    "redis": {"dedup": "waiting for the id index"},
    "postgres": {
        "registry": "waiting for the database",
        "dedup": "the registry creates them",
        "sink": "the registry creates them",
    },
}


def starts(notes: Notes) -> None:
    wrong_settings(notes)
    for server in WAITS:
        absent(notes, server)
    taken_port(notes)


def wrong_settings(notes: Notes) -> None:
    with Stack(notes, PART, {**short_hours(), **WRONG}) as stack:
        begun = time.monotonic()
        stack.project.compose("build", "sink", timeout=900)
        stack.note("the image", begun)
        begun = time.monotonic()
        stack.project.compose("up", "-d", "--no-deps", *OURS)
        for service in OURS:
            wrong = _ends_with_all_faults(stack.project, service)
            stack.note(f"wrong settings: {service} ends at once, {len(_expected(service))} faults in one line", begun, wrong)


def _expected(service: str) -> list[str]:
    return [name for name in (*WRONG, MISSING[service]) if name]


def _ends_with_all_faults(project: Project, service: str) -> str:
    """What is not as it should be."""
    name, deadline = f"{project.name}-{service}-1", time.monotonic() + FAULTS_S
    while not (found := said(project, name)) and time.monotonic() < deadline:
        time.sleep(0.3)
    if not found:
        return f"nothing said within {FAULTS_S:.0f} s"
    missing = [wanted for wanted in _expected(service) if wanted not in found[0]]
    if missing:
        return f"its first line lacks {', '.join(missing)}: {found[0][:300]}"
    if "did you mean HOURMARK_LOG_FORMAT?" not in found[0]:
        return f"no word on what was meant: {found[0][:300]}"
    while time.monotonic() < deadline:
        state, restarts = _state(project, name)
        if restarts or not state["Running"]:
            break
        time.sleep(0.3)
    else:
        return "it goes on"
    if state["ExitCode"] not in (0, 2):  # 0 while it has just been started again
        return f"exit code {state['ExitCode']}, not 2"
    found = said(project, name)
    return "" if len(found) <= restarts + 2 else f"{len(found)} lines in {restarts + 1} starts"


def _state(project: Project, container: str) -> tuple[dict[str, Any], int]:
    """As the engine tells it, and how often it was started again."""
    found = json.loads(project.docker("inspect", "--format", '{"state": {{json .State}}, "restarts": {{.RestartCount}}}', container))
    return found["state"], found["restarts"]


def absent(notes: Notes, server: str) -> None:
    """First start of everything but one server, which comes when all have said that they wait."""
    with Stack(notes, PART) as stack:
        project, begun = stack.project, time.monotonic()
        others = [name for name in (*SERVERS, *OURS, "front") if name != server]
        project.compose("up", "-d", "--no-deps", "secrets")
        project.compose("up", "-d", "--no-deps", *others)
        for service, words in WAITS[server].items():
            wrong = _waits(project, service, words)
            stack.note(f"{server} absent: {service} says `{words}`, is not ready", begun, wrong)
        begun = time.monotonic()
        project.compose("up", "-d", "--no-deps", server)
        wrong = _all_ready(project)
        stack.note(f"{server} comes: every service is ready", begun, wrong)


def _waits(project: Project, service: str, words: str) -> str:
    name, deadline = f"{project.name}-{service}-1", time.monotonic() + WAITING_S
    while time.monotonic() < deadline:
        lines = [line for line in said(project, name) if words in line]
        fine, why = ready(project, name)
        if lines and not fine:
            health = next(c.health for c in project.containers() if c.name == name)
            if health == "healthy":
                return "its health check calls it healthy"
            return "" if len(lines) <= 3 else f"said {len(lines)} times"
        time.sleep(0.5)
    return f"after {WAITING_S:.0f} s: ready {fine} ({why}); it said: {(said(project, name) or ['nothing'])[-1][:300]}"


def _all_ready(project: Project) -> str:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        ill = [f"{c.name} {c.state} {c.health}" for c in project.containers() if c.service != "secrets" and not c.fine]
        if not ill:
            return ""
        time.sleep(0.5)
    return f"after {READY_S:.0f} s: {', '.join(ill)}"


def taken_port(notes: Notes) -> None:
    with Stack(notes, PART) as stack, socket.socket() as taken:
        port = int(stack.project.environ["STACK_PORT"])
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        begun, told = time.monotonic(), ""
        try:
            stack.project.compose("up", "-d", "--no-deps", "front")
        except Unreachable as exc:
            told = exc.message
        wrong = "" if str(port) in told and "in use" in told else f"compose said: {told or 'nothing, it started'}"
        stack.note(f"port {port} is taken: compose names it", begun, wrong)
        begun = time.monotonic()
        taken.close()
        stack.project.compose("up", "-d", "--no-deps", "front")
        wrong = "" if stack.count("front") else "it does not start"
        stack.note("the port is free: started", begun, wrong)
