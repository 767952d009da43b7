"""Which documents count, of several: by signer, by platform, and never by what another root says."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import pytest

from gateway.simulator import intelcerts, keys, seeds, x509build
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from tests.unit.verifiers.dcap.support import DATA, DAY, MACHINE, NOW, STRANGER, check, found, verify
from tests.vectors.tdx_vectors import Cache
from verifiers.crypto.crl import MAX_VERIFIED
from verifiers.dcap import collateral, roots
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


# --- a store full of junk ------------------------------------------------------------------------------


def forged(good: bytes, number: int) -> tuple[bytes, ...]:
    """`good`, a CRL, with another last byte of the signature each time."""
    endings = (at.to_bytes(2, "big") for at in range(number))
    return tuple(good[:-2] + end for end in endings if end != good[-2:])


PAST = {"this_update": NOW - 90 * DAY, "next_update": NOW - 60 * DAY}
NEWER = {"this_update": NOW - DAY / 24, "next_update": NOW + 30 * DAY}
CRL_HEAPS = {
    "junk": tuple(b"junk %d" % n for n in range(400)),
    "amd": tuple(SnpMachine(product="Milan").crl(number=n) for n in range(40)),
    "superseded": tuple(MACHINE.crl(ca, number=n, **PAST) for n in range(40) for ca in ("platform", "root")),
    "forged-and-older": (*forged(MACHINE.root_crl(**PAST), 400), *forged(MACHINE.pck_crl(**PAST), 400)),
    "forged-and-newer": forged(MACHINE.root_crl(**NEWER), MAX_VERIFIED - 10),
}


@pytest.mark.parametrize("heap", CRL_HEAPS)
def test_no_heap_of_crls_hides_the_current_ones(heap: str) -> None:
    good = MACHINE.endorsements()
    for crls in ((*CRL_HEAPS[heap], *good.crls), (*good.crls, *CRL_HEAPS[heap])):
        got = with_pool(good, crls=crls)
        assert found(got) == (Verdict.ACCEPTED, None)
        used = {hashlib.sha256(raw).hexdigest() for raw in good.crls}
        assert {got.used["root_crl"], got.used["pck_crl"]} == used


@pytest.mark.parametrize("which", ["root", "platform"])
@pytest.mark.parametrize("more", [-1, 0])
def test_more_forged_crls_than_are_looked_at(which: str, more: int) -> None:
    """Newer than the current one: nobody can tell, and the answer is no."""
    good = MACHINE.endorsements()
    heap = forged(MACHINE.crl(which, **NEWER), MAX_VERIFIED + 2)[: MAX_VERIFIED + more]
    got = with_pool(good, crls=(*good.crls, *heap))
    if more < 0:
        assert found(got) == (Verdict.ACCEPTED, None)
    else:
        assert found(got) == (Verdict.UNDECIDED, Reason.COLLATERAL_TOO_MANY)
        settled = (Outcome.PASSED, Outcome.NOT_CHECKED)  # nobody sent an event log
        assert [c.id for c in got.checks if c.outcome not in settled] == ["dcap.revocation"]


OTHERS = tuple(
    TdxMachine(fmspc=number.to_bytes(6, "big")).tcb_info() for number in range(collateral.MAX_DOCUMENTS + 1)
)


def test_tcb_infos_of_other_platforms_hide_none() -> None:
    good = MACHINE.endorsements()
    got = with_pool(good, tcb_infos=(*OTHERS, *good.tcb_infos))
    assert found(got) == (Verdict.ACCEPTED, None)
    alone = with_pool(good, tcb_infos=OTHERS)
    assert found(alone) == (Verdict.UNDECIDED, Reason.COLLATERAL_TOO_MANY)
    assert check(alone, "dcap.tcb-info").reason == Reason.COLLATERAL_TOO_MANY


def test_qe_identities_of_other_enclaves_hide_none() -> None:
    good = MACHINE.endorsements()
    other = SgxMachine().qe_identity()
    heap = tuple(other + b" " * n for n in range(collateral.MAX_DOCUMENTS + 1))
    got = with_pool(good, qe_identities=(*heap, *good.qe_identities))
    assert found(got) == (Verdict.ACCEPTED, None)
    assert found(with_pool(good, qe_identities=heap)) == (Verdict.UNDECIDED, Reason.COLLATERAL_TOO_MANY)


@pytest.mark.parametrize("more", [-1, 0])
def test_more_forged_tcb_infos_than_are_looked_at(more: int) -> None:
    good = MACHINE.endorsements()
    wrong = MACHINE.tcb_info(sign_with=STRANGER)
    heap = tuple(wrong + b" " * n for n in range(collateral.MAX_DOCUMENTS + more))
    got = with_pool(good, tcb_infos=(*heap, *good.tcb_infos))
    wanted = (Verdict.UNDECIDED, Reason.COLLATERAL_TOO_MANY) if more == 0 else (Verdict.ACCEPTED, None)
    assert found(got) == wanted
