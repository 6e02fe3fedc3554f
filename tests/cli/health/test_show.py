"""What people see: few lines however many types there are, and nobody is called well who is not."""

from __future__ import annotations

import pytest

from cli.health import show
from cli.health.model import Flow, Health
from cli.health.verdict import verdict
from sinks.blocking import Block, Reason
from tests.cli.health.known import healthy, node, state, with_service

BEHIND = Block(1, Reason.DEDUP_BEHIND, "dedup has 12 raw records before it")


def said(capsys: pytest.CaptureFixture[str], health: Health, *, every: bool = False) -> str:
    show.platform(health, verdict(health), every=every, length="")
    return capsys.readouterr().out


def test_of_ten_thousand_types_the_busiest_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    many = healthy(types=[state(f"a.t{number}", recent=number) for number in range(10_000)])
    out = said(capsys, many)
    assert "a.t9999 " in out
    assert "a.t9 " not in out
    assert "and 9,980 more, all well: `--all` shows them" in out
    assert len(out.splitlines()) < 60
    assert said(capsys, many, every=True).count("a.t") == 10_000


def test_types_of_one_trouble_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, healthy(types=[state(f"a.t{number:02}", late_s=60.0, blocked=(BEHIND,)) for number in range(50)]))
    assert "a.t00, a.t01, a.t02 and 37 more: an hour is late by 60 s: p1: dedup has 12 raw records before it" in out
    assert "and 10 more, of which 10 need attention" in out


def test_without_kafka_nothing_is_told_of_types_and_processes(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, healthy(services=with_service("kafka", False, "does not answer")))
    assert "flight.departed" not in out
    assert "without Kafka nothing can be told" in out
    assert "see docs/runbooks/receiver-refusing.md" in out


def test_processes_and_what_they_wait_for(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(
        capsys, healthy(nodes=[node("receiver"), node("dedup", says="the id [index] is away"), node("sink", live=False, heard_s=300.0)])
    )
    assert "the id [index] is away" in out
    assert "gone" in out
    assert "5 min" in out
    assert "4 of 4" in out


def test_what_waits_and_what_was_refused(capsys: pytest.CaptureFixture[str]) -> None:
    flow = Flow(parked_at_most=7, rejected=3, undeclared={"no.body": 7}, unknown=2)
    out = said(capsys, healthy(flow=flow, types=[state(parked=1)]))
    assert "up to 7 events wait for a declaration, of no.body (7): `hourmark parked`" in out
    assert "3 events were rejected in the last 5 min" in out
    assert "2 event types have had no hour sealed lately" in out
    assert "parked" in out
