"""The native stack's servers: data survive stop and kill, two run side by side, nothing is left behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from local.errors import PortTaken
from local.kafka import KafkaServer
from local.ports import free_port
from local.redis import RedisServer
from tests.local.waiting import until

pytestmark = pytest.mark.real


def ask(server: RedisServer, *words: str) -> bytes:
    """One command to a Redis, its raw answer."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(f"*{len(words)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in words))
        return connection.recv(65536)


def put(bootstrap: str, topic: str, value: bytes) -> None:
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(30) == 0
    assert not failures


def values(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "t", "enable.auto.commit": False, "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes | None] = []
    try:
        until(lambda: found.extend(m.value() for m in consumer.consume(100, 0.2) if not m.error()) or len(found) >= count)
    finally:
        consumer.close()
    return found


def test_kafka_keeps_its_data_over_restart_and_kill(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path / "kafka", heap_mb=256)
    try:
        server.start()
        address, first = server.bootstrap, server.pid
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        admin.create_topics([NewTopic("t", 1, 1)])["t"].result()
        put(address, "t", b"before")
        server.restart()
        assert server.pid != first
        put(address, "t", b"between")
        server.kill()
        assert not server.ready(1.0)
        server.start()
        assert server.bootstrap == address
        put(address, "t", b"after")
        assert values(address, "t", 3) == [b"before", b"between", b"after"]
    finally:
        pid = server.pid
        server.stop()
    assert pid is not None
    assert not psutil.pid_exists(pid)
    again = KafkaServer(tmp_path / "kafka")
    assert (again.bootstrap, again.controller_port) == (server.bootstrap, server.controller_port)


def test_kafka_refuses_topics_nobody_created(kafka_server: KafkaServer) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_server.bootstrap})
    admin.list_topics("nobody.created.this", timeout=10)
    assert "nobody.created.this" not in admin.list_topics(timeout=10).topics


def test_two_valkeys_side_by_side_keep_their_own_data(tmp_path: Path) -> None:
    one, two = RedisServer(tmp_path / "1"), RedisServer(tmp_path / "2")
    try:
        one.start()
        two.start()
        assert one.port != two.port
        assert ask(one, "SET", "k", "one") == b"+OK\r\n"
        assert ask(two, "GET", "k") == b"$-1\r\n"
        assert b"noeviction" in ask(one, "CONFIG", "GET", "maxmemory-policy")
        one.restart()
        assert ask(one, "GET", "k") == b"$3\r\none\r\n"
    finally:
        one.stop()
        two.stop()


def test_a_frozen_valkey_is_not_ready_until_it_goes_on(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "v")
    try:
        server.start()
        server.signal(signal.SIGSTOP)
        assert not server.ready(0.3)
        server.signal(signal.SIGCONT)
        until(server.ready)
    finally:
        server.stop()


def test_a_taken_port_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as holder:
        server = RedisServer(tmp_path / "v", port=holder.getsockname()[1])
        with pytest.raises(PortTaken, match=r"port \d+ for valkey is taken by .*pid"):
            server.start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_servers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from local.redis import RedisServer\n"
        "server = RedisServer(pathlib.Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "v")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
