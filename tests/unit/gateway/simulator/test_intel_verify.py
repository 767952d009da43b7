"""Simulated TDX and SGX evidence through the real verifiers: good is good, one change gives one reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.simulator import derwrite, intelcerts, inteldocs, seeds
from gateway.simulator.intel import SgxMachine, Signing, TdxMachine
from gateway.simulator.intelmachine import DAY
from verifiers.dcap import quote as quotes
from verifiers.errors import Reason
from verifiers.model import AnchorSet, Endorsements, Outcome, ReportData, Verdict, Verification, first_reason
from verifiers.sgx import verify as sgx
from verifiers.tdx import verify as tdx

DATA = bytes(range(64))
TDX, TDX5, SGX = TdxMachine(), TdxMachine(version=5), SgxMachine()
STRANGER = seeds.p256("x", "stranger")
SECOND = timedelta(seconds=1)

Machine = TdxMachine | SgxMachine


def judge(machine: Machine, raw: bytes, endorsements: Endorsements | None = None) -> Verification:
    verify = tdx.verify if machine.TEE == "TDX" else sgx.verify
    given = machine.endorsements() if endorsements is None else endorsements
    return verify(quotes.parse(raw), given, ReportData(DATA), machine.at)


def codes(found: Verification) -> set[str | None]:
    """Codes of everything that failed or could not be asked."""
    return {check.code for check in found.checks if check.outcome in (Outcome.FAILED, Outcome.UNKNOWN)}


GOOD = [
    pytest.param(TDX, id="tdx-4"),
    pytest.param(TdxMachine(version=5, body="1.0"), id="tdx-5-1.0"),
    pytest.param(TDX5, id="tdx-5-1.5"),
    pytest.param(TdxMachine(version=5, body="1.5ex"), id="tdx-5-1.5ex"),
    pytest.param(SGX, id="sgx-platform"),
    pytest.param(SgxMachine(ca="processor"), id="sgx-processor"),
]


@pytest.mark.parametrize("machine", GOOD)
def test_good_evidence_is_accepted_as_simulated_and_refused_as_real(machine: Machine) -> None:
    raw = machine.quote(DATA)
    found = judge(machine, raw)
    assert (found.verdict, codes(found), found.tcb.status) == (Verdict.ACCEPTED, set(), "UpToDate")
    assert (found.signature_valid, found.chain_valid, found.simulated) == (True, True, True)
    assert found.claims["evidence.simulated"] is True
    assert found.evidence.fmspc == "5EA16A7E0000"
    real = judge(machine, raw, machine.endorsements(anchors=AnchorSet.VENDOR))
    assert (real.verdict, first_reason(real.checks)) == (Verdict.REFUSED, Reason.SIMULATED)
    assert (real.signature_valid, real.chain_valid) == (True, False)


@pytest.mark.parametrize("machine_type", [TdxMachine, SgxMachine])
@pytest.mark.parametrize(
    ("level", "verdict", "advisories"),
    [
        ("OutOfDate", Verdict.ACCEPTED, {"INTEL-SA-01036", "INTEL-SA-01079"}),
        ("Revoked", Verdict.REFUSED, {"INTEL-SA-00960"}),
    ],
)
def test_the_platforms_level_is_the_status(
    machine_type: type[Machine], level: str, verdict: Verdict, advisories: set[str]
) -> None:
    """Whether OutOfDate is acceptable is a policy's business; Revoked never is."""
    machine = machine_type(level=level)
    found = judge(machine, machine.quote(DATA))
    assert (found.verdict, found.tcb.status) == (verdict, level)
    assert advisories <= set(found.tcb.advisory_ids)


def test_an_old_module_alone_makes_the_td_out_of_date() -> None:
    old = inteldocs.TEE_TCB_SVN["OutOfDate"][:1] + inteldocs.TEE_TCB_SVN["UpToDate"][1:]
    found = judge(TDX, TDX.quote(DATA, tee_tcb_svn=old))
    assert (found.tcb.status, found.tcb.advisory_ids) == ("OutOfDate", ("INTEL-SA-01099",))


def test_a_td_launched_before_the_module_was_updated_should_be_relaunched() -> None:
    found = judge(TDX5, TDX5.quote(DATA, tee_tcb_svn=inteldocs.TEE_TCB_SVN["OutOfDate"]))
    assert found.tcb.status == "TDRelaunchAdvised"


