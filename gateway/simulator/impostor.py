"""Roots that carry the right names and are pinned nowhere: what an attacker, or a vendor's test system, has.

Intel's own sample chains are of this kind: same subject names as production, another key. Whatever is signed
here is flawless but for the root, so that only a reader who compares keys refuses it.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.simulator import intelcerts, keys, seeds, x509build
from gateway.simulator.x509build import Extension, Signer

_NOT_BEFORE, _NOT_AFTER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC)
_CA_USAGE = x509build.KEY_CERT_SIGN | x509build.CRL_SIGN
_OTHER_PRODUCT = {"Milan": "Genoa", "Genoa": "Turin", "Turin": "Milan"}


def other_product(product: str) -> str:
    """The product whose keys an impostor of `product` has."""
    return _OTHER_PRODUCT[product]


def amd_key(product: str, role: str) -> rsa.RSAPrivateKey:
    """A key that is not the one pinned for `role` of `product`; sign with it under the right names."""
    return keys.amd(other_product(product), role)


@functools.cache
def intel_key(role: str) -> ec.EllipticCurvePrivateKey:
    """role: "root", "platform", "processor" or "signer" (of TCB infos and identities)."""
    return seeds.p256("", f"impostor {role}")


@functools.cache
def intel_certificate(role: str) -> bytes:
    """DER of the certificate for `intel_key(role)`, under the impostor's root."""
    root, own = intel_key("root"), intel_key(role).public_key()
    ca = role != "signer"
    usage = _CA_USAGE if ca else x509build.DIGITAL_SIGNATURE | x509build.NON_REPUDIATION
    extensions: tuple[Extension, ...] = (
        x509build.authority_key_id(root.public_key()),
        x509build.subject_key_id(own),
        x509build.key_usage(usage),
        x509build.basic_constraints(ca=ca, path_length={"root": 1, "signer": None}.get(role, 0)),
    )
    return x509build.certificate(
        serial=intelcerts.serial(own),
        signer=Signer(root),
        issuer=intelcerts.name(intelcerts.ROOT_NAME),
        subject=intelcerts.name(_name(role)),
        not_before=_NOT_BEFORE,
        not_after=_NOT_AFTER,
        key=own,
        extensions=extensions,
    )


def intel_chain(role: str) -> tuple[bytes, bytes]:
    """The certificate of `role` and the impostor's root: an issuer chain as PCS would send it."""
    return intel_certificate(role), intel_certificate("root")


def _name(role: str) -> str:
    if role == "root":
        return intelcerts.ROOT_NAME
    return intelcerts.TCB_SIGNING_NAME if role == "signer" else intelcerts.CA_NAMES[role]
