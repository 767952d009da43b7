"""The common steps on simulated machines: one thing wrong in otherwise good evidence, the exact finding."""

from __future__ import annotations

import dataclasses
from datetime import timedelta, timezone
from typing import Any

import pytest

from gateway.simulator import intelcerts, keys, x509build
from gateway.simulator.intel import SgxMachine, Signing, TdxMachine
from gateway.simulator.quotewrite import pem
from gateway.simulator.x509build import Extension
from tests.support import needs_vectors
from tests.unit.verifiers.dcap.support import (
    DATA,
    DAY,
    MACHINE,
    NOW,
    SECOND,
    STRANGER,
    check,
    found,
    verify,
    with_chain,
    with_endorsements,
)
from tests.vectors import tdx_vectors
from verifiers.errors import Reason
from verifiers.model import (
    AnchorSet,
    Outcome,
    Unbound,
    Verdict,
    Verification,
)

CHECKS = (
    "dcap.header",
    "dcap.chain",
    "dcap.chain-names",
    "dcap.chain-dates",
    "dcap.revocation",
    "dcap.qe-report-signature",
    "dcap.attestation-key-binding",
    "dcap.signature",
    "dcap.tcb-info",
    "dcap.qe-identity-document",
    "dcap.qe-identity",
    "dcap.tcb",
)


# --- good ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(TdxMachine(), id="tdx-v4"),
        pytest.param(TdxMachine(version=5), id="tdx-v5"),
        pytest.param(TdxMachine(version=5, body="1.0"), id="tdx-v5-1.0"),
        pytest.param(TdxMachine(version=5, body="1.5ex"), id="tdx-v5-extended"),
        pytest.param(TdxMachine(ca="processor"), id="tdx-processor-ca"),
        pytest.param(SgxMachine(), id="sgx"),
        pytest.param(SgxMachine(ca="processor"), id="sgx-processor-ca"),
    ],
)
def test_good(machine: TdxMachine | SgxMachine) -> None:
    got = verify(machine.quote(DATA), machine.endorsements())
    assert found(got) == (Verdict.ACCEPTED, None)
    assert (got.signature_valid, got.chain_valid, got.simulated) == (True, True, True)
    assert got.tcb.status == "UpToDate"
    assert got.claims["evidence.simulated"] is True
    tdx = ("tdx.attributes", "tdx.xfam", "tdx.seam", "tdx.event-log")
    own = tdx if machine.TEE == "TDX" else ("sgx.attributes",)
    assert tuple(check.id for check in got.checks) == (
        *CHECKS,
        *own,
        "binding.report-data",
        "evidence.simulated",
    )
    assert got.expires == NOW + 29 * DAY
    assert set(got.used) == {
        *("pck", "pck_ca", "root", "tcb_signing", "qe_identity_signing"),
        *("tcb_info", "qe_identity", "root_crl", "pck_crl"),
    }


def test_simulated_evidence_is_refused_outside_development() -> None:
    got = with_endorsements(anchors=AnchorSet.VENDOR)
    assert found(got) == (Verdict.REFUSED, Reason.SIMULATED)
    assert not got.chain_valid and not got.authentic
    assert got.simulated
    last = got.checks[-1]
    assert (last.id, last.outcome, last.reason) == ("evidence.simulated", Outcome.FAILED, Reason.SIMULATED)
    assert got.tcb.status is None


def test_a_level_that_is_only_old_is_left_to_the_baseline() -> None:
    got = with_endorsements(TdxMachine(level="OutOfDate"))
    assert found(got) == (Verdict.ACCEPTED, None)
    assert got.tcb.status == "OutOfDate"


def test_a_revoked_level_is_refused() -> None:
    assert found(with_endorsements(TdxMachine(level="Revoked"))) == (Verdict.REFUSED, Reason.DCAP_TCB_REVOKED)


@pytest.mark.parametrize("machine", [MACHINE, SgxMachine()], ids=["tdx", "sgx"])
@pytest.mark.parametrize("cached", [False, True])
def test_a_time_that_is_not_utc(machine: TdxMachine | SgxMachine, cached: bool) -> None:
    endorsements = machine.endorsements(cache=tdx_vectors.Cache() if cached else None)
    raw = machine.quote(DATA)
    if cached:
        assert verify(raw, endorsements).verdict is Verdict.ACCEPTED
    for now in (NOW.replace(tzinfo=None), NOW.astimezone(timezone(timedelta(hours=1)))):
        with pytest.raises(ValueError, match="aware UTC"):
            verify(raw, endorsements, now=now)