def signing(**change: Any) -> dict[str, Any]:
    return {"signing": Signing(**change)}


QUOTES = [
    pytest.param({"qe_vendor_id": bytes(16)}, {Reason.DCAP_HEADER}, id="vendor-id"),
    pytest.param({"qe_svn": 1}, {Reason.DCAP_HEADER}, id="reserved-in-version-4"),
    pytest.param({"td_attributes": 1 << 28 | 1 << 1}, {Reason.TDX_ATTRIBUTES}, id="attribute-bit-1"),
    pytest.param({"td_attributes": 1 << 28 | 1 << 17}, {Reason.TDX_ATTRIBUTES}, id="servtd-ext-in-1.0"),
    pytest.param({"xfam": 0x600E6}, {Reason.TDX_XFAM}, id="no-x87"),
    pytest.param({"xfam": 1 << 63 | 0x600E7}, {Reason.TDX_XFAM}, id="xfam-bit-63"),
    pytest.param(
        {"tee_tcb_svn": bytes((1, 1, 8)) + bytes(13)}, {Reason.DCAP_TCB_NOT_SUPPORTED}, id="module-1"
    ),
    pytest.param(
        {"tee_tcb_svn": bytes((6, 1, 4)) + bytes(13)}, {Reason.DCAP_TCB_NOT_SUPPORTED}, id="ucode-4"
    ),
    pytest.param(
        {"tee_tcb_svn": bytes((6, 2, 8)) + bytes(13)}, {Reason.DCAP_MODULE_MISMATCH}, id="module-series"
    ),
    pytest.param(signing(key=STRANGER), {Reason.DCAP_SIGNATURE}, id="body-by-another-key"),
    pytest.param(signing(bound_key=bytes(64)), {Reason.DCAP_KEY_BINDING}, id="other-key-bound"),
    pytest.param(signing(qe_patch={383: b"\x01"}), {Reason.DCAP_KEY_BINDING}, id="qe-report-data-tail"),
    pytest.param(signing(pck_key=STRANGER), {Reason.DCAP_QE_SIGNATURE}, id="qe-report-by-another-key"),
    pytest.param(signing(qe={"mr_signer": bytes(32)}), {Reason.DCAP_QE_IDENTITY}, id="qe-signer"),
    pytest.param(signing(qe={"isv_prod_id": 1}), {Reason.DCAP_QE_IDENTITY}, id="qe-product"),
    pytest.param(signing(qe={"attributes": b"\x13" + bytes(15)}), {Reason.DCAP_QE_IDENTITY}, id="qe-debug"),
]


@pytest.mark.parametrize(("change", "reasons"), QUOTES)
def test_one_change_of_a_quote_gives_its_reason(change: dict[str, Any], reasons: set[Reason]) -> None:
    assert reasons <= codes(judge(TDX, TDX.quote(DATA, **change)))


def test_a_debug_td_is_genuine() -> None:
    """Whether debugging is acceptable is the baseline's business."""
    found = judge(TDX, TDX.quote(DATA, td_attributes=0x10000001))
    assert (found.verdict, found.claims["tdx.td_attributes.debug"]) == (Verdict.ACCEPTED, True)


def test_a_changed_module_signer_is_named() -> None:
    found = judge(TDX, TDX.quote(DATA, mr_signer_seam=b"\x01" * 48))
    assert Reason.TDX_SEAM in codes(found)


def test_another_challenge_is_not_answered() -> None:
    for machine in (TDX, TDX5, SGX):
        assert codes(judge(machine, machine.quote(bytes(64)))) == {Reason.REPORT_DATA_MISMATCH}


def with_pck(**change: Any) -> bytes:
    chain = (TDX.pck(**change), *TDX.pck_chain[1:])
    return TDX.quote(DATA, signing=Signing(chain=chain))


