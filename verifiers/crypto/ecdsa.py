"""Raw ECDSA signatures, in either vendor's byte order, checked over the bytes received."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = (
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
)
"""SEC 2, sections 2.4.2 and 2.5.1; FIPS 186-5."""

_P256_SHA256 = ec.ECDSA(hashes.SHA256())
_P384_SHA384 = ec.ECDSA(hashes.SHA384())


def verify_p256_sha256(key: ec.EllipticCurvePublicKey, r: int, s: int, message: bytes) -> bool:
    """True when (r, s) is a signature of `message` under `key`, which must be on P-256."""
    return isinstance(key.curve, ec.SECP256R1) and _verify(key, r, s, message, P256_ORDER, _P256_SHA256)


def verify_p384_sha384(key: ec.EllipticCurvePublicKey, r: int, s: int, message: bytes) -> bool:
    """True when (r, s) is a signature of `message` under `key`, which must be on P-384."""
    return isinstance(key.curve, ec.SECP384R1) and _verify(key, r, s, message, P384_ORDER, _P384_SHA384)


def p256_point(raw: bytes) -> ec.EllipticCurvePublicKey | None:
    """The public key x ‖ y (64 bytes, big-endian), or None when that is no point of P-256."""
    if len(raw) != 64:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + raw)
    except ValueError:
        return None


def _verify(
    key: ec.EllipticCurvePublicKey, r: int, s: int, message: bytes, order: int, algorithm: ec.ECDSA
) -> bool:
    # FIPS 186-5, 6.4.2 step 1. OpenSSL checks it too; saying it here keeps other back ends honest.
    if not (0 < r < order and 0 < s < order):
        return False
    try:
        key.verify(encode_dss_signature(r, s), message, algorithm)
    except InvalidSignature:
        return False
    return True