# --- report data ---------------------------------------------------------------------------------


def test_nobody_compares_report_data() -> None:
    got = verify(MACHINE.quote(DATA), MACHINE.endorsements(), binding=Unbound("no challenge"))
    check = next(c for c in got.checks if c.id == "binding.report-data")
    assert (check.outcome, check.reason) == (Outcome.NOT_CHECKED, Reason.REPORT_DATA_NOT_COMPARED)
    assert "no challenge" in check.found
    assert got.verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("machine", [MACHINE, SgxMachine()], ids=["tdx", "sgx"])
@pytest.mark.parametrize("at", [0, 31, 32, 63])
def test_report_data_differs(machine: TdxMachine | SgxMachine, at: int) -> None:
    other = bytearray(DATA)
    other[at] ^= 1
    got = verify(machine.quote(bytes(other)), machine.endorsements())
    assert found(got) == (Verdict.REFUSED, Reason.REPORT_DATA_MISMATCH)
    assert got.authentic


# --- header --------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["qe_svn", "pce_svn"])
def test_reserved_header_fields(field: str) -> None:
    got = verify(MACHINE.quote(DATA, **{field: 1}), MACHINE.endorsements())
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_HEADER)


def test_another_vendor() -> None:
    got = verify(MACHINE.quote(DATA, qe_vendor_id=bytes(16)), MACHINE.endorsements())
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_HEADER)


def test_sgx_headers_carry_svns() -> None:
    got = verify(SgxMachine().quote(DATA, qe_svn=9, pce_svn=9), SgxMachine().endorsements())
    assert found(got) == (Verdict.ACCEPTED, None)


# --- chain ---------------------------------------------------------------------------------------

LEAF, CA, ROOT = MACHINE.pck_chain


def test_the_chain_may_come_in_any_order() -> None:
    for chain in ((LEAF, ROOT, CA), (ROOT, CA, LEAF), (CA, LEAF, ROOT)):
        assert found(with_chain(*chain)) == (Verdict.ACCEPTED, None)


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        pytest.param((LEAF,), Reason.DCAP_CHAIN, id="leaf-only"),
        pytest.param((LEAF, CA), Reason.DCAP_CHAIN, id="no-root"),
        pytest.param((LEAF, ROOT), Reason.DCAP_CHAIN, id="no-ca"),
        pytest.param((CA, ROOT), Reason.CERTIFICATE_MALFORMED, id="no-leaf"),
        pytest.param((LEAF, LEAF, CA), Reason.CERTIFICATE_MALFORMED, id="two-leaves"),
        pytest.param((LEAF, CA, ROOT, ROOT), Reason.CERTIFICATE_MALFORMED, id="four"),
        pytest.param((LEAF, ROOT, ROOT), Reason.DCAP_CHAIN, id="two-roots"),
        pytest.param((LEAF, intelcerts.ca_certificate("processor"), ROOT), Reason.DCAP_CHAIN, id="other-ca"),
    ],
)
def test_a_chain_of_other_certificates(chain: tuple[bytes, ...], reason: Reason) -> None:
    got = with_chain(*chain)
    assert found(got) == (Verdict.REFUSED, reason)
    assert not got.chain_valid


def test_a_root_of_the_right_name_is_not_a_root() -> None:
    """Intel's sample chains have the names of the real ones: the digest decides."""
    name = intelcerts.name(intelcerts.ROOT_NAME)
    usage = x509build.KEY_CERT_SIGN | x509build.CRL_SIGN
    fake_root, fake_ca = (
        x509build.certificate(
            serial=7,
            signer=x509build.Signer(STRANGER),
            issuer=name,
            subject=subject,
            not_before=NOW - DAY,
            not_after=NOW + DAY,
            key=STRANGER.public_key(),
            extensions=(x509build.key_usage(usage), x509build.basic_constraints(ca=True, path_length=length)),
        )
        for subject, length in ((name, 1), (intelcerts.name(intelcerts.CA_NAMES["platform"]), 0))
    )
    got = with_chain(MACHINE.pck(sign_with=STRANGER), fake_ca, fake_root)
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN)
    assert not got.chain_valid
    assert got.signature_valid


