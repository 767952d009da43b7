"""What a simulated machine derives from its seed: identifiers and keys, the same in every process.

Real hardware does the same with its fused secret. Nothing here is secret: a seed is a machine's name.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from verifiers.crypto.ecdsa import P256_ORDER, P384_ORDER

EPOCH = datetime(2026, 6, 30, 12, 0, 0, tzinfo=UTC)
"""When simulated machines live unless told otherwise. Tests use it; the demo passes the real time."""

SEED = "machine-1"
"""The machine meant by whoever does not care which."""


def octets(seed: str, label: str, size: int) -> bytes:
    """`size` bytes that belong to `label` of the machine `seed`."""
    return hashlib.shake_256(f"sealgate simulator\0{label}\0{seed}".encode()).digest(size)


def p256(seed: str, label: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key that belongs to `label` of the machine `seed`."""
    return _key(ec.SECP256R1(), P256_ORDER, seed, label)


def p384(seed: str, label: str) -> ec.EllipticCurvePrivateKey:
    """A P-384 key that belongs to `label` of the machine `seed`."""
    return _key(ec.SECP384R1(), P384_ORDER, seed, label)


def _key(curve: ec.EllipticCurve, order: int, seed: str, label: str) -> ec.EllipticCurvePrivateKey:
    # 64 bits more than the order, then reduced: FIPS 186-5, A.2.1. Uniformity does not matter here; staying
    # inside 1..n-1 does.
    wide = int.from_bytes(octets(seed, f"key {label}", order.bit_length() // 8 + 8), "big")
    return ec.derive_private_key(wide % (order - 1) + 1, curve)
