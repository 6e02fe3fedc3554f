"""Raw and clean side by side, in whatever order the two come: exactly the records that were not forwarded are given back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cli.watch.joining import Join

SIZE = 10


@given(st.lists(st.sampled_from(["event", "copy", "barrier"]), max_size=60), st.randoms(use_true_random=False), st.integers(0, 10))
def test_any_interleaving_gives_the_copies_in_order(kinds: list[str], chance: object, start: int) -> None:
    """`start`: clean is known from there on, and some records from before it come on clean too."""
    raw = [(offset, kind) for offset, kind in enumerate(kinds) if kind != "barrier"]
    clean = [(offset, kind) for offset, kind in enumerate(kinds) if kind != "copy"]
    reading = [one for one in raw if one[0] >= start]
    join: Join[int] = Join(start)
    found: list[int] = []
    while reading or clean:
        if reading and (not clean or chance.random() < 0.5):  # type: ignore[attr-defined]  # hypothesis names no type for it
            offset, _ = reading.pop(0)
            found += join.raw(offset, offset, SIZE)
        else:
            offset, kind = clean.pop(0)
            fresh, overtaken = join.clean(1, offset, barrier=kind == "barrier")
            found += overtaken
            assert fresh
            assert join.clean(1, offset) == (False, [])  # a worker that says it again
    found += join.passed(len(kinds))
    assert found == [offset for offset, kind in raw if kind == "copy" and offset >= start]
    assert (join.waiting, join.held, join.ahead) == (0, 0, 0)


def test_never_are_both_sides_held() -> None:
    join: Join[int] = Join(0)
    for offset in range(5):
        join.raw(offset, offset, SIZE)
    assert (join.held, join.ahead) == (50, 0)
    join.clean(1, 7)
    assert (join.held, join.ahead) == (0, 1)


def test_what_dedup_has_not_settled_is_not_called_a_copy() -> None:
    join: Join[int] = Join(0)
    for offset in range(4):
        assert join.raw(offset, offset, SIZE) == []
    assert join.passed(2) == [0, 1]
    assert join.waiting == 2


def test_a_clean_log_whose_beginning_has_gone_judges_nobody_before_it() -> None:
    join: Join[int] = Join(0, trusted=False)
    join.raw(3, 3, SIZE)
    assert join.clean(1, 5) == (True, [])
    assert join.raw(4, 4, SIZE) == []  # it may have been forwarded before clean begins
    assert join.raw(5, 5, SIZE) == []
    assert join.raw(6, 6, SIZE) == []
    assert join.clean(1, 7) == (True, [6])


def test_a_recreated_topic_begins_anew() -> None:
    join: Join[int] = Join(0, source=2)
    assert join.clean(1, 900) == (True, [])
    join.raw(0, 0, SIZE)
    assert join.clean(2, 0) == (True, [])
    assert join.waiting == 0
