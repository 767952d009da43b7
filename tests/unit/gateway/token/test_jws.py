"""A compact JWS against a key set: the header chooses a key by name, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from joserfc import jws as jose
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.errors import GatewayError
from gateway.token import jws
from verifiers.codec import b64

KEY = ECKey.generate_key("P-256", {"kid": "k1"}, private=True)
PUBLIC = KEY.as_dict(private=False) | {"kid": "k1"}
JWKS: dict[str, Any] = {"keys": [PUBLIC | {"alg": "ES256", "use": "sig"}]}
HEADER = {"alg": "ES256", "kid": "k1", "typ": "test+jws"}


def signed(payload: bytes = b'{"a":1}', **header: Any) -> str:
    merged = {name: value for name, value in (HEADER | header).items() if value is not ...}
    return jose.serialize_compact(merged, payload, KEY, algorithms=["ES256"])


def reason(token: str, jwks: dict[str, Any] = JWKS, typ: str = "test+jws") -> str:
    with pytest.raises(GatewayError) as caught:
        jws.verify(token, jwks, typ=typ)
    return str(caught.value.reason)


def test_a_signed_payload_comes_back_byte_for_byte() -> None:
    assert jws.verify(signed(b" anything \xff"), JWKS, typ="test+jws") == b" anything \xff"


@pytest.mark.parametrize("member", ["jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256", "crit", "b64"])
def test_a_header_that_brings_its_own_trust_is_refused(member: str) -> None:
    head = b64.encode_url(json.dumps(HEADER | {member: PUBLIC}).encode())
    assert reason(".".join([head, *signed().split(".")[1:]])) == "token.malformed"


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "RS256", "es256", None])
def test_another_algorithm_is_refused(alg: object) -> None:
    head = b64.encode_url(json.dumps(HEADER | {"alg": alg}).encode())
    assert reason(".".join([head, *signed().split(".")[1:]])) == "token.malformed"


def test_a_public_key_is_no_hmac_secret() -> None:
    """Algorithm confusion: HS256 with what everybody knows."""
    secret = OctKey.import_key(KEY.thumbprint())
    token = jose.serialize_compact(HEADER | {"alg": "HS256"}, b"{}", secret, algorithms=["HS256"])
    assert reason(token) == "token.malformed"


@pytest.mark.parametrize("typ", ["JWT", "eat+jwt", "TEST+JWS", ...])
def test_another_type_is_refused(typ: object) -> None:
    assert reason(signed(typ=typ)) == "token.malformed"


@pytest.mark.parametrize("kid", ["k2", "", ...])
def test_a_key_is_found_by_name_only(kid: object) -> None:
    assert reason(signed(kid=kid)) == "token.signature"


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [PUBLIC | {"use": "enc"}],
        [PUBLIC | {"alg": "ES384"}],
        [PUBLIC, PUBLIC],
        [KEY.as_dict(private=True) | {"kid": "k1"}],
        [RSAKey.generate_key(2048, {"kid": "k1"}, private=False).as_dict(private=False) | {"kid": "k1"}],
        [ECKey.generate_key("P-384", {"kid": "k1"}).as_dict(private=False) | {"kid": "k1"}],
        [PUBLIC | {"x": PUBLIC["y"]}],
        "keys",
    ],
)
def test_a_key_set_without_one_fitting_key_verifies_nothing(keys: Any) -> None:
    assert reason(signed(), {"keys": keys}) == "token.signature"


def test_every_part_is_covered() -> None:
    head, payload, signature = signed().split(".")
    other = b64.encode_url(b'{"a":2}')
    assert reason(f"{head}.{other}.{signature}") == "token.signature"
    assert reason(f"{head}.{payload}.{'A' * len(signature)}") == "token.signature"
    assert reason(f"{head}.{payload}.") == "token.signature"


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c.d", "é.b.c", "=.b.c", "a" * 600_000])
def test_rubbish_is_malformed(token: str) -> None:
    assert reason(token) == "token.malformed"


def test_padding_and_spare_bits_are_refused() -> None:
    head, payload, signature = signed().split(".")
    assert reason(f"{head}.{payload}.{signature}==") == "token.malformed"


@pytest.mark.parametrize("payload", [b"[]", b"{", b'{"a":1,"a":2}', b"", b"\xff"])
def test_claims_are_one_strict_object(payload: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        jws.claims(payload)
    assert caught.value.reason == "token.malformed"


def test_another_library_agrees() -> None:
    token = signed(b'{"iss":"x"}')
    key = jwt.PyJWK(JWKS["keys"][0])
    assert jwt.decode(token, key, algorithms=["ES256"]) == {"iss": "x"}
