"""The canary on a native stack of its own: seen at every stage, it tells a broken pipe from an empty hour, and disturbs no real event.

And what this stack's processes say meanwhile, to hostile input too: lines of JSON without payloads, persons or secrets.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from cli.demo.ledger import Ledger
from hourmark.canary import CANARY
from hourmark.topics import clean_topic, raw_topic
from local import remembered
from local.settings import StackSettings
from local.stack import Stack
from tests.e2e.platform import Platform, until

MARK = "bob@example.org"
STAGES = ("sent", "stored", "clean", "sealed")


@pytest.fixture(scope="module")
def singing() -> Iterator[Platform]:
    """A stack with canaries twice a second and hours of three seconds."""
    home = Path(tempfile.mkdtemp(prefix="hourmark-canary-"))
    settings = StackSettings(home=home, hour_seconds=3, dedup_workers=1, sink_workers=1, canary=True, log_format="json")
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
    until("sealed canaries", lambda: samples(singing, "hourmark_canary_seconds_count").get("sealed", 0) >= 2)
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
        until("canaries that are stored and not forwarded", lambda: last(singing)["stored"] > before["stored"] + 1.5)
        assert last(singing)["clean"] <= before["clean"] + 1
        assert not samples(singing, "hourmark_canary_failed_total", "code")
    finally:
        singing.stack.start("dedup-1")
    until("the pipe to flow again", lambda: last(singing)["clean"] > before["stored"] + 1.5)
    until("what was held up to be sealed", lambda: last(singing)["sealed"] > before["stored"] + 1.5)


def test_hostile_input_leaves_nothing_in_the_logs(singing: Platform) -> None:
    event_type = singing.declare("hostile", retention={"raw": "1h"})
    codes = [status for status, _, _ in (singing.post(body) for body in bodies(event_type))]
    assert codes == [200, 200, 400, 400, 200]
    assert [put(singing, body) for body in declarations()] == [400, 400, 400]
    refused = urllib.request.Request(f"{singing.receiver}/v1/events", data=b"{}", headers={"Authorization": f"Bearer {MARK}"})
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        urllib.request.urlopen(refused, timeout=10)
    assert caught.value.headers["Hourmark-Request-Id"]
    producer = Producer({"bootstrap.servers": singing.kafka})
    for topic in (raw_topic(event_type), clean_topic(event_type)):
        for value in (MARK.encode(), b"\0\0\0\0\1" + MARK.encode(), b""):
            producer.produce(topic, value, key=MARK.encode(), headers=[("hm", MARK.encode()), ("hm-barrier", MARK.encode())])
    assert producer.flush(30) == 0
    singing.wait_sealed(event_type, singing.hour_now() + 1)
    lines = said(singing)
    assert {line["room"] for line in lines} == {"registry", "receiver", "streams", "sinks"}
    assert [line for line in lines if "bob@" in json.dumps(line)] == []
    assert [line for line in lines if line["level"] == "error" and "code" not in line] == []
    sealed = [line for line in lines if line["event"] == "hour sealed"]
    assert all(len(line["manifest"]) == 64 and line["hour"] and line["event_type"] for line in sealed)
    refusals = [line for line in lines if line["event"] == "requests are refused" and line["status"] == 401]
    assert [line["request_id"] for line in refusals] == [caught.value.headers["Hourmark-Request-Id"]]


def bodies(event_type: str) -> list[bytes | dict[str, Any]]:
    """Requests with a person's address wherever a sender can put one."""

    def request(**facts: Any) -> dict[str, Any]:
        event = {"type": event_type, "id": str(uuid.uuid4()), "time": "2026-03-01T06:59:58Z", "payload": {"number": 1, "text": MARK}}
        return {"sdk": {"name": MARK, "version": "1"}, "app": MARK, "install": MARK, "events": [event | facts]}

    bad = {"payload": {"number": MARK, MARK: MARK}}
    return [request(), request(**bad), request() | {MARK: MARK}, b'{"' + MARK.encode(), request(id=MARK, type=MARK)]


def declarations() -> list[bytes]:
    field = {"name": MARK, "type": MARK, "default": MARK}
    broken = {"event": MARK, "owner": MARK, "schema": {"type": "record", "name": MARK, "fields": [field]}, MARK: MARK}
    return [json.dumps(broken).encode(), b'{"' + MARK.encode(), json.dumps({"event": "t.x", "description": [MARK]}).encode()]


def put(platform: Platform, body: bytes) -> int:
    request = urllib.request.Request(
        f"{platform.registry}/v1/events/t.hostile", data=body, method="PUT", headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code


def said(platform: Platform) -> list[dict[str, Any]]:
    """Every line of every service; each is JSON."""
    logs = [
        log for log in (platform.stack.home / "logs").glob("*.log") if log.stem.split("-")[0] in ("registry", "receiver", "dedup", "sinks")
    ]
    assert len(logs) == 4
    return [json.loads(line) for log in logs for line in log.read_text(errors="replace").splitlines()]


def test_the_key_is_told_to_nobody(singing: Platform) -> None:
    memory = remembered.read(singing.stack.home)
    assert memory is not None
    written = json.dumps(said(singing))
    assert "receiving" in written
    assert memory.canary_key not in written
    assert memory.write_key not in written
