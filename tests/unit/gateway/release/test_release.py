"""Wrapping, and what a guest checks before it believes a release."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwe, jws
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import GatewayError
from gateway.protocol import jwk
from gateway.release import native, wrap

SECRET = b"correct horse battery staple \x00\xff"
SIGNER = ECKey.generate_key("P-256", {"kid": "k1"}, private=True)
JWKS = {"keys": [SIGNER.as_dict(private=False) | {"kid": "k1", "alg": "ES256", "use": "sig"}]}
TENANT = "acme"
WANTED = native.Expected(
    iss="https://g.example", aud="https://g.example", nonce="n1", path="db/password", tenant=TENANT
)
KEYS = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
}


def attested(key: wrap.PrivateKey) -> jwk.AttestedKey:
    kind = ECKey if isinstance(key, ec.EllipticCurvePrivateKey) else RSAKey
    public = kind.import_key(key.public_key()).as_dict(private=False)
    return jwk.parse({name: value for name, value in public.items() if name != "kid"}, "key")


def signed(header: dict[str, Any] | None = None, key: ECKey = SIGNER, **changes: Any) -> str:
    sealed = wrap.wrap(SECRET, attested(KEYS["P-256"]), TENANT)
    payload = json.loads(
        native.statement(
            iss=WANTED.iss,
            aud=WANTED.aud,
            nonce=WANTED.nonce,
            path=WANTED.path,
            version=3,
            lease=timedelta(hours=1),
            jwe=sealed,
        )
    )
    payload = {name: value for name, value in (payload | changes).items() if value is not ...}
    head = {"alg": "ES256", "kid": "k1", "typ": native.TYP} | (header or {})
    return jws.serialize_compact(head, json.dumps(payload).encode(), key, algorithms=["ES256", "ES384"])


@pytest.mark.parametrize("name", KEYS)
def test_what_is_wrapped_opens_with_that_key_only(name: str) -> None:
    token = wrap.wrap(SECRET, attested(KEYS[name]), TENANT)
    assert wrap.unwrap(token, KEYS[name], TENANT) == SECRET
    assert SECRET not in token.encode()
    for other, key in KEYS.items():
        if other != name:
            with pytest.raises(GatewayError):
                wrap.unwrap(token, key, TENANT)


@pytest.mark.parametrize(
    "cty", ["application/octet-stream; tenant=mallory", "application/octet-stream", None]
)
def test_a_secret_of_another_tenant_or_of_none_is_refused(cty: str | None) -> None:
    public = ECKey.import_key(KEYS["P-256"].public_key())
    header = {"alg": "ECDH-ES+A256KW", "enc": wrap.ENC, "typ": wrap.TYP} | ({"cty": cty} if cty else {})
    sealed = jwe.encrypt_compact(header, SECRET, public, algorithms=["ECDH-ES+A256KW", wrap.ENC])
    with pytest.raises(GatewayError) as caught:
        native.open_release(signed(jwe=sealed), JWKS, KEYS["P-256"], WANTED)
    assert (caught.value.reason, caught.value.where) == ("token.audience", "release.tenant")
    assert caught.value.found == str(cty)


def test_libraries_that_know_no_header_of_ours_open_it() -> None:
    """Guests in other languages: nothing but registered headers."""
    token = wrap.wrap(SECRET, attested(KEYS["RSA"]), TENANT)
    opened = jwe.decrypt_compact(token, RSAKey.import_key(KEYS["RSA"]), algorithms=["RSA-OAEP-256", wrap.ENC])
    assert opened.protected.keys() == {"alg", "enc", "kid", "typ", "cty"}
    assert opened.protected["cty"] == "application/octet-stream; tenant=acme"


def test_two_wraps_differ() -> None:
    key = attested(KEYS["P-256"])
    assert wrap.wrap(SECRET, key, TENANT) != wrap.wrap(SECRET, key, TENANT)


@pytest.mark.parametrize("alg", ["ECDH-ES", "ECDH-ES+A128KW"])
def test_the_guest_opens_one_algorithm_only(alg: str) -> None:
    public = ECKey.import_key(KEYS["P-256"].public_key())
    token = jwe.encrypt_compact(
        {"alg": alg, "enc": "A256GCM", "typ": wrap.TYP}, SECRET, public, algorithms=[alg, "A256GCM"]
    )
    with pytest.raises(GatewayError):
        wrap.unwrap(token, KEYS["P-256"], TENANT)


@pytest.mark.parametrize("token", ["", "a.b.c.d.e", "....", "not a jwe", "é"])
def test_rubbish_does_not_open(token: str) -> None:
    with pytest.raises(GatewayError):
        wrap.unwrap(token, KEYS["P-256"], TENANT)


def test_a_guest_opens_its_release() -> None:
    opened = native.open_release(signed(), JWKS, KEYS["P-256"], WANTED)
    assert (opened.secret, opened.version, opened.lease) == (SECRET, 3, timedelta(hours=1))
    assert "horse" not in repr(opened)
    assert native.open_release(signed(lease=None), JWKS, KEYS["P-256"], WANTED).lease is None


@pytest.mark.parametrize("name", ["iss", "aud", "nonce", "path"])
def test_a_release_for_another_question_is_refused(name: str) -> None:
    with pytest.raises(GatewayError) as caught:
        native.open_release(signed(**{name: "other"}), JWKS, KEYS["P-256"], WANTED)
    assert caught.value.reason == "token.audience"
    assert caught.value.where == f"release.{name}"
    with pytest.raises(GatewayError):
        native.open_release(signed(), JWKS, KEYS["P-256"], replace(WANTED, **{name: "other"}))


@pytest.mark.parametrize(
    "change",
    [{"version": 0}, {"version": "3"}, {"version": True}, {"lease": -1}, {"lease": "1h"}, {"jwe": 1},
     {"jwe": ...}, {"extra": 1}],
)  # fmt: skip
def test_a_malformed_release_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as caught:
        native.open_release(signed(**change), JWKS, KEYS["P-256"], WANTED)
    assert caught.value.reason == "token.malformed"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"typ": "eat+jwt"}, "token.malformed"),
        ({"kid": "k2"}, "token.signature"),
        ({"jwk": SIGNER.as_dict(private=False)}, "token.malformed"),
        ({"x5c": ["MIIB"]}, "token.malformed"),
    ],
)
def test_the_header_chooses_nothing(header: dict[str, Any], reason: str) -> None:
    with pytest.raises(GatewayError) as caught:
        native.open_release(signed(header), JWKS, KEYS["P-256"], WANTED)
    assert caught.value.reason == reason


def test_another_signer_is_refused() -> None:
    forger = ECKey.generate_key("P-256", {"kid": "k1"}, private=True)
    with pytest.raises(GatewayError) as caught:
        native.open_release(signed(key=forger), JWKS, KEYS["P-256"], WANTED)
    assert caught.value.reason == "token.signature"


def test_every_changed_character_is_refused() -> None:
    token = signed()
    for index in range(0, len(token), 7):
        swapped = "A" if token[index] != "A" else "B"
        with pytest.raises(GatewayError):
            native.open_release(token[:index] + swapped + token[index + 1 :], JWKS, KEYS["P-256"], WANTED)
