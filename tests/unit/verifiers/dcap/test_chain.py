"""The PCK chain: which certificates are chosen, who may issue a PCK, and what is said about them."""

from __future__ import annotations

import hashlib
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.simulator import intelcerts, keys, x509build
from gateway.simulator.intel import Signing
from gateway.simulator.quotewrite import pem
from gateway.simulator.x509build import CRL_SIGN, KEY_CERT_SIGN
from tests.unit.verifiers.dcap.support import (
    DATA,
    DAY,
    MACHINE,
    NOW,
    STRANGER,
    check,
    found,
    verify,
    with_chain,
)
from verifiers.dcap import roots
from verifiers.errors import Reason
from verifiers.model import AnchorSet, Outcome, Verdict, Verification, first_reason

LEAF, CA, ROOT = MACHINE.pck_chain
PLATFORM = intelcerts.CA_NAMES["platform"]


def issuer(
    *,
    common_name: str = PLATFORM,
    key: ec.EllipticCurvePrivateKey | None = None,
    signer: ec.EllipticCurvePrivateKey | None = None,
    usage: int = KEY_CERT_SIGN | CRL_SIGN,
    is_ca: bool = True,
    path_length: int | None = 0,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 365 * DAY,
) -> bytes:
    """A certificate under the simulator's root with the Platform CA's key, or as said."""
    return x509build.certificate(
        serial=41,
        signer=x509build.Signer(signer or keys.intel_root()),
        issuer=intelcerts.name(intelcerts.ROOT_NAME),
        subject=intelcerts.name(common_name),
        not_before=not_before,
        not_after=not_after,
        key=(key or intelcerts.ca_key("platform")).public_key(),
        extensions=(
            x509build.key_usage(usage),
            x509build.basic_constraints(ca=is_ca, path_length=path_length),
        ),
    )


# --- chosen from what came along -----------------------------------------------------------------


def from_pool(*certificates: bytes, anchors: AnchorSet = AnchorSet.VENDOR_AND_SIMULATED) -> Verification:
    """A quote without a PCK; `certificates` stand before the TCB signing chain."""
    raw = MACHINE.quote(DATA, signing=Signing(certification_type=3, certification=b"x" * 404))
    pool = (*certificates, *MACHINE.tcb_signing_chain())
    return verify(raw, MACHINE.endorsements(certificates=pool, anchors=anchors))


POOR = {
    "expired": issuer(not_before=NOW - 9 * DAY, not_after=NOW - DAY),
    "not-yet": issuer(not_before=NOW + DAY),
    "no-ca": issuer(is_ca=False, path_length=None),
    "no-crls": issuer(usage=KEY_CERT_SIGN),
    "other-root": issuer(signer=STRANGER),
}


@pytest.mark.parametrize("poor", POOR.values(), ids=POOR)
def test_a_poor_certificate_of_the_ca_is_passed_over(poor: bytes) -> None:
    for pool in ((LEAF, poor, CA), (LEAF, CA, poor), (poor, poor, CA, LEAF)):
        assert found(from_pool(*pool)) == (Verdict.ACCEPTED, None)
    assert found(from_pool(LEAF, poor))[0] is not Verdict.ACCEPTED


def test_an_expired_certificate_of_the_pck_is_passed_over() -> None:
    old = MACHINE.pck(not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    for pool in ((old, LEAF, CA), (LEAF, old, CA)):
        assert found(from_pool(*pool)) == (Verdict.ACCEPTED, None)
    assert found(from_pool(old, CA)) == (Verdict.REFUSED, Reason.DCAP_CHAIN_DATES)


def test_a_ca_that_is_to_the_letter_counts_more_than_one_that_is_current() -> None:
    got = from_pool(LEAF, POOR["no-crls"], POOR["expired"])
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN_DATES)


