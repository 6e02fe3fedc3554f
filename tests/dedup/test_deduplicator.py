"""The pure decisions against the plainest model, over random logs, random cuts into polls, and random replays."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.deduplicator import Deduplicator, Outcome, PartitionState, Slice, is_claimable, positions
from dedup.index import SEALED_OWNER, Owners
from dedup.memory import MemoryIndex
from hourmark.event import FLAG_ECHO, FLAG_SKEWED, FLAG_UNCHECKED, CleanBarrier, Coordinates, unpack_stamp
from tests.dedup.records import HOURS, START, Model, Record, barrier, event, read_clean, rubbish

RUBBISH = (None, b"", b"\x00\x00\x00", b"\x01" * 40, b"\x00" * 20)


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """A raw partition: events with few ids, barriers valid and not, rubbish, under a broker clock that steps both ways."""
    at, log = START, []
    for offset in range(draw(st.integers(0, 60))):
        at = max(START, at + draw(st.sampled_from((0, 1, 900, 4_000, 11_000, 35_000, -6_000, -15_000))))
        kind = draw(st.sampled_from("eeeeeeeebbr"))
        if kind == "e":
            log.append(event(offset, at, draw(st.integers(0, 8))))
        elif kind == "b":
            log.append(barrier(offset, at, HOURS.of(at) + draw(st.integers(-3, 1))))
        else:
            log.append(rubbish(offset, at, draw(st.sampled_from(RUBBISH))))
    return log


def slice_of(records: list[Record]) -> Slice:
    return Slice("player.song_played", 1, 3, records)


def run(deduplicator: Deduplicator, index: MemoryIndex, state: PartitionState, records: list[Record]) -> Outcome:
    part = slice_of(records)
    batch = [deduplicator.claims(part)]
    return deduplicator.decide(state, part, asyncio.run(index.claim(batch)), positions(batch)[0])


def new_index() -> MemoryIndex:
    index = MemoryIndex(claim_seconds=10**9)
    asyncio.run(index.initialise())
    return index


@given(log=logs(), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_any_cutting_into_polls_equals_the_model(log: list[Record], cuts: list[int]) -> None:
    model, seen = Model(), set()
    for record in log:
        claimable = is_claimable(record.value)
        model.read(record, claimable and record.key in seen)
        if claimable:
            seen.add(record.key)
    deduplicator, index, state = Deduplicator(HOURS, b"key"), new_index(), PartitionState()
    clean, rejected = [], []
    edges = sorted({0, len(log), *(cut for cut in cuts if cut < len(log))})
    for low, high in itertools.pairwise(edges):
        outcome = run(deduplicator, index, state, log[low:high])
        state = outcome.state
        clean += read_clean(outcome.clean)
        rejected += [record.offset for record in outcome.rejected]
        assert outcome.total.consumed == outcome.total.forwarded + outcome.total.duplicates + outcome.total.rejected
    assert [record for record in clean if not isinstance(record, CleanBarrier)] == model.events
    assert [record for record in clean if isinstance(record, CleanBarrier)] == model.barriers
    assert rejected == [offset for offset, _, verdict, _ in model.booked if verdict == "rejected"]
    assert state.closed == model.closed
    assert all(found.balanced() for found in model.barriers)


@given(log=logs(), commit=st.integers(0, 60), crash=st.integers(0, 60))
def test_a_replay_from_any_commit_repeats_everything(log: list[Record], commit: int, crash: int) -> None:
    commit, crash = sorted((min(commit, len(log)), min(crash, len(log))))
    deduplicator, index = Deduplicator(HOURS, b"key"), new_index()
    committed = run(deduplicator, index, PartitionState(), log[:commit]).state
    lost = run(deduplicator, index, committed, log[commit:crash])  # written, acknowledged perhaps, never committed
    again = run(deduplicator, index, committed, log[commit:])
    assert list(again.clean)[: len(lost.clean)] == list(lost.clean)
    assert [record.offset for record in again.rejected][: len(lost.rejected)] == [record.offset for record in lost.rejected]
    onwards = run(deduplicator, index, lost.state, log[crash:])
    assert onwards.state == again.state


@given(log=logs())
def test_a_state_handed_out_never_changes(log: list[Record]) -> None:
    deduplicator, index = Deduplicator(HOURS, b"key"), new_index()
    state = run(deduplicator, index, PartitionState(), log[: len(log) // 2]).state
    before = state.copy()
    run(deduplicator, index, state, log[len(log) // 2 :])
    assert state == before


def test_an_event_behind_its_barrier_is_skewed_into_the_next_open_hour() -> None:
    at = HOURS.end_ms(1_000)
    log = [event(0, START, 1), barrier(1, at, 1_000), event(2, START + 5, 2), event(3, at, 3)]
    outcome = run(Deduplicator(HOURS, b"key"), new_index(), PartitionState(), log)
    stamps = [unpack_stamp(dict(headers)["hm"]) for _, value, headers in outcome.clean if value is not None]
    assert [(stamp.offset, stamp.hour, stamp.flags) for stamp in stamps] == [(0, 1_000, 0), (2, 1_001, FLAG_SKEWED), (3, 1_001, 0)]


def test_a_barrier_before_the_end_of_its_hour_closes_nothing() -> None:
    log = [barrier(0, HOURS.end_ms(1_000) - 1, 1_000), event(1, START, 1)]
    outcome = run(Deduplicator(HOURS, b"key"), new_index(), PartitionState(), log)
    assert outcome.state.closed is None
    assert (outcome.state.barriers, outcome.state.seen) == (1, 1)
    assert len(outcome.clean) == 1


def test_unchecked_events_are_forwarded_and_say_so() -> None:
    part = slice_of([event(0, START, 1), event(1, START, 1)])
    outcome = Deduplicator(HOURS, b"key").decide(PartitionState(), part, Owners(), range(2), unchecked=True)
    assert [unpack_stamp(dict(headers)["hm"]).flags for _, _, headers in outcome.clean] == [FLAG_UNCHECKED] * 2


def test_claims_name_the_record_and_hide_the_id() -> None:
    deduplicator = Deduplicator(HOURS, b"key")
    part = slice_of([event(5, START, 1), rubbish(6, START, b"no"), event(7, START + 9, 2)])
    claims = deduplicator.claims(part)
    assert claims.append_ms == START + 9
    assert len(claims.records) == 48
    assert Coordinates.unpack(claims.records[40:48]) == Coordinates(1, 3, 7)
    other_type = deduplicator.claims(part._replace(event_type="player.song_skipped"))
    assert claims.records[:16] != other_type.records[:16]
    assert claims.records[:16] != Deduplicator(HOURS, b"other").claims(part).records[:16]
    assert positions([claims, claims]) == [range(2), range(2, 4)]


@pytest.mark.parametrize("value", RUBBISH)
def test_what_is_no_event_is_rejected_and_not_claimed(value: bytes | None) -> None:
    deduplicator, part = Deduplicator(HOURS, b"key"), slice_of([rubbish(0, START, value)])
    assert deduplicator.claims(part).records == b""
    outcome = deduplicator.decide(PartitionState(), part, Owners(), range(0))
    assert (outcome.total.rejected, list(outcome.clean)) == (1, [])


def test_a_claim_is_of_the_day_of_its_hour() -> None:
    """Not of the append time alone: behind a barrier that closed a day nothing is claimed for that day, whatever clocks say."""
    deduplicator, day = Deduplicator(HOURS, b"key"), (HOURS.of(START) // 24 + 1) * 24
    end = HOURS.start_ms(day)
    whole = slice_of([event(0, end - 2, 1), event(1, end - 1, 2)])
    assert (deduplicator.claims(whole).append_ms, deduplicator.claims(whole).times) == (end - 1, ())
    behind = deduplicator.claims(whole, PartitionState(closed=day - 1))
    assert (behind.append_ms, behind.times) == (end, ()), "a clock that stepped back"
    log = [event(0, end - 2, 1), barrier(1, end - 2, day - 1), event(2, end - 1, 2), barrier(3, end + 1, day - 1), event(4, end - 1, 3)]
    claims = deduplicator.claims(slice_of(log))
    assert list(claims.times) == [end - 2, end - 1, end], "only a valid barrier closes"
    assert len(claims.records) == 3 * 24
    assert list(deduplicator.claims(slice_of([rubbish(0, end - 1, b""), event(1, end, 1)])).times) == [end]


def test_an_echo_is_forwarded_and_flagged_and_a_copy_in_a_sealed_day_is_not() -> None:
    part = slice_of([event(0, START, 1), event(1, START, 2), event(2, START, 3)])
    outcome = Deduplicator(HOURS, b"key").decide(PartitionState(), part, Owners({6: SEALED_OWNER}, [5]), range(5, 8))
    flags = [unpack_stamp(dict(headers)["hm"]).flags for _key, _value, headers in outcome.clean]
    assert flags == [FLAG_ECHO, 0]
    assert (outcome.total.forwarded, outcome.total.duplicates, outcome.echoes) == (2, 1, 1)
    elsewhere = Deduplicator(HOURS, b"key").decide(PartitionState(), part, Owners({}, [5]), range(3))
    assert elsewhere.echoes == 0
