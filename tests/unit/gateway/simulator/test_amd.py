"""Reports carry what was asked for, where the parser looks for it, under the right key."""

from __future__ import annotations

import warnings

import pytest
from cryptography import x509 as pyca
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.simulator import keys, seeds, snpreport
from gateway.simulator.amd import CURRENT_TCB, MEASUREMENT, SnpMachine
from gateway.simulator.snpreport import FIELDS, Kind
from verifiers.model import TcbVersion
from verifiers.sevsnp import abi, certtable, product

DATA = bytes(range(64))
GENOA = SnpMachine()
TURIN_TCB = TcbVersion(fmc=9, bootloader=8, tee=7, snp=6, microcode=5)
OLD_TCB = TcbVersion(bootloader=9, tee=8, snp=7, microcode=6)
VALUES: dict[Kind, object] = {
    Kind.NUMBER: 3,
    Kind.TCB: OLD_TCB,
    Kind.VERSION: (3, 2, 1),
    Kind.CPUID: (0x19, 0x12, 2),
}


def leaf_signed(report: bytes, machine: SnpMachine) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        key = pyca.load_der_x509_certificate(machine.leaf).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(report[at : at + 72], "little") for at in (0x2A0, 0x2E8))
    key.verify(encode_dss_signature(r, s), report[:0x2A0], ec.ECDSA(hashes.SHA384()))
    return True


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_arrives_where_the_parser_reads_it(name: str) -> None:
    value = VALUES.get(FIELDS[name].kind) or bytes(range(1, FIELDS[name].size + 1))
    changed = {name: value}
    report = GENOA.report(
        value if name == "report_data" else DATA, **{k: v for k, v in changed.items() if k != "report_data"}
    )  # type: ignore[arg-type]
    found = getattr(abi.parse(report), name)
    if isinstance(value, TcbVersion):
        assert product.decode_tcb(found, product.Product.GENOA) == value
    else:
        assert found == (bytes(value) if FIELDS[name].kind is Kind.CPUID else value)  # type: ignore[call-overload]
    assert leaf_signed(report, GENOA)


def test_the_layout_is_the_verifiers_although_written_apart() -> None:
    """Two tables, one specification."""
    theirs = {field.name: (field.offset, field.size) for field in abi.LAYOUT}
    joined = {
        "CPUID_FMS": (theirs["CPUID_FAM_ID"][0], 3),
        "CURRENT_VERSION": (theirs["CURRENT_BUILD"][0], 3),
        "COMMITTED_VERSION": (theirs["COMMITTED_BUILD"][0], 3),
    }
    for name, entry in FIELDS.items():
        key = name.upper()
        assert (entry.offset, entry.size) == (theirs.get(key) or joined[key]), name


@pytest.mark.parametrize("name", keys.PRODUCTS)
def test_tcbs_are_laid_out_by_product(name: str) -> None:
    line = product.Product(name)
    tcb = TURIN_TCB if name == "Turin" else OLD_TCB
    assert snpreport.tcb_bytes(tcb) == product.encode_tcb(tcb, line)


@pytest.mark.parametrize("name", keys.PRODUCTS)
@pytest.mark.parametrize("kind", ["VCEK", "VLEK"])
def test_what_is_not_named_is_good(name: str, kind: str) -> None:
    machine = SnpMachine(product=name, signing_key=kind)
    report = abi.parse(machine.report(DATA))
    line = product.Product(name)
    assert report.report_data == DATA
    assert report.measurement == MEASUREMENT
    assert report.signing_key is abi.SigningKey[kind]
    assert report.vmpl == 0
    assert not report.policy & abi.GuestPolicy.DEBUG
    assert report.platform_info & abi.PlatformInfo.ALIAS_CHECK_COMPLETE
    assert report.report_id_ma == b"\xff" * 32
    assert product.from_cpuid(*report.cpuid_fms[:2]) is line
    tcbs = {report.current_tcb, report.reported_tcb, report.committed_tcb, report.launch_tcb}
    assert tcbs == {product.encode_tcb(CURRENT_TCB[name], line)}
    assert (report.chip_id == bytes(64)) is (kind == "VLEK")
    assert len(machine.hwid) == product.HWID_SIZE[line]


