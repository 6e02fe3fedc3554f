"""At most so many a second, evenly, and nobody is told that a sample is everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cli.watch.sampling import TOLD_EVERY_S, Count, Sampler


@given(st.integers(1, 50), st.lists(st.integers(0, 400), min_size=1, max_size=8))
def test_never_more_than_asked_for_in_a_second(most: int, rates: list[int]) -> None:
    sampler = Sampler(most)
    for second, rate in enumerate(rates):
        assert sum(sampler.take(second + number / 1000) for number in range(rate)) <= most


def test_few_lines_are_all_shown() -> None:
    sampler = Sampler(10)
    assert all(sampler.take(second + number / 10) for second in range(5) for number in range(9))
    assert sampler.one_of == 1


def test_a_steady_flood_is_shown_evenly() -> None:
    sampler = Sampler(10)
    taken = [number for second in range(3) for number in range(400) if sampler.take(second + number / 400) and second == 2]
    assert taken == list(range(0, 400, 40))
    assert sampler.one_of == 40


def test_zero_shows_all() -> None:
    sampler = Sampler(0)
    assert all(sampler.take(0.0) for _ in range(1000))


def test_what_is_left_out_is_said_now_and_then() -> None:
    count = Count(0.0)
    for number in range(400):
        count.note("accepted", shown=number % 40 == 0)
    assert count.word(TOLD_EVERY_S - 0.1) == ""
    assert count.word(TOLD_EVERY_S) == "1 of 40 shown: 10 of 400 in 5 s; --per-second 0 shows all"
    assert count.word(2 * TOLD_EVERY_S) == ""
    count.note("rejected", shown=True)
    assert count.word(3 * TOLD_EVERY_S) == ""
    assert count.summary(20.0) == "400 accepted, 1 rejected in 20 s; 11 of them shown"
