"""Kafka's jars are fetched once: complete or not there, also when two processes come first at the same time."""

from __future__ import annotations

import threading
import time
import zipfile
from pathlib import Path

import pytest

from local import java, redis
from local.errors import ServerUnavailable


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every endpoint that was resolved; two jars stand in for the real ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[str] = []

    def resolve(endpoint: str, work: Path) -> list[Path]:
        calls.append(endpoint)
        time.sleep(0.1)
        names = ["log4j-slf4j-impl-2.jar"] if "log4j" in endpoint else [f"kafka-clients-{java.KAFKA_VERSION}.jar"]
        for name in names:
            with zipfile.ZipFile(work / name, "w") as jar:
                jar.writestr("x", "y")
        return [work / name for name in names]

    monkeypatch.setattr(java, "_resolve", resolve)
    return calls


def test_two_first_starts_fetch_once(fetched: list[str]) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(java.kafka_jars())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert sorted(file.name for file in found[0].iterdir()) == [f"kafka-clients-{java.KAFKA_VERSION}.jar", "log4j-slf4j-impl-2.jar"]
    assert len(fetched) == 2


def test_a_fetch_that_was_cut_short_is_done_again(fetched: list[str]) -> None:
    left = java.cache_dir() / f"kafka-{java.KAFKA_VERSION}.partial" / "class-path"
    left.mkdir(parents=True)
    (left / "half.jar").write_bytes(b"PK")
    assert not (java.kafka_jars() / "half.jar").exists()
    assert not left.parent.exists()


def test_a_damaged_jar_is_refused(fetched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(endpoint: str, work: Path) -> list[Path]:
        (work / "kafka-clients.jar").write_text("<html>not found</html>")
        return [work / "kafka-clients.jar"]

    monkeypatch.setattr(java, "_resolve", resolve)
    with pytest.raises(ServerUnavailable, match="damaged"):
        java.kafka_jars()
    assert not (java.cache_dir() / f"kafka-{java.KAFKA_VERSION}").exists()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ServerUnavailable, match="XDG_CACHE_HOME"):
        java.kafka_jars()


def program(folder: Path, says: str, name: str) -> str:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\necho '{says}' >&2\n")
    file.chmod(0o755)
    return str(file)


def test_the_first_java_that_runs_and_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(tmp_path, 'openjdk version "11.0.2" 2019', "old")
    new = program(tmp_path, 'openjdk version "21.0.1" 2023', "new")
    monkeypatch.setattr(java, "_candidates", lambda: iter([str(tmp_path / "missing"), old, new]))
    java.find_java.cache_clear()
    try:
        assert java.find_java() == new
        java.find_java.cache_clear()
        monkeypatch.setattr(java, "_candidates", lambda: iter([old]))
        with pytest.raises(ServerUnavailable, match="HOURMARK_KAFKA"):
            java.find_java()
    finally:
        java.find_java.cache_clear()


def test_the_first_redis_that_runs_and_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(tmp_path, "Redis server v=6.2.1 sha=0", "redis-old")
    new = program(tmp_path, "Redis server v=7.0.15 sha=0", "redis-new")
    monkeypatch.setattr(redis, "_candidates", lambda: iter([str(tmp_path / "missing"), old, new]))
    redis.find_binary.cache_clear()
    try:
        assert redis.find_binary() == new
        redis.find_binary.cache_clear()
        monkeypatch.setattr(redis, "_candidates", lambda: iter([old]))
        with pytest.raises(ServerUnavailable, match="HOURMARK_REDIS_URL"):
            redis.find_binary()
    finally:
        redis.find_binary.cache_clear()
