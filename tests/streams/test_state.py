"""The committed metadata: what goes in comes out, what is something else is refused, and a week of open hours fits."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.deduplicator import PartitionState
from hourmark.errors import InvariantBroken
from hourmark.event import Tally
from streams.state import METADATA_MAX, decode_state, encode_state

COUNT = st.integers(0, 2**45)


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    forwarded, duplicates, rejected, skewed = draw(COUNT), draw(COUNT), draw(COUNT), draw(COUNT)
    return Tally(forwarded + duplicates + rejected, forwarded, duplicates, rejected, skewed)


STATES = st.builds(
    PartitionState,
    closed=st.none() | st.integers(0, 10**7),
    first=COUNT,
    seen=COUNT,
    barriers=COUNT,
    carried=COUNT,
    tallies=st.dictionaries(st.integers(0, 10**7), tallies(), max_size=20),
)


@given(STATES)
def test_what_goes_in_comes_out(state: PartitionState) -> None:
    text = encode_state(state)
    assert text.isascii()
    assert decode_state(text, "raw.a.b[0] at 5") == state


@given(st.text(max_size=40))
def test_anything_else_is_refused_or_a_state(text: str) -> None:
    with contextlib.suppress(InvariantBroken):
        state = decode_state(text, "raw.a.b[0] at 5")
        assert decode_state(encode_state(state), "") == state


def test_ten_days_of_busy_open_hours_fits_into_the_metadata() -> None:
    busy = Tally(3_000_000, 2_960_000, 40_000, 0, 0)
    state = PartitionState(490_000, 10**12, 10**9, 3, 0, {490_001 + hour: busy for hour in range(10 * 24)})
    assert len(encode_state(state)) <= METADATA_MAX


@pytest.mark.parametrize("text", ["", "?", "0", encode_state(PartitionState(5))[:-2]])
def test_damage_is_named(text: str) -> None:
    with pytest.raises(InvariantBroken, match=r"raw.a.b\[0\] at 5 carries no readable state"):
        decode_state(text, "raw.a.b[0] at 5")
