"""Copies of each store, and each put back from an older moment than the others, by the commands of the documentation. All ids are counted
after every step: nothing lost, nothing doubled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.compose import OWN_USER
from cli.failures import Unreachable
from cli.hour_rows import hour_of, manifest_of
from cli.sealed import sealed_folders
from cli.storm import account as books
from cli.storm.load import Load
from hourmark_client import Client

from . import procedures
from .inside import ready, said
from .lakes import copier
from .notes import Notes
from .stack import SEAL_S, Stack

LOAD_S = 15.0
SAID_S = 180.0
COPIES = 300
LATER = "storm.later"
LOST = "Kafka was lost before the hour was whole"
Contents = dict[tuple[str, int], str]


def backup(notes: Notes) -> None:
    with Stack(notes, "backup", variables={"STACK_LAKE": "lake", "STACK_USER": str(OWN_USER)}) as stack:
        stack.fetch = copier(stack.project)
        trial = Restores(stack)
        stack.up()
        stack.field.declare_first()
        trial.copies()
        trial.lake()
        trial.registry()
        trial.index_lost()
        trial.index_older()
        trial.kafka_older()
        trial.all_lost()


class Restores:
    """One stack, whose stores are put back one after the other. Every step ends with an account."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._project, self._field = stack, stack.project, stack.field
        self._lossy = False

    def copies(self) -> None:
        """Under load: copies while it runs, then of everything at one moment; then it goes on, with an event type that no copy knows."""
        load = Load(self._field, 7)
        load.start()
        time.sleep(LOAD_S)
        for name in ("copy", "cold"):
            begun = time.monotonic()
            self._run(name)
            self._stack.overcome("backup", f"commands `{name}`", begun)
        time.sleep(LOAD_S)
        self._field.declare(LATER)
        time.sleep(LOAD_S)
        load.check()
        self._account("all of it", load)

    def lake(self) -> None:
        before = self._contents()
        begun = time.monotonic()
        self._run("lake")
        self._account("the lake from an older moment than Kafka")
        after = self._contents()
        other = [key for key, content in before.items() if after.get(key) != content]
        self._stack.note(f"{len(before)} hours have the contents they had", begun, f"not those: {other[:3]}" if other else "")

    def registry(self) -> None:
        begun = time.monotonic()
        self._run("registry")
        self._says("registry", "event types that this store does not know", begun)
        self._field.declare(LATER)
        self._more("the registry from an older dump, the type declared after it declared again")

    def index_lost(self) -> None:
        self._project.compose("stop", "dedup", "redis")
        self._empty("redis", "")
        begun = time.monotonic()
        self._project.compose("start", "redis", "dedup")
        self._says("dedup", "no canary in the id index", begun)
        self._run("index-lost")
        self._more("the index lost and rebuilt; copies of old events")

    def index_older(self) -> None:
        self._project.compose("stop", "dedup", "redis")
        self._empty("redis", "tar -C /to -xpf /b/redis.tar")
        begun = time.monotonic()
        self._project.compose("start", "redis", "dedup")
        self._says("dedup", "put back from an older moment", begun)
        self._run("index-older")
        self._more("the index from an older moment, filled up; copies of old events")

    def kafka_older(self) -> None:
        self._project.compose("stop", timeout=300)
        self._empty("kafka", "tar -C /to -xpf /b/kafka.tar")
        begun = time.monotonic()
        self._project.compose("start", timeout=300)
        self._says("sink", "Kafka was lost or put back from an older moment", begun)
        self._taken_by_the_older_kafka()
        begun, told = time.monotonic(), "nothing"
        try:
            told = self._project.compose("run", "--rm", "-T", "hourmark", "lake", "new-log", "--yes")
            wrong = f"it was done: {told}"
        except Unreachable:
            wrong = ""
        self._stack.note("`lake new-log` refuses the older log", begun, wrong)
        begun = time.monotonic()
        self._run("kafka-lost")
        self._stack.note("commands `kafka-lost`", begun)
        self._lossy = True
        self._more("Kafka empty, the lake goes on; copies of old events")

    def _taken_by_the_older_kafka(self) -> None:
        """Events that are acknowledged before anybody has noticed: they must not be lost with it."""
        begun, load = time.monotonic(), Load(self._field, 11)
        before = self._field.acknowledged
        load.start()
        time.sleep(LOAD_S)
        wrong, open_ = load.finish()
        if open_ or self._field.acknowledged == before:
            wrong.append(f"{open_} events never got a verdict, {self._field.acknowledged - before} were taken")
        self._stack.note("the older Kafka takes events meanwhile", begun, "; ".join(wrong))

    def all_lost(self) -> None:
        """A new stack on the old lake; the declarations are made again."""
        begun = time.monotonic()
        self._run("all-lost")
        self._field.reach(self._project.addresses())
        for name in sorted(self._field.declared):
            self._field.declare(name)
        self._run("all-lost-go-on")
        self._stack.note("commands `all-lost` and `all-lost-go-on`", begun)
        self._more("a new stack on the old lake; copies of old events")

    # -- steps

    def _run(self, name: str) -> None:
        procedures.run(self._project, name, self._stack.place)

    def _empty(self, store: str, then: str) -> None:
        """The volume of a store that is stopped, emptied; `then` a command that fills it."""
        inside = ("run", "--rm", "-v", f"{self._project.name}_{store}:/to", "-v", f"{self._stack.place / 'backup'}:/b:ro")
        command = "find /to -mindepth 1 -delete" + (f"; {then}" if then else "")
        self._project.docker(*inside, "debian:bookworm-slim", "sh", "-euc", command)

    def _says(self, service: str, words: str, begun: float) -> None:
        """Waits until the service says so, and is not ready when it is one that must not be."""
        name, deadline = f"{self._project.name}-{service}-1", time.monotonic() + SAID_S
        while time.monotonic() < deadline and not any(words in line for line in said(self._project, name)):
            time.sleep(0.5)
        wrong = "" if any(words in line for line in said(self._project, name)) else f"it said: {said(self._project, name)[-1:]}"
        if not wrong and service != "registry" and ready(self._project, name)[0]:
            wrong = "it is ready all the same"
        self._stack.note(f"{service} says `{words}`", begun, wrong)

    def _more(self, what: str) -> None:
        """New events for some seconds, and copies of the oldest and newest that there are; then the account."""
        load = Load(self._field, int(time.monotonic()))
        load.start()
        self._resend()
        time.sleep(LOAD_S)
        load.check()
        self._account(what, load)

    def _resend(self) -> None:
        client = Client.http(self._field.receiver, write_key=self._field.write_key, app="storm", block_timeout=120.0)
        for ledger in list(self._field.ledgers.values()):
            known = list(dict.fromkeys(ledger.acknowledged))
            for event_id in {*known[:COPIES], *known[-COPIES:]}:
                with self._field.counting:
                    ledger.copies_sent += 1
                client.send(ledger.event_type, {"number": 0, "text": "again"}, event_id=event_id, on_verdict=ledger.copy)
        client.close(120.0)

    # -- what is in the lake

    def _account(self, what: str, load: Load | None = None) -> None:
        begun, field, lake = time.monotonic(), self._field, self._project.lake
        wrong, open_ = load.finish() if load is not None else ([], 0)
        until = field.hour_now() + 1
        names, deadline = sorted(field.ledgers), time.monotonic() + SEAL_S
        self._until(lambda: books.sealed_long_enough(lake, names, until), deadline)
        accounts = [books.strike(lake, field.ledgers[name], until, books.Watch(lake), field.spoilt) for name in names]
        wrong += [f"{account.event_type}: {note}" for account in accounts for note in self._notes(account, lake)]
        if open_:
            wrong.append(f"{open_} events never got a verdict")
        rows = sum(account.rows for account in accounts)
        self._stack.note(f"{what}: {rows:,} rows, each id once", begun, "; ".join(wrong)[:1500])

    def _until(self, done: Callable[[], bool], deadline: float) -> None:
        self._stack.fetch()
        while not done() and time.monotonic() < deadline:
            time.sleep(1.0)
            self._stack.fetch()

    def _notes(self, account: books.Account, lake: Path) -> list[str]:
        """What is wrong with it. After Kafka was lost, hours that say so themselves are as they should be."""
        expected = {folder.name for folder in _incomplete(lake, account.event_type)} if self._lossy else set()
        return [note for note in account.notes if not (expected and "not complete" in note)] + [
            f"{folder} is not complete, and does not say why"
            for folder in _incomplete(lake, account.event_type)
            if self._lossy and not any(LOST in fault for fault in manifest_of(folder)["audit"]["faults"])
        ]

    def _contents(self) -> Contents:
        """The content digest of every sealed hour."""
        lake = self._project.lake
        return {
            (name, hour_of(folder)): manifest_of(folder)["content"]
            for name in sorted(self._field.ledgers)
            for folder in sealed_folders(lake, name)
        }


def _incomplete(lake: Path, event_type: str) -> list[Any]:
    return [folder for folder in sealed_folders(lake, event_type) if not manifest_of(folder)["complete"]]
