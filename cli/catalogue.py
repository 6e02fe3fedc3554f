"""Questions to the registry over HTTP, with its answers and its silence in the command line's words."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

from hourmark.errors import PlatformError

from . import authorship
from .addresses import told
from .failures import AnswerIsNo, Unreachable, WrongInput, did_you_mean
from .refusals import problem_of, said

ADMIN_TOKEN = "HOURMARK_REGISTRY_ADMIN_TOKEN"


class Overtaken(AnswerIsNo):
    """Somebody else changed it first."""


class Change(NamedTuple):
    """What a declaration follows (a revision, 0: nothing, None: whatever is there), why, and who makes it (empty: the user)."""

    revision: int | None = None
    message: str = ""
    author: str = ""

    def headers(self) -> dict[str, str]:
        said = {"Hourmark-Author": self.author or authorship.author(), "Hourmark-Message": self.message}
        # http.client writes headers as latin-1, the registry reads them as UTF-8
        found = {name: " ".join(text.split()).encode("utf-8", "replace").decode("latin-1") for name, text in said.items() if text}
        if self.revision is None:
            return found
        return found | ({"If-Match": f'"{self.revision}"'} if self.revision else {"If-None-Match": "*"})


ANYHOW = Change()


class Catalogue:
    """The registry as the command line sees it. Raises Unreachable when it is away, WrongInput or AnswerIsNo when it refuses."""

    def __init__(self, url: str, timeout: float = 10.0, token: str = "") -> None:
        """`token`: of the registry's administrator; by default what HOURMARK_REGISTRY_ADMIN_TOKEN says."""
        self.url = url.rstrip("/")
        self._timeout, self._token = timeout, token

    def names(self) -> list[str]:
        """Every declared event type."""
        return [str(entry["event"]) for entry in self.all()]

    def all(self) -> list[dict[str, Any]]:
        """Every declared event type as the registry lists it."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.ask("GET", f"/v1/events?limit=1000&after={urllib.parse.quote(after)}")
            entries = page["events"]
            found += entries
            after = str(page.get("next") or "")
            if not after or not entries:
                return found

    def get(self, event_type: str) -> dict[str, Any]:
        """One event type. Raises WrongInput with the nearest name when it is not declared."""
        try:
            answer: dict[str, Any] = self.ask("GET", f"/v1/events/{urllib.parse.quote(event_type)}")
        except WrongInput:
            self.require(event_type)
            raise
        return answer

    def require(self, event_type: str) -> None:
        """Raises WrongInput with the nearest name when the event type is not declared."""
        known = self.names()
        if event_type not in known:
            raise unknown_type(event_type, known)

    def declare(self, event_type: str, declaration: Any, wait: float = 0.0, change: Change = ANYHOW) -> dict[str, Any]:
        """Declare it; with `wait` seconds the answer says when each node had applied it. Raises Overtaken when `change` follows another."""
        answer: dict[str, Any] = self.ask("PUT", _declared_at(event_type, wait), declaration, wait, change.headers())
        return answer

    def declare_aloud(
        self, event_type: str, declaration: Any, wait: float, told: Callable[[dict[str, Any]], None], change: Change = ANYHOW
    ) -> dict[str, Any]:
        """The same; each stage is `told` as soon as it is complete."""
        headers = change.headers() | {"Accept": "application/x-ndjson"}
        with self._asked("PUT", _declared_at(event_type, wait), declaration, wait, headers) as answer:
            for line in answer:
                said: dict[str, Any] = json.loads(line)
                if "revision" in said:
                    return said
                told(said)
            raise ValueError("it went away before all was said")

    def check(self, event_type: str, declaration: Any) -> dict[str, Any]:
        """What the registry would say to this declaration: `{ok, outcome, code, message, problems}`; nothing is changed."""
        answer: dict[str, Any] = self.ask("POST", f"/v1/events/{urllib.parse.quote(event_type, safe='')}/check", declaration)
        return answer

    def replace(self, event_type: str, declaration: Any, revision: int, wait: float = 0.0, message: str = "") -> dict[str, Any]:
        """Declare it as the successor of this revision (0: of nothing). Raises Overtaken when another one is current."""
        return self.declare(event_type, declaration, wait, Change(revision, message))

    def revision(self, event_type: str) -> int:
        """The current revision of an event type, 0 when it is not declared."""
        try:
            return int(self.ask("GET", f"/v1/events/{urllib.parse.quote(event_type, safe='')}")["revision"])
        except WrongInput as exc:
            if exc.facts.get("status") == HTTPStatus.NOT_FOUND:
                return 0
            raise

    def revisions(self, event_type: str, most: int) -> list[dict[str, Any]]:
        """Its newest revisions first: revision, author, at (seconds since 1970), message."""
        path = f"/v1/events/{urllib.parse.quote(event_type, safe='')}/revisions?limit={most}"
        found: list[dict[str, Any]] = self.ask("GET", path)["revisions"]
        return found

    def schema(self, schema_id: int) -> dict[str, Any]:
        """A wire schema by its id, as Avro JSON."""
        answer: dict[str, Any] = json.loads(self.ask("GET", f"/schemas/ids/{schema_id}")["schema"])
        return answer

    def ask(self, method: str, path: str, body: Any = None, patience: float = 0.0, headers: Mapping[str, str] | None = None) -> Any:
        """One request; the decoded answer. `patience`: seconds beyond the usual time-out that the answer may take."""
        with self._asked(method, path, body, patience, headers or {}) as answer:
            return json.load(answer)

    @contextmanager
    def _asked(self, method: str, path: str, body: Any, patience: float, headers: Mapping[str, str]) -> Iterator[Any]:
        data = None if body is None else json.dumps(body).encode()
        said = {"Content-Type": "application/json", **_admission(self._token), **headers}
        try:
            request = urllib.request.Request(self.url + path, data=data, method=method, headers=said)
        except ValueError as exc:
            raise WrongInput(f"no address of a registry: {exc}", where=self.url, remedy="set HOURMARK_REGISTRY_URL") from exc
        try:
            with urllib.request.urlopen(request, timeout=self._timeout + patience) as answer:
                yield answer
        except urllib.error.HTTPError as exc:
            raise _refusal(exc, method, self.url + path) from exc
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "reason", exc)
            raise Unreachable(
                f"the registry does not answer: {reason}",
                where=self.url,
                remedy="see `hourmark status`; start it with `hourmark up --detach`, or set HOURMARK_REGISTRY_URL",
            ) from exc


def unknown_type(event_type: str, known: list[str]) -> WrongInput:
    """The error for an event type nobody declared."""
    return WrongInput(
        f"no event type {event_type}{did_you_mean(event_type, known)}",
        remedy="`hourmark events` lists what is declared; `hourmark declare FILE` declares more",
    )


def _admission(token: str) -> dict[str, str]:
    token = token or told(ADMIN_TOKEN)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _declared_at(event_type: str, wait: float) -> str:
    return f"/v1/events/{urllib.parse.quote(event_type, safe='')}" + (f"?wait={wait:g}s" if wait else "")


def _refusal(exc: urllib.error.HTTPError, method: str, url: str) -> PlatformError:
    """The error for an answer; `status`, and the answer's `code`, `problems` and `current` are among its facts."""
    try:
        answer = json.load(exc)
    except (OSError, ValueError):
        answer = {}
    answer = answer if isinstance(answer, dict) else {}
    error = _said_no(exc, answer, f"{method} {url}")
    error.facts.update({"status": exc.code} | {name: answer[name] for name in ("code", "problems", "current") if name in answer})
    return error


def _said_no(exc: urllib.error.HTTPError, answer: dict[str, Any], where: str) -> PlatformError:
    message = str(answer.get("message") or f"{exc.code} {exc.reason}")
    problems = [said(problem_of(problem)) for problem in answer.get("problems") or ()]
    text = "\n".join([f"the registry refuses: {message}", *problems])
    if exc.code >= 500:
        return Unreachable(f"the registry failed: {message}", where=where, remedy="`hourmark logs registry` says more")
    if exc.code == HTTPStatus.PRECONDITION_FAILED:
        return Overtaken(text, where=where, remedy="look at it again, and repeat what you did on its current revision")
    if exc.code == HTTPStatus.UNAUTHORIZED:
        return WrongInput(text, where=where, remedy=f"set {ADMIN_TOKEN}")
    if exc.code == HTTPStatus.CONFLICT:
        return AnswerIsNo(text, where=where)
    return WrongInput(text, where=where)