@pytest.mark.parametrize(
    ("version", "cpuid", "vectors"), [(2, False, False), (3, True, False), (4, True, False), (5, True, True)]
)
def test_a_version_has_the_fields_of_that_version(version: int, cpuid: bool, vectors: bool) -> None:
    report = abi.parse(SnpMachine(version=version).report(DATA))
    assert report.version == version
    assert any(report.cpuid_fms) is cpuid
    assert bool(report.launch_mit_vector and report.current_mit_vector) is vectors


def test_patches_go_in_before_signing_and_into_the_signature_after() -> None:
    report = GENOA.report(DATA, patch={0x18B: b"\x01", 0x49F: b"\x02"})
    assert (report[0x18B], report[0x49F]) == (1, 2)
    assert leaf_signed(report, GENOA)


@pytest.mark.parametrize(("at", "size"), [(0x29F, 2), (0x49F, 2), (0x4A0, 1)])
def test_a_patch_that_does_not_fit_is_refused(at: int, size: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        GENOA.report(DATA, patch={at: bytes(size)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("measurement", bytes(47)),
        ("measurement", bytes(49)),
        ("vmpl", -1),
        ("vmpl", 1 << 32),
        ("policy", "0x30000"),
        ("reported_tcb", bytes(8)),
        ("current_version", (1, 55)),
        ("report_data", bytes(63)),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        snpreport.encode(name, value)


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="polcy"):
        GENOA.report(DATA, polcy=1)


def test_fields_of_the_machine_are_in_every_report_and_a_call_overrides_them() -> None:
    machine = SnpMachine(fields={"vmpl": 1, "guest_svn": 7})
    report = abi.parse(machine.report(DATA, vmpl=2))
    assert (report.vmpl, report.guest_svn) == (2, 7)


def test_same_seed_same_machine() -> None:
    one, same, other = SnpMachine(), SnpMachine(), SnpMachine(seed="machine-2")
    assert (one.hwid, one.leaf_key.private_numbers()) == (same.hwid, same.leaf_key.private_numbers())
    assert one.hwid != other.hwid
    assert one.leaf_key.private_numbers() != other.leaf_key.private_numbers()


def test_vceks_follow_the_tcb_and_vleks_the_provider_not_the_chip() -> None:
    newer = SnpMachine(tcb=OLD_TCB)
    assert newer.hwid == GENOA.hwid
    assert newer.leaf_key.private_numbers() != GENOA.leaf_key.private_numbers()
    a, b, c = (
        SnpMachine(signing_key="VLEK", seed=seed, csp_id=csp)
        for seed, csp in (("x", "CN=one"), ("y", "CN=one"), ("x", "CN=two"))
    )
    assert a.leaf_key.private_numbers() == b.leaf_key.private_numbers()
    assert a.leaf_key.private_numbers() != c.leaf_key.private_numbers()


def test_leaf_and_crl_are_made_once() -> None:
    assert GENOA.leaf is GENOA.leaf
    assert GENOA.endorsements().certificates[0] is GENOA.leaf
    assert GENOA.endorsements().crls[0] is GENOA.good_crl


def test_two_reports_differ_in_their_signature_alone() -> None:
    first, second = GENOA.report(DATA), GENOA.report(DATA)
    assert first[:0x2A0] == second[:0x2A0]
    assert first != second


def test_the_certificate_table_holds_the_chain() -> None:
    for kind in ("VCEK", "VLEK"):
        machine = SnpMachine(signing_key=kind)
        leaf = {"VCEK": certtable.VCEK, "VLEK": certtable.VLEK}[kind]
        assert certtable.parse(machine.certificate_table()) == (
            (certtable.ARK, machine.ark()),
            (certtable.ASK, machine.intermediate()),
            (leaf, machine.leaf),
        )


def test_an_extended_report_is_report_and_table() -> None:
    raw = GENOA.extended_report(DATA, vmpl=1)
    assert abi.parse(raw[: snpreport.SIZE]).vmpl == 1
    assert raw[snpreport.SIZE :] == GENOA.certificate_table()


@pytest.mark.parametrize("wrong", [{"product": "Venice"}, {"signing_key": "none"}])
def test_a_machine_that_cannot_be_simulated_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="to simulate"):
        SnpMachine(**wrong)  # type: ignore[arg-type]


def test_machines_live_at_the_epoch_unless_told_otherwise() -> None:
    assert GENOA.at == seeds.EPOCH