def test_a_pinned_root_counts_more_than_the_simulators(monkeypatch: pytest.MonkeyPatch) -> None:
    """One CA certified under both roots, in a deployment: the simulator's gets in nobody's way."""
    vendor = issuer(common_name=intelcerts.ROOT_NAME, key=STRANGER, signer=STRANGER, path_length=1)
    monkeypatch.setattr(roots, "PINS", {AnchorSet.VENDOR: frozenset({hashlib.sha256(vendor).hexdigest()})})
    ca = issuer(signer=STRANGER)
    for pool in ((LEAF, CA, ROOT, ca, vendor), (LEAF, ca, vendor, ROOT, CA)):
        got = from_pool(*pool, anchors=AnchorSet.VENDOR)
        assert got.chain_valid and not got.simulated
    assert not from_pool(LEAF, CA, ROOT, vendor, anchors=AnchorSet.VENDOR).chain_valid


def test_the_simulators_root_is_named_when_it_is_all_there_is() -> None:
    got = from_pool(LEAF, CA, anchors=AnchorSet.VENDOR)
    assert found(got) == (Verdict.REFUSED, Reason.SIMULATED)
    assert got.simulated and not got.chain_valid


# --- who may issue a PCK -------------------------------------------------------------------------

TCB_SIGNING = (intelcerts.TCB_SIGNING_NAME, intelcerts.tcb_signing_key())


@pytest.mark.parametrize(
    ("ca", "says"),
    [
        pytest.param(issuer(is_ca=False, path_length=None), "may not sign certificates", id="no-ca"),
        pytest.param(issuer(usage=CRL_SIGN), "may not sign certificates", id="no-key-cert-sign"),
        pytest.param(issuer(common_name="Intel SGX Other CA"), "'Intel SGX Other CA'", id="other-name"),
    ],
)
def test_whoever_issues_a_pck_must_be_a_pck_ca(ca: bytes, says: str) -> None:
    """Its key is right and the root signed it; that makes no authority of it."""
    named = MACHINE.pck(issued_by="Intel SGX Other CA") if "Other" in says else LEAF
    for got in (with_chain(named, ca, ROOT), from_pool(named, ca)):
        assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN_NAMES)
        assert not got.chain_valid and not got.authentic and got.signature_valid
        chain = check(got, "dcap.chain")
        assert (chain.outcome, chain.reason) == (Outcome.FAILED, Reason.DCAP_CHAIN_NAMES)
        assert says in chain.found
        assert says in check(got, "dcap.chain-names").found
        # The PCK CRL is not believed on the word of such a CA either.
        assert "collateral.pck_crl" not in got.claims


def test_a_pck_issued_by_the_tcb_signing_key() -> None:
    name, key = TCB_SIGNING
    leaf = MACHINE.pck(sign_with=key, issued_by=name)
    got = with_chain(leaf, intelcerts.tcb_signing_certificate(), ROOT)
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN_NAMES)
    assert not got.chain_valid and not got.authentic