def test_a_leaf_that_the_ca_did_not_sign() -> None:
    got = with_chain(MACHINE.pck(sign_with=STRANGER), CA, ROOT)
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN)
    assert got.tcb.status == "UpToDate"


@pytest.mark.parametrize(
    "leaf",
    [
        pytest.param(MACHINE.pck(common_name="Intel SGX Other Certificate"), id="leaf-name"),
        pytest.param(MACHINE.pck(issued_by=intelcerts.CA_NAMES["processor"]), id="issuer-name"),
        pytest.param(MACHINE.pck(extra=(Extension("1.2.3.4", b"\5\0", critical=True),)), id="critical"),
    ],
)
def test_names_and_flags(leaf: bytes) -> None:
    got = with_chain(leaf, CA, ROOT)
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN_NAMES)
    assert got.chain_valid


def test_a_ca_that_is_none() -> None:
    got = with_chain(LEAF, intelcerts.ca_certificate("platform", is_ca=False), ROOT)
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_CHAIN_NAMES)
    assert not got.chain_valid


def test_an_unknown_extension_that_is_not_critical() -> None:
    assert found(with_chain(MACHINE.pck(extra=(Extension("1.2.3.4", b"\5\0"),)), CA, ROOT))[1] is None


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        pytest.param(NOW, NOW + SECOND, None, id="first-second"),
        pytest.param(NOW + SECOND, NOW + DAY, Reason.DCAP_CHAIN_DATES, id="not-yet"),
        pytest.param(NOW - DAY, NOW, Reason.DCAP_CHAIN_DATES, id="ends-now"),
        pytest.param(NOW - DAY, NOW - SECOND, Reason.DCAP_CHAIN_DATES, id="ended"),
    ],
)
@pytest.mark.parametrize("which", ["pck", "ca", "tcb-signing"])
def test_validity_of_certificates(which: str, before: Any, after: Any, reason: Reason | None) -> None:
    chain, certificates = [LEAF, CA, ROOT], MACHINE.tcb_signing_chain()
    if which == "pck":
        chain[0] = MACHINE.pck(not_before=before, not_after=after)
    elif which == "ca":
        chain[1] = intelcerts.ca_certificate("platform", not_before=before, not_after=after)
    else:
        signing = intelcerts.tcb_signing_certificate(not_before=before, not_after=after)
        certificates = (signing, ROOT)
    got = with_chain(*chain, certificates=certificates)
    assert found(got) == (Verdict.REFUSED if reason else Verdict.ACCEPTED, reason)
    assert got.chain_valid
    assert got.tcb.status == "UpToDate"


def test_a_renewed_tcb_signing_certificate_replaces_the_expired_one() -> None:
    """The same key, certified twice, as Intel did in 2025."""
    old = intelcerts.tcb_signing_certificate(not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    new = intelcerts.tcb_signing_certificate()
    for certificates in ((old, new, ROOT), (new, old, ROOT)):
        assert found(with_chain(LEAF, CA, ROOT, certificates=certificates))[1] is None


# --- certification data without a chain -----------------------------------------------------------


def without_chain(kind: int, *certificates: bytes, content: bytes = b"x" * 404) -> Verification:
    raw = MACHINE.quote(DATA, signing=Signing(certification_type=kind, certification=content))
    return verify(raw, MACHINE.endorsements(certificates=(*certificates, *MACHINE.tcb_signing_chain())))


@pytest.mark.parametrize("kind", [1, 2, 3, 7])
def test_the_pck_comes_with_the_endorsements(kind: int) -> None:
    assert found(without_chain(kind, CA, LEAF)) == (Verdict.ACCEPTED, None)
    other = TdxMachine(seed="machine-2").pck()
    assert found(without_chain(kind, CA, other, LEAF)) == (Verdict.ACCEPTED, None)
    got = without_chain(kind, CA, other)
    assert found(got) == (Verdict.UNDECIDED, Reason.DCAP_PCK_MISSING)
    assert not got.authentic


def test_the_ca_of_a_pck_is_missing() -> None:
    assert found(without_chain(3, LEAF)) == (Verdict.REFUSED, Reason.DCAP_CHAIN)


def test_certification_data_of_type_4_is_the_leaf_alone() -> None:
    assert found(without_chain(4, CA, content=pem([LEAF]))) == (Verdict.ACCEPTED, None)
    got = without_chain(4, CA, content=pem([LEAF, CA, ROOT]))
    assert found(got) == (Verdict.REFUSED, Reason.CERTIFICATE_MALFORMED)


# --- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signing", "reason"),
    [
        pytest.param(Signing(key=STRANGER), Reason.DCAP_SIGNATURE, id="body"),
        pytest.param(Signing(pck_key=STRANGER), Reason.DCAP_QE_SIGNATURE, id="qe-report"),
        pytest.param(Signing(bound_key=bytes(64)), Reason.DCAP_KEY_BINDING, id="binding"),
        pytest.param(Signing(attestation_key=bytes(64)), Reason.DCAP_KEY_BINDING, id="no-point"),
        pytest.param(Signing(qe_patch={383: b"\1"}), Reason.DCAP_KEY_BINDING, id="upper-half"),
    ],
)
def test_signatures(signing: Signing, reason: Reason) -> None:
    got = verify(MACHINE.quote(DATA, signing=signing), MACHINE.endorsements())
    assert found(got) == (Verdict.REFUSED, reason)
    assert not got.signature_valid
    assert got.chain_valid
    assert got.claims["tdx.report_data"] == DATA


