"""The small decisions of a worker, without servers: progress, silence, which types, when an hour may be closed, how to connect."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from faust.types import TP

from dedup.deduplicator import PartitionState
from hourmark.errors import BrokerUnavailable, InvariantBroken, NotAllowed, SettingsError
from hourmark.schemas import EMPTY, EventType
from streams.barriers import BarrierWriter
from streams.catalogue import wanted_types
from streams.connection import addresses, security, unavailable
from streams.ledger import Ledger, Poll
from streams.quiet import NotOurs
from streams.settings import Settings, load_settings
from streams.watchdog import Watchdog, lag_of

ONE, TWO = TP("raw.a.b", 0), TP("raw.a.b", 1)


class At:
    """A record with an offset, which is all that a ledger reads."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


def settings(**changes: Any) -> Settings:
    return Settings(profile="local", **changes)


def poll(ledger: Ledger, *parts: tuple[TP, int, int]) -> Poll:
    made = Poll(ledger)
    for tp, first, last in parts:
        made.add(tp, [At(offset) for offset in range(first, last + 1)])
    ledger.begin(made)
    return made


class TestLedger:
    def test_an_offset_is_due_with_the_state_below_it(self) -> None:
        ledger = Ledger({ONE: PartitionState(), TWO: PartitionState()}, {ONE: 5, TWO: 0})
        first, second = poll(ledger, (ONE, 5, 9), (TWO, 0, 3)), poll(ledger, (ONE, 10, 11))
        states = [PartitionState(closed) for closed in (1, 2, 3)]
        ledger.finish(first, {ONE: states[0]})
        assert {tp: (due.next_offset, due.state) for tp, due in ledger.due.items()} == {ONE: (10, states[0])}
        ledger.finish(second, {ONE: states[1]})
        ledger.finish(first, {TWO: states[2]})
        assert {tp: (due.next_offset, due.state) for tp, due in ledger.due.items()} == {ONE: (12, states[1]), TWO: (4, states[2])}

    def test_what_is_finished_during_a_commit_stays_due(self) -> None:
        ledger = Ledger({ONE: PartitionState()}, {ONE: 0})
        first, second = poll(ledger, (ONE, 0, 4)), poll(ledger, (ONE, 5, 9))
        ledger.finish(first, {ONE: PartitionState(1)})
        committing = dict(ledger.due)
        ledger.finish(second, {ONE: PartitionState(2)})
        ledger.settled(committing)
        assert ledger.due[ONE].next_offset == 10
        ledger.settled(dict(ledger.due))
        assert ledger.due == {}

    def test_finishing_out_of_order_ends_the_process(self) -> None:
        ledger = Ledger({ONE: PartitionState()}, {ONE: 0})
        poll(ledger, (ONE, 0, 4))
        second = poll(ledger, (ONE, 5, 9))
        with pytest.raises(InvariantBroken, match="out of order"):
            ledger.finish(second, {ONE: PartitionState()})

    def test_a_poll_given_back_leaves_no_trace(self) -> None:
        ledger = Ledger({ONE: PartitionState()}, {ONE: 0})
        first, second = poll(ledger, (ONE, 0, 4)), poll(ledger, (ONE, 5, 9))
        ledger.give_back(second)
        ledger.finish(first, {ONE: PartitionState()})
        assert ledger.due[ONE].next_offset == 5
        assert not ledger.spans[ONE]


class TestWatchdog:
    def test_lag_without_progress_for_too_long(self) -> None:
        now = [0.0]
        dog = Watchdog(60, now=lambda: now[0])
        dog.look(1, 5, waiting=False)
        now[0] = 59
        dog.look(1, 5, waiting=False)
        now[0] = 61
        with pytest.raises(InvariantBroken, match="5 records waiting"):
            dog.look(1, 5, waiting=False)

    def test_silent_brokers_are_no_fault_of_ours(self) -> None:
        now = [0.0]
        dog = Watchdog(60, now=lambda: now[0])
        dog.look(1, None, waiting=False)
        now[0] = 61
        with pytest.raises(BrokerUnavailable, match="no answer from the brokers"):
            dog.look(1, None, waiting=False)

    @pytest.mark.parametrize(("progress", "lag", "waiting"), [(2, 5, False), (1, 0, False), (1, 5, True)])
    def test_progress_idleness_and_a_known_wait_are_fine(self, progress: int, lag: int, waiting: bool) -> None:
        now = [0.0]
        dog = Watchdog(60, now=lambda: now[0])
        dog.look(1, 5, waiting=False)
        now[0] = 100
        dog.look(progress, lag, waiting=waiting)

    def test_lag(self) -> None:
        assert lag_of({ONE: 5, TWO: 9}, {ONE: 8, TWO: 9, TP("raw.c.d", 0): 100}) == 3


