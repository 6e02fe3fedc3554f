from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from hourmark.errors import SettingsError
from hourmark.settings import PlatformSettings, environment_names, load


class Settings(PlatformSettings):
    model_config = SettingsConfigDict(env_prefix="HOURMARK_RECEIVER_")
    processes: int = 1


def settings(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Settings:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return load(Settings)


def test_common_and_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch, HOURMARK_KAFKA="k:1", HOURMARK_RECEIVER_PROCESSES="3", HOURMARK_HOME="/x", HOURMARK_KAFKA_OPTIONS='{"a.b": 1}'
    )
    assert (found.kafka, found.processes, found.home, found.kafka_options) == ("k:1", 3, Path("/x"), {"a.b": 1})
    assert environment_names(Settings)["HOURMARK_RECEIVER_PROCESSES"] == "processes"


def test_all_faults_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(
            monkeypatch, HOURMARK_RECEIVER_PROCESSES="many", HOURMARK_RECEIVER_PROCESES="2", HOURMARK_KAFAK="x", HOURMARK_HOUR_SECONDS="0"
        )
    text = str(caught.value)
    assert "HOURMARK_RECEIVER_PROCESSES: Input should be a valid integer" in text
    assert "HOURMARK_RECEIVER_PROCESES is no setting; did you mean HOURMARK_RECEIVER_PROCESSES?" in text
    assert "HOURMARK_KAFAK is no setting; did you mean HOURMARK_KAFKA?" in text
    assert "HOURMARK_HOUR_SECONDS" in text
    assert len(caught.value.faults) == 4


def test_other_rooms_names_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, HOURMARK_SINKS_ANYTHING="x", HOURMARK_LAKE_URL="file:///x", HOURMARK_REDIS_URL="redis://h")


def test_time_lapse_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="time-lapse, which the profile `production` refuses"):
        settings(monkeypatch, HOURMARK_HOUR_SECONDS="15", HOURMARK_HOUR_ANCHOR="2026-03-01T07")


def test_time_lapse_needs_an_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="HOURMARK_HOUR_ANCHOR"):
        settings(monkeypatch, HOURMARK_HOUR_SECONDS="15", HOURMARK_PROFILE="local")


def test_time_lapse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, HOURMARK_HOUR_SECONDS="15", HOURMARK_PROFILE="local", HOURMARK_HOUR_ANCHOR="2026-03-01T07")
    assert found.hours.seconds == 15
    assert found.hours.anchor * 3600 == 1_772_348_400