@pytest.mark.parametrize("auth_data", [b"", b"x", bytes(1000)])
def test_authentication_data_of_any_length(auth_data: bytes) -> None:
    got = verify(MACHINE.quote(DATA, signing=Signing(auth_data=auth_data)), MACHINE.endorsements())
    assert found(got) == (Verdict.ACCEPTED, None)


# --- CRLs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param(
            {"pck_crl": MACHINE.pck_crl(revoked=[MACHINE.pck_serial])},
            (Verdict.REFUSED, Reason.DCAP_REVOKED),
            id="pck-revoked",
        ),
        pytest.param(
            {"pck_crl": MACHINE.pck_crl(revoked=[MACHINE.pck_serial + 1])},
            (Verdict.ACCEPTED, None),
            id="neighbour",
        ),
        pytest.param(
            {
                "root_crl": MACHINE.root_crl(
                    revoked=[intelcerts.serial(intelcerts.ca_key("platform").public_key())]
                )
            },
            (Verdict.REFUSED, Reason.DCAP_REVOKED),
            id="ca-revoked",
        ),
        pytest.param(
            {
                "root_crl": MACHINE.root_crl(
                    revoked=[intelcerts.serial(intelcerts.tcb_signing_key().public_key())]
                )
            },
            (Verdict.REFUSED, Reason.DCAP_REVOKED),
            id="tcb-signing-revoked",
        ),
        pytest.param(
            {
                "pck_crl": MACHINE.pck_crl(
                    revoked=[MACHINE.pck_serial], this_update=NOW - 9 * DAY, next_update=NOW - DAY
                )
            },
            (Verdict.REFUSED, Reason.DCAP_REVOKED),
            id="revoked-long-ago",
        ),
        pytest.param(
            {"pck_crl": MACHINE.pck_crl(this_update=NOW - DAY, next_update=NOW)},
            (Verdict.UNDECIDED, Reason.CRL_EXPIRED),
            id="pck-crl-ends-now",
        ),
        pytest.param(
            {"pck_crl": MACHINE.pck_crl(this_update=NOW - DAY, next_update=NOW + SECOND)},
            (Verdict.ACCEPTED, None),
            id="pck-crl-last-second",
        ),
        pytest.param(
            {"root_crl": MACHINE.root_crl(this_update=NOW, next_update=NOW + DAY)},
            (Verdict.ACCEPTED, None),
            id="root-crl-first-second",
        ),
        pytest.param(
            {"root_crl": MACHINE.root_crl(this_update=NOW + SECOND, next_update=NOW + DAY)},
            (Verdict.UNDECIDED, Reason.CRL_NOT_YET_VALID),
            id="root-crl-not-yet",
        ),
        pytest.param(
            {"pck_crl": MACHINE.pck_crl(sign_with=STRANGER)},
            (Verdict.REFUSED, Reason.CRL_SIGNATURE),
            id="pck-crl-forged",
        ),
        pytest.param(
            {"root_crl": MACHINE.root_crl(sign_with=intelcerts.ca_key("platform"))},
            (Verdict.REFUSED, Reason.CRL_SIGNATURE),
            id="root-crl-signed-by-the-ca",
        ),
        pytest.param(
            {"pck_crl": MACHINE.crl("processor")},
            (Verdict.UNDECIDED, Reason.DCAP_PCK_CRL_MISSING),
            id="crl-of-the-other-ca",
        ),
        pytest.param(
            {"drop": ["pck_crl"]}, (Verdict.UNDECIDED, Reason.DCAP_PCK_CRL_MISSING), id="no-pck-crl"
        ),
        pytest.param(
            {"drop": ["root_crl"]}, (Verdict.UNDECIDED, Reason.DCAP_ROOT_CRL_MISSING), id="no-root-crl"
        ),
        pytest.param(
            {"pck_crl": MACHINE.pck_crl(drop=["nextUpdate"])},
            (Verdict.REFUSED, Reason.CRL_MALFORMED),
            id="no-next-update",
        ),
        pytest.param({"pck_crl": b"nonsense"}, (Verdict.REFUSED, Reason.CRL_MALFORMED), id="nonsense"),
    ],
)
def test_revocation(changed: dict[str, Any], expected: tuple[Verdict, Reason | None]) -> None:
    got = with_endorsements(**changed)
    assert found(got) == expected
    assert got.authentic
    needed = {need.kind for need in got.missing}
    if expected[0] is Verdict.UNDECIDED:
        assert needed and needed <= {"intel.pck-crl", "intel.root-crl"}


