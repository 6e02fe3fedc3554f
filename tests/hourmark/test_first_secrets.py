"""A new installation's secrets: made once, whole, never changed, and as the services read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hourmark.first_secrets import NAMES, make


def test_all_are_made_once(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert set(made) == {*NAMES, "database_url", "minio_options"} == {file.name for file in tmp_path.iterdir()}
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert len(set(before.values())) == len(before)
    assert make(tmp_path) == []
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before


def test_every_service_may_read_them_and_none_may_write(tmp_path: Path) -> None:
    make(tmp_path)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o444}


def test_what_is_derived_fits_what_it_is_derived_from(tmp_path: Path) -> None:
    (tmp_path / "postgres_password").write_text("given")
    (tmp_path / "minio_user").write_text("somebody")
    assert "postgres_password" not in make(tmp_path)
    assert (tmp_path / "database_url").read_text() == "postgresql+psycopg://hourmark:given@postgres:5432/hourmark"
    options = json.loads((tmp_path / "minio_options").read_text())
    assert options["access_key_id"] == "somebody"
    assert options["secret_access_key"] == (tmp_path / "minio_password").read_text()
    assert all(isinstance(value, str) for value in options.values())


def test_one_that_is_missing_is_made_and_the_others_stay(tmp_path: Path) -> None:
    make(tmp_path)
    key = (tmp_path / "write_key").read_text()
    (tmp_path / "admin_token").unlink()
    assert make(tmp_path) == ["admin_token"]
    assert (tmp_path / "write_key").read_text() == key


def test_what_an_interrupted_run_left_half_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "write_key.new").write_text("hal")
    (tmp_path / "write_key.new").chmod(0o444)
    assert "write_key" in make(tmp_path)
    assert len((tmp_path / "write_key").read_text()) == 32


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "nowhere")
