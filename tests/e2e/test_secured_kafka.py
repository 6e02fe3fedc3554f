"""A Kafka that trusts nobody: TLS, a user for each room, no right that `hourmark acls` does not list. Wrong ones are told, and mended."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AclOperation, NewTopic, ResourceType

from cli.acls import KAFKA_CLUSTER, RIGHTS
from cli.catalogue import Catalogue
from cli.demo.ledger import Ledger
from dedup.server import RIGHTS as RIGHTS_ON_INDEX
from hourmark.kafka import client_config, tail_config
from hourmark.settings import PlatformSettings
from hourmark.topics import PLATFORM_PARTITIONS
from hourmark.why_away import WhyAway
from hourmark_client import Client, HttpOptions
from hourmark_client.kafka import CleanReader
from local.ports import free_port
from local.redis import RedisServer
from streams.connection import addresses, security
from tests.cli.conftest import Command, command
from tests.e2e.platform import PATIENCE_S, SCHEMA, until
from tests.secured.authority import Authority
from tests.secured.broker import ADMIN, SecuredKafka
from tests.secured.operator import Operator
from tests.secured.platform import SecuredPlatform
from tests.secured.rights import litter, rooms_that_rejected, unused
from tests.secured.tls_front import tls_front

__all__ = ["command"]  # a fixture

ROOMS = ("registry", "receiver", "dedup", "sink")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def broker(server_home: Path, authority: Authority) -> Iterator[SecuredKafka]:
    users = {name: f"{name}-secret" for name in (ADMIN, *(f"hourmark-{role}" for role in RIGHTS))}
    server = SecuredKafka(server_home / "secured-kafka", authority, users)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def platform(broker: SecuredKafka, server_home: Path, tmp_path: Path) -> Iterator[SecuredPlatform]:
    """Its id index stands behind TLS, too, and knows a user who may do what docs/security.md says."""
    valkey = RedisServer(server_home / "secured-valkey")
    try:
        valkey.start()
        with redis.Redis(port=valkey.port) as admin:
            admin.execute_command("ACL", "SETUSER", "hourmark-dedup", "on", ">secret", "~*", *RIGHTS_ON_INDEX.split())
        with tls_front(broker.authority.issue("valkey"), valkey.port) as port:
            url = f"rediss://hourmark-dedup:secret@127.0.0.1:{port}/0?ssl_ca_certs={broker.authority.certificate}"
            with SecuredPlatform(tmp_path, broker, url) as running:
                yield running
    finally:
        valkey.stop()


def warned(platform: SecuredPlatform, room: str, words: str) -> dict[str, Any]:
    """The one line with these words; it is awaited."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in platform.said(room) if words in json.dumps(line)]

    until(f"{room} to say {words!r}", lines)
    (line,) = lines()
    assert "exception" not in line
    return line


def start_with_faults(platform: SecuredPlatform, elsewhere: Authority) -> None:
    """Each room with something wrong: what it says, that it is not ready, and that it goes on once that is mended."""
    broker = platform.broker
    platform.start("registry")  # no rights yet
    platform.start("receiver", broker.options("hourmark-receiver", password="not its password"))
    platform.start("dedup", broker.options("hourmark-dedup") | {"ssl.ca.location": str(elsewhere.certificate)})
    platform.start("sink", HOURMARK_KAFKA=broker.bootstrap.replace("127.0.0.1", "localhost"))
    assert "hourmark acls" in warned(platform, "registry", "Kafka does not allow it to this user")["message"]
    assert "sasl.password" in warned(platform, "receiver", "refuses the user hourmark-receiver")["error"]
    assert "ssl.ca.location" in warned(platform, "dedup", "is not trusted")["event"]
    assert "advertised.listeners" in warned(platform, "sink", "is another host's")["event"]
    assert "does not allow" in platform.not_ready("registry")
    assert "refuses the user" in platform.not_ready("receiver")
    assert platform.not_ready("dedup")
    assert platform.not_ready("sink")


def mend(platform: SecuredPlatform, operator: Operator) -> None:
    """Registry and receiver go on by themselves; another CA and another address are read at a start."""
    broker = platform.broker
    operator.become(ADMIN)
    assert "rights for hourmark-registry" in operator("acls", "--apply")
    broker.forget_right("hourmark-dedup", ResourceType.BROKER)  # what everything must go on without
    operator.become("hourmark-operator")
    broker.set_password("hourmark-receiver", "not its password")
    for room in ("dedup", "sink"):
        assert platform.stop(room) == 0
        platform.start(room)
    by_certificate = broker.certificate_options("hourmark-dedup")
    platform.start("dedup-2", by_certificate, HOURMARK_KAFKA=broker.tls_bootstrap)
    platform.ready(*ROOMS, "dedup-2")


def misfit(event_type: str, event_id: str) -> dict[str, Any]:
    payload = {"number": 1, "text": "t", "colour": "red"}
    return {"type": event_type, "id": event_id, "time": "2026-03-01T07:00:00Z", "payload": payload}


