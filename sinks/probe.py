"""Can this lake be trusted? Asked once, at start, with objects that nobody else sees. A lake that is away is waited for; one that cannot
create only if absent is refused: two workers would both continue one chain there, and neither would notice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import structlog

from hourmark.errors import LakeUnavailable, SettingsError

from .edge import Stop
from .lake import SETTING, masked
from .layout import STAGING
from .object_store import ObjectStore
from .store import Store

log = structlog.get_logger()

AT_ONCE: Final = 4
WHERE: Final = "docs/lake-stores.md says which stores are known to work and how to configure them"
_AT_START: Final = {
    "no_place": "the bucket or container does not exist; create it, or correct the URL",
    "refused": "the store refuses these credentials; they need to list, read, create and delete below the prefix",
    "unsupported": "the store says that it cannot create an object only if it is absent (If-None-Match: *)",
}


def await_fit(store: Store, url: str, stop: Stop) -> None:
    """Return when the lake has answered and passed. Raises SettingsError when it never will; just returns when asked to stop."""
    told = False
    while not stop.is_set():
        try:
            prove(store, url)
            return
        except LakeUnavailable as exc:
            why = _AT_START.get(str(exc.facts.get("reason")))
            if why is not None:
                raise SettingsError([f"{SETTING}: {masked(url)}: {why}. It said: {exc.message}. {WHERE}"]) from exc
            if not told:
                log.warning("the lake does not answer; waiting for it before anything is read", error=exc.message)
                told = True
            stop.wait(exc.retry_after)


def prove(store: Store, url: str) -> None:
    """Try what everything rests on. Raises SettingsError for a store that cannot do it, LakeUnavailable for one that does not answer."""
    used: list[str] = []

    def fresh() -> str:
        used.append(f"{STAGING}/probe-{uuid.uuid4().hex}")
        return used[-1]

    try:
        for check in (_creates_once, _lets_one_of_many_win):
            seen = check(store, fresh)
            if seen:
                raise SettingsError([_refusal(url, seen)])
        if isinstance(store, ObjectStore):
            _find_out_copies(store, fresh)
    finally:
        for path in used:
            with suppress(LakeUnavailable):  # without the right to delete, a small object stays in staging
                store.remove(path)


def _refusal(url: str, seen: str) -> str:
    return (
        f"{SETTING}: {masked(url)} cannot hold a lake: {seen}. Commit entries and seals must be created only if absent: "
        f"otherwise two workers could both write the same one, and events would be lost or doubled without a trace. "
        f"Use a store with conditional writes, directly and not through a gateway that drops If-None-Match. {WHERE}"
    )


def _creates_once(store: Store, fresh: Callable[[], str]) -> str:
    path = fresh()
    if not store.create(path, b"first") and store.read(path) != b"first":  # refused without being there; a lost reply is none of that
        return "it refused to create an object that did not exist"
    refused = not store.create(path, b"second")
    found = store.read(path)
    if not refused or found == b"second":
        return "it overwrote an object that it had been asked to create only if absent"
    if found != b"first":
        return f"an object just created could not be read back ({'nothing' if found is None else 'other bytes'} came)"
    if path.rpartition("/")[2] not in store.names(STAGING, path.rpartition("/")[2][:-1]):
        return "an object just created is missing from the listing"
    return ""


def _lets_one_of_many_win(store: Store, fresh: Callable[[], str]) -> str:
    """Stores that look first and write then pass one request after the other, and fail here."""
    path = fresh()
    offers = [f"writer {number}".encode() for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        won = [offer for offer, mine in zip(offers, pool.map(lambda offer: store.create(path, offer), offers), strict=True) if mine]
    found = store.read(path)
    if len(won) > 1:
        return f"{len(won)} of {AT_ONCE} writers at once were told that they had created the same object"
    if found not in offers or (won and found != won[0]):
        return "the object is not that of the writer who was told that it had created it"
    return ""


def _find_out_copies(store: ObjectStore, fresh: Callable[[], str]) -> None:
    """Copying inside the store only if the target is absent. Without it large files go up in one request, however long that takes."""
    source, target = fresh(), fresh()
    store.create(source, b"source")
    store.create(target, b"target")
    try:
        store.copies = not store.copy(source, target) and store.copy(source, fresh()) and store.read(target) == b"target"
    except LakeUnavailable as exc:
        if exc.facts.get("reason") in ("busy", None):
            raise
        store.copies = False
    if not store.copies:
        log.warning("the store cannot copy only if absent: large files go up in one request each, which starts over after any fault")
