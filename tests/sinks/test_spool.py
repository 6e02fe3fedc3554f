"""Repeats among any number of keys, with little memory."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from sinks import spool
from sinks.spool import Spool, id_keys


@pytest.mark.parametrize("held", [10**6, 50])
def test_repeats_within_and_between_hours(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(spool, "HELD", held)
    rng = np.random.default_rng(1)
    low = rng.integers(0, 2**63, 1000).astype(np.uint64)
    with Spool() as found:
        for hour in range(4):
            part = low[hour * 250 : (hour + 1) * 250]
            found.add(part, part >> np.uint64(3), hour)
        assert not found.repeats()
        found.add(low[:3], low[:3] >> np.uint64(3), 3)
        found.add(low[760:762], low[760:762] >> np.uint64(3), 3)
        found.add(low[10:12], low[10:12], 3)  # half of the key is the same
        assert found.repeats() == {(0, 3): 3, (3, 3): 2}


def test_keys_are_the_ids_themselves() -> None:
    ids = [uuid.uuid4() for _ in range(10)]
    high, low = id_keys([str(one) for one in ids])
    assert [int(h) << 64 | int(b) for h, b in zip(high, low, strict=True)] == [one.int for one in ids]
    with pytest.raises(ValueError, match=r"no UUIDs|non-hexadecimal|buffer size"):
        id_keys(["nonsense"])
