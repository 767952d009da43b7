"""The attested key: what is accepted, and the exact code of everything else."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import GatewayError
from gateway.protocol import jwk
from verifiers.errors import EvidenceFormatError

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def elliptic(curve: str = "P-256") -> dict[str, Any]:
    key = ECKey.import_key(ec.derive_private_key(0x1234567, CURVES[curve]).public_key())
    return {name: key.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}


@pytest.fixture(scope="module")
def rsa_jwk() -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return {name: RSAKey.import_key(key).as_dict(private=False)[name] for name in ("kty", "n", "e")}


@pytest.mark.parametrize("curve", CURVES)
def test_points_on_their_curve_are_accepted(curve: str) -> None:
    key = jwk.parse(elliptic(curve), "key")
    assert key.alg == "ECDH-ES+A256KW"
    assert dict(key.jwk) == elliptic(curve)


def test_rsa_is_wrapped_with_oaep_sha256(rsa_jwk: dict[str, Any]) -> None:
    assert jwk.parse(rsa_jwk, "key").alg == "RSA-OAEP-256"


def test_thumbprint_is_that_of_rfc_7638_and_ignores_optional_members() -> None:
    plain = jwk.parse(elliptic(), "key")
    named = jwk.parse(elliptic() | {"kid": "a", "use": "enc", "alg": "ECDH-ES+A256KW"}, "key")
    assert plain.thumbprint == named.thumbprint == ECKey.import_key(elliptic()).thumbprint()


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
def test_a_private_member_is_refused_by_name(member: str) -> None:
    with pytest.raises(GatewayError) as caught:
        jwk.parse(elliptic() | {member: "AQ"}, "key")
    assert caught.value.reason == "request.private-key"
    assert member in caught.value.found


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct"},
        {"kty": "OKP"},
        {"kty": None},
        {"crv": "secp256k1"},
        {"crv": "P-384"},
        {"x": 7},
        {"x5c": ["MIIB"]},
        {"x5u": "https://example.com"},
        {"jku": "https://example.com"},
        {"key_ops": ["deriveKey"]},
        {"alg": "RSA-OAEP-256"},
        {"alg": "ECDH-ES"},
        {"alg": "none"},
        {"alg": ["ECDH-ES+A256KW"]},
        {"use": "sig"},
        {"kid": 1},
        {"kid": "k" * 129},
    ],
)
def test_anything_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as caught:
        jwk.parse(elliptic() | change, "key")
    assert caught.value.reason == "request.key"


@pytest.mark.parametrize("value", [None, [], "key", 1])
def test_a_key_is_an_object(value: object) -> None:
    with pytest.raises(GatewayError) as caught:
        jwk.parse(value, "key")
    assert caught.value.reason == "request.key"


def test_a_point_off_the_curve_is_refused() -> None:
    changed = bytearray(base64.urlsafe_b64decode(elliptic()["y"] + "="))
    changed[31] ^= 1
    y = base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode()
    with pytest.raises(GatewayError) as caught:
        jwk.parse(elliptic() | {"y": y}, "key")
    assert caught.value.reason == "request.key"
    assert "not" in caught.value.found


def test_coordinates_have_the_curves_length() -> None:
    with pytest.raises(GatewayError) as caught:
        jwk.parse(elliptic() | {"x": "AA"}, "key")
    assert caught.value.found == "1 bytes"
    with pytest.raises(EvidenceFormatError) as longer:
        jwk.parse(elliptic() | {"x": "A" * 200}, "key")
    assert longer.value.reason == "evidence.too-large"


@pytest.mark.parametrize(("bits", "accepted"), [(2047, False), (2048, True), (4096, True), (4097, False)])
def test_rsa_modulus_sizes(bits: int, accepted: bool) -> None:
    modulus = (1 << (bits - 1)) | 1
    raw = modulus.to_bytes((bits + 7) // 8, "big")
    n = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    value = {"kty": "RSA", "n": n, "e": "AQAB"}
    if accepted:
        assert jwk.parse(value, "key").alg == "RSA-OAEP-256"
    else:
        with pytest.raises((GatewayError, EvidenceFormatError)):
            jwk.parse(value, "key")


@pytest.mark.parametrize("change", [{"e": "Aw"}, {"e": "AAEAAQ"}, {"e": ""}])
def test_rsa_exponent_is_65537(rsa_jwk: dict[str, Any], change: dict[str, str]) -> None:
    with pytest.raises(GatewayError) as caught:
        jwk.parse(rsa_jwk | change, "key")
    assert caught.value.reason == "request.key"


def test_rsa_modulus_has_no_leading_zero(rsa_jwk: dict[str, Any]) -> None:
    raw = b"\0" + base64.urlsafe_b64decode(rsa_jwk["n"] + "==")
    n = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(GatewayError) as caught:
        jwk.parse(rsa_jwk | {"n": n}, "key")
    assert caught.value.reason == "request.key"
