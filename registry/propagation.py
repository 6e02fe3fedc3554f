"""A revision on its way to all nodes, told to whoever declared it: at the end, or line by line while it goes (`application/x-ndjson`)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from .nodes import Progress, RoomStage
from .web import answer

LINES: Final = "application/x-ndjson"


class Settled(NamedTuple):
    """The answer to a declaration that is stored and broadcast. `body["stages"]` holds what it took so far."""

    body: dict[str, Any]
    status: int
    headers: dict[str, str]


async def followed(request: web.Request, settled: Settled, progress: AsyncIterator[Progress]) -> web.StreamResponse:
    """The answer with a stage for each room, the nodes that work by the revision, and those that are behind.

    Who accepts lines gets a line for each stage as it completes, and the whole answer as the last line.
    """
    if LINES not in request.headers.get("Accept", ""):
        found = [each async for each in progress][-1]
        return answer(_whole(settled.body, found), settled.status, settled.headers)
    response = web.StreamResponse(status=settled.status, headers=settled.headers)
    response.content_type = LINES
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # whoever asked has gone; what was declared stays
        for stage in settled.body["stages"]:
            await _line(response, stage)
        told: dict[str, RoomStage] = {}
        async for found in progress:
            for room in found.stages():
                if room.of and room.complete and (room.stage not in told or told[room.stage].of != room.of):
                    told[room.stage] = room
                    await _line(response, room._asdict())
        for room in found.stages():
            if not room.of:
                await _line(response, room._asdict())
        await _line(response, _whole(settled.body, found))
        await response.write_eof()
    return response


def _whole(body: dict[str, Any], found: Progress) -> dict[str, Any]:
    return {
        **body,
        "stages": [*body["stages"], *(room._asdict() for room in found.stages())],
        "nodes": [node._asdict() for node in found.applied],
        "behind": [node._asdict() for node in found.behind],
        "waited": "complete" if found.complete else "timeout",
    }


async def _line(response: web.StreamResponse, body: dict[str, Any]) -> None:
    await response.write(msgspec.json.encode(body) + b"\n")
