"""Several registries on one PostgreSQL: any of them takes writes, each may die or lose its turn, and every node ends with the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from hourmark.control import ControlTail
from hourmark.errors import InvariantBroken
from hourmark.kafka import partition_counts
from hourmark.schemas import EventType, Snapshot, decode_entry
from hourmark.settings import PlatformSettings
from hourmark.topics import CONTROL, clean_topic, raw_topic
from local.kafka import KafkaServer
from registry.broadcast import Fenced, Pen
from registry.catalog import draft
from registry.database import Database
from registry.declaration import read
from registry.history import Byline
from registry.outbox import Publisher
from registry.provision import Provisioned
from registry.rows import OutboxRow
from registry.store import Store
from tests.registry.documents import declaration
from tests.registry.process import RegistryProcess
from tests.registry.service import new_type, records, settings_for
from tests.stores.postgres import PostgresServer

pytestmark = pytest.mark.real
Two = tuple[RegistryProcess, RegistryProcess]
STAGES: tuple[Callable[[str], str], ...] = (clean_topic, raw_topic)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A control topic that nobody else writes to."""
    server = KafkaServer(tmp_path_factory.mktemp("registries-kafka"), heap_mb=256)
    server.start()
    try:
        yield server.bootstrap
    finally:
        server.stop()


