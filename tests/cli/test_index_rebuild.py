"""A rebuild sees the dedup workers' settings as the workers do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.addresses import Addresses
from cli.failures import WrongInput
from cli.index_rebuild import settings_of

AT = Addresses(kafka="127.0.0.1:9", redis="redis://127.0.0.1:9/0")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOURMARK_HOME", str(tmp_path))


def test_a_secret_in_a_file_is_the_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the workers\n")
    monkeypatch.setenv("HOURMARK_DEDUP_SECRET_FILE", str(tmp_path / "secret"))
    found = settings_of(AT)
    monkeypatch.delenv("HOURMARK_DEDUP_SECRET_FILE")
    monkeypatch.setenv("HOURMARK_DEDUP_SECRET", "of the workers")
    assert found.hash_key == settings_of(AT).hash_key
    monkeypatch.setenv("HOURMARK_DEDUP_SECRET", "another")
    assert found.hash_key != settings_of(AT).hash_key


def test_a_secret_that_cannot_be_read_or_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="HOURMARK_DEDUP_SECRET"):
        settings_of(AT)
    monkeypatch.setenv("HOURMARK_DEDUP_SECRET_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(WrongInput, match="HOURMARK_DEDUP_SECRET_FILE"):
        settings_of(AT)
