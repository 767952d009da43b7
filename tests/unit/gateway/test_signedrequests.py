"""Requests signed by an administrator's key: each says one thing, for a minute, and nothing else fits it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway import approval, signedrequests
from gateway.approval import PrivateKey
from gateway.errors import GatewayError
from gateway.token import jws
from tests.stores import START
from verifiers.codec import b64

EC: PrivateKey = ec.generate_private_key(ec.SECP256R1())
ED: PrivateKey = ed25519.Ed25519PrivateKey.generate()
GIVEN: dict[str, Any] = {
    "audience": "https://g.example", "method": "PUT", "target": "/v1/admin/secrets/a/ä?expect=present",
    "body": b"secret", "now": START, "jti": b"0123456789abcdef",
}  # fmt: skip


def accept(token: str, private: PrivateKey = EC, **changes: Any) -> None:
    given = {"audiences": {"https://g.example"}, "method": "PUT", "target": GIVEN["target"], "now": START}
    body = changes.pop("body", b"secret")
    signed = signedrequests.read(token)
    signedrequests.check(signed, approval.of_public(private.public_key()), **{**given, **changes})
    signedrequests.require_body(signed, body)


def refused(token: str, *given: Any, **changes: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        accept(token, *given, **changes)
    assert caught.value.reason == "request.unauthenticated"
    return caught.value.expected


@pytest.mark.parametrize("private", [EC, ED], ids=["ES256", "EdDSA"])
def test_a_request_is_accepted_as_it_was_signed(private: PrivateKey) -> None:
    token = signedrequests.sign(private, **GIVEN)
    accept(token, private)
    accept(token, private, now=START + timedelta(seconds=59))
    accept(token, private, now=START - signedrequests.SKEW)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"method": "DELETE"}, "one for DELETE"),
        ({"target": "/v1/admin/secrets/a/ä"}, "one for PUT"),
        ({"target": "/t/acme/v1/admin/secrets/a/ä?expect=present"}, "one for PUT"),
        ({"audiences": {"https://other.example"}}, "one for this gateway"),
        ({"body": b"secret "}, "the body"),
        ({"body": b""}, "the body"),
        ({"now": START + timedelta(seconds=60)}, "the last minute"),
        ({"now": START - signedrequests.SKEW - timedelta(seconds=1)}, "not from the future"),
    ],
    ids=str,
)
def test_nothing_else_fits_it(change: dict[str, Any], expected: str) -> None:
    assert expected in refused(signedrequests.sign(EC, **GIVEN), **change)


def test_another_key_did_not_sign_it() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert "a key that counts" in refused(signedrequests.sign(EC, **GIVEN), other)
    assert "a key that counts" in refused(signedrequests.sign(EC, **GIVEN), ED)


def test_an_approval_is_no_request_and_a_request_no_approval() -> None:
    """One key may do both: the types keep them apart."""
    head, _, last = signedrequests.sign(EC, **GIVEN).split(".")
    with pytest.raises(GatewayError) as caught:
        approval.signer_of(f"{head}..{last}")
    assert caught.value.reason == "approval.malformed"


def made(header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A request with another header or payload, signed all the same."""
    token = signedrequests.sign(EC, **GIVEN)
    payload = json.loads(b64.decode_url(token.split(".")[1], "p", limit=9999)) | changes
    payload = {name: value for name, value in payload.items() if value is not None}
    key = approval.of_public(EC.public_key())
    first = {"typ": signedrequests.TYP, "kid": key.thumbprint, **(header or {})}
    first = {name: value for name, value in first.items() if value is not None}
    assert isinstance(EC, ec.EllipticCurvePrivateKey)
    return jws.sign(first, json.dumps(payload).encode(), EC)


@pytest.mark.parametrize(
    "token",
    [
        "", "a.b", "a.b.c.d", "..", "é.é.é", "x" * 20_000,
        made({"typ": "JWT"}), made({"typ": "sealgate-approval"}), made({"jwk": {}}), made({"crit": ["x"]}),
        made({"kid": 7}),
        made(more=1), made(jti=None), made(jti="short"), made(jti=7), made(jti="x" * 65),
        made(iat=1.5), made(iat=True), made(exp="0"), made(exp=-1), made(exp=10**15), made(aud=["a"]),
        made(exp=int(START.timestamp()) + 61), made(iat=int(START.timestamp()) - 3600),
    ],
)  # fmt: skip
def test_what_has_another_shape_is_refused(token: str) -> None:
    refused(token)


def test_the_helper_itself_signs_well() -> None:
    accept(made())


def test_what_counts_once_is_key_and_jti() -> None:
    one = signedrequests.read(signedrequests.sign(EC, **GIVEN))
    again = signedrequests.read(signedrequests.sign(EC, **{**GIVEN, "body": b"other"}))
    other = signedrequests.read(signedrequests.sign(EC, **{**GIVEN, "jti": b"f" * 16}))
    foreign = signedrequests.read(signedrequests.sign(ED, **GIVEN))
    assert one.once == again.once
    assert len({one.once, other.once, foreign.once}) == 3
    assert one.expires == START + signedrequests.LIFE
