from __future__ import annotations

import pytest

from registry.document import is_text, parse_json, parse_yaml, plain
from registry.refusal import Refused


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'a':1}", b"\xff\xfe", b'{"a":1}{"b":2}', b'{"a":NaN}', b'{"a":1,"a":2}', b"[" * 200_000, b"9" * 5000, b'{"a":"\x01"}'],
    ids=["empty", "cut", "quotes", "utf8", "two", "nan", "twice", "deep", "digits", "control"],
)  # fmt: skip
def test_json_that_is_none(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_json(body)
    assert (caught.value.status, caught.value.code) == (400, "malformed_body")


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((n, n) + (n - 1,) * 6) for n in range(98, 110))


@pytest.mark.parametrize(
    "body",
    [
        b"a: !!bool x",
        b"a: !!int ''",
        b"a: !!timestamp x",
        b"!!map x",
        b"a: [",
        b"\xff",
        BOMB,
        b"a: 1\na: 2",
        b"[" * 5000,
        b"a: !!python/object:os.system x",
        b"--- 1\n--- 2\n",
        b"? [1]\n: 2\n",
    ],
    ids=["bool", "int", "timestamp", "map", "cut", "utf8", "bomb", "twice", "deep", "tag", "two", "list as key"],
)
def test_yaml_that_is_none(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_yaml(body)
    assert (caught.value.status, caught.value.code) == (400, "malformed_body")


def test_yaml() -> None:
    assert parse_yaml(b"a: {b: [1, 'x', null]}\n") == {"a": {"b": [1, "x", None]}}


def test_text_is_what_people_write() -> None:
    for told in ("plain", "ä …\u00a0°", "👨\u200d👩\u200d👧", "日本語"):
        assert is_text(told)
    for told in ("", "  ", "a\0", "a\x1b[31m", "a\nb", "\x85", "\ud800"):
        assert not is_text(told)
    assert is_text("a\nb", "\n")


def test_plain_bounds_what_others_walk() -> None:
    endless: list[object] = [1]
    endless.append(endless)
    assert [p.rule for p in plain(endless)] == ["too_deep"]
    bomb: object = "x"
    for _ in range(30):
        bomb = [bomb, bomb, bomb]
    assert [p.rule for p in plain(bomb)] == ["too_large"]
    assert plain({"a": [1, 2.5, None, True, "x"]}) == []
