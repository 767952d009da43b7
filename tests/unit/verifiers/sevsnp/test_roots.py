"""The pinned keys: figures that hash to their digests, names that are AMD's."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.simulator import amdcerts
from verifiers.crypto import x509
from verifiers.sevsnp import roots
from verifiers.sevsnp.product import Product
from verifiers.sevsnp.roots import Anchor, Role

EVERY = [pytest.param(a, id=f"{a.cn}{'-simulated' * a.simulated}") for a in roots.ALL]


@pytest.mark.parametrize("anchor", EVERY)
def test_modulus_hashes_to_its_digest(anchor: Anchor) -> None:
    spki = anchor.key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert hashlib.sha256(spki).hexdigest() == anchor.spki_sha256
    assert anchor.key.key_size == 4096
    assert anchor.key.public_numbers().e == 65537


def test_a_wrong_modulus_is_noticed_at_import() -> None:
    facts = roots._VENDOR["Milan", "ARK"]
    with pytest.raises(RuntimeError, match="Genoa ARK"):
        roots._anchor(
            Product.GENOA,
            Role.ARK,
            roots._Facts(
                facts.serial,
                facts.not_before,
                facts.not_after,
                facts.cert_sha256,
                facts.spki_sha256,
                facts.modulus[:-1] + "0",
            ),
        )


def test_every_key_is_pinned_once() -> None:
    assert len(roots.VENDOR) == len(roots.SIMULATED) == len(Product) * len(Role) == 9
    assert len({anchor.spki_sha256 for anchor in roots.ALL}) == 18
    assert not any(anchor.simulated for anchor in roots.VENDOR.values())
    assert all(anchor.simulated for anchor in roots.SIMULATED.values())


@pytest.mark.parametrize("line", Product)
@pytest.mark.parametrize("role", Role)
def test_the_simulator_mints_what_is_expected_of_it(line: Product, role: Role) -> None:
    """Same names, serials and windows; the keys, and so the trust, are its own."""
    cert = x509.parse(amdcerts.issuer(line.value, role.value), "simulated")
    pin = roots.SIMULATED[line, role]
    assert (cert.subject, cert.subject_cn, cert.serial) == (pin.subject, pin.cn, pin.serial)
    assert (cert.not_before, cert.not_after) == (pin.not_before, pin.not_after)
    assert hashlib.sha256(cert.spki).hexdigest() == pin.spki_sha256
    assert x509.issued_by(cert, roots.ark_of(pin).key)
    assert not x509.issued_by(cert, roots.VENDOR[line, Role.ARK].key)


def test_names_are_der() -> None:
    assert roots.name_der("ARK-Milan")[:2] == b"\x30\x7b"
    # From 128 bytes of content on, DER takes a second length octet.
    assert roots.name_der("SEV-VLEK-Milan")[:3] == b"\x30\x81\x80"
