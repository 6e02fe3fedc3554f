"""How the registry says no: problems with a JSON path, a rule and a fix, and the error that carries them to an HTTP answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hourmark.errors import Rejected

MAX_PROBLEMS = 50


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong. `path`: JSON pointer into the declaration, empty for the whole; in other parts of a request `?limit` or
    the name of a header. `rule`: stable name of what was broken.

    Against an older version also: `direction` (`backward`: new readers, old data; `forward`: old readers, new data; `both`), `against`
    (the older version's number, or what names it), and what stands at `path` there (`old`) and here (`new`), as JSON.
    """

    path: str
    rule: str
    message: str
    fix: str
    direction: str = ""
    against: str = ""
    old: Any = None
    new: Any = None


class Refused(Rejected):
    """A request that will not be granted as it stands. `status`: the HTTP status (4xx); `more`: facts that the answer carries too."""

    def __init__(self, status: int, code: str, message: str, problems: Sequence[Problem] = (), **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problems = tuple(problems[:MAX_PROBLEMS])
        self.more = more


def refuse(status: int, code: str, message: str, fix: str, path: str = "", **more: object) -> Refused:
    """A refusal with one problem, whose rule is the code. `path`: where in the request: `/owner`, `?limit`, `If-Match`."""
    return Refused(status, code, message, [Problem(path, code, message, fix)], **more)


def name_taken(message: str) -> Refused:
    """409: the event type's name collides with another's topics."""
    return Refused(409, "event_name_taken", message, [Problem("/event", "event_name_taken", message, "use another name")])


def pointer(*steps: object) -> str:
    """A JSON pointer (RFC 6901): `pointer("schema", "fields", 3)` → `/schema/fields/3`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