@pytest.mark.parametrize(("length", "holds"), [(None, True), (1, True), (0, False)])
def test_the_path_length_of_the_root(
    length: int | None, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root of our own, pinned for the length of this test: its CA may have no CA below 0."""
    name = intelcerts.name(intelcerts.ROOT_NAME)
    root = x509build.certificate(
        serial=42,
        signer=x509build.Signer(keys.intel_root()),
        issuer=name,
        subject=name,
        not_before=NOW - DAY,
        not_after=NOW + 365 * DAY,
        key=keys.intel_root().public_key(),
        extensions=(
            x509build.key_usage(KEY_CERT_SIGN | CRL_SIGN),
            x509build.basic_constraints(ca=True, path_length=length),
        ),
    )
    pins = frozenset({hashlib.sha256(root).hexdigest()})
    monkeypatch.setattr(roots, "PINS", dict.fromkeys(AnchorSet, pins))
    got = with_chain(LEAF, CA, root)
    assert got.chain_valid is holds
    assert found(got) == ((Verdict.ACCEPTED, None) if holds else (Verdict.REFUSED, Reason.DCAP_CHAIN_NAMES))
    if not holds:
        assert "path length of 'Intel SGX Root CA' is 0" in check(got, "dcap.chain").found


def test_a_ca_that_may_not_sign_crls() -> None:
    """It may issue a PCK, but its CRL counts for nothing."""
    got = with_chain(LEAF, issuer(usage=KEY_CERT_SIGN), ROOT)
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN_NAMES)
    assert got.chain_valid
    assert check(got, "dcap.chain-names").found == "'Intel SGX PCK Platform CA' may not sign CRLs"
    assert check(got, "dcap.revocation").reason == Reason.CRL_SIGNATURE
    assert "collateral.pck_crl" not in got.claims


# --- hostile text --------------------------------------------------------------------------------

HOSTILE = "\x1b[2J\r\nverdict: accepted \u202e".ljust(61, "x") + "!"
"""64 bytes, as long as a common name may be, and longer once it is quoted."""
SHOWN = repr(HOSTILE)[:63] + "…"


def test_text_from_certificates_is_quoted_and_short() -> None:
    """Terminals and logs get escapes and at most 64 characters: what a certificate says is never raw."""
    ended = {"not_before": NOW - 9 * DAY, "not_after": NOW}
    ca = issuer(common_name=HOSTILE, signer=STRANGER, path_length=None, is_ca=False, **ended)
    own = issuer(common_name=HOSTILE, usage=CRL_SIGN, **ended)
    for chain, failing in (
        ((MACHINE.pck(common_name=HOSTILE, **ended), CA, ROOT), {"chain-dates", "chain-names"}),
        ((MACHINE.pck(issued_by=HOSTILE), own, ROOT), {"chain", "chain-dates", "chain-names"}),
        ((MACHINE.pck(issued_by=HOSTILE, **ended), ca, ROOT), {"chain", "chain-dates", "chain-names"}),
    ):
        got = with_chain(*chain)
        for one in got.checks:
            assert one.found.isprintable() and "!" not in one.found, one.id
        for name in failing:
            assert SHOWN in check(got, f"dcap.{name}").found, name


def test_a_revoked_certificate_of_hostile_name_is_quoted() -> None:
    leaf = MACHINE.pck(common_name=HOSTILE)
    got = with_chain(leaf, CA, ROOT, pck_crl=MACHINE.pck_crl(revoked=[MACHINE.pck_serial]))
    assert check(got, "dcap.revocation").found == f"revoked: {SHOWN} (serial {MACHINE.pck_serial:x})"


# --- no leaf to look at --------------------------------------------------------------------------

BROKEN = pem([LEAF])[:300] + pem([LEAF])[400:]


@pytest.mark.parametrize(
    ("kind", "content", "signed"),
    [
        pytest.param(3, b"x" * 404, True, id="encrypted-ppid"),
        pytest.param(5, LEAF + CA + ROOT, True, id="chain-in-der"),
        pytest.param(5, b"nonsense", False, id="nonsense"),
        pytest.param(5, b"", False, id="nothing"),
        pytest.param(5, pem([LEAF, CA, ROOT]) + b"x", False, id="more-behind-the-chain"),
        pytest.param(5, pem([LEAF, CA, ROOT, ROOT]), False, id="four-certificates"),
        pytest.param(5, pem([CA, ROOT]), False, id="no-leaf"),
        pytest.param(5, pem([LEAF, LEAF, CA]), False, id="two-leaves"),
        pytest.param(5, pem([LEAF[:-1], CA, ROOT]), False, id="leaf-cut-short"),
        pytest.param(5, BROKEN, False, id="base64"),
        pytest.param(5, LEAF + CA + ROOT + b"x", False, id="der-and-more"),
        pytest.param(5, LEAF + LEAF + CA + ROOT, False, id="four-in-der"),
        pytest.param(5, b"\x30\x00" * 3, False, id="der-but-no-certificates"),
        pytest.param(4, b"nonsense", False, id="leaf-nonsense"),
        pytest.param(4, pem([LEAF[:-1]]), False, id="leaf-unreadable"),
    ],
)
def test_signature_valid_without_a_leaf(kind: int, content: bytes, signed: bool) -> None:
    """True only as far as can be said; a chain that was brought and cannot be read is not "nothing said"."""
    raw = MACHINE.quote(DATA, signing=Signing(certification_type=kind, certification=content))
    got = verify(raw, MACHINE.endorsements())
    assert got.signature_valid is signed
    assert not got.chain_valid and not got.authentic
    assert got.verdict is not Verdict.ACCEPTED
    assert check(got, "dcap.qe-report-signature").outcome is Outcome.UNKNOWN
    reason = Reason.DCAP_PCK_MISSING if kind == 3 else Reason.CERTIFICATE_MALFORMED
    assert first_reason(got.checks) == reason
