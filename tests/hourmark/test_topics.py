from collections import Counter

import pytest

from hourmark import topics


@pytest.mark.parametrize("name", ["player.song_played", "a.b", "a1.b_2.c3"])
def test_names_of_event_types(name: str) -> None:
    assert topics.is_event_type(name)
    assert topics.event_type_of(topics.raw_topic(name)) == name == topics.event_type_of(topics.clean_topic(name))


@pytest.mark.parametrize(
    "name", ["", "song", "Player.song", "player.", ".song", "player..song", "1a.b", "a.b-c", "a.b\n", "a." + "b" * 99, "../x.y", "a.é"]
)
def test_names_that_are_none(name: str) -> None:
    assert not topics.is_event_type(name)


def test_partition_rule_is_the_published_one() -> None:
    # Fixed points, last hex digit of `printf KEY | b2sum -l 64`: every client in every language must agree with these.
    assert [topics.partition_of(key, 8) for key in (b"", b"a", bytes(16), b"user-1")] == [4, 7, 6, 0]


def test_partition_rule_spreads_evenly() -> None:
    counts = Counter(topics.partition_of(n.to_bytes(16, "big"), 8) for n in range(8000))
    assert set(counts) == set(range(8))
    assert min(counts.values()) > 850


def test_budgets_of_the_tiers_share_the_whole() -> None:
    assert sum(tier.budget for tier in topics.TIERS.values()) == pytest.approx(1.0)
