"""The canary's declaration is one like others: sound, for its own SDK only, and kept as long as any of its tier."""

from __future__ import annotations

from hourmark.canary import CANARY, SDK
from hourmark.schemas import WriteKey
from hourmark.topics import TIERS
from registry.canary import DECLARATION
from registry.declaration import check, read


def test_the_declaration_is_sound() -> None:
    assert check(DECLARATION) == []
    declared = read(DECLARATION)
    assert (declared.event, declared.sdks, declared.dedup) == (CANARY, [SDK], "closed")


def test_its_logs_forget_no_sooner_than_those_of_its_tier() -> None:
    declared = read(DECLARATION)
    tier = TIERS[declared.tier]
    assert declared.retention_ms() == (tier.raw_retention_h * 3_600_000, tier.clean_retention_h * 3_600_000)


def test_its_write_key_may_send_nothing_else() -> None:
    key = WriteKey(revision=1, name="canary", token_sha256="", types=(CANARY,))
    assert key.may_send(CANARY)
    assert not key.may_send("player.song_played")
    assert not key.may_send("hourmark.canary2")
