from hypothesis import given
from hypothesis import strategies as st

from hourmark.lag import LagBook


def test_what_waits_is_no_older_than_the_newest_record_read_or_the_last_empty_look() -> None:
    book = LagBook()
    assert book.look("p", 0, 100.0) == 0
    book.read("p", 90_000)
    assert book.look("p", 3, 105.0) == 5.0  # at 100 nothing was unread
    book.read("p", 103_000)
    assert book.look("p", 2, 110.0) == 7.0
    assert book.look("p", 0, 111.0) == 0


def test_a_backlog_after_a_start_is_as_old_as_what_was_just_read() -> None:
    book = LagBook()
    assert book.look("p", 50, 1000.0) == 0.0  # nothing is known yet
    assert book.look("p", 50, 1005.0) == 5.0
    fresh = LagBook()
    fresh.read("p", 400_000)
    assert fresh.look("p", 50, 1000.0) == 600.0


def test_partitions_of_others_are_forgotten() -> None:
    book = LagBook()
    book.read("mine", 1_000)
    book.read("theirs", 1_000)
    book.keep({"mine"})
    assert book.look("mine", 1, 10.0) == 9.0
    assert book.look("theirs", 1, 10.0) == 0.0


@given(st.lists(st.tuples(st.sampled_from(("append", "read", "look")), st.floats(0.1, 50)), max_size=60))
def test_it_is_never_less_than_the_age_of_the_oldest_unread_record(steps: list[tuple[str, float]]) -> None:
    book, now, log, read = LagBook(), 1000.0, [], 0
    book.look("p", 0, now)
    for step, seconds in steps:
        now += seconds
        if step == "append":
            log.append(now)
        elif step == "read" and read < len(log):
            book.read("p", int(log[read] * 1000))
            read += 1
        elif step == "look":
            told = book.look("p", len(log) - read, now)
            assert told >= (now - log[read] - 0.001 if read < len(log) else 0)
