"""Checkpoints of commit chains: whatever workers, compactors and zombies do between each other's steps, there is one history."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hourmark.errors import ChainConflict, LakeUnavailable
from hourmark.topics import Partition
from sinks import layout
from sinks.chain_check import Fault, walk
from sinks.commits import CommitChain, Tip
from sinks.compaction import clear, compact
from sinks.disk import DiskStore
from sinks.fsck import fsck
from sinks.manifest import CommitEntry, Plan, decode, encode
from tests.sinks.fakes import HOUR, DictStore, Feed
from tests.sinks.room import Room
from tests.sinks.test_commits import WHERE, entry
from tests.sinks.test_sealed_hours import ONE, QUICK, TYPE, fill


def grown(store: DictStore, entries: int, writer: str = "w") -> Tip:
    chain = CommitChain(store)
    tip = chain.tip(WHERE)
    for _ in range(entries):
        tip, won = chain.extend(tip, entry(tip, tip.next + 10, writer))
        assert won
    return tip


def history(store: DictStore) -> list[CommitEntry]:
    """Every link, in order; fails when one is wrong."""
    found = list(walk(store, WHERE))
    assert not [item for item in found if isinstance(item, Fault)]
    return [item.entry for item in found if not isinstance(item, Fault)]


def test_a_compacted_chain_has_the_same_links_and_tip_and_goes_on() -> None:
    store = DictStore()
    tip = grown(store, 20)
    before, links = CommitChain(store).tip(WHERE), history(store)
    assert compact(store, WHERE, 150) == 14
    assert compact(store, WHERE, tip.next) == 5
    assert compact(store, WHERE, tip.next) == 0
    assert len(store.names(layout.commits(*WHERE))) == 1
    assert (CommitChain(store).tip(WHERE), history(store)) == (before, links)
    grown(store, 3)
    assert len(history(store)) == 23


def test_too_few_entries_are_left_alone() -> None:
    store = DictStore()
    grown(store, 5)
    assert compact(store, WHERE, 50, least=5) == 0
    assert not store.folders(layout.CHECKPOINTS)


def test_a_zombie_that_takes_a_freed_name_gains_nothing() -> None:
    """It had slept through a checkpoint. Its entry is created, and never read: not by it, nor by writers, sealers, fsck."""
    store = DictStore()
    asleep = grown(store, 3)
    grown(store, 10)
    links = history(store)
    compact(store, WHERE, 120)
    tip, won = CommitChain(store).extend(asleep, entry(asleep, 500, "zombie"))
    assert (tip.next, won) == (130, False)
    assert f"{layout.commits(*WHERE)}/{layout.entry_name(30)}" in store.files
    assert (history(store), CommitChain(store).tip(WHERE)) == (links, tip)
    assert clear(store, WHERE) == 1
    assert CommitChain(store).extend(tip, entry(tip, 140))[1]


def test_a_damaged_checkpoint_is_seen() -> None:
    store = DictStore()
    grown(store, 10)
    compact(store, WHERE, 100)
    (path,) = [path for path in store.files if path.startswith(layout.CHECKPOINTS)]
    whole = store.files[path]
    spoilt = [(b'"next\\": 30', b'"next\\": 31'), (b"writer", b"waiter"), (b'"first": 0', b'"first": 1'), (whole, b"{")]
    for wrong in (whole.replace(one, other) for one, other in spoilt):
        assert wrong != whole
        store.files[path] = wrong
        assert [item.code for item in walk(store, WHERE) if isinstance(item, Fault)] == ["chain_unreadable"]
    with pytest.raises(ChainConflict):
        CommitChain(store).checkpointed(WHERE, 90)


def test_a_checkpoint_made_while_the_chain_is_walked_loses_no_link() -> None:
    class Compacting(DictStore):
        """Compacts when the sixth entry is read."""

        reads = 0

        def read(self, path: str) -> bytes | None:
            if path.startswith(layout.COMMITS):
                self.reads += 1
                if self.reads == 6:
                    self.reads = 100
                    compact(self, WHERE, 180)
            return super().read(path)

    store = Compacting()
    store.reads = 1000
    grown(store, 20)
    links = history(store)
    compact(store, WHERE, 30)
    store.reads = 0
    assert history(store) == links
    assert len(store.names(layout.checkpoints(*WHERE))) == 2


# -- interleavings


class Steps:
    """Runs actors in turns of one store operation each, in a given order: every interleaving can be had, and had again."""

    def __init__(self) -> None:
        self.gates: dict[int, threading.Semaphore] = {}
        self.waiting = threading.Semaphore(0)
        self.alive: set[int] = set()

    def start(self, number: int, act: Callable[[], None]) -> threading.Thread:
        self.gates[number] = threading.Semaphore(0)
        self.alive.add(number)

        def run() -> None:
            actor.number = number
            self.gates[number].acquire()
            try:
                act()
            finally:
                self.alive.discard(number)
                self.waiting.release()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def pause(self) -> None:
        self.waiting.release()
        self.gates[actor.number].acquire()

    def turn(self, number: int) -> None:
        """One operation of this actor, up to before its next one."""
        self.gates[number].release()
        assert self.waiting.acquire(timeout=60)


actor = threading.local()


class SteppedStore(DictStore):
    """Each operation waits for its turn."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps = steps

    def create(self, path: str, data: bytes) -> bool:
        self.steps.pause()
        return super().create(path, data)

    def read(self, path: str) -> bytes | None:
        self.steps.pause()
        return super().read(path)

    def names(self, folder: str, after: str = "") -> list[str]:
        self.steps.pause()
        return super().names(folder, after)

    def remove(self, path: str) -> None:
        self.steps.pause()
        super().remove(path)