def test_only_this_shards_types_that_may_have_topics() -> None:
    def entry(event: str, lifecycle: str) -> tuple[str, EventType]:
        return f"type/{event}", EventType(revision=1, event=event, owner="o", schema_id=1, partitions=1, lifecycle=lifecycle)

    names = (("a.active", "active"), ("a.old", "deprecated"), ("a.stopped", "blocked"), ("a.idea", "draft"), ("b.other", "active"))
    snapshot = EMPTY.with_changes([entry(*name) for name in names])
    assert set(wanted_types(snapshot, ["a.*"])) == {"raw.a.active", "raw.a.old", "raw.a.stopped"}


def test_an_hour_is_closable_once_it_ended_and_the_margin_passed() -> None:
    now = [0.0]
    writer = BarrierWriter(settings(), now=lambda: now[0])
    now[0] = 3600 * 500 + 29.9
    assert writer.closable() == 498
    now[0] = 3600 * 500 + 30
    assert writer.closable() == 499


def test_security_in_aiokafkas_words() -> None:
    options = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "u",
        "sasl.password": "p",
        "socket.keepalive.enable": True,
    }
    assert security(settings(kafka_options=options)) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }
    with pytest.raises(SettingsError, match="GSSAPI"):
        security(settings(kafka_options={"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"}))
    with pytest.raises(SettingsError, match=r"ssl\.keystore\.location is not supported by dedup workers"):
        security(settings(kafka_options={"security.protocol": "SSL", "ssl.keystore.location": "/run/client.p12"}))
    assert addresses(settings(kafka="a:1, b:2")) == ["a:1", "b:2"]


def test_a_missing_right_in_our_words() -> None:
    assert isinstance(unavailable(TopicAuthorizationFailedError("clean.a.b"), "writing"), NotAllowed)
    assert unavailable(TimeoutError(), "writing").message == "writing: TimeoutError()"


def test_what_ends_the_process_is_told_once() -> None:
    def record(exc: Exception) -> logging.LogRecord:
        return logging.LogRecord("faust", logging.ERROR, "", 0, "Crashed", (), (type(exc), exc, None))

    assert not NotOurs().filter(record(BrokerUnavailable("away")))
    assert NotOurs().filter(record(ValueError("a bug")))


class TestSettings:
    def test_names_of_both_rooms(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOURMARK_PROFILE", "local")
        monkeypatch.setenv("HOURMARK_DEDUP_WINDOW_DAYS", "3")
        monkeypatch.setenv("HOURMARK_STREAMS_APP_ID", "x")
        monkeypatch.setenv("HOURMARK_HOME", str(tmp_path / "home"))
        found = load_settings()
        assert (found.window_days, found.app_id, found.claim_seconds) == (3, "x", 4 * 86_400)

    def test_typing_errors_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOURMARK_PROFILE", "local")
        monkeypatch.setenv("HOURMARK_DEDUP_WINDOW_DAY", "3")
        monkeypatch.setenv("HOURMARK_STREAMS_APPID", "x")
        with pytest.raises(SettingsError) as caught:
            load_settings()
        assert "HOURMARK_DEDUP_WINDOW_DAY is no setting" in str(caught.value)
        assert "HOURMARK_STREAMS_APPID is no setting" in str(caught.value)

    def test_a_home_that_cannot_be_written_is_refused_at_once(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("HOURMARK_PROFILE", "local")
        monkeypatch.setenv("HOURMARK_HOME", str(tmp_path / "file" / "home"))
        with pytest.raises(SettingsError, match="HOURMARK_HOME"):
            load_settings()

    @pytest.mark.parametrize(("changes", "words"), [({}, "HOURMARK_DEDUP_SECRET"), ({"secret": "s", "backend": "memory"}, "forgets")])
    def test_production_is_strict(self, changes: dict[str, str], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            Settings(profile="production", **changes)  # type: ignore[arg-type]  # as the environment gives them: text