PCKS = [
    pytest.param({"sign_with": STRANGER}, Reason.DCAP_CHAIN, id="by-another-ca"),
    pytest.param({"not_after": TDX.at}, Reason.DCAP_CHAIN_DATES, id="expires-now"),
    pytest.param({"not_before": TDX.at + SECOND}, Reason.DCAP_CHAIN_DATES, id="not-yet"),
    pytest.param({"common_name": "Intel SGX PCK"}, Reason.DCAP_CHAIN_NAMES, id="other-name"),
    pytest.param(
        {"elements": {"4": derwrite.octet_string(bytes(6))}}, Reason.DCAP_FMSPC_MISMATCH, id="fmspc"
    ),
    pytest.param({"elements": {"3": derwrite.octet_string(b"\1\0")}}, Reason.DCAP_PCEID_MISMATCH, id="pceid"),
]


@pytest.mark.parametrize(("change", "reason"), PCKS)
def test_one_change_of_the_pck_gives_its_reason(change: dict[str, Any], reason: Reason) -> None:
    assert reason in codes(judge(TDX, with_pck(**change)))


@pytest.mark.parametrize(
    "change",
    [{"drop": [""]}, {"drop": ["2"]}, {"elements": {"8": derwrite.NULL}}, {"elements": {"1": derwrite.NULL}}],
    ids=["no-extension", "no-tcb", "unknown-element", "ppid-of-another-type"],
)
def test_a_pck_that_cannot_be_read_is_refused(change: dict[str, Any]) -> None:
    found = judge(TDX, with_pck(**change))
    assert found.verdict is Verdict.REFUSED
    assert Reason.CERTIFICATE_MALFORMED in codes(found)


def good(**change: Any) -> Callable[[], Endorsements]:
    """The good collateral of TDX with some of it minted otherwise; values are (method, arguments)."""
    return lambda: TDX.endorsements(
        **{name: getattr(TDX, name)(**arguments) for name, arguments in change.items()}
    )


def levels_with(status: str) -> list[inteldocs.Json]:
    levels = json.loads(json.dumps(inteldocs.tcb_levels("TDX")))
    levels[0]["tcbStatus"] = status
    return levels  # type: ignore[no-any-return]


COLLATERAL = [
    pytest.param(good(tcb_info={"sign_with": STRANGER}), Reason.COLLATERAL_SIGNATURE, id="tcb-by-another"),
    pytest.param(good(qe_identity={"sign_with": STRANGER}), Reason.COLLATERAL_SIGNATURE, id="qe-by-another"),
    pytest.param(good(tcb_info={"nextUpdate": TDX.at}), Reason.COLLATERAL_EXPIRED, id="tcb-expires-now"),
    pytest.param(good(qe_identity={"nextUpdate": TDX.at}), Reason.COLLATERAL_EXPIRED, id="qe-expires-now"),
    pytest.param(
        good(tcb_info={"issueDate": TDX.at + SECOND}), Reason.COLLATERAL_NOT_YET_VALID, id="tcb-not-yet"
    ),
    pytest.param(good(tcb_info={"fmspc": "000000000000"}), Reason.DCAP_FMSPC_MISMATCH, id="tcb-fmspc"),
    pytest.param(good(tcb_info={"pceId": "0100"}), Reason.DCAP_PCEID_MISMATCH, id="tcb-pceid"),
    pytest.param(good(tcb_info={"version": 2}), Reason.COLLATERAL_MALFORMED, id="tcb-version-2"),
    pytest.param(
        good(tcb_info={"tcbLevels": levels_with("Fine")}), Reason.COLLATERAL_MALFORMED, id="unknown-status"
    ),
    pytest.param(
        good(tcb_info={"tcbLevels": levels_with("Revoked")}), Reason.DCAP_TCB_REVOKED, id="level-revoked"
    ),
    pytest.param(
        good(tcb_info={"tdxModuleIdentities": []}), Reason.DCAP_MODULE_MISMATCH, id="no-module-identity"
    ),
    pytest.param(
        good(qe_identity={"tcbLevels": [inteldocs.svn_level("Revoked", 1)]}),
        Reason.DCAP_QE_REVOKED,
        id="qe-revoked",
    ),
    pytest.param(lambda: TDX.endorsements(tcb_info=SGX.tcb_info()), Reason.DCAP_WRONG_TEE, id="tcb-of-sgx"),
    pytest.param(
        lambda: TDX.endorsements(qe_identity=SGX.qe_identity()), Reason.DCAP_WRONG_TEE, id="qe-of-sgx"
    ),
    pytest.param(lambda: TDX.endorsements(drop=["tcb_info"]), Reason.DCAP_TCB_INFO_MISSING, id="no-tcb"),
    pytest.param(
        lambda: TDX.endorsements(drop=["qe_identity"]), Reason.DCAP_QE_IDENTITY_MISSING, id="no-qe-identity"
    ),
    pytest.param(lambda: TDX.endorsements(drop=["pck_crl"]), Reason.DCAP_PCK_CRL_MISSING, id="no-pck-crl"),
    pytest.param(lambda: TDX.endorsements(drop=["root_crl"]), Reason.DCAP_ROOT_CRL_MISSING, id="no-root-crl"),
    pytest.param(lambda: TDX.endorsements(certificates=()), Reason.DCAP_TCB_CHAIN_MISSING, id="no-signer"),
    pytest.param(good(pck_crl={"revoked": [TDX.pck_serial]}), Reason.DCAP_REVOKED, id="pck-revoked"),
    pytest.param(
        good(root_crl={"revoked": [intelcerts.serial(intelcerts.ca_key("platform").public_key())]}),
        Reason.DCAP_REVOKED,
        id="ca-revoked",
    ),
    pytest.param(
        good(root_crl={"revoked": [intelcerts.serial(intelcerts.tcb_signing_key().public_key())]}),
        Reason.DCAP_REVOKED,
        id="signer-revoked",
    ),
    pytest.param(
        good(pck_crl={"this_update": TDX.at - 31 * DAY, "next_update": TDX.at}),
        Reason.CRL_EXPIRED,
        id="pck-crl-expires-now",
    ),
    pytest.param(
        good(root_crl={"this_update": TDX.at + SECOND}), Reason.CRL_NOT_YET_VALID, id="root-crl-not-yet"
    ),
    pytest.param(good(pck_crl={"sign_with": STRANGER}), Reason.CRL_SIGNATURE, id="pck-crl-by-another"),
    pytest.param(
        good(root_crl={"sign_with": intelcerts.ca_key("platform")}),
        Reason.CRL_SIGNATURE,
        id="root-crl-by-the-ca",
    ),
]


