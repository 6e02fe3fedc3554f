"""One line per episode of another library's log."""

from __future__ import annotations

import logging

from streams.quiet import EPISODE_S, OncePerEpisode


def line(text: str, logger: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, "", 0, text, None, None)


def test_a_kind_is_said_once_until_it_was_silent_for_a_while() -> None:
    now = 0.0
    quiet = OncePerEpisode("aiokafka", lambda: now)
    assert quiet.filter(line("Unable connect to node with id %s: %s"))
    assert quiet.filter(line("Topic %s not found"))
    for _ in range(10):
        now += EPISODE_S - 1
        assert not quiet.filter(line("Unable connect to node with id %s: %s"))
    assert quiet.filter(line("ours", "streams.worker"))
    assert quiet.filter(line("ours", "streams.worker"))
    now += EPISODE_S
    assert quiet.filter(line("Unable connect to node with id %s: %s"))