def writer(store: DictStore, name: str, size: int, won: list[CommitEntry]) -> None:
    """A worker that believes for ever that the partition is its own."""
    chain, failed = CommitChain(store), 0
    tip = Tip()
    for _ in range(8):
        try:
            ours = entry(tip, tip.next + size, name)
            tip, mine = chain.extend(tip, ours)
            if mine:
                won.append(ours)
        except LakeUnavailable:  # its entries went away under its eyes, again and again
            failed += 1
    assert failed < 8


def compactor(store: DictStore) -> None:
    """One that makes a checkpoint of all that it sees, however often: every entry here counts as sealed."""
    for _ in range(4):
        compact(store, WHERE, CommitChain(store).tip(WHERE).next)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40)), max_size=40), st.lists(st.integers(3, 9), min_size=3, max_size=3))
@settings(deadline=None, max_examples=120, phases=QUICK)
def test_any_interleaving_makes_one_history(bursts: list[tuple[int, int]], sizes: list[int]) -> None:
    """Three writers and two compactors on one chain. What somebody was told is in the chain is there, once, and no offset twice."""
    steps = Steps()
    store, plain, won = SteppedStore(steps), DictStore(), [[], [], []]
    acts: list[Callable[[], None]] = [lambda n=n: writer(store, f"w{n}", sizes[n], won[n]) for n in range(3)]  # type: ignore[misc]
    threads = [steps.start(number, act) for number, act in enumerate([*acts, lambda: compactor(store), lambda: compactor(store)])]
    turns = [who for who, steps_of_it in bursts for _ in range(steps_of_it)]
    for number in [*turns, *(n for _ in range(2000) for n in range(5))]:
        if number in steps.alive:
            steps.turn(number)
        if not steps.alive:
            break
    for thread in threads:
        thread.join(60)
    plain.files = store.files
    links = history(plain)  # contiguous, each naming the digest of the one before
    told = [encode(ours) for mine in won for ours in mine]
    there = [encode(link) for link in links]
    assert set(told) <= set(there)
    assert len(set(there)) == len(there)
    assert CommitChain(plain).tip(WHERE).next == links[-1].next
    clear(plain, WHERE)
    assert [encode(link) for link in history(plain)] == there


# -- with hours


def test_hours_go_on_over_checkpoints_and_fsck_proves_them_all(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    room, feed, numbers = Room(*ONE, store=store), Feed(), iter(range(10**6))
    for hour in range(HOUR, HOUR + 6):
        for _ in range(3):
            fill(feed, hour, range(next(numbers) * 10, next(numbers) * 10))
            fill(feed, hour + 1, range(next(numbers) * 10, next(numbers) * 10))
        feed.barrier(hour)
        room.drain(feed, 7)
        assert room.seal() == 1
        plan = decode(Plan, store.read(layout.seal(TYPE, hour)) or b"")
        compact(store, Partition(TYPE, 0), plan.resume[0].entry)
        if hour > HOUR:
            assert store.folders(layout.CHECKPOINTS)
    assert len(store.names(layout.commits(TYPE, 0))) < 12
    assert fsck(store) == []
    assert fsck(store, TYPE, HOUR + 2, HOUR + 3) == []
    sleeper = Room(*ONE, store=store)
    feed.barrier(HOUR + 6)
    sleeper.drain(feed)
    assert sleeper.seal() == 1
    assert fsck(store) == []