@pytest.fixture(scope="module")
def store_url(postgres: PostgresServer) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="module")
def registries(broker: str, store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Two, started at the same moment on an empty database and an empty broker."""
    first, second = (RegistryProcess(broker, tmp_path_factory.mktemp("registry"), store_url) for _ in range(2))
    first.start(ready=False)
    second.start(ready=False)
    with first, second:
        first.ready()
        second.ready()
        yield first, second


def test_one_dies_while_both_take_writes(registries: Two, broker: str, tmp_path: Path) -> None:
    first, second = registries
    watching = ControlTail(PlatformSettings(kafka=broker, home=tmp_path / "watching"), "watching").start()
    contested = new_type()
    acknowledged: dict[str, set[str]] = {}

    def declare(number: int) -> None:
        registry = registries[number % 2]
        event = contested if number % 3 == 0 else f"{contested}.t{number // 2:02d}"  # some by one, some by both
        answer = registry.ask("PUT", f"/v1/events/{event}", declaration(event, description=f"by {number}"))
        if answer.status in (200, 201):
            acknowledged.setdefault(event, set()).add(answer.body["revision"])

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(declare, number) for number in range(40)]
        while len(acknowledged) < 3:
            time.sleep(0.01)
        first.kill()
        for each in work:
            each.result()
    declare(41)  # the one that is left goes on

    listed = second.ask("GET", "/v1/events?limit=1000").body["events"]
    assert {each["event"] for each in listed} >= acknowledged.keys()
    revisions = [revision for each in listed for revision in history(second, each["event"])]
    assert len(revisions) == len(set(revisions))
    for event, seen in acknowledged.items():
        assert seen <= set(history(second, event)), "what was acknowledged is there"

    first.start()
    assert first.ask("GET", "/v1/events?limit=1000").body == second.ask("GET", "/v1/events?limit=1000").body
    late = ControlTail(PlatformSettings(kafka=broker, home=tmp_path / "late"), "late").start()
    try:
        wanted = {each["event"]: each["revision"] for each in listed}
        for tail in (watching, late):
            assert tail.wait_for(lambda found: {name: found.types[name].revision for name in found.types} == wanted, 60)
        assert late.snapshot.types == watching.snapshot.types
        assert late.snapshot.schemas == watching.snapshot.schemas
    finally:
        watching.close()
        late.close()
    topics = partition_counts(AdminClient({"bootstrap.servers": broker}), [stage(event) for event in wanted for stage in STAGES])
    assert len(topics) == 2 * len(wanted)
    assert all(entry.source == 1 for entry in late.snapshot.types.values())


def history(registry: RegistryProcess, event: str) -> list[int]:
    return [each["revision"] for each in registry.ask("GET", f"/v1/events/{event}/revisions?limit=1000").body["revisions"]]


def test_the_same_at_the_same_time(registries: Two) -> None:
    event = new_type()
    since = registries[0].ask("GET", "/v1/control").body["revision"]
    with ThreadPoolExecutor(5) as pool:
        poll = pool.submit(registries[1].ask, "GET", f"/v1/control?since={since}&timeout=30s")
        answers = list(pool.map(lambda n: registries[n % 2].ask("PUT", f"/v1/events/{event}", declaration(event)), range(4)))
        heard = poll.result()
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 201]
    assert {answer.body["revision"] for answer in answers} == {answers[0].body["revision"]}
    assert heard.body["revision"] > since, "a change by one registry ends the long poll at the other"
    assert history(registries[0], event) == [answers[0].body["revision"]]


def test_what_a_dead_registry_stored_is_published_by_the_other(registries: Two, store_url: str, broker: str, tmp_path: Path) -> None:
    event = new_type()
    database = Database(store_url)
    Store(database).commit(drafted(event))  # and nobody is told
    database.close()
    tail = ControlTail(PlatformSettings(kafka=broker, home=tmp_path / "node"), "node").start()
    try:
        assert tail.wait_for(lambda found: event in found.types, 60)
    finally:
        tail.close()
    assert registries[0].ask("PUT", f"/v1/events/{event}", declaration(event)).status == 200


def drafted(event: str, current: Any = None, **more: Any) -> Any:
    return draft(read(declaration(event, **more)), current, Provisioned(2, False), Byline("test", ""))


END_LOCKS = """SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND d.datname = %(name)s"""


def test_a_line_for_each_stage(registries: Two, broker: str, tmp_path: Path) -> None:
    """Who waits hears of each room when all its nodes work by the revision, and at the end who does not, and why."""
    event, unfit = new_type(), [False]

    def judge(_found: Snapshot) -> None:
        if unfit[0]:
            raise InvariantBroken("its schema cannot be used")

    def node(name: str, room: str, **more: Any) -> ControlTail:
        return ControlTail(PlatformSettings(kafka=broker, home=tmp_path / name, node=name), room, **more).start()

    tails = [node("r1", "receiver"), node("r2", "receiver"), node("d1", "streams", reports=False), node("s1", "sinks", on_change=judge)]
    try:
        while len(registries[1].ask("GET", "/v1/nodes").body["nodes"]) < len(tails):
            tails[2].applied(tails[2].snapshot.revision)
            time.sleep(0.1)
        told = registries[1].ask("PUT", f"/v1/events/{event}?wait=3s", declaration(event), Accept="application/x-ndjson").body
        assert [line.get("stage") for line in told[:3]] == ["topics", "stored", "published"]
        assert {line["stage"] for line in told[3:-1]} == {"receiver", "sink"}
        whole = told[-1]
        assert (whole["event"], whole["waited"]) == (event, "timeout")
        assert [(s["stage"], s["applied"], s["of"]) for s in whole["stages"][3:]] == [("receiver", 2, 2), ("dedup", 0, 1), ("sink", 1, 1)]
        (late,) = whole["behind"]
        assert (late["node"], late["room"]) == ("d1", "streams")
        assert late["revision"] < whole["revision"]
        tails[2].applied(whole["revision"])
        again = registries[0].ask("PUT", f"/v1/events/{event}?wait=30s", declaration(event)).body
        assert (again["waited"], again["behind"], again["changed"]) == ("complete", [], False)

        unfit[0] = True
        changed = registries[0].ask("PUT", f"/v1/events/{event}?wait=3s", declaration(event, description="other")).body
        assert [(n["node"], n["reason"]) for n in changed["behind"] if n["node"] == "s1"] == [("s1", "its schema cannot be used")]
    finally:
        for tail in tails:
            tail.close()


class Interrupted(Store):
    """A store whose process is paused right after it read what it will publish, for as long as `meanwhile` takes."""

    meanwhile: Callable[[], None] | None = None

    def unpublished(self, limit: int) -> list[OutboxRow]:
        rows = super().unpublished(limit)
        if limit > 1 and self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
        return rows


@pytest.mark.usefixtures("registries")  # they made the platform's topics
def test_who_was_paused_in_the_middle_writes_nothing_old(broker: str, postgres: PostgresServer, tmp_path: Path) -> None:
    """It loses its turn (the server ends its session), another registry publishes something newer, and then it wakes up."""
    with postgres.database() as url:
        wakes_up_late(broker, url, tmp_path)


def wakes_up_late(broker: str, store_url: str, tmp_path: Path) -> None:
    event, settings = new_type(), settings_for(broker, tmp_path)
    first, second = Database(store_url), Database(store_url)
    first.migrate()
    paused, other = Interrupted(first), Store(second)
    paused.commit(drafted(event))

    def meanwhile() -> None:
        with psycopg.connect(store_url.replace("+psycopg", ""), autocommit=True) as connection:
            name = store_url.rpartition("/")[2]
            ended = connection.execute(END_LOCKS, {"name": name}).fetchall()
        assert ended, "the paused one held the lock"
        other.commit(drafted(event, other.event(event), description="newer"))
        asyncio.run(publish(other, settings))

    paused.meanwhile = meanwhile
    asyncio.run(publish(paused, settings))
    assert paused.meanwhile is None
    assert paused.outbox_state()[2] == 0
    entries = [decode_entry(message.value() or b"") for message in records(broker, CONTROL) if message.value()]
    revisions = [entry.revision for entry in entries if isinstance(entry, EventType) and entry.event == event]
    assert revisions == sorted(revisions)
    assert revisions[-1] == other.event(event).revision
    assert len(revisions) == 2, "the paused one was fenced, looked again, and found nothing to do"
    first.close()
    second.close()


async def publish(store: Store, settings: Any) -> None:
    """One registry's loop, until nothing is left."""
    publisher = Publisher(settings, store)
    running = asyncio.create_task(publisher.run())
    try:
        await publisher.load()
        await publisher.wait_published(publisher.stored, 60)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        publisher.close()


@pytest.mark.usefixtures("registries")
def test_an_old_pen_does_not_write(broker: str, tmp_path: Path) -> None:
    settings = settings_for(broker, tmp_path)
    old, new = Pen(settings, "pens"), Pen(settings, "pens")
    old.take()
    old.write([OutboxRow(1, "key/pens", b"1")])
    new.take()
    new.write([OutboxRow(2, "key/pens", b"2")])
    with pytest.raises(Fenced):
        old.write([OutboxRow(1, "key/pens", b"1")])
    assert [message.value() for message in records(broker, CONTROL) if message.key() == b"key/pens"] == [b"1", b"2"]
    old.take()
    old.write([OutboxRow(3, "key/pens", None)])
    assert [message.value() for message in records(broker, CONTROL) if message.key() == b"key/pens"] == [b"1", b"2", None]


@pytest.mark.usefixtures("registries")
def test_nodes_read_nothing_of_an_unfinished_transaction(broker: str, tmp_path: Path) -> None:
    """A registry that dies in the middle of a batch: no node sees half of it."""
    half = Producer({"bootstrap.servers": broker, "transactional.id": "half"})
    half.init_transactions(30)
    half.begin_transaction()
    half.produce(CONTROL, key=b"type/half.done", value=b'{"kind": "type", "revision": 1}')
    half.flush(30)
    seen: list[Snapshot] = []
    tail = ControlTail(PlatformSettings(kafka=broker, home=tmp_path / "node"), "node", seen.append).start()
    try:
        assert tail.caught_up.wait(60)
        assert all("half.done" not in found.types for found in seen)
    finally:
        half.abort_transaction(30)
        tail.close()
