from pathlib import Path

from prometheus_client import REGISTRY

from hourmark import ended
from hourmark.settings import PlatformSettings


def times(code: str) -> float:
    return REGISTRY.get_sample_value("hourmark_process_ended_total", {"code": code}) or 0.0


def test_ends_are_counted_over_the_lives_of_a_process(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path, node="sinks-1")
    before = times("offset_lost"), times("chain_conflict")
    ended.note(settings, "sinks", "offset_lost")
    ended.note(settings, "sinks", "offset_lost")
    ended.show(settings, "sinks")
    assert (times("offset_lost"), times("chain_conflict")) == (before[0] + 2, before[1])
    assert REGISTRY.get_sample_value("hourmark_process_ended_total", {"code": "index_lost"}) is not None  # shown as 0: a rise can be seen
    ended.show(PlatformSettings(home=tmp_path, node="sinks-2"), "sinks")
    assert times("offset_lost") == before[0] + 2  # another process's ends are its own


def test_a_damaged_or_unwritable_file_is_no_reason_to_fail(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path)
    (tmp_path / "ended").mkdir()
    (tmp_path / "ended" / "streams.json").write_text("[1")
    ended.show(settings, "streams")
    ended.note(settings, "streams", "index_lost")
    before = times("index_lost")
    ended.show(settings, "streams")
    assert times("index_lost") == before + 1
    (tmp_path / "file").write_text("")
    ended.note(PlatformSettings(home=tmp_path / "file"), "streams", "index_lost")