# --- documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(sign_with=STRANGER)},
            (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE),
            id="tcb-info-forged",
        ),
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(nextUpdate=NOW)},
            (Verdict.UNDECIDED, Reason.COLLATERAL_EXPIRED),
            id="tcb-info-ends-now",
        ),
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(nextUpdate=NOW + SECOND)},
            (Verdict.ACCEPTED, None),
            id="last-second",
        ),
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(issueDate=NOW)}, (Verdict.ACCEPTED, None), id="first-second"
        ),
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(issueDate=NOW + SECOND)},
            (Verdict.UNDECIDED, Reason.COLLATERAL_NOT_YET_VALID),
            id="tcb-info-not-yet",
        ),
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(fmspc="00806F050000")},
            (Verdict.REFUSED, Reason.DCAP_FMSPC_MISMATCH),
            id="other-fmspc",
        ),
        pytest.param(
            {"tcb_info": SgxMachine().tcb_info()}, (Verdict.REFUSED, Reason.DCAP_WRONG_TEE), id="sgx-tcb-info"
        ),
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(pceId="0001")},
            (Verdict.REFUSED, Reason.DCAP_PCEID_MISMATCH),
            id="other-pceid",
        ),
        pytest.param(
            {"tcb_info": MACHINE.tcb_info(version=2)},
            (Verdict.REFUSED, Reason.COLLATERAL_MALFORMED),
            id="version",
        ),
        pytest.param(
            {"drop": ["tcb_info"]}, (Verdict.UNDECIDED, Reason.DCAP_TCB_INFO_MISSING), id="no-tcb-info"
        ),
        pytest.param(
            {"drop": ["qe_identity"]}, (Verdict.UNDECIDED, Reason.DCAP_QE_IDENTITY_MISSING), id="no-identity"
        ),
        pytest.param(
            {"qe_identity": SgxMachine().qe_identity()},
            (Verdict.REFUSED, Reason.DCAP_WRONG_TEE),
            id="sgx-identity",
        ),
        pytest.param(
            {"qe_identity": MACHINE.qe_identity(id="QVE")},
            (Verdict.REFUSED, Reason.DCAP_WRONG_TEE),
            id="identity-of-another-enclave",
        ),
        pytest.param(
            {"qe_identity": MACHINE.qe_identity(sign_with=STRANGER)},
            (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE),
            id="identity-forged",
        ),
        pytest.param(
            {"qe_identity": MACHINE.qe_identity(nextUpdate=NOW)},
            (Verdict.UNDECIDED, Reason.COLLATERAL_EXPIRED),
            id="identity-ends-now",
        ),
        pytest.param(
            {"qe_identity": MACHINE.qe_identity(mrsigner="00" * 32)},
            (Verdict.REFUSED, Reason.DCAP_QE_IDENTITY),
            id="another-signer",
        ),
        pytest.param(
            {"certificates": ()}, (Verdict.UNDECIDED, Reason.DCAP_TCB_CHAIN_MISSING), id="no-tcb-signing"
        ),
        pytest.param(
            {"certificates": (LEAF, CA, ROOT)},
            (Verdict.UNDECIDED, Reason.DCAP_TCB_CHAIN_MISSING),
            id="a-pck-signs-no-collateral",
        ),
    ],
)
def test_collateral(changed: dict[str, Any], expected: tuple[Verdict, Reason | None]) -> None:
    got = with_endorsements(**changed)
    assert found(got) == expected
    assert got.authentic
    assert (got.tcb.status is None) is (expected[1] not in (None, Reason.DCAP_QE_IDENTITY))


