"""A declaration on real Kafka: topics first, then the broadcast, and proof from every node."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from hourmark.control import ControlTail
from hourmark.event import read_raw_barrier
from hourmark.hours import Hours
from hourmark.kafka import TopicSpec, ensure_topics, partition_counts, topic_config
from hourmark.schemas import EventType, WireSchema, decode_entry, token_digest
from hourmark.settings import PlatformSettings
from hourmark.topics import CONTROL, PLATFORM_PARTITIONS, clean_topic, raw_topic
from tests.registry.documents import declaration, payload
from tests.registry.service import Client, new_type, records, running, settings_for, until

pytestmark = pytest.mark.real


@pytest.fixture
async def registry(kafka: str, tmp_path: Path) -> AsyncIterator[Client]:
    async with running(settings_for(kafka, tmp_path, local_write_key="hm_local")) as client:
        yield client


def barriers(kafka: str, topic: str, partition: int) -> list[int]:
    """Hours of the valid barriers in a raw partition; nothing else may be there."""
    found = []
    for message in records(kafka, topic, partition):
        assert message.value() is None
        headers: Any = message.headers()
        barrier = read_raw_barrier(headers)
        assert barrier is not None
        assert message.timestamp()[1] >= Hours().end_ms(barrier.hour)
        found.append(barrier.hour)
    return found


def latest(kafka: str) -> dict[str, bytes | None]:
    """The control topic as compaction leaves it."""
    return {(m.key() or b"").decode(): m.value() for m in records(kafka, CONTROL)}


async def test_topics_stand_before_the_broadcast(registry: Client, kafka: str) -> None:
    event = new_type()
    answer = await registry.put(f"/v1/events/{event}", declaration(event, tier="standard", retention={"raw": "2h"}))
    assert answer.status == 201
    assert answer.body["created"] is True
    assert [stage["stage"] for stage in answer.body["stages"]] == ["topics", "stored", "published"]
    admin = AdminClient({"bootstrap.servers": kafka})
    raw, clean = raw_topic(event), clean_topic(event)
    assert partition_counts(admin, [raw, clean]) == {raw: 4, clean: 4}
    config = topic_config(admin, raw)
    assert (config["message.timestamp.type"], config["retention.ms"]) == ("LogAppendTime", str(2 * 3_600_000))
    now = Hours().of(round(time.time() * 1000))
    for partition in range(4):
        assert barriers(kafka, raw, partition) in ([now - 1], [now - 2])
        assert records(kafka, clean, partition) == []
    entries = [decode_entry(m.value() or b"") for m in records(kafka, CONTROL) if m.value()]
    mine = [e for e in entries if isinstance(e, EventType | WireSchema) and e.event == event]
    assert [type(e) for e in mine] == [WireSchema, EventType]
    assert [e.schema_id for e in mine] == [answer.body["schema_id"]] * 2
    assert mine[0].revision < mine[1].revision == answer.body["revision"]


async def test_platform_topics_stand(registry: Client, kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    assert partition_counts(admin, PLATFORM_PARTITIONS) == PLATFORM_PARTITIONS
    assert topic_config(admin, CONTROL)["cleanup.policy"] == "compact"


async def test_read_what_was_declared(registry: Client) -> None:
    event = new_type()
    document = declaration(event, key="track", privacy={"fields": {"track": {"as": "encrypt"}}})
    put = await registry.put(f"/v1/events/{event}", document)
    got = await registry.get(f"/v1/events/{event}")
    assert set(got.body) == {
        "event",
        "revision",
        "declaration",
        "schema_id",
        "schema_version",
        "partitions",
        "source",
        "private",
        "retention",
        "wire_schema",
    }
    assert (got.body["private"], got.body["retention"]) == (["track"], {"raw": "24h", "clean": "72h", "lake": None})
    assert got.body["declaration"].items() >= document.items()
    assert got.body["wire_schema"]["fields"][-1]["name"] == "track"
    assert (got.body["partitions"], got.body["source"], got.body["revision"]) == (2, 1, put.body["revision"])
    assert (await registry.get(f"/v1/events/{event}", If_None_Match=got.headers["ETag"])).status == 304
    assert (await registry.get(f"/v1/events/{event}", If_None_Match='"0"')).status == 200
    schema = await registry.get(f"/v1/events/{event}/schema/1")
    assert schema.body["schema"] == got.body["wire_schema"]
    assert schema.body["fingerprint"]
    assert (await registry.get(f"/v1/events/{event}/schema/2")).status == 404
    listed = await registry.get(f"/v1/events?q={event}")
    assert event in [e["event"] for e in listed.body["events"]]


async def test_yaml_and_a_name_left_to_the_path(registry: Client) -> None:
    event = new_type()
    body = b"owner: me\ntier: debug\nschema: {type: record, name: X, fields: [{name: a, type: string}]}\n"
    assert (await registry.put(f"/v1/events/{event}", body, content_type="application/yaml")).status == 201
    other = await registry.put(f"/v1/events/{event}", declaration("a.other"))
    assert (other.status, other.body["problems"][0]["path"]) == (400, "/event")


async def test_the_same_again_is_no_change(registry: Client) -> None:
    event = new_type()
    first = await registry.put(f"/v1/events/{event}", declaration(event))
    again = await registry.put(f"/v1/events/{event}", declaration(event))
    assert (again.status, again.body["revision"], again.body["changed"]) == (200, first.body["revision"], False)


async def test_a_schema_grows(registry: Client) -> None:
    event = new_type()
    first = await registry.put(f"/v1/events/{event}", declaration(event))
    wider = declaration(event, schema=payload(("track", "string"), ("n", "long", 0)))
    assert (await registry.post(f"/v1/events/{event}/check", wider)).body["outcome"] == "changed"
    second = await registry.put(f"/v1/events/{event}", wider)
    assert second.status == 200
    assert second.body["schema_id"] > first.body["schema_id"]
    assert second.body["schema_version"] == 2
    other = declaration(event, schema=payload(("track", "long")))
    checked = await registry.post(f"/v1/events/{event}/check", other)
    assert (checked.status, checked.body["ok"], checked.body["code"]) == (200, False, "incompatible_schema")
    refused = await registry.put(f"/v1/events/{event}", other)
    assert (refused.status, refused.body["code"]) == (409, "incompatible_schema")
    assert refused.body["problems"][0]["path"] == "/schema/fields/0/type"
    assert (await registry.get(f"/v1/events/{event}")).body["revision"] == second.body["revision"]


async def test_partitions_grow_and_never_shrink(registry: Client, kafka: str) -> None:
    event = new_type()
    await registry.put(f"/v1/events/{event}", declaration(event, partitions=2))
    grown = await registry.put(f"/v1/events/{event}", declaration(event, partitions=5))
    assert grown.status == 200
    raw, clean = raw_topic(event), clean_topic(event)
    assert partition_counts(AdminClient({"bootstrap.servers": kafka}), [raw, clean]) == {raw: 5, clean: 5}
    assert [len(barriers(kafka, raw, n)) for n in range(5)] == [1] * 5
    refused = await registry.put(f"/v1/events/{event}", declaration(event, partitions=3))
    assert (refused.status, refused.body["code"]) == (409, "partitions_shrink")
    kept = await registry.put(f"/v1/events/{event}", declaration(event))
    assert kept.status == 200
    assert (await registry.get(f"/v1/events/{event}")).body["partitions"] == 5


async def test_names_that_kafka_takes_for_equal(registry: Client) -> None:
    event = new_type()
    await registry.put(f"/v1/events/{event}", declaration(event))
    await registry.put(f"/v1/events/{event}.a_b", declaration(f"{event}.a_b"))
    refused = await registry.put(f"/v1/events/{event}_a.b", declaration(f"{event}_a.b"))
    assert (refused.status, refused.body["code"]) == (409, "event_name_taken")


async def test_a_topic_of_others_that_kafka_takes_for_ours(registry: Client, kafka: str) -> None:
    event = new_type()
    ensure_topics(AdminClient({"bootstrap.servers": kafka}), [TopicSpec(clean_topic(f"{event}_a.b"), 1, {})])
    refused = await registry.put(f"/v1/events/{event}.a.b", declaration(f"{event}.a.b"))
    assert (refused.status, refused.body["code"]) == (409, "event_name_taken")
    assert "collides" in refused.body["message"]


async def test_of_two_writers_one_wins(registry: Client) -> None:
    event = new_type()
    first = await registry.put(f"/v1/events/{event}", declaration(event))
    tag = str(first.body["revision"])
    writes = [registry.put(f"/v1/events/{event}", declaration(event, description=f"by {n}"), If_Match=tag) for n in range(5)]
    answers = await asyncio.gather(*writes)
    assert sorted(a.status for a in answers) == [200, 412, 412, 412, 412]
    assert (await registry.put(f"/v1/events/{event}", declaration(event), If_None_Match="*")).status == 412
    assert (await registry.put(f"/v1/events/{new_type()}", declaration(), If_Match="*")).status in (400, 412)


async def test_an_answer_that_was_lost_may_be_asked_for_again(registry: Client) -> None:
    event = new_type()
    first = await registry.put(f"/v1/events/{event}", declaration(event), If_None_Match="*")
    again = await registry.put(f"/v1/events/{event}", declaration(event), If_None_Match="*")
    assert (first.status, again.status, again.body["changed"]) == (201, 200, False)
    assert again.headers["ETag"] == first.headers["ETag"]


async def test_of_two_who_write_a_key_one_wins(registry: Client) -> None:
    name = f"k{new_type().partition('.')[0]}"
    made = await registry.put(f"/v1/keys/{name}", {"types": ["a.*"]}, If_None_Match="*")
    tag = made.headers["ETag"]
    assert (await registry.get(f"/v1/keys/{name}")).headers["ETag"] == tag
    writes = [registry.put(f"/v1/keys/{name}", {"types": [f"a{n}.*"]}, If_Match=tag) for n in range(4)]
    drops = [registry.ask("DELETE", f"/v1/keys/{name}", If_Match=tag) for _ in range(2)]
    answers = await asyncio.gather(*writes, *drops)
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412, 412]
    refused = next(answer for answer in answers if answer.status == 412)
    assert refused.body["revision"] in (0, *(answer.body["revision"] for answer in answers if answer.status == 200))


async def test_writers_who_name_no_revision_are_refused_when_that_is_asked_for(kafka: str, tmp_path: Path) -> None:
    event = new_type()
    async with running(settings_for(kafka, tmp_path, require_if_match=True, local_write_key="hm_local")) as client:
        made = await client.put(f"/v1/events/{event}", declaration(event))
        silent = await client.put(f"/v1/events/{event}", declaration(event, description="two"))
        assert (made.status, silent.status, silent.body["code"]) == (201, 428, "precondition_required")
        assert silent.headers["ETag"] == made.headers["ETag"]
        named = await client.put(f"/v1/events/{event}", declaration(event, description="two"), If_Match=made.headers["ETag"])
        assert named.status == 200
        assert (await client.put("/v1/keys/local", {})).status == 428
        assert (await client.put("/v1/keys/other", {})).status == 201


async def test_another_retention_is_applied_to_the_topics(registry: Client, kafka: str) -> None:
    event = new_type()
    await registry.put(f"/v1/events/{event}", declaration(event))
    kept = {"raw": "90m", "clean": "2h", "lake": "400d"}
    await registry.put(f"/v1/events/{event}", declaration(event, retention=kept))
    admin = AdminClient({"bootstrap.servers": kafka})
    found = [topic_config(admin, topic)["retention.ms"] for topic in (raw_topic(event), clean_topic(event))]
    assert found == [str(90 * 60_000), str(120 * 60_000)]
    assert (await registry.get(f"/v1/events/{event}")).body["retention"] == kept


async def test_wait_names_every_node(registry: Client, kafka: str, tmp_path: Path) -> None:
    event = new_type()
    settings = PlatformSettings(kafka=kafka, home=tmp_path / "node", node=f"node-{event}")
    tail = ControlTail(settings, "receiver").start()
    try:
        assert await asyncio.to_thread(tail.caught_up.wait, 30)

        async def known() -> bool:
            return settings.node in [n["node"] for n in (await registry.get("/v1/nodes")).body["nodes"]]

        await until(known)
        answer = await registry.put(f"/v1/events/{event}?wait=20s", declaration(event))
        node = next(n for n in answer.body["nodes"] if n["node"] == settings.node)
        assert node["revision"] >= answer.body["revision"]
        assert node["ms"] > 0
        assert event in tail.snapshot.types
        assert tail.snapshot.types[event].schema_id in tail.snapshot.schemas
        print(f"declared and applied by a node in {node['ms']} ms; stages {answer.body['stages']}")
    finally:
        await asyncio.to_thread(tail.close)


async def test_keys(registry: Client, kafka: str) -> None:
    made = await registry.put("/v1/keys/web", {"types": ["player.*"]})
    assert made.status == 201
    assert made.body["key"].startswith("hm_")
    turned = await registry.put("/v1/keys/web")
    assert (turned.status, turned.body["types"]) == (200, ["*"])
    assert turned.body["key"] != made.body["key"]
    listed = await registry.get("/v1/keys")
    assert [key["name"] for key in listed.body["keys"]] == ["local", "web"]
    assert "hm_" not in str(listed.body)
    assert token_digest("hm_local").encode() in (latest(kafka)["key/local"] or b"")
    gone = await registry.ask("DELETE", "/v1/keys/web")
    assert gone.status == 200
    assert (await registry.ask("DELETE", "/v1/keys/web")).status == 404
    assert latest(kafka)["key/web"] is None


async def test_control_over_http(registry: Client) -> None:
    event = new_type()
    before = (await registry.get("/v1/control")).body["revision"]
    poll = asyncio.create_task(registry.get(f"/v1/control?since={before}&timeout=20s"))
    await registry.put(f"/v1/events/{event}", declaration(event))
    answer = await poll
    assert [entry["kind"] for entry in answer.body["entries"]] == ["schema", "type"]
    assert answer.body["revision"] > before
    assert (await registry.get(f"/v1/control?since={answer.body['revision']}")).body["entries"] == []


BAD: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    ("PUT", "/v1/events/a.b", b"{", {}, 400, "malformed_body"),
    ("PUT", "/v1/events/a.b", b"", {}, 400, "malformed_body"),
    ("PUT", "/v1/events/a.b", b"[" * 100_000, {}, 400, "malformed_body"),
    ("PUT", "/v1/events/a.b", b"a: &x [*x]", {"Content_Type": "text/yaml"}, 400, "malformed_body"),
    ("PUT", "/v1/events/a.b", b"x" * 1_200_000, {}, 413, "body_too_large"),
    ("PUT", "/v1/events/a.b", gzip.compress(b" " * 50_000_000), {"Content_Encoding": "gzip"}, 413, "body_too_large"),
    ("PUT", "/v1/events/a.b", b"garbage", {"Content_Encoding": "gzip"}, 400, "malformed_body"),
    ("PUT", "/v1/events/a.b", b"{}", {"Content_Type": "text/plain"}, 415, "unsupported_media_type"),
    ("PUT", "/v1/events/a.b", b"{}", {}, 400, "invalid_declaration"),
    ("PUT", "/v1/events/a.b", b"[]", {}, 400, "invalid_declaration"),
    ("PUT", "/v1/events/A", b'{"owner":"x"}', {}, 400, "invalid_declaration"),
    ("PUT", "/v1/events/a%00b", b'{"owner":"x"}', {}, 400, "invalid_declaration"),
    ("PUT", "/v1/events/a.b?wait=long", b"{}", {}, 400, "invalid_parameter"),
    ("PUT", "/v1/events/a.b", None, {"If_Match": "x"}, 400, "invalid_parameter"),
    ("PUT", "/v1/events/a.b", None, {"If_Match": "7"}, 412, "revision_mismatch"),
    ("PUT", "/v1/events/a.b", None, {"If_Match": "*"}, 412, "revision_mismatch"),
    ("POST", "/v1/events/a.b/check", b"\xff", {}, 400, "malformed_body"),
    ("GET", "/v1/events/nope.nope", None, {}, 404, "unknown_event_type"),
    ("GET", "/v1/events/%ED%A0%80", None, {}, 404, "unknown_event_type"),
    ("GET", "/v1/events?limit=-1", None, {}, 400, "invalid_parameter"),
    ("GET", "/v1/events?limit=99999999999999999999", None, {}, 400, "invalid_parameter"),
    ("GET", "/v1/events?q=%00", None, {}, 400, "invalid_parameter"),
    ("GET", "/v1/control?since=x", None, {}, 400, "invalid_parameter"),
    ("PUT", "/v1/keys/A", b"{}", {}, 400, "invalid_key_name"),
    ("PUT", "/v1/keys/a", b'{"types":[]}', {}, 400, "invalid_body"),
    ("PUT", "/v1/keys/a", b'{"types":[5]}', {}, 400, "invalid_body"),
    ("PUT", "/v1/keys/a", b'{"tipes":["*"]}', {}, 400, "invalid_body"),
    ("PUT", "/v1/keys/a", b"[]", {}, 400, "invalid_body"),
    ("DELETE", "/v1/keys/nope", None, {}, 404, "unknown_key"),
    ("DELETE", "/v1/keys/%00", None, {}, 404, "unknown_key"),
    ("GET", "/v1/nope", None, {}, 404, "unknown_path"),
    ("DELETE", "/v1/events", None, {}, 405, "method_not_allowed"),
]


async def test_bad_requests_have_their_answers(registry: Client) -> None:
    for method, path, body, headers, status, code in BAD:
        sent = declaration("a.b") if body is None and method == "PUT" else body
        types = headers if isinstance(sent, dict) else {"Content_Type": "application/json"} | headers
        answer = await registry.ask(method, path, sent, **types)
        assert (answer.status, answer.body["code"]) == (status, code), (method, path, answer.body)
        assert answer.body["message"]
    assert (await registry.get("/v1/events/a.b")).status == 404
    assert "events" in (await registry.get("/v1/nope")).body["message"]
    refused = await registry.ask("DELETE", "/v1/events")
    assert refused.body["message"] == f"/v1/events takes {refused.headers['Allow']}"


async def test_probes(registry: Client) -> None:
    assert (await registry.get("/healthz")).status == 200
    assert (await registry.get("/readyz")).status == 200
    page = (await registry.get("/metrics")).body
    assert "hourmark_registry_declarations_total" in page
    assert 'route="/readyz"' in page


async def test_admin_token(kafka: str, tmp_path: Path) -> None:
    event = new_type()
    async with running(settings_for(kafka, tmp_path, admin_token="secret")) as client:
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer sécret"}):
            refused = await client.put(f"/v1/events/{event}", declaration(event), **given)
            assert (refused.status, refused.body["code"]) == (401, "unauthorized")
        assert (await client.put(f"/v1/events/{event}", declaration(event), Authorization="Bearer secret")).status == 201
        assert (await client.get(f"/v1/events/{event}")).status == 200
        audit = (await client.get("/v1/audit")).body["audit"]
        assert [row["detail"]["outcome"] for row in audit] == ["created"], "who has no token cannot fill the log"
