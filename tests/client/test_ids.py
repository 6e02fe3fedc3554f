from __future__ import annotations

import os
import threading
import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark_client.errors import InvalidEvent
from hourmark_client.ids import EventIds, event_ids, id_bytes, id_text, time_prefix, uuid7_text


@given(st.lists(st.integers(0, 2**47), min_size=2, max_size=200))
def test_ids_rise_whatever_the_clock_does(clock: list[int]) -> None:
    ticks = iter(clock)
    make = EventIds(lambda: next(ticks) * 1_000_000)
    made = [make() for _ in clock]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_text_is_a_version_7_uuid_of_its_parts(millis: int, low: int) -> None:
    text = uuid7_text(time_prefix(millis), low)
    parsed = UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, "specified in RFC 4122")
    assert parsed.int >> 80 == millis
    assert id_bytes(text) == parsed.bytes


def test_ids_hold_the_time() -> None:
    assert abs((UUID(event_ids()).int >> 80) - time.time() * 1000) < 5000


def test_threads_get_different_ids() -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend([event_ids() for _ in range(2000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8000


def test_a_forked_child_makes_other_ids() -> None:
    event_ids()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "".join(event_ids() for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 50 * 36).decode()
    os.close(read)
    os.close(write)
    assert not {theirs[at : at + 36][15:] for at in range(0, len(theirs), 36)} & {event_ids()[15:] for _ in range(50)}


@pytest.mark.parametrize("given_id", ["0195D7A0-0000-7000-8000-000000000001", UUID(int=1), bytes(16)])
def test_own_ids_become_canonical(given_id: UUID | str | bytes) -> None:
    assert id_text(given_id) == str(UUID(bytes=given_id) if isinstance(given_id, bytes) else UUID(str(given_id)))


@pytest.mark.parametrize("bad", ["", "x", b"short", 3])
def test_what_is_no_id_is_refused(bad: object) -> None:
    with pytest.raises(InvalidEvent, match="is not an event id"):
        id_text(bad)  # type: ignore[arg-type]  # the point of the test