def post(platform: SecuredPlatform, *events: dict[str, Any]) -> Counter[str]:
    _, answer, _ = platform.post({"sdk": {"name": "tests", "version": "1"}, "app": "e2e", "events": list(events)})
    return Counter(result["verdict"] for result in answer["results"].values())


def send(client: Client, ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.sent += 1
        client.send(ledger.event_type, {"number": ledger.sent, "text": "x"}, on_verdict=ledger.original)


def a_missing_right_on_one_topic(platform: SecuredPlatform, other: Ledger) -> Ledger:
    """Nobody may do anything with the topics of one type: it waits, with a line from each room, and the others flow on."""
    broker, denied = platform.broker, f"t{uuid.uuid4().hex[:8]}.denied"
    broker.deny("hourmark-receiver", AclOperation.WRITE, f"raw.{denied}")
    broker.deny("hourmark-dedup", AclOperation.WRITE, f"clean.{denied}")
    broker.deny("hourmark-sink", AclOperation.READ, f"clean.{denied}")
    Catalogue(platform.registry).declare(denied, {"event": denied, "owner": "tests", "tier": "debug", "schema": SCHEMA})
    ledger = Ledger(denied)
    with platform.http() as client:
        send(client, ledger, 50)
        for room, words in (("receiver", f"raw.{denied}"), ("dedup", f"clean.{denied}"), ("sink", f"clean.{denied}")):
            assert "hourmark acls" in json.dumps(warned(platform, room, words))
        assert all(f"clean.{denied}" in platform.not_ready(room) for room in ("dedup", "sink"))
        assert not platform.not_ready("receiver")  # what flows must go on to flow
        send(client, other, 50)
        until("the other type to flow", lambda: other.unsettled == 0)
        assert ledger.settled == 0
        broker.deny_nothing()
        client.close(PATIENCE_S)
    platform.ready(*ROOMS)
    return ledger


def look(operator: Operator, event_type: str, early: str, wrong: str) -> None:
    """Before the declaration of the early type."""
    (waiting,) = json.loads(operator("parked", early, "--json"))["types"]
    assert waiting["waiting"] == 100
    assert wrong in operator("tail", event_type, "--rejected", "--from-start", "--limit", "1", "--for", "60", "--json")
    assert len(operator("tail", event_type, "--from-start", "--limit", "5", "--for", "60", "--json").splitlines()) == 5


def test_every_room_has_its_user_and_the_least_rights(
    broker: SecuredKafka, platform: SecuredPlatform, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    operator = Operator(platform, command, monkeypatch)
    start_with_faults(platform, Authority(tmp_path / "elsewhere"))
    mend(platform, operator)
    begun = broker.audit.stat().st_size
    event_type, early = platform.declare(), f"t{uuid.uuid4().hex[:8]}.early"
    ledger, parked = Ledger(event_type), [str(uuid.uuid4()) for _ in range(100)]
    wrong = str(uuid.uuid4())
    good = [{**misfit(early, one), "payload": {"number": 1, "text": "t"}} for one in parked]
    assert post(platform, *good, misfit(event_type, wrong)) == Counter(parked=100, rejected=1)
    certificate = broker.authority.issue("balancer")
    with tls_front(certificate, int(platform.receiver.rpartition(":")[2])) as port, platform.inside() as inside:
        options = HttpOptions(ca_certs=str(broker.authority.certificate))
        with Client.http(f"https://127.0.0.1:{port}", write_key=platform.write_key, app="e2e", options=options) as outside:
            send(outside, ledger, 500)
            send(inside, ledger, 500)
            assert outside.flush(PATIENCE_S)
        platform.kill("dedup-2")
        send(inside, ledger, 500)
        assert inside.flush(PATIENCE_S)
    denied = a_missing_right_on_one_topic(platform, ledger)

    look(operator, event_type, early, wrong)
    broker.alter_topics(PLATFORM_PARTITIONS, "max.message.bytes", "1000000")
    assert platform.stop("registry") == 0
    platform.start("registry")  # puts the topics right
    platform.ready("registry")
    Catalogue(platform.registry).declare(early, {"event": early, "owner": "tests", "tier": "debug", "schema": SCHEMA}, wait=PATIENCE_S)
    litter(broker, "hourmark-producer", f"raw.{early}")
    litter(broker, ADMIN, f"clean.{early}")
    colour = {"name": "colour", "type": ["null", "string"], "default": None}
    wider = {"schema": {**SCHEMA, "fields": [*SCHEMA["fields"], colour]}, "partitions": 3, "retention": {"raw": "48h", "clean": "48h"}}
    Catalogue(platform.registry).declare(event_type, {"event": event_type, "owner": "tests", "tier": "debug", **wider}, wait=PATIENCE_S)
    assert json.loads(operator("rejected", event_type, "--replay", "--json"))["verdicts"] == [
        {"verdict": "stored", "code": "", "events": 1}
    ]
    ledger.sent += 1
    ledger.acknowledged.append(wrong)

    for each in (ledger, denied):
        platform.assert_exact(each)
    until("both pieces of litter on `rejected`", lambda: {"streams", "sinks"} <= rooms_that_rejected(broker))
    until("the replayed events in the lake", lambda: platform.sealed_up_to(early) >= 0 and len(platform.rows(early)) >= 100)
    assert Counter(row[0] for row in platform.rows(early)) == Counter(parked)
    (settled,) = json.loads(operator("parked", early, "--json"))["types"]
    assert (settled["waiting"], settled["replayed"]) == (0, 100)
    assert json.loads(operator("trace", wrong, "--json"))["found"]
    status = json.loads(command("status", "--json").out)  # its verdict is another test's
    assert (status["kafka"], [t["what"] for t in status["verdict"]["troubles"] if "not answered" in t["what"]]) == (broker.bootstrap, [])
    reader = CleanReader(broker.bootstrap, platform.registry, event_type, "analysts", options=broker.options("hourmark-reader"), idle=3.0)
    with reader:
        assert Counter(event["_event_id"] for event in reader) == Counter(ledger.acknowledged)
    refused = {one for one in broker.decided("Denied", begun) if not one[3].endswith(denied.event_type)}
    assert refused == {("hourmark-dedup", "DESCRIBE", "Cluster", KAFKA_CLUSTER)}
    assert not unused(broker), unused(broker)


@pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-512", "certificate"])
def test_each_client_comes_in_by_each_way(broker: SecuredKafka, tmp_path: Path, way: str) -> None:
    """librdkafka's clients and aiokafka's, by the same options: each writes, and each reads what both have written."""
    by_certificate = way == "certificate"
    user = ADMIN  # what it may is the other test's
    options = broker.certificate_options(user) if by_certificate else broker.options(user, mechanism=way)
    settings = PlatformSettings(
        kafka=broker.tls_bootstrap if by_certificate else broker.bootstrap, kafka_options=options, profile="local", home=tmp_path
    )
    topic = f"raw.way.{way.lower().replace('-', '_')}"
    (made,) = broker.admin().create_topics([NewTopic(topic, 1, 1)]).values()
    made.result(30.0)
    assert not WhyAway(settings)()

    producer = Producer(client_config(settings))
    producer.produce(topic, b"librdkafka")
    assert producer.flush(30.0) == 0
    asyncio.run(_with_aiokafka(settings, topic))
    consumer = Consumer(tail_config(settings))
    consumer.assign([TopicPartition(topic, 0, 0)])
    read = until("both records", lambda: [message.value() for message in consumer.consume(2, 5.0)])
    consumer.close()
    assert read == [b"librdkafka", b"aiokafka"]


async def _with_aiokafka(settings: PlatformSettings, topic: str) -> None:
    more = {"bootstrap_servers": addresses(settings), **security(settings)}
    async with AIOKafkaProducer(**more) as producer:
        await producer.send_and_wait(topic, b"aiokafka")
    consumer = AIOKafkaConsumer(topic, auto_offset_reset="earliest", **more)
    async with consumer:
        assert [(await consumer.getone()).value for _ in range(2)] == [b"librdkafka", b"aiokafka"]


def test_why_nobody_comes_in(broker: SecuredKafka, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client's calls only say as a time-out."""
    right, elsewhere = broker.options("hourmark-sink"), Authority(tmp_path / "elsewhere")
    bare = {name: right[name] for name in ("ssl.ca.location",)} | {"security.protocol": "SSL"}
    closed = f"127.0.0.1:{free_port()}"

    def said(kafka: str, options: dict[str, Any], patience: float = 30.0) -> str:
        return WhyAway(PlatformSettings(kafka=kafka, kafka_options=options, profile="local", home=tmp_path), patience)()

    assert said(broker.bootstrap, right) == ""
    assert "refuses the user hourmark-sink" in said(broker.bootstrap, right | {"sasl.password": "wrong"})
    assert "refuses the user nobody" in said(broker.bootstrap, right | {"sasl.username": "nobody", "sasl.mechanism": "PLAIN"})
    assert "takes another sasl.mechanism: SCRAM-SHA-512,PLAIN" in said(broker.bootstrap, right | {"sasl.mechanism": "SCRAM-SHA-256"})
    assert "is not trusted" in said(broker.bootstrap, right | {"ssl.ca.location": str(elsewhere.certificate)})
    assert "is another host's (Hostname mismatch" in said(broker.bootstrap.replace("127.0.0.1", "localhost"), right)
    assert "wants a client's certificate" in said(broker.tls_bootstrap, bare)
    assert "is PLAINTEXT the security.protocol" in said(broker.bootstrap, {}, 1.0)
    assert "Connection refused" in said(closed, right)

    monkeypatch.setenv("HOURMARK_KAFKA", broker.bootstrap)
    monkeypatch.setenv("HOURMARK_KAFKA_OPTIONS", json.dumps(right | {"sasl.password": "wrong"}))
    at_the_command_line = command("parked")
    assert at_the_command_line.code == 3
    assert "refuses the user hourmark-sink" in " ".join(at_the_command_line.err.split())
