"""`hourmark acls` as commands: what an operator pastes."""

from __future__ import annotations

import shlex

import pytest

from cli.acls import RIGHTS, TOPIC, grants_of, spelled
from tests.cli.conftest import Command

BEGIN = ["kafka-acls.sh", "--bootstrap-server", "$KAFKA", "--command-config", "admin.properties", "--add", "--allow-principal"]


def test_a_command_for_each_row(command: Command) -> None:
    said = command("acls", "sink", "registry", "--user", "sink=svc-sink")
    assert (said.code, said.err) == (0, "")
    lines = [shlex.split(line) for line in said.out.splitlines() if not line.startswith("#")]
    assert len(lines) == len(RIGHTS["sink"]) + len(RIGHTS["registry"])
    assert lines[0] == [*BEGIN, "User:svc-sink", "--operation", "Read", "--topic", "clean.", "--resource-pattern-type", "prefixed"]
    assert [*BEGIN, "User:hourmark-registry", "--operation", "DescribeConfigs", "--cluster"] in lines


def test_producers_and_readers_may_be_kept_to_their_own(command: Command) -> None:
    said = command("acls", "producer", "reader", "--types", "shop.", "--group", "anna-").out
    assert "--topic 'raw.shop.'" in said
    assert "--topic 'clean.shop.'" in said
    assert "--group 'anna-' --resource-pattern-type prefixed" in said
    assert "--group '*'" in command("acls", "reader").out


@pytest.mark.parametrize(("arguments", "words"), [(["snik"], "no role snik; did you mean sink?"), (["--user", "sink"], "names no user")])
def test_a_wrong_role_or_user_is_said(command: Command, arguments: list[str], words: str) -> None:
    said = command("acls", *arguments)
    assert said.code == 2
    assert words in said.err


def test_nobody_but_the_registry_makes_or_alters_topics() -> None:
    able = {
        role
        for role in RIGHTS
        for grant in grants_of(role, role)
        if grant.resource == TOPIC and spelled(grant.operation) in ("CREATE", "ALTER", "ALTER_CONFIGS", "DELETE")
    }
    assert able == {"registry"}
