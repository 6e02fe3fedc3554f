"""Web pages: those of named origins may send and read the verdicts, others and other programs see no difference."""

from __future__ import annotations

import aiohttp
import pytest

from receiver.app import Receiver
from receiver.cors import Origins
from receiver.settings import Settings

from .conftest import event, request
from .fakes import TOKEN, FakePublisher, FixedTail, catalogue

SHOP = "https://shop.example"


def test_nobody_is_named() -> None:
    assert Origins("").headers({"Origin": SHOP}) == {}
    assert Origins("").preflight({"Origin": SHOP, "Access-Control-Request-Method": "POST"}) is None


@pytest.mark.parametrize("named", [SHOP, f"https://a.example, {SHOP}/", "*"])
def test_a_named_origin(named: str) -> None:
    assert Origins(named).headers({"Origin": SHOP})["Access-Control-Allow-Origin"] == SHOP
    assert Origins(named).headers({}) == {}


@pytest.mark.parametrize("other", ["http://shop.example", "https://shop.example.evil", "null", "https://shop.example:444"])
def test_another_origin(other: str) -> None:
    assert Origins(SHOP).headers({"Origin": other}) == {}


async def test_a_page_asks_sends_and_reads_also_what_is_refused(settings: Settings) -> None:
    named = settings.model_copy(update={"web_origins": SHOP})
    page = {"Origin": SHOP, "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with Receiver(named, tail=FixedTail(catalogue()), publisher=FakePublisher()) as receiver, aiohttp.ClientSession() as session:
        url = f"{receiver.url}/v1/events"
        asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        async with session.options(url, headers=asked) as answer:
            assert answer.status == 200
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        async with session.options(url, headers={**asked, "Origin": "https://evil.example"}) as answer:
            assert answer.status == 405
            assert "Access-Control-Allow-Origin" not in answer.headers
        for body, status in ((request(event()), 200), (b"{", 400)):
            async with session.post(url, data=body, headers=page) as answer:
                assert answer.status == status
                assert answer.headers["Access-Control-Allow-Origin"] == SHOP
                assert "Hourmark-Deprecated" in answer.headers["Access-Control-Expose-Headers"]
