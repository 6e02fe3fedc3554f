"""Which web pages may send (Cross-Origin Resource Sharing, https://fetch.spec.whatwg.org/#http-cors-protocol). Browsers ask; others do not.

A write key in a page is public: give it only the event types that the page sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ALLOWED_HEADERS: Final = "Authorization, Content-Type, Content-Encoding, Hourmark-Request-Id"
SHOWN_HEADERS: Final = "Retry-After, Hourmark-Deprecated, Hourmark-Request-Id"
REMEMBER_S: Final = 7200  # the longest that browsers take


class Origins:
    """`origins`: like `https://shop.example`, comma separated; `*` for all, empty for none."""

    def __init__(self, origins: str) -> None:
        self._known = frozenset(origin.strip().rstrip("/") for origin in origins.split(",") if origin.strip())

    def headers(self, asked: Mapping[str, str]) -> dict[str, str]:
        """What an answer to a request with these headers must carry; empty for pages that may not read it, and for other programs."""
        origin = asked.get("Origin", "")
        if not origin or not ("*" in self._known or origin in self._known):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": SHOWN_HEADERS, "Vary": "Origin"}

    def preflight(self, asked: Mapping[str, str]) -> dict[str, str] | None:
        """Headers of the answer to a browser's question before its request; None when this is no such question, or the answer is no."""
        headers = self.headers(asked) if "Access-Control-Request-Method" in asked else {}
        if not headers:
            return None
        permitted = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": ALLOWED_HEADERS}
        return headers | permitted | {"Access-Control-Max-Age": str(REMEMBER_S)}
