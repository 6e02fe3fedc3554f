"""Events at a set rate over one HTTP connection, in the background of a benchmark; one that is not stored ends it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SENDER = {"sdk": {"name": "bench", "version": "1"}, "app": "bench", "install": "6f1c0b7e", "sent_at": "2026-03-01T07:00:00.123Z"}
PAUSE_S = 0.05


def fault(connection: http.client.HTTPConnection, key: str, events: list[dict[str, Any]]) -> str:
    """One request, sent again as long as the receiver has no room. Empty when all of it is stored, else what was answered."""
    body = json.dumps({**SENDER, "events": events}, separators=(",", ":"))
    while True:
        connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 503:
            break
        time.sleep(PAUSE_S)
    if answer.status == 200 and said.count(b'"stored"') == len(events):
        return ""
    return f"the receiver did not store everything: {answer.status} {said[:300]!r}"


@contextmanager
def trickle(receiver: str, key: str, rate: int, event: Callable[[int], dict[str, Any]], every_s: float) -> Iterator[list[int]]:
    """`rate` events a second, one request every `every_s`; `event` makes the n-th. The list counts each request's events.

    Raises RuntimeError at the end when some were not stored.
    """
    sent, failures, ended = list[int](), list[str](), threading.Event()
    share = max(1, round(rate * every_s))

    def run() -> None:
        connection = http.client.HTTPConnection(receiver, timeout=60)
        due, number = time.monotonic(), 0
        while not failures and not ended.wait(max(0.0, due - time.monotonic())):
            due += every_s
            failures.extend(filter(None, [fault(connection, key, [event(number + i) for i in range(share)])]))
            number += share
            sent.append(share)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
