"""What only an enclave report has: attributes, reserved bytes, and the claims."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.simulator.intel import SgxMachine, TdxMachine
from verifiers import claims
from verifiers.dcap import quote, report
from verifiers.dcap.report import EnclaveFlags
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import ReportData, Verdict, Verification, first_reason
from verifiers.sgx import abi
from verifiers.sgx import claims as sgx_claims
from verifiers.sgx import verify as sgx

MACHINE = SgxMachine()
DATA = bytes(range(64))
BODY = quote.HEADER_SIZE


def verify(**arguments: Any) -> Verification:
    parsed = quote.parse(MACHINE.quote(DATA, **arguments))
    return sgx.verify(parsed, MACHINE.endorsements(), ReportData(DATA), MACHINE.at)


def found(verification: Verification) -> tuple[Verdict, str | None]:
    return verification.verdict, first_reason(verification.checks)


def attributes(flags: int, xfrm: int = 0xE7) -> bytes:
    return flags.to_bytes(8, "little") + xfrm.to_bytes(8, "little")


def test_a_tdx_quote_is_no_enclave_report() -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        abi.parse(quote.parse(TdxMachine().quote(DATA)))
    assert caught.value.reason == Reason.EVIDENCE_TYPE_MISMATCH


@pytest.mark.parametrize("flag", EnclaveFlags, ids=lambda flag: flag.name)
def test_a_named_attribute_is_a_claim_and_no_finding(flag: EnclaveFlags) -> None:
    got = verify(attributes=attributes(int(flag)))
    assert found(got) == (Verdict.ACCEPTED, None)
    shown = {f.name: got.claims[f"sgx.attributes.{(f.name or '').lower()}"] for f in EnclaveFlags}
    assert shown == {f.name: f is flag for f in EnclaveFlags}


@pytest.mark.parametrize("bit", [b for b in range(64) if not report.KNOWN_FLAGS >> b & 1])
def test_an_unknown_attribute_is_refused(bit: int) -> None:
    assert found(verify(attributes=attributes(5 | 1 << bit))) == (Verdict.REFUSED, Reason.SGX_ATTRIBUTES)


@pytest.mark.parametrize("xfrm", [0, 1, 2, 0x103, 1 << 63 | 3])
def test_wrong_xfrm(xfrm: int) -> None:
    assert found(verify(attributes=attributes(5, xfrm))) == (Verdict.REFUSED, Reason.SGX_ATTRIBUTES)


@pytest.mark.parametrize("offset", [21, 31, 96, 127, 160, 191, 262, 303])
def test_reserved_bytes(offset: int) -> None:
    assert found(verify(patch={BODY + offset: b"\1"})) == (Verdict.REFUSED, Reason.SGX_ATTRIBUTES)


@pytest.mark.parametrize("offset", [20, 32, 95, 128, 159, 192, 261, 304])
def test_bytes_beside_the_reserved_ones(offset: int) -> None:
    assert found(verify(patch={BODY + offset: b"\1"})) == (Verdict.ACCEPTED, None)


def test_numbers_and_their_bytes() -> None:
    got = verify(isv_svn=0x0102, isv_prod_id=7, config_svn=9)
    assert (got.claims["sgx.isv_svn"], got.claims["sgx.isv_svn.bytes"]) == (0x0102, b"\2\1")
    assert (got.claims["sgx.isv_prod_id"], got.claims["sgx.config_svn"]) == (7, 9)
    shown = claims.json_claims(got)
    assert (shown["isv_svn"], shown["isv_svn_number"]) == ("0201", 0x0102)


def test_every_claim_has_a_row_and_every_row_a_claim() -> None:
    got = verify().claims
    assert got.keys() <= {row.name for row in (*sgx_claims.TABLE, *claims.TABLE)}
    assert {row.name for row in sgx_claims.TABLE} <= got.keys()
    names = [row.name for row in sgx_claims.TABLE]
    assert len(set(names)) == len({row.json for row in sgx_claims.TABLE}) == len(names)
    for row in sgx_claims.TABLE:
        if row.length is not None:
            value = got[row.name]
            assert isinstance(value, bytes) and len(value) == row.length, row.name
