"""Shards: where an event type belongs, and what must move when their number changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.groups import MOVED, Kept, Where, owners
from streams.reshard import moves, stale
from streams.shards import group_of, shard_of

TYPES = [f"team{number % 7}.type_{number}" for number in range(600)]

groups = st.sampled_from(["d", *(group_of("d", shard) for shard in range(4))])
wheres = st.tuples(st.sampled_from([f"raw.{name}" for name in TYPES[:6]]), st.integers(0, 1))
progress = st.builds(Kept, st.integers(0, 50), st.sampled_from(["", "state", MOVED + "d-9"]))


def test_a_type_stays_where_it_is_from_release_to_release() -> None:
    assert [shard_of(name, 8) for name in ("player.song_played", "app.opened", "ads.clicked")] == [0, 5, 1]


def test_every_shard_gets_its_share() -> None:
    counts = [sum(shard_of(name, 8) == shard for name in TYPES) for shard in range(8)]
    assert min(counts) > 600 / 8 * 0.7
    assert max(counts) < 600 / 8 * 1.3


def test_one_more_shard_takes_types_from_the_others_and_moves_no_other_type() -> None:
    moved = [(shard_of(name, 4), shard_of(name, 5)) for name in TYPES if shard_of(name, 4) != shard_of(name, 5)]
    assert {after for _, after in moved} == {4}
    assert 600 / 5 * 0.7 < len(moved) < 600 / 5 * 1.3


@given(st.dictionaries(groups, st.dictionaries(wheres, progress)), st.integers(1, 4))
def test_after_a_move_only_the_target_group_goes_on_and_knows_the_most(found: dict[str, dict[Where, Kept]], shards: int) -> None:
    targets = {where: group_of("d", shard_of(where[0].removeprefix("raw."), shards)) for group in found.values() for where in group}
    before = {where: found[group][where] for where, group in owners(found).items()}
    for move in moves(found, targets):
        found.setdefault(move.target, {})[move.where] = move.progress
    for mark in stale(found, targets):
        found[mark.origin][mark.where] = mark.progress
    for where, known in before.items():
        unmarked = {group: kept[where] for group, kept in found.items() if where in kept and kept[where].moved_to is None}
        assert unmarked.keys() == {targets[where]}
        assert unmarked[targets[where]].offset == known.offset
    assert not moves(found, targets)
    assert not [mark for mark in stale(found, targets) if mark.where in before]


def test_a_mark_can_never_be_a_state() -> None:
    from base64 import b85decode

    for first in MOVED:
        try:
            b85decode(first * 5)
        except ValueError:
            break
    else:
        raise AssertionError("every character of the mark is a digit of base85")
