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


def test_values_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kafka").write_text("broker:9092\n")
    (tmp_path / "options").write_text('{"sasl.password": "s3cret"}')
    found = settings(monkeypatch, HOURMARK_KAFKA_FILE=str(tmp_path / "kafka"), HOURMARK_KAFKA_OPTIONS_FILE=str(tmp_path / "options"))
    assert (found.kafka, found.kafka_options) == ("broker:9092", {"sasl.password": "s3cret"})


def test_faults_of_files_are_told_without_their_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "options").write_text("s3cret")
    names = {"HOURMARK_KAFKA_OPTIONS_FILE": str(tmp_path / "options"), "HOURMARK_KAFKA_FILE": str(tmp_path / "absent")}
    with pytest.raises(SettingsError) as caught:
        settings(monkeypatch, HOURMARK_REGISTRY_URL="http://a", HOURMARK_REGISTRY_URL_FILE="x", HOURMARK_KAFAK_FILE="x", **names)
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    assert "s3cret" not in text
    for said in ("HOURMARK_KAFKA_FILE", "No such file", "both set", "HOURMARK_KAFAK_FILE is no setting"):
        assert said in text
