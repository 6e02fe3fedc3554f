"""One question to one broker, on a connection of its own: how large its log directories' volumes are, and how much of them is free.

Kafka's DescribeLogDirs, which no client library of ours has; since Kafka 3.3 its answer holds both numbers (KIP-827).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.errors import ClusterAuthorizationFailedError, IncompatibleBrokerVersion, KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from hourmark.errors import BrokerUnavailable

ASK_S: Final = 10.0
_TAGS: Final = ("tags", TaggedFields)
_PARTITION: Final = (("partition", Int32), ("size", Int64), ("lag", Int64), ("future", Boolean), _TAGS)
_TOPIC: Final = (("name", CompactString()), ("partitions", CompactArray(*_PARTITION)), _TAGS)
_DIR: Final = (("error", Int16), ("path", CompactString()), ("topics", CompactArray(*_TOPIC)), ("size", Int64), ("free", Int64), _TAGS)


class LogDir(NamedTuple):
    """Bytes of the volume, and those that the broker may still fill; size 0: it does not know. `offline`: it has given the directory up."""

    path: str
    size: int
    free: int
    offline: bool


class Answer(Response):  # type: ignore[misc]  # aiokafka ships no types
    """Version 4."""

    API_KEY = 35
    API_VERSION = 4
    SCHEMA = Schema(("throttle_ms", Int32), ("error", Int16), ("dirs", CompactArray(*_DIR)), _TAGS)


class QuestionV4(RequestStruct):  # type: ignore[misc]  # the same
    """As it goes over the wire."""

    FLEXIBLE_VERSION = True
    API_KEY = 35
    API_VERSION = 4
    RESPONSE_TYPE = Answer
    SCHEMA = Schema(("topics", CompactArray(("topic", CompactString()), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS)


class Question(Request[QuestionV4]):  # type: ignore[misc]  # the same
    """About no topic: the answer then names every directory with its sizes, and nothing of what is in it."""

    API_KEY = 35

    def build(self, request_struct_class: type[QuestionV4]) -> QuestionV4:
        return request_struct_class([], {})


async def log_dirs(host: str, port: int, security: dict[str, Any]) -> list[LogDir]:
    """The broker's log directories. `security`: as streams.connection.security says it.

    Raises BrokerUnavailable, in words for an operator: it does not answer, does not allow the question, or does not know it.
    """
    try:
        async with asyncio.timeout(ASK_S):
            connection = await create_conn(host, port, client_id="hourmark-disks", request_timeout_ms=int(ASK_S * 1000), **security)
            try:
                return read_answer(await connection.send(Question()))
            finally:
                connection.close()
    except (NotImplementedError, IncompatibleBrokerVersion) as exc:
        raise BrokerUnavailable("it cannot say how full its disks are: that needs Kafka 3.3") from exc
    except (KafkaError, OSError, TimeoutError) as exc:
        raise BrokerUnavailable(f"it does not say how full its disks are: {type(exc).__name__}") from exc


def read_answer(answer: Any) -> list[LogDir]:
    """What an `Answer` says. Raises BrokerUnavailable for a refusal."""
    error = for_code(answer.error)
    if error is ClusterAuthorizationFailedError:
        raise BrokerUnavailable("it may not say how full its disks are: dedup workers need the ACL Describe on the resource Cluster")
    if answer.error:
        raise BrokerUnavailable(f"it does not say how full its disks are: {error.__name__}")
    return [_log_dir(*found) for found in answer.dirs]


def _log_dir(error: int, path: str, _topics: object, size: int, free: int, _tags: object) -> LogDir:
    known = size > 0 and free >= 0 and not error  # services without a disk to speak of answer -1
    return LogDir(path, size if known else 0, free if known else 0, offline=bool(error))
