"""Ports, time-lapse and changed settings: what a stack decides before it starts anything."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from hourmark.errors import SettingsError
from hourmark.settings import load
from local.errors import PortTaken, StackUnavailable
from local.plan import changes, plan
from local.ports import free_port, holder_of, is_free
from local.remembered import Remembered
from local.settings import StackSettings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOURMARK_KAFKA", "HOURMARK_REDIS_URL", "HOURMARK_LAKE_URL", "HOURMARK_HOUR_SECONDS", "HOURMARK_HOUR_ANCHOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def test_every_process_has_a_port_of_its_own_and_keeps_it(home: Path) -> None:
    settings = StackSettings(home=home, receivers=2, dedup_workers=3)
    first = plan(settings, None, {})
    assert len(set(first.ports.values())) == len(first.ports)
    assert {"kafka", "kafka-controller", "valkey", "registry", "receiver", "metrics-receiver-2", "metrics-dedup-3"} <= first.ports.keys()
    assert plan(settings, first, {}).ports == first.ports


def test_a_kept_port_that_was_taken_meanwhile_is_replaced(home: Path) -> None:
    settings = StackSettings(home=home)
    first = plan(settings, None, {})
    with socket.create_server(("127.0.0.1", first.ports["receiver"])):
        second = plan(settings, first, {})
    assert second.ports["receiver"] != first.ports["receiver"]
    assert second.ports["registry"] == first.ports["registry"]


def test_a_port_that_was_asked_for_and_is_taken_names_its_holder(home: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        assert not is_free(port)
        assert re.search(r"pid \d+", holder_of(port) or "")
        with pytest.raises(PortTaken, match=f"port {port} for receiver is taken by .*pid"):
            plan(StackSettings(home=home, receiver_port=port), None, {})


def test_chosen_ports_are_outside_the_range_of_outgoing_connections() -> None:
    assert all(free_port() < 32_768 for _ in range(20))


def test_existing_servers_are_used_and_get_no_ports(home: Path) -> None:
    memory = plan(StackSettings(home=home, kafka="broker:9092", redis_url="redis://cache:6379/1"), None, {})
    assert (memory.kafka, memory.redis, memory.own_kafka, memory.own_redis) == ("broker:9092", "redis://cache:6379/1", False, False)
    assert not {"kafka", "kafka-controller", "valkey"} & memory.ports.keys()


def test_time_lapse_starts_at_the_current_hour_and_stays_there(home: Path) -> None:
    first = plan(StackSettings(home=home, hour_seconds=15), None, {})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d", first.hour_anchor)
    again = plan(StackSettings(home=home), Remembered(hour_seconds=15, hour_anchor="2026-03-01T07"), {})
    assert (again.hour_seconds, again.hour_anchor) == (15, "2026-03-01T07")
    assert plan(StackSettings(home=home), None, {}).hour_anchor == ""


@pytest.mark.parametrize("asked", [{"hour_seconds": 20}, {"hour_seconds": 3600}, {"hour_anchor": "2026-03-02T00"}])
def test_the_hours_of_a_home_cannot_change(home: Path, asked: dict[str, object]) -> None:
    known = Remembered(hour_seconds=15, hour_anchor="2026-03-01T07")
    with pytest.raises(StackUnavailable, match="HOURMARK_HOUR_SECONDS=15 HOURMARK_HOUR_ANCHOR=2026-03-01T07"):
        plan(StackSettings.model_validate({"home": home, **asked}), known, {})


def test_only_what_is_asked_and_differs_is_a_change(home: Path) -> None:
    environ = {"HOURMARK_RECEIVER_LIMIT": "1", "HOURMARK_TEST_KAFKA": "x", "PATH": "/"}
    memory = plan(StackSettings(home=home, receivers=2), None, environ)
    assert changes(StackSettings(home=home), memory, {}) == []
    assert changes(StackSettings(home=home, receivers=2), memory, environ) == []
    assert changes(StackSettings(home=home, receivers=3), memory, {"HOURMARK_RECEIVER_LIMIT": "2"}) == [
        "HOURMARK_LOCAL_RECEIVERS",
        "HOURMARK_RECEIVER_LIMIT",
    ]


def test_what_it_was_told_is_remembered_without_secrets(home: Path) -> None:
    memory = plan(StackSettings(home=home), None, {"HOURMARK_KAFKA_OPTIONS": '{"sasl.password": "hush"}'})
    assert "hush" not in repr(memory)


def test_settings_say_what_is_wrong_with_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOURMARK_HOME", str(tmp_path / "a,b"))
    monkeypatch.setenv("HOURMARK_LOCAL_RECEIVERS", "0")
    monkeypatch.setenv("HOURMARK_LOCAL_RECEIVER", "1")
    with pytest.raises(SettingsError) as raised:
        load(StackSettings)
    said = str(raised.value)
    assert "choose another path" in said
    assert "HOURMARK_LOCAL_RECEIVERS" in said
    assert "HOURMARK_LOCAL_RECEIVER is no setting; did you mean HOURMARK_LOCAL_RECEIVERS" in said


def test_the_native_stack_is_not_for_production(home: Path) -> None:
    with pytest.raises(ValueError, match="not for `production`"):
        StackSettings(home=home, profile="production")
