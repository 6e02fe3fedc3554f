from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from hourmark.errors import BrokerUnavailable, InvariantBroken, NotAllowed
from hourmark.kafka import translate


@pytest.mark.parametrize("fatal", [False, True])
def test_a_missing_right_is_waited_for_even_where_the_client_calls_it_fatal(fatal: bool) -> None:
    found = translate(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no", fatal=fatal)), "reading raw.a.b")
    assert isinstance(found, NotAllowed)
    assert found.message == "reading raw.a.b: Kafka does not allow it to this user; give it the rights that `hourmark acls` lists (no)"
    assert found.code == BrokerUnavailable.code


def test_what_is_fatal_otherwise_ends_the_process() -> None:
    assert isinstance(translate(KafkaError(KafkaError._FATAL, "out of order", fatal=True), "storing"), InvariantBroken)


def test_whatever_may_pass_is_waited_for() -> None:
    found = translate(KafkaError(KafkaError._TRANSPORT, "away"), "storing")
    assert (type(found), found.message) == (BrokerUnavailable, "storing: away")
