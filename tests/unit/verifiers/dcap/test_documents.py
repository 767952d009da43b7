"""Signed documents: exact bytes, and strict reading of everything that a decision needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.simulator.intel import SgxMachine, TdxMachine
from verifiers.dcap import identity, report, tcbinfo
from verifiers.dcap.document import MAX_DOCUMENT, Status, open_signed
from verifiers.errors import EndorsementFormatError, Reason
from verifiers.model import TeeKind

MACHINE = TdxMachine()
INFO, IDENTITY = MACHINE.tcb_info(), MACHINE.qe_identity()


def body(raw: bytes, member: str) -> dict[str, Any]:
    inner: dict[str, Any] = json.loads(raw)[member]
    return inner


def refused(parse: Callable[[], object]) -> EndorsementFormatError:
    with pytest.raises(EndorsementFormatError) as caught:
        parse()
    assert caught.value.reason == Reason.COLLATERAL_MALFORMED
    return caught.value


# --- the envelope --------------------------------------------------------------------------------


def test_the_signed_bytes_are_those_on_the_wire() -> None:
    raw = b'{ "tcbInfo" : {"a": 1 ,\n"b":"}"} , "signature":"' + b"0a" * 64 + b'"}'
    signed = open_signed(raw, "tcbInfo", "TCB info")
    assert signed.body == b'{"a": 1 ,\n"b":"}"}'
    assert signed.r == signed.s == int("0a" * 32, 16)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'{"tcbInfo":{}}', id="no-signature"),
        pytest.param(b'{"signature":"' + b"00" * 64 + b'"}', id="no-body"),
        pytest.param(b'{"tcbInfo":{},"signature":"' + b"00" * 64 + b'","x":1}', id="another-member"),
        pytest.param(b'{"tcbInfo":{},"signature":"' + b"00" * 63 + b'"}', id="short-signature"),
        pytest.param(b'{"tcbInfo":{},"signature":"' + b"0g" * 64 + b'"}', id="no-hex"),
        pytest.param(b'{"tcbInfo":{},"signature":"' + "０".encode() * 128 + b'"}', id="other-digits"),
        pytest.param(b'{"tcbInfo":{},"signature":7}', id="number"),
        pytest.param(b'{"tcbInfo":{"a":1,"a":2},"signature":"' + b"00" * 64 + b'"}', id="duplicate"),
        pytest.param(b" " * (MAX_DOCUMENT + 1), id="too-large"),
        pytest.param(b'{"tcbInfo":' + b"[" * 40 + b"]" * 40 + b',"signature":""}', id="too-deep"),
    ],
)
def test_an_envelope_that_is_none(raw: bytes) -> None:
    refused(lambda: open_signed(raw, "tcbInfo", "TCB info"))


# --- TCB info ------------------------------------------------------------------------------------


def test_good_tcb_info() -> None:
    info, _ = tcbinfo.parse(INFO, "TCB info")
    assert (info.tee, info.fmspc, info.evaluation_number) == (TeeKind.TDX, MACHINE.fmspc, 20)
    assert [level.status for level in info.levels] == ["UpToDate", "OutOfDate", "Revoked"]
    assert [module.id for module in info.modules] == ["TDX_03", "TDX_01"]
    assert info.levels[0].sgx[0].type == "Early Microcode Update"
    assert info.levels[0].sgx[6].category == ""


def test_sgx_tcb_info_has_no_tdx_part() -> None:
    info, _ = tcbinfo.parse(SgxMachine().tcb_info(), "TCB info")
    assert (info.tee, info.module, info.modules) == (TeeKind.SGX, None, ())
    assert all(level.tdx == () for level in info.levels)


def changed_level(**changes: Any) -> dict[str, Any]:
    levels = body(INFO, "tcbInfo")["tcbLevels"]
    tcb = {name: changes.pop(name) for name in list(changes) if name in levels[0]["tcb"]}
    return {"tcbLevels": [levels[0] | changes | {"tcb": levels[0]["tcb"] | tcb}, *levels[1:]]}


SIXTEEN = [{"svn": 0}] * 16


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        pytest.param({"version": 2}, "version", id="version-2"),
        pytest.param({"version": 4}, "version", id="version-4"),
        pytest.param({"version": "3"}, "version", id="version-text"),
        pytest.param({"version": True}, "version", id="version-flag"),
        pytest.param({"tcbType": 1}, "tcbType", id="type"),
        pytest.param({"id": "tdx"}, "id", id="id"),
        pytest.param({"fmspc": "00806F0500"}, "fmspc", id="fmspc-short"),
        pytest.param({"pceId": "00"}, "pceId", id="pceid-short"),
        pytest.param({"tcbEvaluationDataNumber": -1}, "tcbEvaluationDataNumber", id="number"),
        pytest.param({"tcbEvaluationDataNumber": 1.0}, "tcbEvaluationDataNumber", id="number-float"),
        pytest.param({"issueDate": "2026-06-29"}, "issueDate", id="date"),
        pytest.param({"issueDate": "2026-02-30T00:00:00Z"}, "issueDate", id="no-such-day"),
        pytest.param({"issueDate": "2026-06-29T12:00:00+00:00"}, "issueDate", id="zone"),
        pytest.param({"nextUpdate": "2020-01-01T00:00:00Z"}, "nextUpdate", id="window-backwards"),
        pytest.param({"tcbLevels": []}, "tcbLevels", id="no-levels"),
        pytest.param({"tcbLevels": [{}] * 129}, "tcbLevels", id="too-many-levels"),
        pytest.param(changed_level(tcbStatus="Fine"), "tcbLevels[0].tcbStatus", id="status"),
        pytest.param(changed_level(tcbStatus="NotSupported"), "tcbLevels[0].tcbStatus", id="conclusion"),
        pytest.param(changed_level(tcbStatus="uptodate"), "tcbLevels[0].tcbStatus", id="status-case"),
        pytest.param(changed_level(tcbDate=None), "tcbLevels[0].tcbDate", id="no-date"),
        pytest.param(changed_level(advisoryIDs="SA"), "tcbLevels[0].advisoryIDs", id="advisories"),
        pytest.param(changed_level(advisoryIDs=[1]), "tcbLevels[0].advisoryIDs", id="advisory"),
        pytest.param(changed_level(pcesvn=-1), "tcbLevels[0].tcb.pcesvn", id="pcesvn"),
        pytest.param(
            changed_level(sgxtcbcomponents=SIXTEEN[1:]), "tcbLevels[0].tcb.sgxtcbcomponents", id="fifteen"
        ),
        pytest.param(
            changed_level(tdxtcbcomponents=[*SIXTEEN, {"svn": 0}]),
            "tcbLevels[0].tcb.tdxtcbcomponents",
            id="seventeen",
        ),
        pytest.param(
            changed_level(sgxtcbcomponents=[{"svn": 256}, *SIXTEEN[1:]]),
            "tcbLevels[0].tcb.sgxtcbcomponents[0].svn",
            id="component-256",
        ),
        pytest.param({"tdxModuleIdentities": [{"id": "TDX_1"}]}, "tdxModuleIdentities[0].id", id="module-id"),
    ],
)
def test_tcb_info_that_cannot_be_read(changed: dict[str, Any], where: str) -> None:
    raw = MACHINE.tcb_info(**changed)
    assert refused(lambda: tcbinfo.parse(raw, "TCB info")).where == f"TCB info.{where}"


@pytest.mark.parametrize("member", ["fmspc", "pceId", "tdxModule", "tcbLevels", "nextUpdate", "tcbType"])
def test_tcb_info_lacks_a_member(member: str) -> None:
    raw = MACHINE.tcb_info(drop=[member])
    assert refused(lambda: tcbinfo.parse(raw, "TCB info")).found == "no such member"


def test_a_module_identity_stands_twice() -> None:
    modules = body(INFO, "tcbInfo")["tdxModuleIdentities"]
    raw = MACHINE.tcb_info(tdxModuleIdentities=[*modules, modules[1] | {"id": "tdx_01".upper()}])
    assert refused(lambda: tcbinfo.parse(raw, "TCB info")).found == "TDX_01 twice"


def test_the_order_in_the_document_does_not_matter() -> None:
    levels = body(INFO, "tcbInfo")["tcbLevels"]
    one, _ = tcbinfo.parse(MACHINE.tcb_info(tcbLevels=levels[::-1]), "TCB info")
    assert one.levels == tcbinfo.parse(INFO, "TCB info")[0].levels


# --- enclave identity ----------------------------------------------------------------------------


def test_good_identity() -> None:
    found, _ = identity.parse(IDENTITY, "identity")
    assert (found.id, found.tee, found.isv_prod_id) == ("TD_QE", TeeKind.TDX, 2)
    assert identity.parse(SgxMachine().qe_identity(), "identity")[0].tee is TeeKind.SGX


@pytest.mark.parametrize("name", ["QVE", "QAE"])
def test_other_enclaves_sign_no_quotes(name: str) -> None:
    assert identity.parse(MACHINE.qe_identity(id=name), "identity")[0].tee is None


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        pytest.param({"version": 1}, "version", id="version-1"),
        pytest.param({"version": 3}, "version", id="version-3"),
        pytest.param({"id": "PCE"}, "id", id="id"),
        pytest.param({"mrsigner": "00" * 31}, "mrsigner", id="mrsigner"),
        pytest.param({"attributes": "00" * 17}, "attributes", id="attributes"),
        pytest.param({"miscselectMask": "00"}, "miscselectMask", id="mask"),
        pytest.param({"isvprodid": 65536}, "isvprodid", id="product"),
        pytest.param({"tcbLevels": []}, "tcbLevels", id="no-levels"),
        pytest.param(
            {"tcbLevels": [{"tcb": {"isvsvn": 1}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "Odd"}]},
            "tcbLevels[0].tcbStatus",
            id="status",
        ),
        pytest.param(
            {
                "tcbLevels": [
                    {
                        "tcb": {"isvsvn": 1},
                        "tcbDate": "2025-01-01T00:00:00Z",
                        "tcbStatus": "ConfigurationNeeded",
                    }
                ]
            },
            "tcbLevels[0].tcbStatus",
            id="platform-status",
        ),
    ],
)
def test_an_identity_that_cannot_be_read(changed: dict[str, Any], where: str) -> None:
    raw = MACHINE.qe_identity(**changed)
    assert refused(lambda: identity.parse(raw, "identity")).where == f"identity.{where}"


def enclave(**fields: bytes) -> report.EnclaveReport:
    raw = bytearray(384)
    good = {
        "ATTRIBUTES": bytes.fromhex("1500000000000000e700000000000000"),
        "MRSIGNER": MACHINE.qe_mr_signer,
        "ISVPRODID": b"\2\0",
        "ISVSVN": b"\x08\0",
    }
    for field in report.LAYOUT:
        if field.name in good | fields:
            raw[field.offset : field.offset + field.size] = (good | fields)[field.name]
    return report.parse(bytes(raw), "QE report")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        pytest.param({}, (), id="good"),
        pytest.param({"MRSIGNER": bytes(32)}, (f"MRSIGNER {'00' * 32}",), id="mrsigner"),
        pytest.param({"ISVPRODID": b"\1\0"}, ("ISVPRODID 1",), id="product"),
        pytest.param({"MISCSELECT": b"\1\0\0\0"}, ("MISCSELECT 01000000",), id="miscselect"),
        pytest.param(
            {"ATTRIBUTES": bytes.fromhex("1700000000000000e700000000000000")},
            (
                "the quoting enclave runs in debug mode",
                "ATTRIBUTES 1700000000000000e700000000000000",
            ),
            id="debug",
        ),
        pytest.param(
            {"ATTRIBUTES": bytes.fromhex("0500000000000000e700000000000000")},
            ("ATTRIBUTES 0500000000000000e700000000000000",),
            id="no-provisioning-key",
        ),
        # XFRM is outside the mask.
        pytest.param({"ATTRIBUTES": bytes.fromhex("15000000000000000300000000000000")}, (), id="unmasked"),
    ],
)
def test_which_enclave_it_is(fields: dict[str, bytes], found: tuple[str, ...]) -> None:
    parsed, _ = identity.parse(IDENTITY, "identity")
    assert identity.mismatches(parsed, enclave(**fields)) == found


@pytest.mark.parametrize(
    ("svn", "status"),
    [(9, "UpToDate"), (8, "UpToDate"), (7, "OutOfDate"), (6, "OutOfDate"), (2, "Revoked"), (1, None)],
)
def test_level_by_svn(svn: int, status: Status | None) -> None:
    parsed, _ = identity.parse(IDENTITY, "identity")
    found = identity.level_of(parsed.levels, svn)
    assert (found.status if found else None) == status


def test_names_of_members_are_quoted() -> None:
    with pytest.raises(EndorsementFormatError) as caught:
        open_signed(b'{"tcbInfo":{},"\\u001b[2J\\r\\n":1}', "tcbInfo", "TCB info")
    assert caught.value.found == r"'\x1b[2J\r\n', 'tcbInfo'"
