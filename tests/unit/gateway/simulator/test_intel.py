"""Quotes carry what was asked for, where the parser looks for it; documents are signed as served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.simulator import inteldocs, quotewrite, seeds
from gateway.simulator.intel import AUTH_DATA, MR_ENCLAVE, MR_TD, SgxMachine, Signing, TdxMachine
from verifiers.crypto import ecdsa, x509
from verifiers.dcap import identity, pck, quote, report, tcbinfo
from verifiers.dcap.document import Status
from verifiers.model import TeeKind
from verifiers.sgx import abi as sgx_abi
from verifiers.tdx import abi as tdx_abi

DATA = bytes(range(64))
TDX, TDX5, SGX = TdxMachine(), TdxMachine(version=5), SgxMachine()
EXTENDED = TdxMachine(version=5, body="1.5ex")


def distinct(size: int) -> bytes:
    return bytes(range(1, size + 1))


@pytest.mark.parametrize(
    ("version", "body", "kind", "size"),
    [
        (4, None, quote.BodyType.TD_REPORT_1_0, 584),
        (4, "1.0", quote.BodyType.TD_REPORT_1_0, 584),
        (5, None, quote.BodyType.TD_REPORT_1_5, 648),
        (5, "1.0", quote.BodyType.TD_REPORT_1_0, 584),
        (5, "1.5", quote.BodyType.TD_REPORT_1_5, 648),
        (5, "1.5ex", quote.BodyType.TD_REPORT_1_5_EXTENDED, 885),
    ],
)
def test_versions_and_bodies_are_framed_alike_on_both_sides(
    version: int, body: str | None, kind: quote.BodyType, size: int
) -> None:
    raw = TdxMachine(version=version, body=body).quote(DATA)
    found = quote.parse(raw)
    assert (found.kind, found.header.version, found.body_type) == (TeeKind.TDX, version, kind)
    assert (len(found.body), found.raw, found.padding) == (size, raw, 0)
    assert tdx_abi.parse(found).report_data == DATA
    assert found.signature_data.auth_data == AUTH_DATA
    assert found.signature_data.certification_data.endswith(b"-----END CERTIFICATE-----\n\0")


def test_sgx_quotes_are_version_3() -> None:
    found = quote.parse(SGX.quote(DATA))
    assert (found.kind, found.header.version) == (TeeKind.SGX, 3)
    assert (found.header.qe_svn, found.header.pce_svn) == (8, 11)
    enclave = sgx_abi.parse(found) if hasattr(sgx_abi, "parse") else report.parse(found.body, "enclave")
    assert (enclave.report_data, enclave.mr_enclave, enclave.debug) == (DATA, MR_ENCLAVE, False)


@pytest.mark.parametrize("name", sorted(quotewrite.TD_BODIES["1.5ex"][2]))
def test_each_field_of_a_td_report_arrives_where_the_parser_reads_it(name: str) -> None:
    size = quotewrite.TD_BODIES["1.5ex"][2][name][1]
    value = distinct(size)
    raw = EXTENDED.quote(value) if name == "report_data" else EXTENDED.quote(DATA, **{name: value})
    parsed = tdx_abi.parse(quote.parse(raw))
    assert parsed.extension is not None
    found: Any = getattr(parsed, name) if hasattr(parsed, name) else getattr(parsed.extension, name)
    assert found == (value[0] if name == "vm_id" else value)


@pytest.mark.parametrize("name", sorted(quotewrite.ENCLAVE))
def test_each_field_of_an_enclave_report_arrives_where_the_parser_reads_it(name: str) -> None:
    value = distinct(quotewrite.ENCLAVE[name][1])
    raw = SGX.quote(value) if name == "report_data" else SGX.quote(DATA, **{name: value})
    assert getattr(report.parse(quote.parse(raw).body, "enclave"), name) == value


@pytest.mark.parametrize(
    ("version", "theirs"),
    [
        ("1.0", tdx_abi.TD_REPORT_1_0),
        ("1.5", tdx_abi.TD_REPORT_1_5),
        ("1.5ex", tdx_abi.TD_REPORT_1_5_EXTENDED),
    ],
)
def test_the_td_layouts_are_the_verifiers_although_written_apart(version: str, theirs: Any) -> None:
    _, size, layout = quotewrite.TD_BODIES[version]
    assert sorted(layout.values()) == sorted((field.offset, field.size) for field in theirs)
    assert sum(length for _, length in layout.values()) == size


def test_header_and_enclave_layouts_are_the_verifiers_although_written_apart() -> None:
    assert sorted(quotewrite.HEADER.values()) == sorted((f.offset, f.size) for f in quote.HEADER)
    named = {(f.offset, f.size) for f in report.LAYOUT if not f.name.startswith("RESERVED")}
    assert set(quotewrite.ENCLAVE.values()) == named


def test_an_integer_is_written_little_endian() -> None:
    parsed = tdx_abi.parse(quote.parse(TDX.quote(DATA, td_attributes=0x10000001)))
    assert parsed.td_attributes == bytes.fromhex("0100001000000000")


def test_what_is_not_named_is_good() -> None:
    parsed = tdx_abi.parse(quote.parse(TDX5.quote(DATA)))
    assert parsed.mr_td == MR_TD
    assert parsed.attribute_bits == 1 << 28
    assert parsed.rtmr3 == parsed.mr_config_id == parsed.mr_service_td == bytes(48)
    assert parsed.tee_tcb_svn == parsed.tee_tcb_svn2 == inteldocs.TEE_TCB_SVN["UpToDate"]


def test_header_fields_can_differ_too() -> None:
    head = quote.parse(TDX.quote(DATA, qe_svn=3, qe_vendor_id=bytes(16))).header
    assert (head.qe_svn, head.qe_vendor_id) == (3, bytes(16))


def test_patches_go_into_the_signed_part() -> None:
    found = quote.parse(TDX.quote(DATA, patch={47: b"\x07", 168: b"\x01"}))
    assert (found.signed[47], found.signed[168]) == (7, 1)
    with pytest.raises(ValueError, match="do not fit"):
        TDX.quote(DATA, patch={631: b"\x00\x00"})


@pytest.mark.parametrize("field", ["mr_tb", "mr_enclave", "tee_tcb_svn2"])
def test_a_field_that_this_report_does_not_have_is_refused_by_name(field: str) -> None:
    with pytest.raises(TypeError, match=field):
        TDX.quote(DATA, **{field: bytes(48)})


@pytest.mark.parametrize("value", [bytes(47), bytes(49), -1, 1 << 384])
def test_a_value_that_does_not_fit_is_refused_by_name(value: bytes | int) -> None:
    with pytest.raises(ValueError, match="mr_td"):
        TDX.quote(DATA, mr_td=value)


def test_padding_is_zero_bytes_behind_the_quote() -> None:
    raw = TDX.quote(DATA, signing=Signing(padding=100))
    found = quote.parse(raw)
    assert (found.padding, len(found.raw)) == (100, len(raw) - 100)


def test_same_seed_same_platform() -> None:
    one, same, other = TdxMachine(), TdxMachine(), TdxMachine(seed="machine-2")
    assert one.pck() != same.pck(), "signatures are randomised"
    for name in ("ppid", "platform_instance_id", "pck_serial"):
        assert getattr(one, name) == getattr(same, name)
        assert getattr(one, name) != getattr(other, name)
    assert one.pck_key.private_numbers() == same.pck_key.private_numbers()
    assert one.attestation_key.private_numbers() != other.attestation_key.private_numbers()


@pytest.mark.parametrize("level", ["UpToDate", "OutOfDate", "Revoked"])
def test_the_pck_certifies_the_platforms_level(level: str) -> None:
    machine = TdxMachine(level=level)
    found = pck.read(x509.parse(machine.pck(), "PCK"), "PCK")
    assert found.components == inteldocs.SGX_SVNS[level]
    assert (found.cpu_svn, found.pce_svn) == (bytes(inteldocs.SGX_SVNS[level]), 11)
    assert (found.ppid, found.fmspc, found.sgx_type) == (machine.ppid, machine.fmspc, 1)
    assert (found.dynamic_platform, found.cached_keys, found.smt_enabled) == (True, False, True)


def test_under_the_processor_ca_there_is_no_instance_id() -> None:
    found = pck.read(x509.parse(SgxMachine(ca="processor").pck(), "PCK"), "PCK")
    assert (found.platform_instance_id, found.smt_enabled, found.sgx_type) == (None, None, 0)


def test_documents_are_signed_over_their_own_bytes() -> None:
    key = x509.parse(TDX.tcb_signing_chain()[0], "signer").public_key
    for _, signed in (
        tcbinfo.parse(TDX.tcb_info(), "x"),
        tcbinfo.parse(SGX.tcb_info(), "x"),
        identity.parse(TDX.qe_identity(), "x"),
        identity.parse(SGX.qe_identity(), "x"),
    ):
        assert ecdsa.verify_p256_sha256(key, signed.r, signed.s, signed.body)  # type: ignore[arg-type]


def test_the_good_tcb_info_has_a_level_of_each_kind() -> None:
    info, _ = tcbinfo.parse(TDX.tcb_info(), "TCB info")
    assert [level.status for level in info.levels] == [Status.UP_TO_DATE, Status.OUT_OF_DATE, Status.REVOKED]
    assert {module.id: len(module.levels) for module in info.modules} == {"TDX_03": 1, "TDX_01": 3}
    assert info.window.issued < TDX.at < info.window.next_update
    assert (info.fmspc, info.pce_id) == (TDX.fmspc, TDX.pce_id)


def test_members_are_overridden_and_dropped_by_intels_names() -> None:
    raw = TDX.tcb_info(issueDate=TDX.at, tcbEvaluationDataNumber=3, drop=["tdxModule"])
    body = json.loads(raw)["tcbInfo"]
    assert (body["issueDate"], body["tcbEvaluationDataNumber"]) == ("2026-06-30T12:00:00Z", 3)
    assert "tdxModule" not in body
    assert json.loads(SGX.qe_identity(isvprodid=9))["enclaveIdentity"]["isvprodid"] == 9


def test_collateral_that_does_not_exist_is_refused_by_name() -> None:
    for wrong in ({"drop": ["crl"]}, {"tcbinfo": b""}):
        with pytest.raises(TypeError, match="no such collateral"):
            TDX.endorsements(**wrong)  # type: ignore[arg-type]


def test_endorsements_can_lack_a_piece() -> None:
    found = TDX.endorsements(drop=["tcb_info", "pck_crl"])
    assert (found.tcb_infos, found.crls) == ((), (TDX.good_collateral["root_crl"],))


@pytest.mark.parametrize("wrong", [{"level": "Fine"}, {"ca": "root"}])
def test_a_machine_that_cannot_be_simulated_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="to simulate"):
        TdxMachine(**wrong)  # type: ignore[arg-type]


def test_machines_live_at_the_epoch_unless_told_otherwise() -> None:
    assert (TDX.at, SGX.at) == (seeds.EPOCH, seeds.EPOCH)
