"""What an operator does to containers, and what happens to them, while events flow: one stack for all parts, then the account by id."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from cli.compose import IMAGE
from cli.storm.load import Load

from .notes import Notes
from .stack import Stack

NEXT = "hourmark:next"
SERVERS = ("kafka", "redis", "postgres", "front")


def attack(notes: Notes, seed: int, parts: Sequence[str]) -> None:
    """`parts`: keys of ATTACKS. Every one leaves the stack as it found it."""
    with Stack(notes, "attack") as stack:
        stack.up()
        stack.field.declare_first()
        load = Load(stack.field, seed)
        load.start()
        for part in parts:
            ATTACKS[part](stack)
            load.check()
            stack.look()
        stack.account(load, f"Seed {seed}.")


def kill(stack: Stack) -> None:
    for container in stack.running():
        begun, name = time.monotonic(), container.name
        pid = stack.project.kill(name)
        stack.overcome("kill", f"kill -9 {name}", begun, partial(_has_other_pid, stack, name, pid))


def scale(stack: Stack) -> None:
    for count in (3, 1):
        begun = time.monotonic()
        stack.project.up("--no-recreate", scale={"dedup": count, "sink": count})
        stack.overcome("scale", f"dedup and sink workers: {count}", begun, partial(_has_workers, stack, count))


def restart(stack: Stack) -> None:
    for container in stack.running():
        begun, docker = time.monotonic(), stack.project.docker
        docker("stop", container.name)
        code = docker("inspect", "--format", "{{.State.ExitCode}}", container.name).strip()
        docker("start", container.name)
        forced = "did not stop within its grace" if code == "137" else ""
        stack.overcome("restart", f"stop and start {container.name} (exit code {code})", begun, wrong=forced)


def upgrade(stack: Stack) -> None:
    for image, version in ((NEXT, "next"), (IMAGE, "local")):
        begun = time.monotonic()
        stack.project.up("--build", STACK_IMAGE=image, STACK_VERSION=version)
        stack.overcome("upgrade", f"every service from image {image}", begun, wrong=_not_of(stack, version))
    stack.project.docker("image", "rm", NEXT)


ATTACKS = {"kill": kill, "scale": scale, "restart": restart, "upgrade": upgrade}


def _has_other_pid(stack: Stack, name: str, pid: int) -> bool:
    now = int(stack.project.docker("inspect", "--format", "{{.State.Pid}}", name).strip())
    return now not in (0, pid)


def _has_workers(stack: Stack, count: int) -> bool:
    return stack.count("dedup") == count == stack.count("sink")


def _not_of(stack: Stack, version: str) -> str:
    """The services' containers whose image has another version."""
    asked = '{{index .Config.Labels "org.opencontainers.image.version"}}'
    names = [c.name for c in stack.running() if c.service not in SERVERS]
    other = [name for name in names if stack.project.docker("inspect", "--format", asked, name).strip() != version]
    return f"not of version {version}: {', '.join(other)}" if other else ""
