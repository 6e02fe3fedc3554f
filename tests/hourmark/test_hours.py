import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark.hours import HOUR_MS, Hours, folder, label, parse_folder, parse_label

clocks = st.builds(Hours, seconds=st.integers(1, 3600), anchor=st.integers(0, 600_000))
moments = st.integers(0, 4_000_000_000_000)


@given(clocks, moments)
def test_every_moment_lies_inside_its_hour(hours: Hours, append_ms: int) -> None:
    hour = hours.of(append_ms)
    assert hours.start_ms(hour) <= append_ms < hours.end_ms(hour)


@given(clocks, st.integers(-10_000, 900_000))
def test_an_hour_begins_where_the_one_before_ends(hours: Hours, hour: int) -> None:
    assert hours.end_ms(hour) == hours.start_ms(hour + 1)
    assert hours.of(hours.start_ms(hour)) == hour
    assert hours.of(hours.end_ms(hour) - 1) == hour


@given(st.integers(1, 3600), moments)
def test_time_lapse_meets_real_time_at_the_anchor(seconds: int, append_ms: int) -> None:
    anchor = append_ms // HOUR_MS
    assert Hours(seconds, anchor).of(anchor * HOUR_MS) == anchor


@given(st.integers(0, 2_000_000))
def test_labels_and_folders_read_back(hour: int) -> None:
    assert parse_label(label(hour)) == hour
    assert parse_folder(folder(hour)) == hour


def test_names_of_an_hour() -> None:
    assert label(492_055) == "2026-02-18T07"
    assert folder(492_055) == "dt=2026-02-18/hour=07"


@pytest.mark.parametrize("text", ["", "2026-03-01", "2026-03-01T24", "2026-03-01 07", "yesterday"])
def test_a_wrong_label_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="2026-03-01T07"):
        parse_label(text)


def test_margin_is_thirty_seconds_of_a_real_hour_and_shrinks_with_it() -> None:
    assert Hours().margin_s == 30.0
    assert Hours(60).margin_s == 0.5
    assert Hours(1).margin_s == 0.2
    assert Hours().days_s(14) == 14 * 86_400
    assert Hours(15).days_s(1) == 360
