"""What an approver signs: one change, in one place, of one tenant; and nothing else passes for it."""

from __future__ import annotations

import json
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway import approval
from gateway.approval import Action, PrivateKey, Statement, Subject
from gateway.errors import GatewayError
from gateway.ledger.entry import canonical
from verifiers.codec import b64

DIGEST = "sha256:" + "ab" * 32
STATEMENT = Statement(
    store="00" * 16,
    tenant="acme",
    action=Action.ACTIVATE,
    sequence=7,
    documents=(Subject("release", "db", 3, DIGEST), Subject("reference", "guests", 2, DIGEST)),
)
KEYS: dict[str, PrivateKey] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
PUBLIC = [approval.of_public(key.public_key()) for key in KEYS.values()]


def reason(signature: str, statement: Statement = STATEMENT) -> str:
    with pytest.raises(GatewayError) as caught:
        approval.check(signature, statement, PUBLIC)
    return str(caught.value.reason)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_signature_names_its_key(algorithm: str) -> None:
    signature = approval.sign(KEYS[algorithm], STATEMENT)
    kid = approval.of_public(KEYS[algorithm].public_key()).thumbprint
    assert approval.check(signature, STATEMENT, PUBLIC) == approval.signer_of(signature) == kid
    assert len(signature) <= approval.MAX_SIGNATURE and signature.isascii()


def test_the_order_of_documents_does_not_count() -> None:
    turned = replace(STATEMENT, documents=STATEMENT.documents[::-1])
    assert turned.encode() == STATEMENT.encode()
    assert json.loads(STATEMENT.encode())["purpose"] == approval.PURPOSE


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize(
    "change",
    [
        {"store": "11" * 16},
        {"tenant": "other"},
        {"tenant": ""},
        {"action": Action.ROLLBACK},
        {"action": Action.RETIRE},
        {"sequence": 6},
        {"sequence": 8},
        {"documents": STATEMENT.documents[:1]},
        {"documents": (*STATEMENT.documents, Subject("release", "more", 1, DIGEST))},
        {
            "documents": (
                replace(STATEMENT.documents[0], digest="sha256:" + "ac" * 32),
                STATEMENT.documents[1],
            )
        },
        {"documents": (replace(STATEMENT.documents[0], version=4), STATEMENT.documents[1])},
        {"documents": (replace(STATEMENT.documents[0], kind="baseline"), STATEMENT.documents[1])},
    ],
    ids=lambda change: " ".join(change),
)
def test_it_is_good_for_one_statement_only(algorithm: str, change: dict[str, object]) -> None:
    signature = approval.sign(KEYS[algorithm], STATEMENT)
    other = replace(STATEMENT, **change)  # type: ignore[arg-type]
    assert reason(signature, other) == "approval.signature"


@pytest.mark.parametrize("algorithm", KEYS)
def test_no_bit_of_it_can_change(algorithm: str) -> None:
    signature = approval.sign(KEYS[algorithm], STATEMENT)
    head, _, last = signature.split(".")
    raw = bytearray(b64.decode_url(last, "s", limit=64))
    for at in range(0, 512, 7):
        raw[at // 8] ^= 1 << at % 8
        assert reason(f"{head}..{b64.encode_url(bytes(raw))}") == "approval.signature"
        raw[at // 8] ^= 1 << at % 8


def signed(header: dict[str, object], payload: bytes = STATEMENT.encode(), algorithm: str = "ES256") -> str:
    whole = jwt.PyJWS().encode(payload, KEYS[algorithm], algorithm=algorithm, headers=header)
    first, _, last = whole.split(".")
    return f"{first}..{last}"


def test_what_the_key_signed_for_other_purposes_is_no_approval() -> None:
    kid = PUBLIC[0].thumbprint
    assert reason(signed({"typ": "eat+jwt", "kid": kid})) == "approval.malformed"
    other = json.loads(STATEMENT.encode()) | {"purpose": "something else"}
    assert reason(signed({"typ": approval.TYP, "kid": kid}, canonical(other))) == "approval.signature"
    assert reason(signed({"typ": approval.TYP, "kid": kid, "crit": ["b64"]})) == "approval.malformed"
    assert approval.check(signed({"typ": approval.TYP, "kid": kid}), STATEMENT, PUBLIC) == kid


def test_one_key_cannot_sign_for_another() -> None:
    for mine, theirs in (("ES256", 1), ("EdDSA", 0)):
        header: dict[str, object] = {"typ": approval.TYP, "kid": PUBLIC[theirs].thumbprint}
        assert reason(signed(header, algorithm=mine)) == "approval.signature"
    stranger = approval.sign(ec.generate_private_key(ec.SECP256R1()), STATEMENT)
    assert reason(stranger) == "approval.unknown-key"


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a..b", "a.b.c", "eyJ9..AAAA", "x" * 5000, "é..é", "e30..", "e30.." + "A" * 86],
)
def test_what_is_no_signature_is_malformed(text: str) -> None:
    assert reason(text) == "approval.malformed"


def test_keys_survive_their_jwk_and_have_one_spelling() -> None:
    for key in PUBLIC:
        assert approval.parse_key(dict(key.jwk)) == key
    for bad in (
        None,
        {},
        dict(PUBLIC[0].jwk) | {"kid": "x"},
        dict(PUBLIC[0].jwk) | {"crv": "P-384"},
        dict(PUBLIC[0].jwk) | {"y": PUBLIC[0].jwk["x"]},
        dict(PUBLIC[1].jwk) | {"x": "AAAA"},
        dict(PUBLIC[1].jwk) | {"crv": "X25519"},
        dict(PUBLIC[1].jwk) | {"x": b64.encode_url(b"\xff" * 31 + b"\x7f")},
        dict(PUBLIC[1].jwk) | {"x": 7},
    ):
        with pytest.raises(GatewayError) as caught:
            approval.parse_key(bad)
        assert caught.value.reason == "approval.key"
    with pytest.raises(GatewayError) as private:
        approval.parse_key(dict(PUBLIC[0].jwk) | {"d": "AAAA"})
    assert private.value.reason == "request.private-key"
    for other in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(GatewayError):
            approval.of_public(other.public_key())


def test_a_statement_is_about_documents_each_once() -> None:
    for documents in ((), (STATEMENT.documents[0], replace(STATEMENT.documents[0], version=4))):
        with pytest.raises(ValueError, match="each of them once"):
            replace(STATEMENT, documents=documents).encode()
