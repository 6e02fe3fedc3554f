"""Scenes of the Confluent-compatible face as tables: a scene is a list of calls with what each must answer.

In paths and bodies `{s}`, `{t}`, `{u}` become subjects of this scene only, `{name}` what an earlier call kept, `{at}` the scene's own
context on the path (or nothing).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import urlsplit

KIND = "application/vnd.schemaregistry.v1+json"


class Call(NamedTuple):
    """One request. `has`: parts of the answer by name. `same`: the whole answer. `lacks`: names or texts that must not be in it."""

    method: str
    path: str
    body: Any = None
    status: int = 200
    code: int | None = None
    has: Mapping[str, Any] = {}
    same: Any = None
    contains: Sequence[str] = ()
    lacks: Sequence[str] = ()
    keep: Mapping[str, str] = {}
    check: Callable[[Any], bool] | None = None


Scene = Sequence[Call]


class Answer(NamedTuple):
    status: int
    body: Any
    text: str
    headers: Mapping[str, str]


class Face:
    """A client of one server; one connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        self._set_for_all = False

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self._set_for_all |= method == "PUT" and path.partition("?")[0] in ("/config", "/mode", "/config/:.:", "/mode/:.:")
        self._connection.request(method, path, raw, {"Content-Type": KIND, **(headers or {})})
        response = self._connection.getresponse()
        text = response.read().decode()
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        return Answer(response.status, found, text, {name.lower(): value for name, value in response.getheaders()})

    def play(self, scene: Scene, *, at: str = "") -> None:
        """Every call in order; the first that answers otherwise fails with its number."""
        mark = token_hex(6)
        names: dict[str, Any] = {"s": f"s-{mark}", "t": f"t-{mark}", "u": f"u-{mark}", "at": at, "c": f".c{mark}", "d": f".d{mark}"}
        for number, call in enumerate(scene, 1):
            path, body = _filled(call.path, names), _filled(call.body, names)
            answer = self.ask(call.method, path, body)
            told = f"call {number}: {call.method} {path} {json.dumps(body)[:300]} -> {answer.status} {answer.text[:500]}"
            _compare(_expected(call, names), answer, told)
            for part, name in call.keep.items():
                names[name] = answer.body[part]

    def reset(self) -> None:
        """What was set for all is taken back."""
        if self._set_for_all:
            for path in ("/mode?force=true", "/config"):
                self.ask("DELETE", path)

    def close(self) -> None:
        self._connection.close()


def _expected(call: Call, names: Mapping[str, Any]) -> Call:
    same, has = _filled(call.same, names), {name: _filled(value, names) for name, value in call.has.items()}
    texts = [[_filled(text, names) for text in group] for group in (call.contains, call.lacks)]
    return call._replace(same=same, has=has, contains=texts[0], lacks=texts[1])


def _compare(call: Call, answer: Answer, told: str) -> None:
    assert answer.status == call.status, f"status {call.status} expected; {told}"
    assert answer.headers["content-type"].startswith(KIND), told
    if answer.status >= 400:
        assert answer.body.keys() == {"error_code", "message"}, told
        assert isinstance(answer.body["message"], str), told
    if call.code is not None:
        assert answer.body["error_code"] == call.code, f"error_code {call.code} expected; {told}"
    for name, value in call.has.items():
        assert answer.body.get(name) == value, f"{name} = {value!r} expected; {told}"
    if call.same is not None:
        assert answer.body == call.same, f"{call.same!r} expected; {told}"
    for text in call.contains:
        assert text in answer.text, f"{text!r} expected; {told}"
    for text in call.lacks:
        assert text not in answer.text, f"{text!r} not expected; {told}"
    assert call.check is None or call.check(answer.body), told


def _filled(value: Any, names: Mapping[str, Any]) -> Any:
    """Placeholders replaced; one that is the whole text keeps its type."""
    if isinstance(value, str):
        if value.startswith("{") and value[1:-1] in names and value.endswith("}"):
            return names[value[1:-1]]
        for name, text in names.items():
            value = value.replace("{" + name + "}", str(text))
        return value
    if isinstance(value, Mapping):
        return {_filled(name, names): _filled(part, names) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, names) for part in value]
    return value


def get(path: str, status: int = 200, code: int | None = None, **more: Any) -> Call:
    return Call("GET", path, None, status, code, **more)


def post(path: str, body: Any, status: int = 200, code: int | None = None, **more: Any) -> Call:
    return Call("POST", path, body, status, code, **more)


def put(path: str, body: Any, status: int = 200, code: int | None = None, **more: Any) -> Call:
    return Call("PUT", path, body, status, code, **more)


def delete(path: str, status: int = 200, code: int | None = None, **more: Any) -> Call:
    return Call("DELETE", path, None, status, code, **more)


def record(name: str, **fields: Any) -> str:
    """Avro text. A field is a type, or `(type, default)`."""
    made = [
        {"name": field, "type": kind[0], "default": kind[1]} if isinstance(kind, tuple) else {"name": field, "type": kind}
        for field, kind in fields.items()
    ]
    return json.dumps({"type": "record", "name": name, "fields": made})


def sent(schema: Any, **more: Any) -> dict[str, Any]:
    """A body with a schema (text, or anything that is made text)."""
    return {"schema": schema if isinstance(schema, str) else json.dumps(schema), **more}


def register(schema: Any, subject: str = "{s}", status: int = 200, code: int | None = None, **more: Any) -> Call:
    """POST a schema as a new version. `body`: more of the body."""
    return post("{at}/subjects/" + subject + "/versions", sent(schema, **more.pop("body", {})), status, code, **more)


def look_up(schema: Any, subject: str = "{s}", status: int = 200, code: int | None = None, **more: Any) -> Call:
    return post("{at}/subjects/" + subject, sent(schema, **more.pop("body", {})), status, code, **more)


def level(name: str, subject: str = "") -> Call:
    """Set the compatibility level, of the subject or for all."""
    return put("{at}/config" + (f"/{subject}" if subject else ""), {"compatibility": name})


def mode(name: str, subject: str = "", force: bool = True) -> Call:
    return put("{at}/mode" + (f"/{subject}" if subject else "") + ("?force=true" if force else ""), {"mode": name})
