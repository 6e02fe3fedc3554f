"""Hands events to the HTTP client library and collects the verdicts, for `send`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .addresses import Addresses
from .failures import Unreachable, WrongInput


def deliver(at: Addresses, event_type: str, payloads: Iterable[dict[str, Any]], timeout: float) -> list[dict[str, Any]]:
    """One verdict per event, in the order they came. Raises Unreachable when none came in time, WrongInput for a useless call."""
    from hourmark_client import Client, ClientError, InvalidEvent, Undelivered, Verdict

    verdicts: list[dict[str, Any]] = []

    def note(verdict: Verdict) -> None:
        said = {"id": verdict.event_id, "verdict": verdict.verdict, "partition": verdict.partition, "offset": verdict.offset}
        reason = {"code": verdict.code, "path": verdict.path, "detail": verdict.detail}
        verdicts.append(said | {name: value for name, value in reason.items() if value})

    try:
        client = Client.http(at.receiver, write_key=at.write_key, app="hourmark-cli")
    except ClientError as exc:
        raise WrongInput(str(exc), where=at.receiver, remedy="set HOURMARK_CLIENT_RECEIVER_URL") from exc
    try:
        for payload in payloads:
            client.send(event_type, payload, on_verdict=note)
    except InvalidEvent as exc:
        raise WrongInput(str(exc)) from exc
    finally:
        try:
            client.close(timeout)
        except Undelivered as exc:
            raise Unreachable(
                f"{exc.count} events have no verdict after {timeout:g} s", where=at.receiver, remedy="see `hourmark status`"
            ) from exc
    return verdicts
