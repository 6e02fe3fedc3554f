"""The lake in a bucket of MinIO, which is killed in the middle; every id is then read from the bucket."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial

from cli.compose import FILE
from cli.storm.load import Load

from .lakes import copier
from .notes import Notes
from .stack import Stack

ENV = FILE.with_name("s3.env")
LOAD_S = 25.0


def variables() -> Mapping[str, str]:
    """What `--env-file docker/s3.env` sets."""
    lines = (line.partition("=") for line in ENV.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def s3(notes: Notes) -> None:
    with Stack(notes, "s3", variables=variables()) as stack:
        stack.fetch = copier(stack.project)
        stack.up()
        stack.field.declare_first()
        load = Load(stack.field, 7)
        load.start()
        time.sleep(LOAD_S)
        minio = f"{stack.project.name}-minio-1"
        begun, pid = time.monotonic(), stack.project.kill(minio)
        stack.overcome("s3", "kill -9 of MinIO", begun, partial(_has_other_pid, stack, minio, pid))
        time.sleep(LOAD_S)
        load.check()
        stack.account(load)
        _queried(stack)


def _has_other_pid(stack: Stack, container: str, pid: int) -> bool:
    return int(stack.project.docker("inspect", "--format", "{{.State.Pid}}", container).strip()) not in (0, pid)


def _queried(stack: Stack) -> None:
    """DuckDB on the bucket, by the command line of the stack: as many rows as the ledgers say, each id once."""
    begun, wrong = time.monotonic(), list[str]()
    for name, ledger in stack.field.ledgers.items():
        sql = f"SELECT count(*) AS rows, count(DISTINCT _event_id) AS ids FROM {name.replace('.', '_')}"
        found = json.loads(stack.project.compose("run", "--rm", "-T", "--no-deps", "hourmark", "query", "--json", sql))[0]
        wanted = len({*ledger.acknowledged, *ledger.copies})
        if (found["rows"], found["ids"]) != (wanted, wanted):
            wrong.append(f"{name}: {found}, acknowledged {wanted}")
    stack.note("hourmark query reads the bucket: each id once", begun, "; ".join(wrong))
