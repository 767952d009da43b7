"""ID block and key digests of SEV-SNP (AMD 56860, ID_BLOCK, ID_AUTH, public key structure)."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from policies.foundry.errors import FoundryError, FoundryReason, malformed

KEY_SIZE = 0x404
MAX_PEM = 16_384

_CURVE_P384 = 2


def public_key(pem: bytes, what: str) -> bytes:
    """The 0x404-byte structure of a P-384 public key: curve, QX and QY little-endian in 72 bytes each.

    pem: SubjectPublicKeyInfo. Raises FoundryError(MALFORMED, UNSUPPORTED).
    """
    try:
        if len(pem) > MAX_PEM:
            raise ValueError
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise malformed(
            what, expected="a public key in PEM", found=f"{len(pem)} bytes that are none"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise FoundryError(
            FoundryReason.UNSUPPORTED, what, expected="an ECDSA key on P-384", found=type(key).__name__
        )
    point = key.public_numbers()
    body = _CURVE_P384.to_bytes(4, "little") + point.x.to_bytes(72, "little") + point.y.to_bytes(72, "little")
    return body.ljust(KEY_SIZE, b"\0")


def key_digest(pem: bytes, what: str) -> bytes:
    """ID_KEY_DIGEST or AUTHOR_KEY_DIGEST of a report: SHA-384 of `public_key`. Raises FoundryError."""
    return hashlib.sha384(public_key(pem, what)).digest()


def id_block(measurement: bytes, *, family_id: bytes, image_id: bytes, guest_svn: int, policy: int) -> bytes:
    """The 96 bytes that an ID key signs, version 1.

    measurement: 48 bytes; ids: 16 bytes each; guest_svn: u32; policy: u64. Raises FoundryError(MALFORMED).
    """
    for name, value, size in (
        ("LD", measurement, 48),
        ("FAMILY_ID", family_id, 16),
        ("IMAGE_ID", image_id, 16),
    ):
        if len(value) != size:
            raise malformed(name, expected=f"{size} bytes", found=f"{len(value)} bytes")
    for name, number, bits in (("GUEST_SVN", guest_svn, 32), ("POLICY", policy, 64)):
        if not 0 <= number < 1 << bits:
            raise malformed(name, expected=f"{bits} bits", found=number)
    version = (1).to_bytes(4, "little")
    tail = version + guest_svn.to_bytes(4, "little") + policy.to_bytes(8, "little")
    return measurement + family_id + image_id + tail
