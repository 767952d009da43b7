"""The keys of an identity provider: fetched by one thread, seldom, from where they belong."""

from __future__ import annotations

import json

import pytest

from gateway.collateral.dial import Outcome, Reply, Request
from gateway.oidc.keyset import EVERY, GAP, MOST, KeySet
from tests.unit.gateway.oidc.support import EC, ED, ISSUER, SETTINGS, jwk, jwks

DISCOVERY = f"{ISSUER}/.well-known/openid-configuration"


class World:
    """A provider, its clock, and every request that it was asked."""

    def __init__(self, **discovery: object) -> None:
        told = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **discovery}
        self.pages = {DISCOVERY: json.dumps(told).encode(), f"{ISSUER}/keys": jwks(jwk(EC, "k1"))}
        self.asked: list[str] = []
        self.time = 1000.0
        self.keys = KeySet(SETTINGS, get=self.get, now=lambda: self.time)

    def get(self, request: Request) -> Reply:
        self.asked.append(request.url)
        found = self.pages.get(request.url)
        if found is None:
            return Reply(outcome=Outcome.UNAVAILABLE, detail="down")
        return Reply(outcome=Outcome.OK, body=found)

    def turn(self) -> None:
        """What the thread does when it looks whether it is time."""
        if self.keys.due() <= 0:
            self.keys.look()


def test_keys_are_found_by_discovery_and_no_request_fetches() -> None:
    world = World()
    assert world.keys.key("k1") is None and world.asked == []
    world.turn()
    assert world.asked == [DISCOVERY, f"{ISSUER}/keys"]
    assert world.keys.key("k1") is not None and len(world.asked) == 2


def test_strangers_cannot_make_it_ask_more_than_once_a_minute() -> None:
    world = World()
    world.turn()
    for second in range(600):
        for number in range(50):
            assert world.keys.key(f"stranger {second} {number}") is None
        world.turn()
        world.time += 1
    assert len(world.asked) <= 2 * (1 + 600 / GAP)


def test_a_new_key_is_found_within_the_gap() -> None:
    world = World()
    world.turn()
    world.pages[f"{ISSUER}/keys"] = jwks(jwk(EC, "k1"), jwk(ED, "k2"))
    assert world.keys.key("k2") is None
    world.turn()
    assert world.keys.key("k2") is None, "not yet"
    world.time += GAP
    world.turn()
    assert world.keys.key("k2") is not None


def test_a_provider_that_is_away_is_asked_as_seldom_and_its_keys_end_after_a_day() -> None:
    world = World()
    world.turn()
    seen = world.time
    world.pages.clear()
    while world.time < seen + MOST:
        world.time += EVERY
        world.turn()
        assert (world.keys.key("k1") is not None) == (world.time <= seen + MOST)
    world.time += 1
    assert world.keys.key("k1") is None
    asked = len(world.asked)
    for _ in range(100):
        world.keys.key("k1")
        world.turn()
    assert len(world.asked) <= asked + 1


def test_a_key_that_was_withdrawn_counts_no_more() -> None:
    world = World()
    world.turn()
    world.pages[f"{ISSUER}/keys"] = jwks(jwk(ED, "k2"))
    world.time += EVERY
    world.turn()
    assert world.keys.key("k1") is None and world.keys.key("k2") is not None


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"}, {"issuer": ISSUER + "/"}, {"jwks_uri": "https://evil.example/keys"},
        {"jwks_uri": "http://login.example/keys"}, {"jwks_uri": "https://login.example:444/keys"},
        {"jwks_uri": None}, {"jwks_uri": "https://login.example@evil.example/keys"}, {"jwks_uri": "file:///etc/passwd"},
    ],
    ids=str,
)  # fmt: skip
def test_a_discovery_document_leads_nowhere_else(discovery: dict[str, object]) -> None:
    world = World(**discovery)
    world.pages["https://evil.example/keys"] = jwks(jwk(EC, "k1"))
    assert world.keys.look() is False
    assert world.asked == [DISCOVERY] and world.keys.key("k1") is None


def test_what_is_no_key_set_leaves_the_old_one() -> None:
    world = World()
    world.turn()
    world.pages[f"{ISSUER}/keys"] = b"<html>"
    assert world.keys.look() is False
    assert world.keys.key("k1") is not None