@pytest.mark.parametrize(
    ("svn", "expected", "status"),
    [
        (8, (Verdict.ACCEPTED, None), "UpToDate"),
        (7, (Verdict.ACCEPTED, None), "OutOfDate"),
        (2, (Verdict.REFUSED, Reason.DCAP_QE_REVOKED), "Revoked"),
        (1, (Verdict.REFUSED, Reason.DCAP_QE_IDENTITY), "NotSupported"),
    ],
)
def test_the_svn_of_the_quoting_enclave(
    svn: int, expected: tuple[Verdict, Reason | None], status: str
) -> None:
    got = verify(MACHINE.quote(DATA, signing=Signing(qe={"isv_svn": svn})), MACHINE.endorsements())
    assert found(got) == expected
    assert got.tcb.status == status
    assert got.claims["tdx.qe.isv_svn"] == svn


def test_a_debug_quoting_enclave() -> None:
    attributes = bytes.fromhex("1700000000000000e700000000000000")
    raw = MACHINE.quote(DATA, signing=Signing(qe={"attributes": attributes}))
    assert found(verify(raw, MACHINE.endorsements())) == (Verdict.REFUSED, Reason.DCAP_QE_IDENTITY)


QE_FLAGS = 0x15


@pytest.mark.parametrize("machine", [MACHINE, SgxMachine()], ids=["tdx", "sgx"])
@pytest.mark.parametrize("offset", [21, 31, 96, 127, 160, 191, 262, 303])
def test_reserved_bytes_of_the_quoting_enclave(machine: TdxMachine | SgxMachine, offset: int) -> None:
    raw = machine.quote(DATA, signing=Signing(qe_patch={offset: b"\1"}))
    got = verify(raw, machine.endorsements())
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_QE_IDENTITY)
    assert check(got, "dcap.qe-identity").found == "reserved bytes that are not zero"


@pytest.mark.parametrize("offset", [20, 32, 95, 128, 159, 192, 261, 304])
def test_bytes_beside_the_reserved_ones_of_the_quoting_enclave(offset: int) -> None:
    raw = MACHINE.quote(DATA, signing=Signing(qe_patch={offset: b"\1"}))
    assert "reserved" not in check(verify(raw, MACHINE.endorsements()), "dcap.qe-identity").found


@pytest.mark.parametrize("bit", [3, 8, 9, 11, 32, 63])
def test_unknown_attributes_of_the_quoting_enclave(bit: int) -> None:
    """Whatever the identity's mask leaves open."""
    flags = (QE_FLAGS | 1 << bit).to_bytes(8, "little")
    raw = MACHINE.quote(DATA, signing=Signing(qe={"attributes": flags + bytes.fromhex("e700000000000000")}))
    for mask in ("FBFFFFFFFFFFFFFF0000000000000000", "00" * 16):
        attributes = "11" + "00" * 15 if mask[:2] == "FB" else "00" * 16
        identity = MACHINE.qe_identity(attributes=attributes, attributesMask=mask)
        got = verify(raw, MACHINE.endorsements(qe_identity=identity))
        assert found(got) == (Verdict.REFUSED, Reason.DCAP_QE_IDENTITY)
        assert f"unknown bits {1 << bit:#x}" in check(got, "dcap.qe-identity").found


