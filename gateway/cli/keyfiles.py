"""Keys that sign approvals and requests, P-256 or Ed25519, from the files of their owners."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway import approval
from gateway.approval import ApprovalKey, PrivateKey
from gateway.cli.errors import InputError
from gateway.cli.remote import read_input
from gateway.errors import GatewayError, GatewayReason
from gateway.files import read_private
from verifiers.codec import strictjson
from verifiers.errors import AttestationError

_MAX_KEY = 16 * 1024


def read_public(name: str) -> ApprovalKey:
    """A public key from a PEM or JWK file. Raises InputError."""
    raw = read_input(name, _MAX_KEY)
    try:
        if raw.lstrip().startswith(b"{"):
            return approval.parse_key(strictjson.loads(raw, name, limit=_MAX_KEY, max_depth=2))
        if b"PRIVATE KEY" in raw:
            raise InputError(
                f"{name}: expected a public key, found a private one (openssl pkey -in {name} -pubout)",
                str(GatewayReason.REQUEST_PRIVATE_KEY),
            )
        return approval.of_public(serialization.load_pem_public_key(raw))
    except (ValueError, UnsupportedAlgorithm, AttestationError):
        raise InputError(f"{name}: expected a public key, PEM or JWK", "approval.key") from None
    except GatewayError as error:
        raise InputError(f"{name}: {error.detail}", str(error.reason)) from None


def private_key(path: Path) -> PrivateKey:
    """From a PEM file of mode 0600. Raises InputError."""
    try:
        raw = read_private(path, GatewayReason.KEYS_PERMISSIONS, limit=_MAX_KEY)
    except GatewayError as error:
        raise InputError(
            f"{path}: expected {error.expected}, found {error.found}", str(error.reason)
        ) from None
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or 'an error').lower()}", "input.unreadable") from None
    try:
        key = serialization.load_pem_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(
            f"{path}: expected a private key in PEM without a password", "approval.key"
        ) from None
    if isinstance(key, ed25519.Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    raise InputError(f"{path}: expected a key on P-256 or Ed25519", "approval.key")
