"""What only a TD report has: layouts, attributes, XFAM, the module's signer, and the claims."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.simulator.intel import SgxMachine, TdxMachine
from verifiers import claims
from verifiers.dcap import quote
from verifiers.dcap.quote import BODY_SIZE
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import ReportData, Verdict, Verification, first_reason
from verifiers.tdx import abi, attributes
from verifiers.tdx import claims as tdx_claims
from verifiers.tdx import verify as tdx
from verifiers.tdx.attributes import TdAttributes

MACHINE = TdxMachine()
DATA = bytes(range(64))
GOOD = TdAttributes.SEPT_VE_DISABLE


def verify(machine: TdxMachine = MACHINE, **fields: Any) -> Verification:
    parsed = quote.parse(machine.quote(DATA, **fields))
    return tdx.verify(parsed, machine.endorsements(), ReportData(DATA), machine.at)


def found(verification: Verification) -> tuple[Verdict, str | None]:
    return verification.verdict, first_reason(verification.checks)


@pytest.mark.parametrize("body_type", abi.LAYOUTS, ids=lambda body_type: body_type.name)
def test_layouts_have_no_gap_and_end_at_their_size(body_type: quote.BodyType) -> None:
    end = 0
    for field in abi.LAYOUTS[body_type]:
        assert field.offset == end, field.name
        end += field.size
    assert end == BODY_SIZE[body_type]


def test_fields_stand_in_the_order_of_the_layout() -> None:
    """`parse` hands them over by position."""
    names = [*abi.TdReport.__struct_fields__[:-1], *abi.Extension.__struct_fields__]
    assert [n.replace("_", "") for n in names] == [
        f.name.replace("_", "").lower() for f in abi.TD_REPORT_1_5_EXTENDED
    ]


def test_an_sgx_quote_is_no_td_report() -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        abi.parse(quote.parse(SgxMachine().quote(DATA)))
    assert caught.value.reason == Reason.EVIDENCE_TYPE_MISMATCH


@pytest.mark.parametrize("flag", TdAttributes, ids=lambda flag: flag.name)
def test_a_named_attribute_is_a_claim_and_no_finding(flag: TdAttributes) -> None:
    machine = TdxMachine(version=5, body="1.5ex") if flag is TdAttributes.SERVTD_EXT else MACHINE
    got = verify(machine, td_attributes=int(flag))
    assert found(got) == (Verdict.ACCEPTED, None)
    shown = {name: got.claims[f"tdx.td_attributes.{name.lower()}"] for name in attributes.FLAGS}
    assert shown == {name: name == flag.name for name in attributes.FLAGS}
    assert got.claims["tdx.td_attribute_flags"] == {flag.name}


@pytest.mark.parametrize("bit", [b for b in range(64) if not attributes.KNOWN_ATTRIBUTES >> b & 1])
def test_an_unknown_attribute_is_refused(bit: int) -> None:
    got = verify(td_attributes=GOOD | 1 << bit)
    assert found(got) == (Verdict.REFUSED, Reason.TDX_ATTRIBUTES)
    assert got.claims["tdx.td_attribute_flags"] == {"SEPT_VE_DISABLE", f"BIT_{bit}"}


@pytest.mark.parametrize("machine", [TdxMachine(), TdxMachine(version=5)], ids=["1.0", "1.5"])
def test_servtd_ext_needs_the_extended_report(machine: TdxMachine) -> None:
    got = verify(machine, td_attributes=GOOD | TdAttributes.SERVTD_EXT)
    assert found(got) == (Verdict.REFUSED, Reason.TDX_ATTRIBUTES)


@pytest.mark.parametrize("xfam", [0x3, 0x207, 0x600E7, 0x602E7, 0x618E7, 0x61AE7, 0x642E7, 0x6DBE7])
def test_real_xfam(xfam: int) -> None:
    assert found(verify(xfam=xfam)) == (Verdict.ACCEPTED, None)


@pytest.mark.parametrize(
    "xfam", [0, 1, 2, 0xE4, *(0x3 | 1 << bit for bit in range(64) if not attributes.XFAM_KNOWN >> bit & 1)]
)
def test_wrong_xfam(xfam: int) -> None:
    assert found(verify(xfam=xfam)) == (Verdict.REFUSED, Reason.TDX_XFAM)


@pytest.mark.parametrize(
    "fields", [{"mr_signer_seam": b"\1" + bytes(47)}, {"seam_attributes": 1}], ids=["signer", "attributes"]
)
def test_a_module_of_another_signer(fields: dict[str, Any]) -> None:
    got = verify(**fields)
    assert found(got) == (Verdict.REFUSED, Reason.DCAP_MODULE_MISMATCH)
    assert "tdx.seam" in {check.id for check in got.checks if check.reason == Reason.TDX_SEAM}


def test_a_module_of_another_signer_without_tcb_info() -> None:
    parsed = quote.parse(MACHINE.quote(DATA, seam_attributes=1))
    endorsements = MACHINE.endorsements(drop=["tcb_info"])
    got = tdx.verify(parsed, endorsements, ReportData(DATA), MACHINE.at)
    assert found(got) == (Verdict.REFUSED, Reason.TDX_SEAM)


@pytest.mark.parametrize(
    ("launched", "now", "status"),
    [
        ((6, 1, 8), (6, 1, 8), "UpToDate"),
        ((4, 1, 8), (6, 1, 8), "TDRelaunchAdvised"),
        ((4, 1, 8), (5, 1, 8), "OutOfDate"),
        ((4, 1, 8), (6, 1, 7), "OutOfDate"),
        ((4, 1, 8), (6, 9, 8), "NotSupported"),
    ],
)
def test_relaunch(launched: tuple[int, ...], now: tuple[int, ...], status: str) -> None:
    svns = {"tee_tcb_svn": bytes(launched).ljust(16, b"\0"), "tee_tcb_svn2": bytes(now).ljust(16, b"\0")}
    assert verify(TdxMachine(version=5), **svns).tcb.status == status


# --- claims --------------------------------------------------------------------------------------


def test_every_claim_has_a_row_and_every_row_a_claim() -> None:
    extended = verify(TdxMachine(version=5, body="1.5ex")).claims
    rows = {row.name for row in (*tdx_claims.TABLE, *claims.TABLE)}
    assert extended.keys() <= rows
    own = {row.name for row in tdx_claims.TABLE}
    assert own <= extended.keys()


def test_rows_are_unique_and_lengths_are_true() -> None:
    names = [row.name for row in tdx_claims.TABLE]
    assert len(set(names)) == len(names)
    assert len({row.json for row in tdx_claims.TABLE}) == len(names)
    values = verify(TdxMachine(version=5, body="1.5ex")).claims
    for row in tdx_claims.TABLE:
        value = values[row.name]
        if row.length is not None:
            assert isinstance(value, bytes) and len(value) == row.length, row.name
        if row.values:
            assert value in row.values, row.name


def test_what_a_report_1_0_lacks_is_absent() -> None:
    got = verify().claims
    for name in ("tee_tcb_svn2", "mr_service_td", "td_id", "vm_id", "curr_servtd_hash"):
        assert f"tdx.{name}" not in got


def test_ages_of_collateral() -> None:
    got = verify().claims
    for name in ("tcb_info", "qe_identity", "pck_crl", "root_crl"):
        assert got[f"collateral.{name}.age"] == MACHINE.at - (MACHINE.at.replace(day=MACHINE.at.day - 1))
    assert got["collateral.pck_crl"] == got["collateral.root_crl"] == "checked"


def test_without_collateral_there_are_no_claims_from_it() -> None:
    parsed = quote.parse(MACHINE.quote(DATA))
    endorsements = MACHINE.endorsements(drop=["tcb_info", "qe_identity", "pck_crl", "root_crl"])
    got = tdx.verify(parsed, endorsements, ReportData(DATA), MACHINE.at)
    assert not [name for name in got.claims if name.startswith(("collateral.", "tdx.tcb.", "tdx.module."))]
    assert {need.kind for need in got.missing} == {
        "intel.tcb-info",
        "intel.qe-identity",
        "intel.pck-crl",
        "intel.root-crl",
    }
    assert got.verdict is Verdict.UNDECIDED
    assert got.authentic