def test_of_two_current_tcb_infos_the_higher_evaluation_counts() -> None:
    low, high = (MACHINE.tcb_info(tcbEvaluationDataNumber=n) for n in (19, 21))
    good = MACHINE.endorsements()
    for infos in ((low, high), (high, low)):
        got = verify(MACHINE.quote(DATA), dataclasses.replace(good, tcb_infos=infos))
        assert got.claims["tdx.tcb.evaluation_number"] == 21
    ended = MACHINE.tcb_info(tcbEvaluationDataNumber=22, nextUpdate=NOW)
    forged = MACHINE.tcb_info(tcbEvaluationDataNumber=23, sign_with=STRANGER)
    got = verify(MACHINE.quote(DATA), dataclasses.replace(good, tcb_infos=(forged, ended, low)))
    assert got.claims["tdx.tcb.evaluation_number"] == 19
    assert got.verdict is Verdict.ACCEPTED


def test_collateral_of_the_other_root_never_counts() -> None:
    """A simulated signing certificate beside the good one: it does not lead to the chain's own root."""
    other = x509build.certificate(
        serial=9,
        signer=x509build.Signer(STRANGER),
        issuer=intelcerts.name(intelcerts.ROOT_NAME),
        subject=intelcerts.name(intelcerts.TCB_SIGNING_NAME),
        not_before=NOW - DAY,
        not_after=NOW + DAY,
        key=STRANGER.public_key(),
        extensions=(x509build.basic_constraints(ca=False),),
    )
    got = with_endorsements(
        certificates=(other, *MACHINE.tcb_signing_chain()), tcb_info=MACHINE.tcb_info(sign_with=STRANGER)
    )
    assert found(got) == (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE)


@needs_vectors("tdx")
def test_simulated_collateral_says_nothing_about_real_evidence() -> None:
    """Both roots are believed in development, but each only about its own."""
    vector = tdx_vectors.BY_ID["tdx4-phala@ev20"]
    now = tdx_vectors.at(vector)
    fake = TdxMachine(fmspc=bytes.fromhex("B0C06F000000"), at=now)
    got = tdx_vectors.verify(
        vector,
        anchors=AnchorSet.VENDOR_AND_SIMULATED,
        tcb_infos=(fake.tcb_info(),),
        certificates=(*tdx_vectors.endorsements(vector).certificates, *fake.tcb_signing_chain()),
    )
    assert found(got) == (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE)
    assert got.tcb.status is None and not got.simulated


# --- the cache -----------------------------------------------------------------------------------


def test_only_what_was_verified_is_remembered() -> None:
    cache = tdx_vectors.Cache()
    with_chain(MACHINE.pck(sign_with=STRANGER), CA, ROOT, cache=cache, tcb_info=b"{}")
    assert not cache.entries
    with_endorsements(cache=cache)
    assert {key[0] for key in cache.entries} == {"dcap.pck-chain", "dcap.collateral", "dcap.certification"}


def test_a_cache_hit_needs_the_same_anchors() -> None:
    cache = tdx_vectors.Cache()
    assert found(with_endorsements(cache=cache)) == (Verdict.ACCEPTED, None)
    got = with_endorsements(cache=cache, anchors=AnchorSet.VENDOR)
    assert found(got) == (Verdict.REFUSED, Reason.SIMULATED)


def test_a_new_crl_is_looked_at_in_spite_of_the_cache() -> None:
    cache = tdx_vectors.Cache()
    assert found(with_endorsements(cache=cache)) == (Verdict.ACCEPTED, None)
    got = with_endorsements(cache=cache, pck_crl=MACHINE.pck_crl(revoked=[MACHINE.pck_serial]))
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_REVOKED)


@pytest.mark.parametrize("days", [29, 30, 3650])
def test_cached_dates_are_checked_again(days: int) -> None:
    cache = tdx_vectors.Cache()
    endorsements = MACHINE.endorsements(cache=cache)
    assert verify(MACHINE.quote(DATA), endorsements).verdict is Verdict.ACCEPTED
    got = verify(MACHINE.quote(DATA), endorsements, now=NOW + days * DAY)
    assert got.verdict is not Verdict.ACCEPTED
    assert got == verify(MACHINE.quote(DATA), MACHINE.endorsements(), now=NOW + days * DAY)


def test_keys_is_the_pinned_root() -> None:
    assert keys.intel_root_certificate() == ROOT
