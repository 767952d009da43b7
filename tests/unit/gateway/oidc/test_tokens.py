"""Tokens of an identity provider: one thing changed, and it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from gateway.errors import GatewayError
from gateway.oidc import tokens
from gateway.oidc.settings import Oidc, faults
from gateway.oidc.tokens import Person
from gateway.roles import Role
from tests.stores import START
from tests.unit.gateway.oidc.support import EC, ED, P384, RSA, SETTINGS, claims, jwk, jwks, token
from verifiers.codec import b64

KEYS = tokens.keys_of(jwks(jwk(EC, "k1"), jwk(P384, "k2"), jwk(ED, "k3"), jwk(RSA, "k4")))
ALL = replace(SETTINGS, algorithms=("ES256", "ES384", "EdDSA", "RS256", "PS256"))
AT = int(START.timestamp())


def check(given: str, settings: Oidc = SETTINGS, **more: Any) -> Person:
    return tokens.check(given, KEYS[tokens.kid_of(given, settings)], settings, more.get("now", START))


def refused(given: str, settings: Oidc = SETTINGS, reason: str = "request.unauthenticated") -> str:
    with pytest.raises(GatewayError) as caught:
        check(given, settings)
    assert caught.value.reason == reason
    assert "alice" not in str(caught.value) + caught.value.detail
    return caught.value.expected


@pytest.mark.parametrize(
    ("private", "kid", "algorithm"),
    [
        (EC, "k1", "ES256"),
        (P384, "k2", "ES384"),
        (ED, "k3", "EdDSA"),
        (RSA, "k4", "RS256"),
        (RSA, "k4", "PS256"),
    ],
)
def test_a_token_says_who_of_which_tenant_with_which_roles(private: Any, kid: str, algorithm: str) -> None:
    found = check(token(claims(), private, algorithm, kid=kid), ALL)
    assert found == Person("alice@acme.example", "acme", frozenset({Role.POLICY_AUTHOR}))
    assert "alice" not in repr(found)
    only = replace(ALL, algorithms=tuple(a for a in ALL.algorithms if a != algorithm))
    assert "alg" in refused(token(claims(), private, algorithm, kid=kid), only)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://login.example/"}, {"iss": "https://evil.example"}, {"iss": None}, {"iss": ["https://login.example"]},
        {"aud": "other"}, {"aud": ["sealgate", "other"]}, {"aud": []}, {"aud": None}, {"aud": "sealgat"},
        {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 256},
        {"exp": AT}, {"exp": AT - 1}, {"exp": None}, {"exp": str(AT + 60)}, {"exp": AT + 60.5}, {"exp": True},
        {"exp": AT + 12 * 3600 + 1}, {"exp": 2**50},
        {"iat": AT + 31}, {"iat": None}, {"iat": "now"},
        {"nbf": AT + 31}, {"nbf": "0"}, {"nbf": -1},
    ],
    ids=str,
)  # fmt: skip
def test_one_claim_changed_is_one_refusal(change: dict[str, Any]) -> None:
    refused(token(claims(**change)))


@pytest.mark.parametrize(
    "change",
    [
        {"aud": ["sealgate"]},
        {"exp": AT + 1},
        {"exp": AT + 12 * 3600},
        {"iat": AT + 30},
        {"nbf": AT + 30},
        {"nbf": 0},
    ],
    ids=str,
)
def test_at_the_edge_it_counts(change: dict[str, Any]) -> None:
    check(token(claims(**change)))


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example/c"}, {"jwk": jwk(EC, "k1")},
        {"x5c": ["AA"]}, {"crit": ["exp"]}, {"typ": "sealgate-request"}, {"typ": "logout+jwt"}, {"kid": None},
        {"kid": "k2"},
    ],
    ids=lambda header: next(iter(header)) + str(next(iter(header.values())))[:12],
)  # fmt: skip
def test_a_header_decides_nothing(header: dict[str, Any]) -> None:
    refused(token(claims(), **header))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_types_of_identity_and_access_tokens_count(typ: str) -> None:
    check(token(claims(), typ=typ))


def test_an_algorithm_fits_its_key() -> None:
    """The public key as an HMAC secret, no signature at all, and one type of key for another."""
    pem = EC.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secret = jwt.utils.base64url_encode(pem).decode()
    for given in (
        jwt.encode(claims(), secret * 2, algorithm="HS256", headers={"kid": "k1"}),
        jwt.encode(claims(), None, algorithm="none", headers={"kid": "k1"}),
        token(claims(), RSA, "RS256", kid="k1"),
        token(claims(), EC, "ES256", kid="k4"),
        token(claims(), P384, "ES384", kid="k1"),
    ):
        refused(given, ALL)
        refused(given)


def test_every_flipped_bit_of_a_signature_is_noticed() -> None:
    head, body, last = token(claims()).split(".")
    raw = b64.decode_url(last, "s", limit=64)
    for at in range(0, 512, 37):
        flipped = bytearray(raw)
        flipped[at // 8] ^= 1 << at % 8
        refused(f"{head}.{body}.{b64.encode_url(bytes(flipped))}")
    other = token(claims(sub="mallory")).split(".")[1]
    refused(f"{head}.{other}.{last}")


@pytest.mark.parametrize("given", ["", "a.b", "a.b.c", "..", "x" * 20_000, "e30.e30.AA", "é.é.é"])
def test_what_is_no_token(given: str) -> None:
    refused(given)


def test_time_is_an_argument() -> None:
    given = token(claims())
    check(given, now=START + timedelta(seconds=3599))
    with pytest.raises(GatewayError, match="expired"):
        check(given, now=START + timedelta(seconds=3600))


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (["acme-team"], "request.role"), (["acme-team", "Authors"], "request.role"),
        ("acme-team", "request.role"),
        (["authors"], "request.forbidden"), (["authors", "acme-team", "globex-team"], "request.forbidden"),
        (["authors", "acme-team", "platform"], "request.forbidden"),
        (None, "request.forbidden"), ({"authors": "acme-team"}, "request.forbidden"),
        ([["authors"]], "request.forbidden"),
    ],
)  # fmt: skip
def test_what_gives_no_role_or_not_one_tenant(groups: object, reason: str) -> None:
    refused(token(claims(groups=groups)), reason=reason)


def test_what_the_mapping_gives() -> None:
    assert check(token(claims(groups=["ops", "platform"]))).roles == {Role.OPERATOR, Role.AUDITOR}
    assert check(token(claims(groups=["ops", "platform"]))).tenant == ""
    assert check(token(claims(groups=["boss", "authors", "acme-team"]))).roles == {Role.OWNER}
    fixed = replace(SETTINGS, tenants={}, tenant="acme", roles_claim="role", roles={"dev": ("auditor",)})
    assert check(token(claims(role="dev")), fixed).tenant == "acme"


def test_a_key_set_is_read_strictly() -> None:
    small = jwk(EC, "k1")
    assert set(KEYS) == {"k1", "k2", "k3", "k4"}
    passed_over = [
        {**small, "kid": "e", "use": "enc"}, {**small, "kid": 7}, {"kty": "oct", "k": "AA", "kid": "o"}, "x",
        {**small, "kid": "bad", "x": "AA"}, {**small, "kid": "private", "d": "AA"},
    ]  # fmt: skip
    assert set(tokens.keys_of(jwks(small, *passed_over))) == {"k1"}  # type: ignore[arg-type]
    for bad in (
        b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [], "keys": []}', jwks(small, small),
        jwks(*[small] * 65), b"\xff",
    ):  # fmt: skip
        with pytest.raises(ValueError):
            tokens.keys_of(bad)


def test_settings_have_faults_that_name_their_key() -> None:
    assert list(faults(SETTINGS)) == []
    for change, said in (
        ({"algorithms": ("HS256",)}, "algorithms"), ({"algorithms": ()}, "algorithms"),
        ({"roles": {"a": ("ownr",)}}, "roles.a"), ({"roles": {"a": ()}}, "roles.a"), ({"roles": {}}, "roles"),
        ({"tenants": {"a": "Not A Tenant"}}, "tenant"), ({"tenants": {}}, "roles"),
        ({"tenant": ""}, "tenant"),
    ):  # fmt: skip
        (fault, *_) = faults(replace(SETTINGS, **change))  # type: ignore[arg-type]
        assert fault.startswith(said)
