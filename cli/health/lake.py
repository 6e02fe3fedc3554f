"""What only the lake knows, asked for a bounded number of event types: where those stand that Kafka says too little about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from sinks.blocking import Block, blocks
from sinks.store import Store
from sinks.watermarks import hours as known_hours
from sinks.watermarks import line_of

from ..addresses import Addresses
from ..hour_rows import Surroundings, first_hour, newest_ended, store_of
from .asking import together
from .model import Newest

MOST: Final = 40
AT_ONCE: Final = 8
LOOK_S: Final = 15.0


class Standing(NamedTuple):
    """`following`: the hour to be sealed next, None when nobody can say. `blocked`: what keeps it from being sealed, once it is over."""

    newest: Newest | None
    following: int | None
    blocked: tuple[Block, ...]


def standing(at: Addresses, names: Sequence[str], around: Surroundings) -> dict[str, Standing]:
    """Of these types, as far as the lake answers in time. Raises what `store_of` raises."""
    store = store_of(at)
    found: dict[str, Standing] = {}
    deadline = time.monotonic() + LOOK_S
    for begin in range(0, len(names), AT_ONCE):
        asks = {name: partial(_of_type, store, at, name, around) for name in names[begin : begin + AT_ONCE]}
        answers = together(asks, max(0.1, deadline - time.monotonic()))
        found |= {name: answer for name, answer in answers.items() if isinstance(answer, Standing)}
        if time.monotonic() > deadline:
            break
    return found


def _of_type(store: Store, at: Addresses, name: str, around: Surroundings) -> Standing:
    line = line_of(store, name, around.partitions(name))
    rows = known_hours(store, name, 2, still_open=False)  # the newest may be decided and not presented yet
    newest = Newest(rows[-1].hour, rows[-1].rows, rows[-1].complete) if rows else None
    following = newest.hour + 1 if newest is not None else first_hour(at, line)
    ended = newest_ended(at)
    if following is None or following > ended:
        return Standing(newest, following, ())
    return Standing(newest, following, tuple(blocks(line, following, around.situation(name, ended))))
