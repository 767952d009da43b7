"""Certificates and CRLs parse as what they are, and wrong ones are wrong in the one way asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509 as pyca

from gateway.simulator import amdcerts, intelcerts, keys, seeds, x509build
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.simulator.x509build import Signer
from verifiers.crypto import crl, x509
from verifiers.errors import EndorsementFormatError, Reason

GENOA = SnpMachine()
TDX = TdxMachine()


@pytest.mark.parametrize("trailer_field", [True, False])
def test_both_spellings_of_amds_algorithm_are_those_that_verifiers_know(trailer_field: bool) -> None:
    signer = Signer(keys.amd("Milan", "ARK"), trailer_field=trailer_field)
    assert signer.algorithm in x509.PSS_SHA384
    assert len({Signer(signer.key, trailer_field=flag).algorithm for flag in (True, False)}) == 2


def test_intels_algorithm_is_the_one_that_verifiers_know() -> None:
    assert Signer(keys.intel_root()).algorithm == x509.ECDSA_SHA256


@pytest.mark.parametrize("product", keys.PRODUCTS)
@pytest.mark.parametrize(("kind", "role"), [("VCEK", "ASK"), ("VLEK", "ASVK")])
def test_amd_leaves_have_serial_zero_and_hold_to_their_issuer(product: str, kind: str, role: str) -> None:
    machine = SnpMachine(product=product, signing_key=kind)
    leaf = x509.parse(machine.leaf, "leaf")
    issuer = x509.parse(machine.intermediate(), "issuer")
    ark = x509.parse(machine.ark(), "ARK")
    assert leaf.serial == 0
    assert leaf.subject_cn == f"SEV-{kind}"
    assert leaf.issuer == issuer.subject
    assert issuer.subject_cn == amdcerts.common_name(product, role)
    assert (issuer.is_ca, issuer.path_length, ark.is_ca, ark.may_sign_crls) == (True, 0, True, True)
    assert x509.issued_by(leaf, issuer.public_key)
    assert x509.issued_by(issuer, ark.public_key)
    assert x509.issued_by(ark, ark.public_key)
    assert not x509.issued_by(leaf, ark.public_key)


@pytest.mark.parametrize("ca", sorted(intelcerts.CA_NAMES))
def test_the_intel_chain_holds_to_the_root(ca: str) -> None:
    machine = TdxMachine(ca=ca)
    leaf, issuer, root = (x509.parse(raw, "chain") for raw in machine.pck_chain)
    assert (leaf.subject_cn, issuer.subject_cn) == ("Intel SGX PCK Certificate", intelcerts.CA_NAMES[ca])
    assert leaf.serial == machine.pck_serial
    assert (leaf.issuer, issuer.issuer) == (issuer.subject, root.subject)
    assert x509.issued_by(leaf, issuer.public_key)
    assert x509.issued_by(issuer, root.public_key)
    assert (leaf.is_ca, issuer.is_ca, issuer.path_length) == (False, True, 0)
    assert issuer.may_sign_crls


def test_crls_say_what_was_asked() -> None:
    raw = GENOA.crl(revoked=[amdcerts.serial("Genoa", "ASK"), 0], number=7)
    ark = x509.parse(GENOA.ark(), "ARK")
    found = crl.verify(crl.parse(raw, "CRL"), ark.subject, ark.public_key)
    assert found is not None
    assert (found.number, found.revoked) == (7, frozenset({0x20002, 0}))
    assert (found.this_update, found.next_update) == (
        datetime(2026, 6, 29, 12, tzinfo=UTC),
        datetime(2026, 7, 29, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize("missing", ["nextUpdate", "cRLNumber"])
@pytest.mark.parametrize("mint", [GENOA.crl, TDX.pck_crl, TDX.root_crl], ids=["amd", "pck", "root"])
def test_a_crl_can_lack_a_field_and_is_then_malformed(mint: object, missing: str) -> None:
    raw = mint(drop=[missing])  # type: ignore[operator]
    pyca.load_der_x509_crl(raw)
    with pytest.raises(EndorsementFormatError) as caught:
        crl.parse(raw, "CRL")
    assert caught.value.reason == Reason.CRL_MALFORMED


def test_a_crl_by_another_key_in_the_right_name_does_not_verify() -> None:
    root = x509.parse(keys.intel_root_certificate(), "root")
    forged = crl.parse(TDX.root_crl(sign_with=seeds.p256("x", "stranger")), "CRL")
    assert forged.issuer == root.subject
    assert crl.verify(forged, root.subject, root.public_key) is None
    assert crl.verify(crl.parse(TDX.root_crl(), "CRL"), root.subject, root.public_key) is not None


def test_key_usage_bits_are_those_named() -> None:
    tcb = pyca.load_der_x509_certificate(TDX.tcb_signing_chain()[0])
    usage = tcb.extensions.get_extension_for_class(pyca.KeyUsage).value
    assert (usage.digital_signature, usage.content_commitment, usage.key_cert_sign) == (True, True, False)


def test_a_key_identifier_is_the_sha1_of_the_key_bits() -> None:
    for key in (keys.intel_root().public_key(), keys.amd("Turin", "ASK").public_key()):
        assert x509build.key_id(key) == pyca.SubjectKeyIdentifier.from_public_key(key).digest
