"""Makes sure that the canary's event type and write key are there, when the platform is told to send itself canary events."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

from hourmark.canary import CANARY, SDK, WRITE_KEY
from hourmark.errors import Unavailable

from .catalog import Catalog
from .expected import Expected
from .history import ITSELF, Byline
from .keys import WriteKeys
from .refusal import Refused
from .settings import Settings
from .store import Store

log = structlog.get_logger()

RETRY_S: Final = 5.0
# Tier and topics' retention of an event like others: a log that forgot sooner would stop workers over an event that is nobody's.
DECLARATION: Final[dict[str, Any]] = {
    "event": CANARY,
    "owner": "hourmark",
    "description": "Sent by every receiver to the platform's own front door. Not about anything: it measures how long events take.",
    "tier": "standard",
    "sdks": [SDK],
    "retention": {"lake": "7d"},
    "schema": {
        "type": "record",
        "name": "Canary",
        "fields": [
            {"name": "receiver", "type": "string", "doc": "name of the process that sent it"},
            {"name": "number", "type": "long", "doc": "counts the canaries of this process, from 1"},
        ],
    },
}


async def make_sure(settings: Settings, store: Store, catalog: Catalog, keys: WriteKeys) -> None:
    """Returns when both are there; nothing when no canary is wanted. A declaration that stands is left as it is, whatever it says."""
    if not settings.canary_url:
        return
    while True:
        try:
            await keys.make_sure(WRITE_KEY, settings.canary_key.get_secret_value(), (CANARY,))
            if await asyncio.to_thread(store.event, CANARY) is None:
                await catalog.declare(DECLARATION, Expected(revision=0), Byline(ITSELF, "canary events are switched on"))
            return
        except Refused as exc:
            if exc.status != 412:  # else another registry was faster
                log.error("no canary: its event type is refused", code=exc.code, event_type=CANARY, message=exc.message)
            return
        except Unavailable as exc:
            log.warning("the canary's event type cannot be declared yet; trying again", code=exc.code, message=exc.message)
            await asyncio.sleep(RETRY_S)