@pytest.mark.parametrize(("mint", "reason"), COLLATERAL)
def test_one_change_of_the_collateral_gives_its_reason(
    mint: Callable[[], Endorsements], reason: Reason
) -> None:
    found = judge(TDX, TDX.quote(DATA), mint())
    assert reason in codes(found)
    assert found.verdict in (Verdict.REFUSED, Verdict.UNDECIDED)
    assert found.signature_valid and found.chain_valid


def test_levels_in_any_order_mean_the_same() -> None:
    shuffled = TDX.endorsements(tcb_info=TDX.tcb_info(tcbLevels=inteldocs.tcb_levels("TDX")[::-1]))
    assert judge(TDX, TDX.quote(DATA), shuffled).tcb.status == "UpToDate"


@pytest.mark.parametrize(
    "status",
    [
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDateConfigurationNeeded",
    ],
)
def test_the_platforms_status_word_is_passed_on(status: str) -> None:
    given = TDX.endorsements(tcb_info=TDX.tcb_info(tcbLevels=levels_with(status)))
    assert judge(TDX, TDX.quote(DATA), given).tcb.status == status


def test_a_chain_of_two_is_refused() -> None:
    raw = TDX.quote(DATA, signing=Signing(chain=TDX.pck_chain[:2]))
    found = judge(TDX, raw)
    assert (found.verdict, found.chain_valid) == (Verdict.REFUSED, False)
    assert Reason.DCAP_CHAIN in codes(found)


def test_a_leaf_alone_is_completed_from_what_was_given() -> None:
    """Certification data of type 4. The root is pinned by digest; where its bytes come from is no matter."""
    raw = TDX.quote(DATA, signing=Signing(certification_type=4, chain=TDX.pck_chain[:1]))
    given = TDX.endorsements(certificates=(*TDX.tcb_signing_chain(), *TDX.pck_chain[1:]))
    assert judge(TDX, raw, given).verdict is Verdict.ACCEPTED


def test_real_roots_do_not_vouch_for_simulated_collateral_nor_the_reverse() -> None:
    found = judge(TDX, TDX.quote(DATA), TDX.endorsements(anchors=AnchorSet.VENDOR))
    assert found.tcb.status is None
