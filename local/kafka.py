"""A real Apache Kafka broker: KRaft, one node, on 127.0.0.1. Topics are never created by accident; append times are the broker's."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local.errors import ServerUnavailable
from local.java import find_java, java_version, kafka_jars
from local.ports import HOST, require_free
from local.server import Server

CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
inter.broker.listener.name=PLAINTEXT
log.dirs={data}

auto.create.topics.enable=false
delete.topic.enable=true
log.message.timestamp.type=LogAppendTime
# sparse, but each open index is mapped: small ones let thousands of partitions live on a laptop
log.index.size.max.bytes=262144
message.max.bytes=10485760
replica.fetch.max.bytes=10485760
compression.type=producer

offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# a dedup worker keeps its state in the metadata of its committed offset
offset.metadata.max.bytes=65536
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=100
# after a kill the controller, which is the same process, lets the broker back in only when its old session is over
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.recovery.threads.per.data.dir=2
num.network.threads=2
num.io.threads=4
background.threads=2
"""

LOGGING = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{{ISO8601}} %-5p %m (%c{{1}})%n
rootLogger.level={level}
rootLogger.appenderRef.out.ref=out
"""


ROOM = Path(__file__).with_name("room.py")
START_MB = 64


class KafkaServer(Server):
    """One broker that is its own controller. `bootstrap` is what clients take."""

    name = "kafka"

    def __init__(self, home: Path, port: int = 0, *, controller_port: int = 0, heap_mb: int = 512, log_level: str = "warn") -> None:
        """`heap_mb`: 512 serves some hundred partitions, 1024 some thousand."""
        super().__init__(home, port)
        self.controller_port = controller_port or self._remembered("controller-port")
        self.heap_mb = heap_mb
        self.log_level = log_level

    @property
    def bootstrap(self) -> str:
        return self.address

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    @property
    def _scratch(self) -> Path:
        return self.home / "scratch"

    def prepare(self) -> None:
        """Writes the configuration, fetches the jars when they are not here, formats the storage once. Raises ServerUnavailable."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        self._properties.write_text(self.configuration())
        (self.home / "log4j2.properties").write_text(LOGGING.format(level=self.log_level))
        formatted = self.home / "formatted"
        if not formatted.exists():
            self._format()
            formatted.touch()

    def configuration(self) -> str:
        """Its properties; of a name that stands there twice the last one counts."""
        return CONFIG.format(host=HOST, port=self.port, controller_port=self.controller_port, data=_property(self.data))

    def first_records(self) -> list[str]:
        """Arguments of the storage's format: what must be known before the first start, like users."""
        return []

    def command(self) -> list[str]:
        held_back = [sys.executable, "-S", "-E", str(ROOM), str(START_MB), str(self.data)]
        return [*held_back, *self._java(), f"-Xms{min(self.heap_mb, 256)}m", f"-Xmx{self.heap_mb}m", "kafka.Kafka", str(self._properties)]

    def start(self) -> None:
        if self.pid is None:
            require_free(self.controller_port, "kafka's controller")
        super().start()

    def ready(self, timeout: float = 2.0) -> bool:
        """A client gets metadata from it, and it counts itself among the live brokers."""
        return answers(self.bootstrap, timeout)

    def _java(self) -> list[str]:
        java = find_java()
        # newer JVMs warn about what Kafka does with its mapped files
        quiet = ["--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED"] if java_version(java) >= 24 else []
        return [
            java,
            *quiet,
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-Xshare:auto",
            "-Djava.awt.headless=true",
            # a killed JVM leaves its unpacked libraries and its counters behind: not in the system's folder
            f"-Djava.io.tmpdir={self._scratch}",
            "-XX:-UsePerfData",
            f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}",
            f"-Dkafka.logs.dir={self.home}",
            "-cp",
            f"{kafka_jars()}/*",
        ]

    def _format(self) -> None:
        # Without the mark nothing was ever stored: what lies there is a format that was cut short.
        shutil.rmtree(self.data, ignore_errors=True)
        # The first letter is fixed: an id that starts with a dash would be read as an option.
        cluster = base64.urlsafe_b64encode(b"h" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        done = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties), *self.first_records()],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerUnavailable(f"kafka's storage in {self.data} cannot be formatted:\n{done.stdout}{done.stderr}".rstrip())


def _property(path: Path) -> str:
    """A path as a Java properties file can hold it: ASCII, the rest as UTF-16 escapes."""
    text = str(path).replace("\\", "\\\\")
    units = text.encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if 32 <= code < 127 else f"\\u{code:04x}" for code in codes)


def answers(bootstrap: str, timeout: float = 2.0) -> bool:
    """True when a broker among the addresses gives metadata. Never raises."""
    host, _, port = bootstrap.split(",")[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout).close()  # spares a client that would only log refusals
        client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": int(timeout * 1000)})
        return bool(client.list_topics(timeout=timeout).brokers)
    except (OSError, ValueError, KafkaException):
        return False
