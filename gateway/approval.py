"""What an approver signs, with which key, and how it is checked. Pure: no store, file or clock.

    statement   canonical JSON: purpose, store, tenant, action, sequence, documents
    signature   header..signature: a compact JWS over the statement, which is detached (RFC 7515 appendix F)

The statement names one store, one tenant, one action and one place in that tenant's sequence of changes, so a
signature is good for exactly one change: not again, not elsewhere, not for less or more than these documents.
The type in the header and the purpose in the payload keep it apart from everything else that keys sign.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.entry import canonical
from verifiers.codec import b64, strictjson
from verifiers.errors import AttestationError

PURPOSE = "sealgate/1 policy approval"
TYP = "sealgate-approval"
MAX_SIGNATURE = 1024
"""Characters of one signature: a header of three short members and 64 bytes."""
MAX_SIGNATURES = 16

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_FIELD = 2**255 - 19
"""Ed25519: coordinates are below this (RFC 8032 section 5.1.3), so that one key has one spelling."""


class Action(enum.StrEnum):
    """ACTIVATE: documents that the store has not seen. ROLLBACK: documents that were active before. RETIRE:
    documents that shall count no more."""

    ACTIVATE = "activate"
    ROLLBACK = "rollback"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """One document that an approval is about. digest: "sha256:…" of the file that it stands in."""

    kind: str
    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is approved. store: the gateway's store id. tenant: "" for baselines, the whole gateway's.
    sequence: the place of the change in the sequence of this tenant, from 1."""

    store: str
    tenant: str
    action: Action
    sequence: int
    documents: tuple[Subject, ...]

    def encode(self) -> bytes:
        """The only bytes it can be written as. Raises ValueError for no documents, or one twice."""
        found = sorted(self.documents)
        if not found or len({(each.kind, each.name) for each in found}) != len(found):
            raise ValueError("a statement is about documents, each of them once")
        return canonical(
            {
                "purpose": PURPOSE,
                "store": self.store,
                "tenant": self.tenant,
                "action": str(self.action),
                "sequence": self.sequence,
                "documents": [
                    {"kind": d.kind, "name": d.name, "version": d.version, "digest": d.digest} for d in found
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class ApprovalKey:
    """A validated public key. jwk: the required members only. thumbprint: RFC 7638, SHA-256, base64url."""

    jwk: Mapping[str, str]
    thumbprint: str
    public: PublicKey = field(repr=False, compare=False)

    @property
    def algorithm(self) -> str:
        return "ES256" if self.jwk["kty"] == "EC" else "EdDSA"


def of_public(public: object) -> ApprovalKey:
    """Raises GatewayError("approval.key") unless it is a P-256 or an Ed25519 public key."""
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        numbers = public.public_numbers()
        x, y = (b64.encode_url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        return ApprovalKey(jwk, _thumbprint(jwk), public)
    if isinstance(public, ed25519.Ed25519PublicKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        if int.from_bytes(raw, "little") & (2**255 - 1) >= _FIELD:
            raise _key_error("key.x", "a coordinate below 2**255 - 19", "a larger one")
        jwk = {"crv": "Ed25519", "kty": "OKP", "x": b64.encode_url(raw)}
        return ApprovalKey(jwk, _thumbprint(jwk), public)
    raise _key_error("key", "a public key on P-256 or Ed25519", type(public).__name__)


def parse_key(value: object) -> ApprovalKey:
    """Read a public JWK: exactly the required members. Raises GatewayError: "approval.key", and
    "request.private-key" when the private member is there."""
    if not isinstance(value, dict):
        raise _key_error("key", "a public JWK", type(value).__name__)
    if "d" in value:
        raise GatewayError(
            GatewayReason.REQUEST_PRIVATE_KEY,
            "key: expected a public key only; this one is compromised now",
            where="key",
            expected="a public key only",
            found="private member 'd'",
        )
    members = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}.get(str(value.get("kty")))
    if members is None or value.keys() != set(members):
        raise _key_error(
            "key", "members crv, kty, x, and y for EC, and no others", ", ".join(map(str, value))[:64]
        )
    try:
        numbers = [b64.decode_url(value[name], f"key.{name}", limit=32) for name in members[2:]]
    except AttestationError as error:
        raise _key_error(error.where, error.expected, error.found) from None
    if any(len(number) != 32 for number in numbers):
        raise _key_error("key", "coordinates of 32 bytes", "others")
    try:
        if (value["kty"], value["crv"]) == ("EC", "P-256"):
            x, y = (int.from_bytes(number, "big") for number in numbers)
            return of_public(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
        if (value["kty"], value["crv"]) == ("OKP", "Ed25519"):
            return of_public(ed25519.Ed25519PublicKey.from_public_bytes(numbers[0]))
    except (ValueError, UnsupportedAlgorithm):
        raise _key_error("key", "a point on its curve", "one that is not") from None
    raise _key_error("key.crv", "P-256 or Ed25519", str(value["crv"])[:40])


def sign(private: PrivateKey, statement: Statement) -> str:
    """header..signature, one line of ASCII."""
    key = of_public(private.public_key())
    header = {"typ": TYP, "kid": key.thumbprint}
    whole = jwt.PyJWS().encode(statement.encode(), private, algorithm=key.algorithm, headers=header)
    first, _, last = whole.split(".")
    return f"{first}..{last}"


def signer_of(signature: str) -> str:
    """The thumbprint that a signature names: whose it claims to be; nothing is checked yet.

    Raises GatewayError("approval.malformed") for whatever has another shape.
    """
    return _read(signature)[1]


def check(signature: str, statement: Statement, keys: Iterable[ApprovalKey]) -> str:
    """Thumbprint of the one of `keys` that signed exactly this statement.

    Raises GatewayError: "approval.malformed"; "approval.unknown-key" when none of the keys is named;
    "approval.signature" when the named one signed something else.
    """
    head, kid, algorithm, raw = _read(signature)
    key = next((each for each in keys if each.thumbprint == kid), None)
    if key is None:
        raise GatewayError(
            GatewayReason.APPROVAL_UNKNOWN_KEY,
            f"key {kid} is none that counts here",
            where="signature",
            expected="a registered key that was not revoked",
            found=kid,
        )
    message = f"{head}.{b64.encode_url(statement.encode())}".encode("ascii")
    if algorithm != key.algorithm or not verifies(key.public, raw, message):
        raise GatewayError(
            GatewayReason.APPROVAL_SIGNATURE,
            f"key {kid} did not sign this: {describe(statement)}",
            where="signature",
            expected=f"a signature over {describe(statement)}",
            found="one over something else, or none at all",
        )
    return kid


def describe(statement: Statement) -> str:
    """For messages: what a statement says, on one line."""
    names = ", ".join(f"{d.kind} {d.name}@{d.version} {d.digest[:19]}…" for d in sorted(statement.documents))
    of = f"tenant {statement.tenant}" if statement.tenant else "the whole gateway"
    place = f"change {statement.sequence} of {of} in store {statement.store[:8]}…"
    what = {Action.ACTIVATE: "activation of", Action.ROLLBACK: "rollback to", Action.RETIRE: "end of"}
    return f"{what[statement.action]} {names} as {place}"


def verifies(public: PublicKey, raw: bytes, message: bytes) -> bool:
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(raw, message)
        else:
            r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
            public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(signature: str) -> tuple[str, str, str, bytes]:
    """(header as it is written, key, algorithm, signature)."""
    parts = signature.split(".") if len(signature) <= MAX_SIGNATURE else []
    if len(parts) != 3 or parts[1]:
        raise _malformed("header..signature, as `sealgate policy sign` writes it", "something else")
    try:
        header: Any = strictjson.loads(
            b64.decode_url(parts[0], "header", limit=512), "header", limit=512, max_depth=2
        )
        raw = b64.decode_url(parts[2], "signature", limit=64)
    except AttestationError as error:
        raise _malformed(f"{error.where}: {error.expected}", error.found) from None
    if not isinstance(header, dict) or header.keys() != {"alg", "kid", "typ"} or header["typ"] != TYP:
        raise _malformed(f"a header of alg, kid and typ {TYP}", "another")
    kid, algorithm = header["kid"], header["alg"]
    if not isinstance(kid, str) or algorithm not in ("ES256", "EdDSA") or len(raw) != 64:
        raise _malformed("ES256 or EdDSA, a key's thumbprint, 64 bytes", f"{str(algorithm)[:20]}")
    return parts[0], kid, algorithm, raw


def _thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638 section 3, RFC 8037 section 2: required members, sorted; none has a character to escape."""
    text = ",".join(f'"{name}":"{jwk[name]}"' for name in sorted(jwk))
    return b64.encode_url(hashlib.sha256(f"{{{text}}}".encode()).digest())


def _malformed(expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.APPROVAL_MALFORMED,
        f"signature: expected {expected}, found {found}",
        where="signature",
        expected=expected,
        found=found,
    )


def _key_error(where: str, expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.APPROVAL_KEY,
        f"{where}: expected {expected}, found {found}",
        where=where,
        expected=expected,
        found=found,
    )
