"""The commit chain: contiguous, one winner per link, nothing doubled whatever zombies do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark.errors import ChainConflict
from hourmark.topics import Partition
from sinks import layout
from sinks.commits import CommitChain, Tip
from sinks.manifest import CommitEntry, Mark, digest, encode
from tests.sinks.fakes import DictStore

WHERE = Partition("t.thing", 0)


def entry(tip: Tip, end: int, writer: str = "w") -> CommitEntry:
    return CommitEntry(
        type=WHERE.event_type,
        partition=0,
        first=tip.next,
        next=end,
        mark=Mark(1, end),
        closed=None,
        parts=[],
        hours={},
        barriers=[],
        repeats=0,
        foreign=0,
        previous=tip.digest,
        writer=writer,
    )


def test_an_empty_chain_starts_at_zero() -> None:
    assert CommitChain(DictStore()).tip(WHERE) == Tip(0, None, None, "")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50), st.booleans()), min_size=1, max_size=40))
def test_workers_racing_make_one_contiguous_chain(moves: list[tuple[int, int, bool]]) -> None:
    """Three workers, each sure that it owns the partition, extend from what they believe; now and then one restarts."""
    store = DictStore()
    chain = CommitChain(store)
    tips = [Tip()] * 3
    for who, size, restart in moves:
        if restart:
            tips[who] = chain.tip(WHERE)
        tips[who], won = chain.extend(tips[who], entry(tips[who], tips[who].next + size, f"w{who}"))
        assert won or tips[who].next > 0
    position, previous = 0, ""
    for name in store.names(layout.commits(*WHERE)):
        found = chain.entry(WHERE, int(name[:20]))
        assert found is not None
        link, data = found
        assert (link.first, link.previous) == (position, previous)
        position, previous = link.next, digest(data)
    tip = chain.tip(WHERE)
    assert (tip.next, tip.digest) == (position, previous)


def test_a_chain_that_was_cut_under_a_running_worker_is_not_gone_on_with() -> None:
    """The lake was put back from an older moment: an entry behind the gap would be the tip for good, and the gap never be written."""
    store = DictStore()
    chain = CommitChain(store)
    tip, _ = chain.extend(Tip(), entry(Tip(), 70))
    older = dict(store.files)
    tip, _ = chain.extend(tip, entry(tip, 100))
    store.files = dict(older)
    with pytest.raises(ChainConflict, match="older moment"):
        chain.extend(tip, entry(tip, 150))
    assert store.files == older
    again, won = chain.extend(chain.tip(WHERE), entry(chain.tip(WHERE), 120))
    assert won
    store.files[f"{layout.commits(*WHERE)}/{layout.entry_name(70)}"] = b"another past"
    with pytest.raises(ChainConflict, match="older moment"):
        chain.extend(again, entry(again, 150))


def test_the_loser_follows_the_winner() -> None:
    chain = CommitChain(DictStore())
    tip, won = chain.extend(Tip(), entry(Tip(), 70, "winner"))
    assert won
    assert chain.extend(Tip(), entry(Tip(), 100, "loser")) == (tip, False)
    assert tip.next == 70


def test_the_same_entry_again_is_ours() -> None:
    chain = CommitChain(DictStore())
    assert chain.extend(Tip(), entry(Tip(), 70)) == chain.extend(Tip(), entry(Tip(), 70))


@pytest.mark.parametrize("wrong", [{"first": 4}, {"next": 0}, {"previous": "x"}])
def test_an_entry_must_continue_the_chain(wrong: dict[str, int]) -> None:
    import msgspec

    with pytest.raises(ChainConflict):
        CommitChain(DictStore()).extend(Tip(), msgspec.structs.replace(entry(Tip(), 10), **wrong))


@pytest.mark.parametrize("data", [b"{", b"{}", encode(entry(Tip(next=5), 9))])
def test_a_damaged_entry_stops_the_worker(data: bytes) -> None:
    store = DictStore()
    store.create(f"{layout.commits(*WHERE)}/{layout.entry_name(0)}", data)
    with pytest.raises(ChainConflict):
        CommitChain(store).tip(WHERE)
