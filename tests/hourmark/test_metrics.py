from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from hourmark.metrics import MetricsPage, listen_address
from hourmark.settings import PlatformSettings


def test_page_shows_metrics_health_and_why_it_is_not_ready(tmp_path: Path) -> None:
    reasons: list[str | None] = ["no partition assigned yet", None]
    page = MetricsPage(PlatformSettings(metrics_listen="127.0.0.1:0", home=tmp_path), lambda: reasons.pop(0))
    url = f"http://127.0.0.1:{page.port}"
    try:
        assert b"python_info" in urlopen(f"{url}/metrics").read()
        assert urlopen(f"{url}/healthz").read() == b"ok\n"
        with pytest.raises(HTTPError, match="503") as caught:
            urlopen(f"{url}/readyz")
        assert caught.value.read() == b"not ready: no partition assigned yet\n"
        assert urlopen(f"{url}/readyz").read() == b"ok\n"
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{url}/")
    finally:
        page.close()


def test_addresses() -> None:
    assert listen_address("127.0.0.1:9100") == ("127.0.0.1", 9100)
    assert listen_address(":0") == ("127.0.0.1", 0)
    assert listen_address("[::1]:80") == ("::1", 80)
    for wrong in ("", "localhost", "host:http"):
        with pytest.raises(ValueError, match="host:port"):
            listen_address(wrong)
