"""The canary on a native stack of its own: seen at every stage, it tells a broken pipe from an empty hour, and disturbs no real event."""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.demo.ledger import Ledger
from hourmark.canary import CANARY
from local import remembered
from local.settings import StackSettings
from local.stack import Stack
from tests.e2e.platform import Platform, until

STAGES = ("sent", "stored", "clean", "sealed")


@pytest.fixture(scope="module")
def singing() -> Iterator[Platform]:
    """A stack with canaries twice a second and hours of three seconds."""
    home = Path(tempfile.mkdtemp(prefix="hourmark-canary-"))
    settings = StackSettings(home=home, hour_seconds=3, dedup_workers=1, sink_workers=1, canary=True)
    stack = Stack(settings, environ={"HOURMARK_CANARY_SECONDS": "0.5"})
    try:
        stack.up(bound=True)
        yield Platform(stack)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


def samples(platform: Platform, name: str, label: str = "stage") -> dict[str, float]:
    """Label → value of one metric on the receiver's page."""
    with urllib.request.urlopen(f"{platform.receiver}/metrics", timeout=10) as page:
        families = text_string_to_metric_families(page.read().decode())
    return {one.labels.get(label, ""): one.value for family in families for one in family.samples if one.name == name}


def last(platform: Platform) -> dict[str, float]:
    return samples(platform, "hourmark_canary_last_timestamp_seconds")


def test_every_stage_is_seen(singing: Platform) -> None:
    event_type = singing.declare("beside")
    ledger = Ledger(event_type)
    with singing.http() as client:
        ledger.sent += 1
        client.send(event_type, {"number": 1, "text": None}, on_verdict=ledger.original)
        client.flush(60)
    until("a canary at every stage", lambda: set(last(singing)) == set(STAGES))
    until("sealed canaries", lambda: samples(singing, "hourmark_canary_seconds_count").get("sealed", 0) >= 5)
    found = samples(singing, "hourmark_canary_seconds_count")
    assert samples(singing, "hourmark_canary_sent_total")[""] >= found["stored"] >= found["clean"] >= found["sealed"]
    assert samples(singing, "hourmark_canary_failed_total", "code") == {}
    seconds = samples(singing, "hourmark_canary_seconds_sum")
    assert 0 < seconds["stored"] / found["stored"] < seconds["clean"] / found["clean"] < seconds["sealed"] / found["sealed"]
    singing.assert_exact(ledger)
    rows = singing.rows(CANARY, "receiver, number, _sdk")
    assert {(name, sdk) for name, _, sdk in rows} == {("receiver-1", "hourmark-canary")}
    numbers = [number for _, number, _ in rows]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "each once, none missing"
    assert all(manifest["complete"] for manifest in singing.manifests(CANARY))


def test_a_broken_pipe_is_no_empty_hour(singing: Platform) -> None:
    until("a canary on the clean topic", lambda: "clean" in last(singing))
    singing.stack.stop("dedup-1")
    try:
        before = last(singing)
        until("canaries that are stored and not forwarded", lambda: last(singing)["stored"] > before["stored"] + 3)
        assert last(singing)["clean"] <= before["clean"] + 1
        assert not samples(singing, "hourmark_canary_failed_total", "code")
    finally:
        singing.stack.start("dedup-1")
    until("the pipe to flow again", lambda: last(singing)["clean"] > before["stored"] + 3)
    until("what was held up to be sealed", lambda: last(singing)["sealed"] > before["stored"] + 3)


def test_the_key_is_told_to_nobody(singing: Platform) -> None:
    memory = remembered.read(singing.stack.home)
    assert memory is not None
    written = "".join(log.read_text(errors="replace") for log in (singing.stack.home / "logs").glob("*.log"))
    assert "receiving" in written
    assert memory.canary_key not in written
