"""Raw ECDSA: the boundaries of r and s, and the curve that a key must be on."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from verifiers.crypto import ecdsa

MESSAGE = b"message"
P256 = ec.derive_private_key(7, ec.SECP256R1())
P384 = ec.derive_private_key(7, ec.SECP384R1())


def signed(key: ec.EllipticCurvePrivateKey, algorithm: hashes.HashAlgorithm) -> tuple[int, int]:
    return decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(algorithm)))


CASES = [
    pytest.param(P256, hashes.SHA256(), ecdsa.verify_p256_sha256, ecdsa.P256_ORDER, id="p256"),
    pytest.param(P384, hashes.SHA384(), ecdsa.verify_p384_sha384, ecdsa.P384_ORDER, id="p384"),
]


@pytest.mark.parametrize(("key", "algorithm", "verify", "order"), CASES)
def test_boundaries(key, algorithm, verify, order) -> None:  # type: ignore[no-untyped-def]
    r, s = signed(key, algorithm)
    public = key.public_key()
    assert verify(public, r, s, MESSAGE)
    assert verify(public, r, order - s, MESSAGE), (
        "ECDSA is malleable, which is why nothing keys on signatures"
    )
    for bad_r, bad_s in [
        (0, s),
        (r, 0),
        (order, s),
        (r, order),
        (r + order, s),
        (r, s + order),
        (-r, s),
        (r, -s),
    ]:
        assert not verify(public, bad_r, bad_s, MESSAGE)
    assert not verify(public, s, r, MESSAGE)
    assert not verify(public, r, s, MESSAGE + b"\0")


def test_a_key_on_another_curve_is_no_key() -> None:
    r, s = signed(P256, hashes.SHA256())
    assert not ecdsa.verify_p384_sha384(P256.public_key(), r, s, MESSAGE)
    r, s = signed(P384, hashes.SHA384())
    assert not ecdsa.verify_p256_sha256(P384.public_key(), r, s, MESSAGE)


def test_points() -> None:
    numbers = P256.public_key().public_numbers()
    raw = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    point = ecdsa.p256_point(raw)
    assert point is not None
    assert point.public_numbers() == numbers
    assert ecdsa.p256_point(raw[:-1]) is None
    assert ecdsa.p256_point(raw[:-1] + bytes([raw[-1] ^ 1])) is None
    assert ecdsa.p256_point(bytes(64)) is None
