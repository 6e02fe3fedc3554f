"""The index of what is parked never loses an event, however many names there are and whatever is declared when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hourmark.parked import Replayed
from receiver.waiting import Waiting

NAMES = [f"a.t{number}" for number in range(6)]


def progress(name: str, upto: int) -> Replayed:
    return Replayed(type=name, partition=0, next=upto)


@given(
    st.lists(st.tuples(st.sampled_from(["park", "declare", "undeclare", "replay", "expire"]), st.integers(0, 5)), max_size=60),
    st.integers(0, 3),
)
def test_whatever_is_unsettled_is_found_when_its_type_is_live(steps: list[tuple[str, int]], most: int) -> None:  # noqa: C901  a step a branch
    """Against a model that keeps every event: a replay from where the index says meets all of them, and none is met twice."""
    waiting = Waiting({}, most=most)
    waiting.position = 0
    events: dict[int, str] = {}  # unsettled, by offset
    live: set[str] = set()
    low = end = 0
    for step, number in steps:
        name = NAMES[number]
        if step == "park":
            events[end] = name
            waiting.saw(end, name, end, name in live)
            end += 1
        elif step == "declare" and name not in live:
            live.add(name)
            waiting.look_among_others(name)
        elif step == "undeclare":
            live.discard(name)
        elif step == "replay" and name in live:
            line = waiting.lines.get(name)
            mine = [offset for offset, owner in events.items() if owner == name]
            if line is None:
                assert mine == []
                continue
            start = max(line.first, waiting.settled_below(name))
            assert all(offset >= start for offset in mine)
            upto = end - number * (end - start) // 8  # often only a part of them
            met = [offset for offset in mine if offset < upto]
            if met:
                waiting.settled([progress(name, met[-1] + 1)], met)
            waiting.searched([name], upto)
            for offset in met:
                del events[offset]
        elif step == "expire" and low < end:
            low = low + 1 + number * (end - low - 1) // 5
            waiting.expired(low, low)
            events = {offset: owner for offset, owner in events.items() if offset >= low}
        frontier = waiting.frontier
        assert all(offset >= frontier for offset in events)
        assert len(waiting.lines) <= most + len(NAMES)
    if not low:
        assert waiting.total == len(events)


def test_made_up_names_cost_no_memory() -> None:
    waiting = Waiting({}, most=10)
    for offset in range(1000):
        waiting.saw(offset, f"evil.t{offset}", offset, live=False)
    waiting.saw(1000, "good.type", 1000, live=True)
    assert len(waiting.lines) == 11
    assert waiting.total == 1001
    waiting.look_among_others("evil.t500")
    assert waiting.lines["evil.t500"].first == 10


def test_a_name_that_is_known_together_with_others_stays_so() -> None:
    waiting = Waiting({}, most=1)
    waiting.saw(0, "first.type", 0, live=True)
    waiting.saw(1, "hidden.type", 1, live=False)
    waiting.settled([progress("first.type", 1)], [0])
    waiting.searched(["first.type"], 2)
    waiting.saw(2, "hidden.type", 2, live=False)  # there is room for a line now, but it would begin too late
    waiting.look_among_others("hidden.type")
    assert waiting.lines["hidden.type"].first == 1


def test_what_was_replayed_before_does_not_wait() -> None:
    waiting = Waiting({"a.b": progress("a.b", 5)})
    for offset in range(8):
        waiting.saw(offset, "a.b", offset, live=True)
    assert (waiting.total, waiting.lines["a.b"].first) == (3, 5)
    waiting.settled([progress("a.b", 8)], [5, 6, 7])
    waiting.searched(["a.b"], 8)
    assert (waiting.total, waiting.lines, waiting.frontier) == (0, {}, 8)


def test_expired_events_are_counted_by_blocks() -> None:
    waiting = Waiting({})
    for offset in range(10_000):
        waiting.saw(offset, "gone.type" if offset < 5000 else "kept.type", offset, live=False)
    assert waiting.expired(8192, 8000) == 8192
    assert "gone.type" not in waiting.lines
    assert waiting.lines["kept.type"].first == 8192
    assert waiting.oldest() == 8000
    assert list(waiting.older_than(8001)) == ["kept.type"]
