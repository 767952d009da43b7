"""COSE_Sign1 (RFC 9052, 4.2 and 4.4): ES256 and ES384, under keys that the caller brings.

A message never brings a key: `kid` and `x5chain` are read past. The payload is returned only once a signature
verified over the bytes as they were received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from verifiers.codec import cbor
from verifiers.crypto.ecdsa import verify_p256_sha256, verify_p384_sha384
from verifiers.errors import EndorsementFormatError, Reason

TAG = 18
ALG, CRIT, CTY, KID, META, CWT, X5CHAIN = 1, 2, 3, 4, 8, 15, 33
ES256, ES384 = -7, -35
"""RFC 9053, 2.1."""

_UNDERSTOOD = frozenset({ALG, CRIT, CTY, KID, META, CWT, X5CHAIN})
_HASH_ENVELOPE = (258, 259, 260)
_MAX_HEADER = 16_384
# Curve, half of a signature in bytes, how to verify.
_ALGORITHMS = {ES256: (ec.SECP256R1, 32, verify_p256_sha256), ES384: (ec.SECP384R1, 48, verify_p384_sha384)}


@dataclass(frozen=True, slots=True)
class Signed:
    """A message whose signature verified. protected: its signed header. key: which of the caller's keys."""

    protected: Mapping[Any, Any]
    payload: bytes
    key: ec.EllipticCurvePublicKey


def algorithm_of(key: ec.EllipticCurvePublicKey) -> int | None:
    """The one algorithm that we use a key of this curve with; None when there is none."""
    return next((alg for alg, (curve, _, _) in _ALGORITHMS.items() if isinstance(key.curve, curve)), None)


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Sig_structure for a COSE_Sign1 with no external data (RFC 9052, 4.4)."""
    return cbor2.dumps(["Signature1", protected, b"", payload])


def message(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The COSE_Sign1 itself. signature: r ‖ s."""
    return cbor2.dumps(cbor2.CBORTag(TAG, [protected, {}, payload, signature]))


def verify_sign1(raw: bytes, keys: Sequence[ec.EllipticCurvePublicKey], where: str, *, limit: int) -> Signed:
    """Verify one COSE_Sign1 of at most `limit` bytes.

    Raises EvidenceFormatError (CBOR that has more than one reading) and EndorsementFormatError:
    COLLATERAL_MALFORMED, or COLLATERAL_SIGNATURE when none of `keys` made the signature.
    """
    outer = cbor.loads(raw, where, limit=limit, tags={TAG})
    if not isinstance(outer, cbor.Tag) or outer.tag != TAG:
        raise _bad(where, "COSE_Sign1 (tag 18)", "another item")
    parts = outer.value
    if not isinstance(parts, list | tuple) or len(parts) != 4:
        raise _bad(where, "an array of 4 items", "another")
    header, unprotected, payload, signature = parts
    if not isinstance(header, bytes) or not isinstance(signature, bytes) or not isinstance(payload, bytes):
        raise _bad(where, "header, payload and signature as byte strings", "another type")
    if not isinstance(unprotected, Mapping):
        raise _bad(where, "a map as unprotected header", "another type")
    protected = cbor.loads(header, f"{where}: header", limit=_MAX_HEADER, tags={1})
    if not isinstance(protected, Mapping):
        raise _bad(f"{where}: header", "a map", "another type")
    _check_header(protected, unprotected, f"{where}: header")
    algorithm = _ALGORITHMS.get(protected[ALG])
    if algorithm is None:
        raise _bad(f"{where}: header", "ES256 (-7) or ES384 (-35)", str(protected[ALG]))
    curve, size, verify = algorithm
    if len(signature) != 2 * size:
        raise _bad(f"{where}: signature", f"{2 * size} bytes", f"{len(signature)} bytes")
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    signed = to_be_signed(header, payload)
    for key in keys:
        if isinstance(key.curve, curve) and verify(key, r, s, signed):
            return Signed(protected, payload, key)
    raise EndorsementFormatError(
        Reason.COLLATERAL_SIGNATURE,
        f"{where}: signature",
        expected="a signature by a signer you name",
        found="one that none of their keys made",
    )


def _check_header(protected: Mapping[Any, Any], unprotected: Mapping[Any, Any], where: str) -> None:
    """Labels stand once; what is critical is understood; the payload itself is there and not its hash."""
    if type(protected.get(ALG)) is not int:
        raise _bad(where, "alg (1), an integer, in the signed header", "none")
    both = set(protected) & set(unprotected)
    if both or CRIT in unprotected:
        raise _bad(where, "each label in one header, crit in the signed one", f"{sorted(map(str, both))}")
    if any(label in header for label in _HASH_ENVELOPE for header in (protected, unprotected)):
        raise _bad(where, "a payload", "the hash of one (hash envelope)")
    critical = protected.get(CRIT, [ALG])
    if not isinstance(critical, list | tuple) or not critical:
        raise _bad(where, "crit (2) as a list of labels", "another")
    for label in critical:
        if type(label) is not int or label not in _UNDERSTOOD or label not in protected:
            raise _bad(where, "critical labels that are understood and there", repr(label)[:40])


def _bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.COLLATERAL_MALFORMED, where, expected=expected, found=found)
