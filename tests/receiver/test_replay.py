"""Parked events on their way to the raw topic: as they were sent, in order, once written down never again; misfits with a reason."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog

from hourmark.errors import BrokerUnavailable
from hourmark.rejects import read_reject
from hourmark.schemas import entry_key
from hourmark.topics import PARKED, REJECTED, raw_topic
from receiver.app import Receiver
from receiver.catalogue import Catalogue
from receiver.replay import Replay
from receiver.settings import Settings

from .conftest import Rig, event
from .fakes import PLAYED, FakePublisher, FixedTail, catalogue, declared
from .parked_log import SLICE, MemoryLog

NEW = "late.comer"


class Stand(Rig):
    """A receiver with replays, all in memory."""

    log: MemoryLog

    def declare(self, name: str = NEW, schema_id: int = 99, fields: Any = PLAYED, **facts: Any) -> None:
        self.tail.offer([(entry_key(entry), entry) for entry in declared(name, schema_id, fields, **facts)])

    async def park(self, *events: dict[str, Any], **envelope: Any) -> None:
        answer = await self.send(*events, **envelope)
        assert {verdict["verdict"] for verdict in answer.verdicts} == {"parked"}

    def ids(self, name: str = NEW) -> list[str]:
        return [str(uuid.UUID(bytes=record[1][5:21])) for record in self.topic(raw_topic(name))]

    @asynccontextmanager
    async def replaying(self, **facts: Any) -> AsyncIterator[Replay]:
        settings = self.receiver.settings.model_copy(update=facts)
        replay = Replay(settings, self.log, Catalogue(lambda: self.tail.snapshot), self.publisher, self.receiver.intake.budget)
        replay.start()
        try:
            yield replay
        finally:
            await replay.close(5.0)

    async def until(self, found: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not found():  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.01)

    async def looked(self) -> None:
        """Until the replay has looked around a few times more."""
        looks = self.log.looks
        await self.until(lambda: self.log.looks >= looks + 3)


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    settings = Settings(listen="127.0.0.1:0", registry_url="http://127.0.0.1:9", home=tmp_path, replay_events_s=100_000)
    publisher, tail = FakePublisher(), FixedTail(catalogue())
    async with Receiver(settings, tail=tail, publisher=publisher) as receiver, aiohttp.ClientSession(auto_decompress=False) as session:
        stand = Stand(receiver, publisher, tail, session)
        stand.log = MemoryLog(publisher)
        yield stand


async def test_a_declaration_lets_them_go_as_they_were_sent(stand: Stand) -> None:
    one = event(type=NEW, seq=77, attempt=3)
    await stand.park(one, sdk={"name": "ios", "version": "9.1"}, app="tv", install="i7")
    async with stand.replaying():
        await stand.looked()
        assert stand.ids() == []
        stand.declare()
        await stand.until(lambda: bool(stand.ids()))
    ((_, value, key, _, _),) = stand.topic(raw_topic(NEW))
    direct = {**one, "type": "play.song"}
    await stand.send(direct, sdk={"name": "ios", "version": "9.1"}, app="tv", install="i7")
    ((_, same, _, _, _),) = stand.topic(raw_topic("play.song"))
    parked = msgspec.json.decode(stand.topic(PARKED)[0][1])["envelope"]
    assert key == uuid.UUID(one["id"]).bytes
    assert fields(value) == fields(same) | {"_received_at": parked["received_at"]}


def fields(value: bytes) -> dict[str, Any]:
    from io import BytesIO

    from fastavro import parse_schema, schemaless_reader

    from .fakes import wire

    found: Any = schemaless_reader(BytesIO(value[5:]), parse_schema(wire("E1", PLAYED)), None)
    return dict(found, _received_at=round(found["_received_at"].timestamp() * 1_000_000))


async def test_in_the_order_of_their_arrival_whoever_sent_them(stand: Stand) -> None:
    events = [event(type=NEW) for _ in range(20)]
    for number, one in enumerate(events):
        await stand.park(one, event(type="other.unknown"), sdk={"name": f"sdk{number % 3}", "version": "1"})
    stand.declare(partitions=1)
    async with stand.replaying():
        await stand.until(lambda: len(stand.ids()) == 20)
    assert stand.ids() == [one["id"] for one in events]


async def test_what_does_not_fit_is_rejected_with_the_reason_and_where_it_was(stand: Stand) -> None:
    good, bad = event(type=NEW), event(type=NEW, payload={"track": 5})
    await stand.park(good, bad, install="i9")
    stand.declare()
    async with stand.replaying():
        await stand.until(lambda: len(stand.topic(REJECTED)) == 1)
        await stand.looked()
    ((_, value, _, _, headers),) = stand.topic(REJECTED)
    reject = read_reject(headers)
    assert reject is not None
    assert value == msgspec.json.encode(bad)
    assert (reject.code, reject.path, reject.detail) == ("schema_mismatch", "/payload/track", "expected string, got a whole number")
    assert (reject.room, reject.topic, reject.offset, reject.install, reject.event_type) == ("receiver", PARKED, 1, "i9", NEW)
    assert reject.partition == stand.topic(PARKED)[0][3]
    assert stand.ids() == [good["id"]]


@pytest.mark.parametrize(
    ("facts", "code"), [({"lifecycle": "blocked", "reason": "legal"}, "blocked_event_type"), ({"sdks": ("special",)}, "sdk_not_bound")]
)
async def test_types_that_take_nothing_from_this_sender(stand: Stand, facts: dict[str, Any], code: str) -> None:
    await stand.park(event(type=NEW))
    stand.declare(**facts)
    async with stand.replaying():
        await stand.until(lambda: len(stand.topic(REJECTED)) == 1)
    reject = read_reject(stand.topic(REJECTED)[0][4])
    assert reject is not None
    assert reject.code == code
    assert stand.ids() == []


async def test_a_draft_and_an_unusable_schema_wait(stand: Stand) -> None:
    draft = event(type="play.draft", payload={"x": 1})
    await stand.park(draft, event(type=NEW))
    stand.declare(fields=[{"name": "x", "type": "no_such_type"}])
    async with stand.replaying():
        await stand.looked()
        assert stand.ids("play.draft") == stand.ids() == stand.topic(REJECTED) == []
        stand.declare("play.draft", 50, [{"name": "x", "type": "long"}])
        stand.declare(schema_id=100)
        await stand.until(lambda: bool(stand.ids() and stand.ids("play.draft")))
    assert stand.ids("play.draft") == [draft["id"]]


async def test_once_written_down_they_are_not_replayed_again(stand: Stand) -> None:
    events = [event(type=NEW) for _ in range(7)]
    await stand.park(*events, event(type=NEW, payload={}))
    stand.declare()
    async with stand.replaying():
        await stand.until(lambda: len(stand.topic(REJECTED)) == 1)
        stand.declare(schema_id=101)  # another version
        await stand.looked()
        stand.log.epoch += 1  # a rebalance
        await stand.looked()
    stand.log.frontiers.clear()  # the next one begins at the very start
    stand.log.epoch += 1
    async with stand.replaying():
        await stand.looked()
    assert sorted(stand.ids()) == sorted(one["id"] for one in events)
    assert len(stand.topic(REJECTED)) == 1


async def test_what_a_lagging_receiver_parks_after_the_declaration_follows(stand: Stand) -> None:
    first, second = event(type=NEW), event(type=NEW)
    await stand.park(first)
    before = stand.topic(PARKED)[0]
    stand.declare()
    async with stand.replaying():
        await stand.until(lambda: len(stand.ids()) == 1)
        value = before[1].replace(first["id"].encode(), second["id"].encode())
        await stand.publisher.publish([(PARKED, value, uuid.UUID(second["id"]).bytes, before[3], before[4])])
        await stand.until(lambda: len(stand.ids()) == 2)
    assert stand.ids() == [first["id"], second["id"]]


async def test_what_comes_in_the_middle_of_a_replay_follows(stand: Stand) -> None:
    events = [event(type=NEW) for _ in range(3 * SLICE)]
    await stand.park(*events[:-1])
    stand.declare(partitions=1)
    stand.publisher.free.clear()
    async with stand.replaying():
        await stand.until(lambda: stand.log.reads == 1)
        known, last = stand.topic(PARKED)[0], events[-1]["id"]
        value = known[1].replace(events[0]["id"].encode(), last.encode())
        stand.publisher.records.append((PARKED, value, uuid.UUID(last).bytes, known[3], known[4]))
        stand.publisher.free.set()
        await stand.until(lambda: len(stand.ids()) == len(events))
    assert stand.ids() == [one["id"] for one in events]


async def test_an_error_that_nobody_expected_delays_and_loses_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.replay.RESTART_S", 0.01)
    await stand.park(event(type=NEW), event(type=NEW))
    async with stand.replaying():
        await stand.looked()
        stand.log.broken = RuntimeError("what is this")
        await stand.until(lambda: stand.log.epoch == 2)
        stand.declare()
        await stand.until(lambda: len(stand.ids()) == 2)


async def test_what_is_not_acknowledged_is_not_settled(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    await stand.park(event(type=NEW))
    stand.declare()
    publish, failed = stand.publisher.publish, 0

    def failing(records: Any) -> Any:
        nonlocal failed
        failed += 1
        stand.publisher.failure = BrokerUnavailable("only this once") if failed == 1 else None
        return publish(records)

    monkeypatch.setattr(stand.publisher, "publish", failing)
    async with stand.replaying():
        await stand.until(lambda: failed >= 3)
    assert len(stand.ids()) == 1


async def test_a_type_among_very_many_made_up_ones_is_found(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.waiting.Waiting.__init__.__defaults__", (5,))
    await stand.park(*(event(type=f"evil.t{number}") for number in range(200)), event(type=NEW))
    async with stand.replaying() as replay:
        await stand.looked()
        assert sum(len(waiting.lines) for waiting in replay._waiting.values()) == 20
        stand.declare()
        await stand.until(lambda: len(stand.ids()) == 1)


async def test_live_traffic_has_precedence(stand: Stand) -> None:
    budget = stand.receiver.intake.budget
    await stand.park(event(type=NEW))
    stand.declare(tier="critical")
    half = budget.limits["critical"] // 2
    assert budget.reserve("critical", half)
    async with stand.replaying():
        await stand.until(lambda: stand.log.reads > 0)
        await asyncio.sleep(0.1)
        assert stand.ids() == []
        assert (await stand.send(event(type=NEW))).verdicts[0]["verdict"] == "stored"
        budget.release("critical", half)
        await stand.until(lambda: len(stand.ids()) == 2)
    assert set(budget.used.values()) == {0}


async def test_the_rate_is_kept(stand: Stand) -> None:
    await stand.park(*(event(type=NEW) for _ in range(60)))
    stand.declare()
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with stand.replaying(replay_events_s=100):
        await stand.until(lambda: len(stand.ids()) == 60)
    assert loop.time() - began > 0.5


async def test_kafka_that_fails_delays_and_loses_nothing(stand: Stand) -> None:
    events = [event(type=NEW) for _ in range(5)]
    await stand.park(*events)
    stand.declare(partitions=1)
    stand.publisher.failure = BrokerUnavailable("gone")
    async with stand.replaying():
        await stand.until(lambda: stand.log.reads >= 2)
        assert stand.ids() == []
        stand.publisher.failure = None
        await stand.until(lambda: len(stand.ids()) == 5)
    assert stand.ids() == [one["id"] for one in events]
    assert set(stand.receiver.intake.budget.used.values()) == {0}


async def test_what_its_topic_does_not_take_is_rejected(stand: Stand) -> None:
    stand.publisher.limits[raw_topic(NEW)] = 200
    small, large = event(type=NEW), event(type=NEW, payload={"track": "x" * 500, "ms_played": 1})
    await stand.park(large, small)
    stand.declare()
    async with stand.replaying():
        await stand.until(lambda: len(stand.topic(REJECTED)) == 1 and bool(stand.ids()))
    reject = read_reject(stand.topic(REJECTED)[0][4])
    assert reject is not None
    assert (reject.code, reject.event_id) == ("event_too_large", large["id"])
    assert stand.ids() == [small["id"]]


@pytest.mark.parametrize("value", [b"", b"null", b'{"envelope":{},"event":{}}', b"\xff\xfe", b'{"event":' + b"[" * 5000])
async def test_what_no_receiver_has_parked_is_rejected(stand: Stand, value: bytes) -> None:
    await stand.park(event(type=NEW))
    known = stand.topic(PARKED)[0]
    await stand.publisher.publish([(PARKED, value, None, known[3], known[4]), (PARKED, value, None, known[3], None)])
    stand.declare()
    async with stand.replaying():
        await stand.until(lambda: len(stand.topic(REJECTED)) == 1 and bool(stand.ids()))
    reject = read_reject(stand.topic(REJECTED)[0][4])
    assert reject is not None
    assert (reject.code, reject.offset) == ("invalid_envelope", 1)


async def test_expiry_comes_with_notice(stand: Stand) -> None:
    stand.log.retention = 3_600_000
    await stand.park(event(type=NEW), event(type="other.one"))
    with structlog.testing.capture_logs() as lines:
        async with stand.replaying(parked_notice_h=48.0):
            await stand.until(lambda: any("will be deleted" in line["event"] for line in lines))
    (line,) = [line for line in lines if "will be deleted" in line["event"]]
    assert sorted(line["types"]) == [NEW, "other.one"]
    assert line["first_goes_at"]


async def test_what_has_expired_is_counted(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.notice.EVERY_S", 0.0)
    monkeypatch.setattr("receiver.waiting._BLOCK", 0)
    await stand.park(*(event(type=NEW) for _ in range(5)))
    partition = stand.topic(PARKED)[0][3]
    with structlog.testing.capture_logs() as lines:
        async with stand.replaying() as replay:
            await stand.until(lambda: bool(replay._waiting) and replay._waiting[partition].total == 5)
            stand.log.lows[partition] = 3
            await stand.until(lambda: any("deleted unreplayed" in line["event"] for line in lines))
            stand.declare()
            await stand.until(lambda: len(stand.ids()) == 2)
    assert [line["events"] for line in lines if "deleted unreplayed" in line["event"]] == [3]


@pytest.mark.parametrize("step", ["replay.produced", "replay.acknowledged", "replay.recorded"])
async def test_a_death_at_any_step_repeats_little_and_loses_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    events = [event(type=NEW) for _ in range(8)] + [event(type=NEW, payload={}), event(type=NEW)]
    await stand.park(*events)
    stand.declare(partitions=1)
    passed = 0

    def crashpoint(name: str) -> None:
        nonlocal passed
        passed += name == step
        if name == step and passed == 2:
            raise asyncio.CancelledError  # nothing more of this replay happens

    monkeypatch.setattr("receiver.replay.crashpoint", crashpoint)
    async with stand.replaying() as replay:
        await stand.until(lambda: replay._task is not None and replay._task.done())
    stand.log.frontiers.clear()
    stand.log.epoch += 1
    async with stand.replaying():
        await stand.until(lambda: events[-1]["id"] in stand.ids() and len(stand.topic(REJECTED)) == 1)
    good = [one["id"] for one in (*events[:8], events[9])]
    assert list(dict.fromkeys(stand.ids())) == good
    assert len(stand.ids()) <= len(good) + 3
