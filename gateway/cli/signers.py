"""Keys of those who sign reference values: public ones from the operator's files, a private one to export."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.cli.errors import InputError
from gateway.cli.remote import read_input
from verifiers.crypto import cose

_MAX_KEY = 64 * 1024
_WANTED = "expected a PEM key on P-256 or P-384"


def public_keys(names: Sequence[str]) -> list[ec.EllipticCurvePublicKey]:
    """Of each file, a public key or a certificate, whose dates and issuer say nothing here: the operator
    chose it. Raises InputError."""
    return [_public(name) for name in names]


def _public(name: str) -> ec.EllipticCurvePublicKey:
    raw = read_input(name, _MAX_KEY)
    try:
        if b"BEGIN CERTIFICATE" in raw:
            key: object = x509.load_pem_x509_certificate(raw).public_key()
        else:
            key = serialization.load_pem_public_key(raw)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(f"{name}: {_WANTED}: a public key or a certificate") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or cose.algorithm_of(key) is None:
        raise InputError(f"{name}: {_WANTED}, found another kind")
    return key


def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Raises InputError."""
    try:
        key = serialization.load_pem_private_key(read_input(name, _MAX_KEY), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(f"{name}: {_WANTED}: a private key without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or cose.algorithm_of(key.public_key()) is None:
        raise InputError(f"{name}: {_WANTED}, found another kind")
    return key


def thumbprint(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 over the SubjectPublicKeyInfo, 32 bytes."""
    der = serialization.Encoding.DER
    return hashlib.sha256(key.public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)).digest()


def sign(key: ec.EllipticCurvePrivateKey, header: bytes, payload: bytes) -> bytes:
    """A COSE_Sign1. key: on P-256 (ES256) or P-384 (ES384)."""
    size = key.curve.key_size // 8
    algorithm = ec.ECDSA(hashes.SHA256() if size == 32 else hashes.SHA384())
    r, s = decode_dss_signature(key.sign(cose.to_be_signed(header, payload), algorithm))
    return cose.message(header, payload, r.to_bytes(size, "big") + s.to_bytes(size, "big"))
