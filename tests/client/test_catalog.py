"""The catalog against a scripted registry: found, unknown, away, changed, doubted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hourmark_client.catalog import Catalog, Registry
from hourmark_client.errors import ClientError, RegistryProblem

from .fakes import until
from .schemas import wire_schema
from .servers import ScriptedRegistry, serving

FIELDS = [{"name": "n", "type": "long"}]
Start = Callable[..., tuple[Catalog, ScriptedRegistry]]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(grace: float = 30.0, refresh: float = 0.05) -> tuple[Catalog, ScriptedRegistry]:
            registry = ScriptedRegistry()
            url = stack.enter_context(serving(registry))
            catalog = Catalog(Registry(url), lambda: None, grace=grace, refresh=refresh)
            thread = threading.Thread(target=catalog.run, daemon=True)
            thread.start()
            stack.callback(thread.join, 20)
            stack.callback(catalog.stop)
            return catalog, registry

        yield begin


def test_a_type_declared_a_moment_later_is_found(start: Start) -> None:
    catalog, registry = start()
    catalog.ask("a.thing")
    until(lambda: registry.asked)
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS), partitions=5)
    until(lambda: "a.thing" in catalog.known)
    route = catalog.known["a.thing"]
    assert (route.topic, route.partitions, route.refuse) == ("raw.a.thing", 5, None)


def test_an_unknown_type_is_absent_after_the_grace_and_asked_for_again(start: Start) -> None:
    catalog, registry = start(grace=0.1)
    catalog.ask("a.thing")
    until(lambda: catalog.absent("a.thing"))
    refusal = catalog.absent("a.thing")
    assert refusal is not None
    assert refusal.code == "unknown_event_type"
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS))
    catalog.ask("a.thing")
    until(lambda: "a.thing" in catalog.known)
    assert catalog.absent("a.thing") is None


def test_a_draft_is_not_declared_yet(start: Start) -> None:
    catalog, registry = start(grace=0.1)
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS), lifecycle="draft")
    catalog.ask("a.thing")
    until(lambda: catalog.absent("a.thing"))


def test_a_registry_that_is_away_makes_nothing_absent(start: Start) -> None:
    catalog, registry = start(grace=0.0)
    registry.down = True
    catalog.ask("a.thing")
    until(lambda: len(registry.asked) > 3)
    assert catalog.absent("a.thing") is None
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS))
    registry.down = False
    until(lambda: "a.thing" in catalog.known)
    registry.down = True
    asked = len(registry.asked)
    until(lambda: len(registry.asked) > asked + 2)
    assert "a.thing" in catalog.known


def test_changes_arrive_and_no_change_costs_a_304(start: Start) -> None:
    catalog, registry = start()
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS))
    catalog.ask("a.thing")
    until(lambda: "a.thing" in catalog.known)
    first = catalog.known["a.thing"]
    asked = len(registry.asked)
    until(lambda: len(registry.asked) > asked + 2)
    assert catalog.known["a.thing"] is first
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS), lifecycle="blocked")
    until(lambda: catalog.known["a.thing"].refuse is not None)
    refuse = catalog.known["a.thing"].refuse
    assert refuse is not None
    assert refuse.code == "blocked_event_type"
    said = {"state": "blocked", "reason": "a flood", "replaced_by": "a.calm_thing"}
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS), lifecycle=said)
    until(lambda: (route := catalog.known["a.thing"]).refuse is not None and "flood" in str(route.refuse.detail))
    refuse = catalog.known["a.thing"].refuse
    assert refuse is not None
    assert refuse.detail == "a.thing is blocked by its owner: a flood; send a.calm_thing instead"
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS), sdks=["hourmark-java"])
    until(lambda: (route := catalog.known["a.thing"]).refuse is not None and route.refuse.code == "sdk_not_bound")


def test_a_deprecated_type_is_sent_and_said_once(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    catalog, registry = start()
    said = {"state": "deprecated", "until": "2027-03-01", "replaced_by": "a.calm_thing"}
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS), lifecycle=said)
    catalog.ask("a.thing")
    until(lambda: "a.thing" in catalog.known)
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS), lifecycle=said, description="again")
    until(lambda: catalog.known["a.thing"].revision == 2)
    assert catalog.known["a.thing"].refuse is None
    told = [record.getMessage() for record in caplog.records if "deprecated" in record.getMessage()]
    assert told == ["a.thing is deprecated, and may be gone from 2027-03-01 on; send a.calm_thing instead"]


def test_a_doubted_route_is_asked_for_once_a_second(start: Start) -> None:
    catalog, registry = start(refresh=60)
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS))
    catalog.ask("a.thing")
    until(lambda: "a.thing" in catalog.known)
    route = catalog.known["a.thing"]
    assert not catalog.doubt("a.thing", route)
    route.checked_at -= 2
    registry.down = True
    assert catalog.doubt("a.thing", route)
    until(lambda: catalog.known.get("a.thing") is route)
    assert not catalog.doubt("a.thing", route), "the registry is away: the old schema counts"


def test_schemas_by_id(start: Start) -> None:
    _, registry = start()
    registry.declare("a.thing", 7, wire_schema("a.thing", FIELDS))
    asked = Registry(registry.url)
    assert asked.schema(7)["name"] == "thing"
    with pytest.raises(RegistryProblem):
        asked.schema(8)
    with pytest.raises(ClientError):
        Registry("localhost:8081")
