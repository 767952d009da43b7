"""Which documents count, of several: by signer, by platform, and never by what another root says."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import pytest

from gateway.simulator import intelcerts, keys, seeds, x509build
from gateway.simulator.intel import TdxMachine
from tests.unit.verifiers.dcap.support import DATA, DAY, MACHINE, NOW, STRANGER, check, found, verify
from tests.vectors.tdx_vectors import Cache
from verifiers.dcap import roots
from verifiers.errors import Reason
from verifiers.model import AnchorSet, Endorsements, Outcome, Verdict, Verification

FORMER = seeds.p256("", "a former TCB signing key")
ROOT = keys.intel_root_certificate()


@functools.cache
def former_certificate(serial: int) -> bytes:
    """A TCB Signing certificate of the former key, under any serial number."""
    return x509build.certificate(
        serial=serial,
        signer=x509build.Signer(keys.intel_root()),
        issuer=intelcerts.name(intelcerts.ROOT_NAME),
        subject=intelcerts.name(intelcerts.TCB_SIGNING_NAME),
        not_before=NOW - DAY,
        not_after=NOW + 365 * DAY,
        key=FORMER.public_key(),
        extensions=(x509build.basic_constraints(ca=False),),
    )


def with_pool(endorsements: Endorsements, **changed: Any) -> Verification:
    return verify(MACHINE.quote(DATA), dataclasses.replace(endorsements, **changed))


# --- revoked signers -----------------------------------------------------------------------------

OLD = {
    "tcb_infos": MACHINE.tcb_info(sign_with=FORMER, tcbEvaluationDataNumber=17),
    "qe_identities": MACHINE.qe_identity(sign_with=FORMER, tcbEvaluationDataNumber=17),
}
REVOKED_77 = MACHINE.endorsements(
    root_crl=MACHINE.root_crl(revoked=[77]),
    certificates=(former_certificate(77), *MACHINE.tcb_signing_chain()),
)


@pytest.mark.parametrize("kind", ["tcb_infos", "qe_identities"])
@pytest.mark.parametrize("number", [17, 99], ids=["superseded", "higher"])
def test_a_document_of_a_revoked_signer_is_left_aside(kind: str, number: int) -> None:
    """It neither counts nor refuses, as long as somebody else signed another one."""
    make = MACHINE.tcb_info if kind == "tcb_infos" else MACHINE.qe_identity
    old = make(sign_with=FORMER, tcbEvaluationDataNumber=number)
    good = getattr(REVOKED_77, kind)
    for documents in ((old, *good), (*good, old)):
        got = with_pool(REVOKED_77, **{kind: documents})
        assert found(got) == (Verdict.ACCEPTED, None)
        assert got.used == with_pool(REVOKED_77).used


@pytest.mark.parametrize(
    ("kind", "asks"), [("tcb_infos", "dcap.tcb-info"), ("qe_identities", "dcap.qe-identity-document")]
)
def test_every_document_of_a_kind_has_a_revoked_signer(kind: str, asks: str) -> None:
    got = with_pool(REVOKED_77, **{kind: (OLD[kind],)})
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_REVOKED)
    for name in ("dcap.revocation", asks):
        assert (check(got, name).outcome, check(got, name).reason) == (Outcome.FAILED, Reason.DCAP_REVOKED)
        assert "'Intel SGX TCB Signing' (serial 4d)" in check(got, name).found
    assert got.tcb.status is None


def test_a_key_certified_again_after_one_certificate_was_revoked() -> None:
    """The document stands by the certificate that is left, and that one is named."""
    for serials in ((77, 78), (78, 77)):
        certificates = (*(former_certificate(serial) for serial in serials), ROOT)
        got = with_pool(REVOKED_77, certificates=certificates, **{k: (v,) for k, v in OLD.items()})
        assert found(got) == (Verdict.ACCEPTED, None)
        left = dataclasses.replace(REVOKED_77, certificates=(former_certificate(78), ROOT))
        assert got.used == with_pool(left, **{k: (v,) for k, v in OLD.items()}).used


def test_a_revoked_signer_of_a_document_about_something_else() -> None:
    other = MACHINE.tcb_info(sign_with=FORMER, fmspc="00806F050000")
    got = with_pool(REVOKED_77, tcb_infos=(other, *REVOKED_77.tcb_infos))
    assert found(got) == (Verdict.ACCEPTED, None)


def test_a_signer_revoked_only_later() -> None:
    later = MACHINE.root_crl(revoked=[77], this_update=NOW + DAY, number=2)
    endorsements = dataclasses.replace(REVOKED_77, crls=(MACHINE.pck_crl(), MACHINE.root_crl(), later))
    got = with_pool(endorsements, **{k: (v,) for k, v in OLD.items()})
    assert found(got) == (Verdict.ACCEPTED, None)


# --- two platforms of one FMSPC ------------------------------------------------------------------

PCE_1 = TdxMachine(pce_id=b"\1\0")


def test_of_two_pceids_each_platform_has_its_own_tcb_info() -> None:
    """One pool, one cache, either order: neither document gets in the way of the other's platform."""
    infos = (
        MACHINE.tcb_info(tcbEvaluationDataNumber=30),
        PCE_1.tcb_info(tcbEvaluationDataNumber=31),
    )
    for given in (infos, infos[::-1]):
        pool = dataclasses.replace(MACHINE.endorsements(cache=Cache()), tcb_infos=given)
        for machine, number in ((MACHINE, 30), (PCE_1, 31), (MACHINE, 30)):
            got = verify(machine.quote(DATA), pool)
            assert found(got) == (Verdict.ACCEPTED, None)
            assert got.claims["tdx.tcb.evaluation_number"] == number


def test_a_tcb_info_of_another_pceid_alone() -> None:
    got = with_pool(MACHINE.endorsements(), tcb_infos=(PCE_1.tcb_info(),))
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_PCEID_MISMATCH)
    assert "PCEID 0100" in check(got, "dcap.tcb-info").found
    assert "PCEID 0000" in check(got, "dcap.tcb-info").found
    assert got.missing


# --- another root --------------------------------------------------------------------------------


def test_a_signer_under_another_pinned_root_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two roots are believed and have one name; the chain's own is the only one that vouches for signers."""
    name = intelcerts.name(intelcerts.ROOT_NAME)
    root, signer = (
        x509build.certificate(
            serial=5,
            signer=x509build.Signer(STRANGER),
            issuer=name,
            subject=name if is_ca else intelcerts.name(intelcerts.TCB_SIGNING_NAME),
            not_before=NOW - DAY,
            not_after=NOW + DAY,
            key=key.public_key(),
            extensions=(x509build.basic_constraints(ca=is_ca),),
        )
        for is_ca, key in ((True, STRANGER), (False, FORMER))
    )
    pins = frozenset({hashlib.sha256(one).hexdigest() for one in (root, ROOT)})
    monkeypatch.setattr(roots, "PINS", dict.fromkeys(AnchorSet, pins))
    for certificates in ((root, signer, ROOT), (ROOT, signer, root)):
        got = with_pool(
            MACHINE.endorsements(certificates=certificates),
            tcb_infos=(OLD["tcb_infos"],),
            qe_identities=(OLD["qe_identities"],),
        )
        assert got.chain_valid
        assert found(got) == (Verdict.UNDECIDED, Reason.DCAP_TCB_CHAIN_MISSING)
