"""What a process says: one form for all lines, a code in every error, and never a secret of its settings."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from hourmark.logs import secrets_in, secrets_of, strike_out
from hourmark.settings import PlatformSettings

ROOT = Path(__file__).parents[2]
ROOMS = ("hourmark", "registry", "receiver", "dedup", "streams", "sinks")
SECRET = 'hush"hush/%42'
SPEAKER = """
import logging, os, sys, threading, warnings
import structlog
from hourmark.logs import configure_logging
from hourmark.settings import PlatformSettings, load
configure_logging(load(PlatformSettings), "sinks")
secret = os.environ["SPOKEN"]
structlog.get_logger().info("ours", what=secret, url=f"redis://u:{secret}@h/0")
logging.getLogger("aiohttp.server").error("theirs %s", secret)
logging.getLogger("sqlalchemy.pool").info("chatter")
warnings.warn("old " + secret)
def die(): raise ValueError("dead " + secret)
thread = threading.Thread(target=die, name="t1"); thread.start(); thread.join()
try: raise ValueError("caught " + secret)
except ValueError: structlog.get_logger().exception("failed", code="internal")
print("raw", file=sys.stdout)
"""


def spoken(log_format: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOURMARK_KAFKA_OPTIONS": json.dumps({"sasl.password": SECRET}), "SPOKEN": SECRET}
    command = [sys.executable, "-c", SPEAKER]
    run = subprocess.run(command, env={**env, "HOURMARK_LOG_FORMAT": log_format}, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, "raw\n"), run.stderr
    return run.stderr


def test_libraries_warnings_and_dead_threads_speak_as_we_do() -> None:
    lines = [json.loads(line) for line in spoken("json").splitlines()]
    assert [line["event"].split()[0] for line in lines] == ["ours", "theirs", "<string>:11:", "a", "failed"]
    assert {(line["room"], line["timestamp"][-1]) for line in lines} == {("sinks", "Z")}
    assert [line["level"] for line in lines] == ["info", "error", "warning", "error", "error"]
    assert [line.get("code") for line in lines] == [None, "library", None, "internal", "internal"]
    assert [line.get("logger") for line in lines] == [None, "aiohttp.server", "py.warnings", None, None]
    assert "dead ***" in lines[3]["exception"]
    assert "caught ***" in lines[4]["exception"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_line_holds_a_secret(log_format: str) -> None:
    text = spoken(log_format)
    assert text.count("***") >= 5
    assert "hush" not in text


class Room(PlatformSettings):
    model_config = SettingsConfigDict(env_prefix="HOURMARK_RECEIVER_")

    token: SecretStr = SecretStr("")
    address: str = ""
    options: dict[str, SecretStr] = Field({})


def test_secrets_of_settings() -> None:
    room = Room(
        token=SecretStr("token-1234"),
        address="redis://user:pass-1234@host:6379/0",
        options={"access_key": SecretStr("option-1234")},
        kafka_options={"sasl.password": "kafka-1234", "sasl.username": "known-1234"},
    )
    found = secrets_of(room)
    assert {"token-1234", "pass-1234", "option-1234", "kafka-1234"} <= set(found)
    assert "known-1234" not in found
    url = SecretStr("postgresql://u:within-1234@h/db")
    assert strike_out("to postgresql://u:within-1234@h/db, within-1234", secrets_of(Room(token=url))) == "to ***, ***"


def test_secrets_of_an_environment_that_cannot_be_read() -> None:
    environ = {
        "HOURMARK_KAFKA_OPTIONS": "{sasl.password=broken-1234",
        "HOURMARK_REDIS_URL": "redis://u:url-1234@h",
        "HOURMARK_REGISTRY_ADMIN_TOKEN": "token-1234",
        "HOURMARK_HOME": "/var/lib/hourmark",
    }
    text = "broken-1234 url-1234 token-1234 /var/lib/hourmark"
    assert strike_out(text, secrets_in(environ)) == "*** *** *** /var/lib/hourmark"


FAULTS = [
    ("receiver", {"HOURMARK_KAFKA_OPTIONS": "{sasl.password=S", "HOURMARK_RECEIVER_LISTEN": "S"}, ["KAFKA_OPTIONS", "RECEIVER_LISTEN"]),
    ("receiver", {"HOURMARK_KAFKA_OPTIONS": '{"no.such.option": "S"}'}, ["no.such.option"]),
    ("receiver", {"HOURMARK_KAFKA_OPTIONS": '{"security.protocol": "S", "sasl.password": "S"}'}, ["security.protocol"]),
    ("receiver", {"HOURMARK_CANARY_URL": "http://u:S@h:1"}, ["HOURMARK_CANARY_URL"]),
    ("receiver", {"HOURMARK_CANARY_URL": "http://h:1"}, ["HOURMARK_CANARY_KEY"]),
    ("registry", {"HOURMARK_REGISTRY_DATABASE_URL": "nonsense S"}, ["HOURMARK_REGISTRY_DATABASE_URL"]),
    ("registry", {"HOURMARK_REGISTRY_DATABASE_URL": "oracle://u:S@h/x"}, ["HOURMARK_REGISTRY_DATABASE_URL"]),
    ("sinks", {"HOURMARK_LAKE_OPTIONS": "S{", "HOURMARK_LAKE_URL": "s3://b/p"}, ["HOURMARK_LAKE_OPTIONS"]),
    ("sinks", {"HOURMARK_LAKE_OPTIONS": '{"secret_access_key": "S", "nonsense": "S"}', "HOURMARK_LAKE_URL": "s3://b/p"}, ["nonsense"]),
    ("sinks", {"HOURMARK_LAKE_URL": "foo://u:S@b/p"}, ["HOURMARK_LAKE_URL"]),
    ("streams", {"HOURMARK_DEDUP_SECRET": "S", "HOURMARK_STREAMS_SHARD": "9", "HOURMARK_KAFKA_OPTIONS": "S"}, ["KAFKA_OPTIONS"]),
]


@pytest.mark.parametrize(("room", "told", "named"), FAULTS)
def test_wrong_settings_are_one_line_with_all_faults_and_no_secret(
    room: str, told: dict[str, str], named: list[str], tmp_path: Path
) -> None:
    environ = {name: value.replace("S", "s3cr3t-1234") if value != "9" else value for name, value in told.items()}
    env = {"PATH": os.environ["PATH"], "HOURMARK_HOME": str(tmp_path), "HOURMARK_KAFKA": "127.0.0.1:9", **environ}
    run = subprocess.run([sys.executable, "-m", room], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2, run.stderr
    assert "s3cr3t" not in run.stdout + run.stderr
    (line,) = run.stderr.splitlines()
    said = json.loads(line)
    assert (said["event"], said["code"], said["room"], said["level"]) == ("cannot start", "settings", room, "error")
    for name in named:
        assert any(name in fault for fault in said["faults"]), said


def error_lines() -> Iterator[tuple[str, ast.Call]]:
    for file in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("error", "exception", "critical"):
                of = node.func.value
                if (isinstance(of, ast.Name) and of.id == "log") or "get_logger" in ast.dump(of):
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def test_every_error_line_carries_a_code() -> None:
    found = list(error_lines())
    assert len(found) >= 20
    assert [where for where, call in found if not any(keyword.arg == "code" for keyword in call.keywords)] == []


def test_the_place_of_a_secret_may_be_told() -> None:
    told = "/run/secrets/dedup cannot be read"
    assert strike_out(told, secrets_in({"HOURMARK_DEDUP_SECRET_FILE": "/run/secrets/dedup"})) == told
