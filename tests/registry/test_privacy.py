"""Personal data is not put into a schema without a thought: what looks like it must be protected, or kept with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.declaration import check, read
from registry.personal import looks_personal
from registry.privacy import private_fields
from tests.registry.documents import declaration, payload

INNER: Any = {"type": "record", "name": "Contact", "fields": [{"name": "email", "type": "string"}, {"name": "note", "type": "string"}]}
LISTED: Any = ["null", {"type": "array", "items": {"type": "map", "values": INNER}}]


PERSONAL = """email user_email emailAddress eMail contact_email emails phone phoneNumber mobile_number ip client_ip clientIp
IPAddress ip4 ipv6 ssn
birthday date_of_birth dob born_at first_name lastName surname user_id userId user userID customer_id device_id advertisingId imei
home_address shipping_addresses street zip zipcode post_code lat lon longitude GPS credit_card_number passport gender license_plate"""
HARMLESS = """shipment ship_id tip zipped zip_file trip_id relation plate latency salon flat microphone saxophone birthrate
emailed user_agent
user_count device device_model id session track_name name city country tailnum email_verified address_count email_sent_at phone_type
ip_version Airport origin destination score x _ maximum lots embargo"""


@pytest.mark.parametrize("name", PERSONAL.split())
def test_names_that_look_personal(name: str) -> None:
    assert looks_personal(name)


@pytest.mark.parametrize("name", HARMLESS.split())
def test_names_that_do_not(name: str) -> None:
    assert not looks_personal(name)


@given(st.text(max_size=30))
def test_any_name_has_an_answer(name: str) -> None:
    assert looks_personal(name) in (True, False)


def said(schema: Any, **privacy: Any) -> list[tuple[str, str]]:
    found = check(declaration(schema=schema, privacy=privacy) if privacy else declaration(schema=schema))
    assert all(problem.message and problem.fix for problem in found)
    return [(problem.path, problem.rule) for problem in found]


def test_a_personal_name_must_be_protected_or_kept_with_a_reason() -> None:
    schema = payload(("track", "string"), ("email", ["null", "string"], None))
    assert said(schema) == [("/schema/fields/1", "personal_data")]
    assert said(schema, fields={"email": {"as": "encrypt"}}) == []
    assert said(schema, fields={"email": {"as": "pseudonym", "join": "analytics"}}) == []
    assert said(schema, fields={"email": {"keep": "addresses of our own robots"}}) == []
    fix = check(declaration(schema=schema))[0].fix
    assert '"email": {as: pseudonym}' in fix
    assert '"email": {keep:' in fix


def test_fields_inside_records_lists_maps_and_unions_are_found_and_named_by_path() -> None:
    schema = payload(("people", LISTED), ("again", "Contact"))
    written, named = "/schema/fields/0/type/1/items/values/fields/0", "/schema/fields/1"
    assert said(schema) == [(written, "personal_data"), (named, "personal_data")]
    fields = {"people.email": {"as": "encrypt"}, "again.email": {"keep": "public"}}
    assert said(schema, fields=fields) == []
    assert said(schema, fields={"people": {"as": "encrypt"}, "again.email": {"keep": "public"}}) == []
    assert said(schema, fields=fields | {"people.phone": {"as": "encrypt"}}) == [("/privacy/fields/people.phone", "privacy_field")]


def test_a_personal_record_is_said_about_as_a_whole_or_field_by_field() -> None:
    place: Any = {"type": "record", "name": "Place", "fields": [{"name": "city", "type": "string"}, {"name": "x", "type": "string"}]}
    schema = payload(("address", place))
    assert said(schema) == [("/schema/fields/0", "personal_data")]
    assert said(schema, fields={"address": {"as": "encrypt"}}) == []
    assert [rule for _, rule in said(schema, fields={"address.x": {"as": "encrypt"}})] == ["personal_data"]
    assert said(schema, fields={"address.x": {"as": "encrypt"}, "address.city": {"keep": "a city is no person"}}) == []


def test_a_flag_about_personal_data_is_none() -> None:
    assert said(payload(("email_known", "boolean"), ("phone", ["null", "boolean"], None))) == []


@pytest.mark.parametrize(
    ("way", "path", "rule"),
    [
        ({}, "/privacy/fields/a", "privacy_way"),
        ({"as": "encrypt", "keep": "x"}, "/privacy/fields/a", "privacy_way"),
        ({"keep": "   "}, "/privacy/fields/a/keep", "privacy_way"),
        ({"keep": ""}, "/privacy/fields/a/keep", "value"),
        ({"keep": 5}, "/privacy/fields/a/keep", "value"),
        ({"keep": "x", "join": "y"}, "/privacy/fields/a/join", "privacy_way"),
        ({"as": "encrypt", "join": "y"}, "/privacy/fields/a/join", "privacy_way"),
        ({"as": "hide"}, "/privacy/fields/a/as", "value"),
        ("encrypt", "/privacy/fields/a", "value"),
        ({"as": "encrypt", "by": "me"}, "/privacy/fields/a/by", "unknown_field"),
    ],
)
def test_annotations_that_are_none(way: Any, path: str, rule: str) -> None:
    assert said(payload(("a", "string")), fields={"a": way}) == [(path, rule)]


def test_a_record_has_no_pseudonym() -> None:
    assert said(payload(("who", INNER)), fields={"who": {"as": "pseudonym"}}) == [("/privacy/fields/who/as", "privacy_way")]


def test_the_subject_tells_people_apart() -> None:
    kept = {"user_id": {"as": "pseudonym"}}
    uuid = {"type": "string", "logicalType": "uuid"}
    for kind in ("string", "long", ["null", "string"], uuid):
        assert said(payload(("user_id", kind)), subject="user_id", fields=kept) == []
    for kind in ("boolean", "double", INNER):
        schema = payload(("user", kind))
        assert ("/privacy/subject", "privacy_subject") in said(schema, subject="user", fields={"user": {"as": "encrypt"}})
    nested = said(payload(("who", INNER)), subject="who.email", fields={"who.email": {"as": "encrypt"}})
    assert nested == [("/privacy/subject", "privacy_field")]


def test_private_fields_are_top_level_names() -> None:
    schema = payload(("people", LISTED), ("email", "string"), ("ip", "string"), ("track", "string"))
    fields = {"people.email": {"as": "encrypt"}, "email": {"as": "pseudonym"}, "ip": {"keep": "of our own servers"}}
    document = read(declaration(schema=schema, privacy={"fields": fields})).document()
    assert private_fields(document) == ("email", "people")
    assert private_fields(declaration()) == ()
