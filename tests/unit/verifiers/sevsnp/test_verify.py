"""One thing wrong on a simulated, properly signed machine: the checks that fail, and only those."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.simulator import keys
from gateway.simulator.amd import SnpMachine
from verifiers.crypto.ecdsa import P384_ORDER
from verifiers.model import (
    AnchorSet,
    Endorsements,
    Need,
    Outcome,
    ReportData,
    TcbVersion,
    Unbound,
    Verdict,
    Verification,
    first_reason,
)
from verifiers.sevsnp import abi
from verifiers.sevsnp.verify import verify

DATA = bytes(range(64))
UNBOUND = Unbound("no challenge in this test")
BOTH = AnchorSet.VENDOR_AND_SIMULATED
MACHINES = [
    pytest.param(SnpMachine(product=line, signing_key=key), id=f"{line}-{key}")
    for line in ("Milan", "Genoa", "Turin")
    for key in ("VCEK", "VLEK")
]
MILAN, GENOA, TURIN = (SnpMachine(product=line) for line in ("Milan", "Genoa", "Turin"))
AWS = SnpMachine(product="Milan", signing_key="VLEK")

ORDER = [
    "evidence.simulated",
    "snp.chain",
    "snp.chain-names",
    "snp.chain-dates",
    "snp.revocation",
    "snp.signature",
    "snp.version",
    "snp.reserved",
    "snp.host-requested",
    "snp.signing-key",
    "snp.product",
    "snp.tcb-certificate",
    "snp.tcb-order",
    "snp.chip-id",
    "binding.report-data",
]


def run(
    machine: SnpMachine,
    report: bytes | None = None,
    *,
    endorsements: Endorsements | None = None,
    binding: ReportData | Unbound | None = None,
    at: datetime | None = None,
    **overrides: Any,
) -> Verification:
    raw = machine.report(DATA, **overrides) if report is None else report
    return verify(
        abi.parse(raw),
        endorsements or machine.endorsements(),
        binding or ReportData(DATA),
        at or machine.at,
    )


def outcome(found: Verification, name: str) -> Outcome:
    return next(check.outcome for check in found.checks if check.id == name)


def text(found: Verification, name: str) -> str:
    return next(check.found for check in found.checks if check.id == name)


def failed(found: Verification) -> dict[str, str | None]:
    return {check.id: check.code for check in found.checks if check.outcome is Outcome.FAILED}


def unknown(found: Verification) -> dict[str, str | None]:
    return {check.id: check.code for check in found.checks if check.outcome is Outcome.UNKNOWN}


# --- the good case -----------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", MACHINES)
def test_a_good_machine(machine: SnpMachine) -> None:
    found = run(machine)
    assert found.verdict is Verdict.ACCEPTED
    assert found.authentic
    assert found.simulated
    assert found.missing == ()
    assert found.at == machine.at
    vlek = machine.signing_key == "VLEK"
    expected = ["snp.csp-id" if vlek and name == "snp.chip-id" else name for name in ORDER]
    assert [check.id for check in found.checks] == expected
    not_passed = [check.id for check in found.checks if check.outcome is not Outcome.PASSED]
    assert not_passed == (["snp.csp-id"] if vlek else [])
    assert set(found.used) == {
        machine.signing_key.lower(),
        "asvk-key" if vlek else "ask-key",
        "ark-key",
        "crl",
    }


def test_expires_with_the_first_window_that_ends() -> None:
    crl_end = MILAN.at + timedelta(days=3)
    given = MILAN.endorsements(crls=(MILAN.crl(next_update=crl_end),))
    assert run(MILAN, endorsements=given).expires == crl_end
    leaf_end = MILAN.at + timedelta(days=2)
    given = MILAN.endorsements(
        certificates=(MILAN.vcek(not_after=leaf_end),), crls=(MILAN.crl(next_update=crl_end),)
    )
    assert run(MILAN, endorsements=given).expires == leaf_end


@pytest.mark.parametrize("version", [2, 3, 5])
def test_versions(version: int) -> None:
    assert run(SnpMachine(product="Milan", version=version)).verdict is Verdict.ACCEPTED


def test_version_4_is_left_open_and_its_vectors_are_not_read() -> None:
    machine = SnpMachine(product="Milan", version=4)
    found = run(machine, machine.report(DATA, launch_mit_vector=5))
    assert (found.verdict, first_reason(found.checks)) == (Verdict.UNDECIDED, "snp.version")
    assert [c.id for c in found.checks if c.outcome is not Outcome.PASSED] == ["snp.version"]
    assert "snp.launch_mit_vector" not in found.claims
    assert "snp.current_mit_vector" not in found.claims


@pytest.mark.parametrize("version", [0, 1, 6, 0xFFFFFFFF])
def test_other_versions_are_nobodys_to_admit(version: int) -> None:
    report = MILAN.report(DATA, version=version)
    assert failed(run(MILAN, report))["snp.version"] == "snp.version"


# --- reserved and unknown bits -----------------------------------------------------------------------


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize(
    "offset",
    [0x04C, 0x04F, 0x18B, 0x19F, 0x1EB, 0x1EF, 0x208, 0x29F, 0x330, 0x49F, 0x3A, 0x3B, 0x3D, 0x182, 0x1F5],
)
def test_reserved_bytes_are_zero(version: int, offset: int) -> None:
    machine = SnpMachine(product="Milan", version=version)
    found = run(machine, patch={offset: b"\x80"})
    assert found.signature_valid
    assert failed(found)["snp.reserved"] == "snp.reserved"
    assert f"{offset:#05x}" in text(found, "snp.reserved")


@pytest.mark.parametrize("offset", [0x188, 0x18A, 0x1F8, 0x207])
def test_later_fields_are_reserved_in_version_2(offset: int) -> None:
    machine = SnpMachine(product="Milan", version=2)
    assert failed(run(machine, patch={offset: b"\x01"})) == {"snp.reserved": "snp.reserved"}


@pytest.mark.parametrize("offset", [0x1F8, 0x207])
def test_mitigation_vectors_are_reserved_in_version_3(offset: int) -> None:
    machine = SnpMachine(product="Milan", version=3)
    assert failed(run(machine, patch={offset: b"\x01"})) == {"snp.reserved": "snp.reserved"}
    assert run(SnpMachine(product="Milan", version=5), patch={offset: b"\x01"}).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("offset", [0x3C, 0x3D, 0x3E, 0x184, 0x1E6, 0x1F4])
def test_turin_reserves_other_tcb_bytes(offset: int) -> None:
    assert failed(run(TURIN, patch={offset: b"\x01"})) == {"snp.reserved": "snp.reserved"}


@pytest.mark.parametrize("bit", range(26, 64))
def test_unknown_policy_bits_are_refused(bit: int) -> None:
    assert failed(run(MILAN, policy=0x30000 | 1 << bit)) == {"snp.reserved": "snp.reserved"}


@pytest.mark.parametrize("bit", [b for b in range(26) if b != 17])
def test_known_policy_bits_are_not_judged_here(bit: int) -> None:
    assert run(MILAN, policy=0x20000 | 1 << bit).verdict is Verdict.ACCEPTED


def test_policy_bit_17_is_one() -> None:
    found = run(MILAN, policy=0x10000)
    assert failed(found) == {"snp.reserved": "snp.reserved"}
    assert text(found, "snp.reserved") == "POLICY bit 17 is 0"


@pytest.mark.parametrize("bit", range(8, 64))
def test_unknown_platform_bits_are_refused(bit: int) -> None:
    assert failed(run(MILAN, platform_info=0x25 | 1 << bit)) == {"snp.reserved": "snp.reserved"}


def test_all_known_platform_bits_are_fine() -> None:
    assert run(MILAN, platform_info=0xFF).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("bit", range(5, 32))
def test_reserved_bits_of_key_info(bit: int) -> None:
    assert failed(run(MILAN, key_info=1 << bit)) == {"snp.reserved": "snp.reserved"}


# --- VMPL, signature, signing key ---------------------------------------------------------------------


@pytest.mark.parametrize(("vmpl", "good"), [(0, True), (3, True), (4, False), (0xFFFFFFFF, False)])
def test_vmpl(vmpl: int, good: bool) -> None:
    expected = {} if good else {"snp.host-requested": "snp.host-requested"}
    assert failed(run(MILAN, vmpl=vmpl)) == expected


def test_signed_by_another_key() -> None:
    found = run(MILAN, sign_with=ec.generate_private_key(ec.SECP384R1()))
    assert (found.signature_valid, found.chain_valid) == (False, True)
    assert failed(found) == {"snp.signature": "snp.signature"}


def test_an_algorithm_that_is_not_defined_is_no_signature() -> None:
    """Although bytes and key would verify."""
    found = run(MILAN, signature_algo=2)
    assert not found.signature_valid
    assert failed(found) == {"snp.signature": "snp.signature"}


def test_leaf_on_another_curve() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    found = run(MILAN, endorsements=MILAN.endorsements(certificates=(MILAN.vcek(public_key=key),)))
    assert not found.signature_valid
    assert text(found, "snp.signature") == "the certificate's key is not on P-384"


@pytest.mark.parametrize("key_info", [0b00010, 0b01000, 0b11000, 0b11100, 0b00110])
def test_key_info_that_no_certificate_can_answer(key_info: int) -> None:
    assert failed(run(MILAN, key_info=key_info))["snp.signing-key"] == "snp.signing-key"


@pytest.mark.parametrize(
    ("machine", "certificate", "said"),
    [
        pytest.param(MILAN, {"drop": ["hwID"]}, "a VCEK without hwID", id="vcek-without-hwid"),
        pytest.param(MILAN, {"csp_id": "CN=x"}, "a VCEK with cspID", id="vcek-with-csp-id"),
        pytest.param(AWS, {"drop": ["cspID"]}, "a VLEK without cspID", id="vlek-without-csp-id"),
        pytest.param(AWS, {"hwid": bytes(64)}, "a VLEK with hwID", id="vlek-with-hwid"),
        pytest.param(
            MILAN,
            {"issued_by": "SEV-VLEK-Milan", "sign_with": keys.amd("Milan", "ASVK")},
            "a VCEK issued by SEV-VLEK-Milan",
            id="vcek-by-the-asvk",
        ),
        pytest.param(
            AWS,
            {"issued_by": "SEV-Milan", "sign_with": keys.amd("Milan", "ASK")},
            "a VLEK issued by SEV-Milan",
            id="vlek-by-the-ask",
        ),
    ],
)
def test_kinds_of_key_do_not_mix(machine: SnpMachine, certificate: dict[str, Any], said: str) -> None:
    leaf = machine.certificate(machine.signing_key, **certificate)
    found = run(machine, endorsements=machine.endorsements(certificates=(leaf,)))
    assert found.authentic
    assert failed(found)["snp.signing-key"] == "snp.signing-key"
    assert said in text(found, "snp.signing-key")


def test_a_vlek_does_not_pass_for_a_vcek() -> None:
    """Signed by the VLEK's own key, with KEY_INFO saying VCEK: authentic, and refused."""
    found = run(AWS, key_info=0)
    assert found.authentic
    assert failed(found) == {"snp.signing-key": "snp.signing-key"}
    assert text(found, "snp.signing-key") == "KEY_INFO says VCEK, the certificate is a VLEK"


# --- product, TCB, chip -------------------------------------------------------------------------------


def test_cpuid_of_another_product() -> None:
    found = run(MILAN, cpuid_fms=(0x19, 0x11, 1))
    assert failed(found) == {"snp.product": "snp.product"}
    assert text(found, "snp.product") == "issuer 'SEV-Milan', productName 'Milan-B0', CPUID Genoa"


def test_without_cpuid_the_certificate_says_the_product() -> None:
    machine = SnpMachine(product="Milan", version=2)
    assert text(run(machine), "snp.product") == "Milan by certificate; version 2 has no CPUID"
    given = machine.endorsements(certificates=(machine.vcek(product_name="Genoa"),))
    expected = "issuer 'SEV-Milan', productName 'Genoa', CPUID none"
    assert text(run(machine, endorsements=given), "snp.product") == expected


@pytest.mark.parametrize("key", ["VCEK", "VLEK"])
@pytest.mark.parametrize("version", [0, 2])
def test_without_cpuid_no_certificate_may_choose_turins_layout(version: int, key: str) -> None:
    machine = SnpMachine(product="Turin", version=2, signing_key=key)
    found = run(machine, machine.report(DATA, version=version))
    assert found.authentic
    assert found.verdict is Verdict.REFUSED
    assert failed(found)["snp.product"] == "snp.product"
    assert failed(found).keys() <= {"snp.product", "snp.version"}
    expected = "a report without CPUID (before version 3) under a certificate for Turin"
    assert text(found, "snp.product") == expected


def test_version_2_of_genoa_is_known_by_its_certificate() -> None:
    found = run(SnpMachine(product="Genoa", version=2))
    assert found.verdict is Verdict.ACCEPTED
    assert text(found, "snp.product") == "Genoa by certificate; version 2 has no CPUID"


@pytest.mark.parametrize("fms", [(0x1A, 0x50, 0), (0x19, 0x20, 0), (0, 0, 0)])
def test_cpuid_of_no_known_product(fms: tuple[int, int, int]) -> None:
    assert failed(run(MILAN, cpuid_fms=fms)) == {"snp.product": "snp.product"}


@pytest.mark.parametrize("name", ["Genoa", "Venice", "Mila"])
def test_product_name_of_another_product(name: str) -> None:
    given = MILAN.endorsements(certificates=(MILAN.vcek(product_name=name),))
    assert failed(run(MILAN, endorsements=given)) == {"snp.product": "snp.product"}


def test_stepping_in_the_product_name_does_not_matter() -> None:
    given = MILAN.endorsements(certificates=(MILAN.vcek(product_name="Milan-B7"),))
    assert run(MILAN, endorsements=given).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("part", ["bootloader", "tee", "snp", "microcode"])
@pytest.mark.parametrize("delta", [-1, 1])
def test_tcb_of_the_certificate_is_exactly_the_reported_one(part: str, delta: int) -> None:
    good = {"bootloader": 4, "tee": 1, "snp": 24, "microcode": 219}
    tcb = TcbVersion(**good)
    machine = SnpMachine(product="Milan", tcb=tcb)
    other = TcbVersion(**(good | {part: good[part] + delta}))
    given = machine.endorsements(certificates=(machine.vcek(tcb=other),))
    found = run(machine, endorsements=given)
    assert found.authentic
    assert failed(found) == {"snp.tcb-certificate": "snp.tcb-certificate"}
    check = next(check for check in found.checks if check.id == "snp.tcb-certificate")
    assert check.fix == "give the VCEK certificate for blSPL=4 snpSPL=24 teeSPL=1 ucodeSPL=219"


def test_struct_version_of_another_product() -> None:
    leaf = MILAN.vcek(struct_version=1, contents={"fmcSPL": b"\x02\x01\x00"})
    found = run(MILAN, endorsements=MILAN.endorsements(certificates=(leaf,)))
    assert failed(found)["snp.tcb-certificate"] == "snp.tcb-certificate"
    assert "structVersion 1 is not Milan's" in text(found, "snp.tcb-certificate")


def test_extensions_that_cannot_be_read() -> None:
    leaf = MILAN.vcek(drop=["ucodeSPL"])
    found = run(MILAN, endorsements=MILAN.endorsements(certificates=(leaf,)))
    assert found.authentic
    assert failed(found)["snp.tcb-certificate"] == "collateral.certificate-malformed"
    assert "snp.hwid" not in found.claims


LOW = TcbVersion(bootloader=4, tee=0, snp=23, microcode=219)
HIGH = TcbVersion(bootloader=4, tee=0, snp=25, microcode=219)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(
            {"committed_tcb": LOW}, "REPORTED 4.0.24.219 > COMMITTED 4.0.23.219 in snp", id="reported"
        ),
        pytest.param(
            {"committed_tcb": HIGH}, "COMMITTED 4.0.25.219 > CURRENT 4.0.24.219 in snp", id="committed"
        ),
        pytest.param({"launch_tcb": HIGH}, "LAUNCH 4.0.25.219 > CURRENT 4.0.24.219 in snp", id="launch"),
        pytest.param({"current_tcb": LOW}, "COMMITTED 4.0.24.219 > CURRENT 4.0.23.219 in snp", id="current"),
    ],
)
def test_order_of_the_tcbs(fields: dict[str, TcbVersion], said: str) -> None:
    found = run(MILAN, **fields)
    assert failed(found) == {"snp.tcb-order": "snp.tcb-order"}
    assert said in text(found, "snp.tcb-order")


def test_tcbs_in_order_may_differ() -> None:
    assert run(MILAN, current_tcb=HIGH, committed_tcb=HIGH, launch_tcb=LOW).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("machine", "chip_id"),
    [
        pytest.param(MILAN, MILAN.hwid[:-1] + bytes((MILAN.hwid[-1] ^ 1,)), id="one-bit"),
        pytest.param(MILAN, MILAN.hwid[:8] + bytes(56), id="first-8-bytes-only"),
        pytest.param(TURIN, TURIN.hwid + bytes(55) + b"\1", id="turin-with-a-tail"),
        pytest.param(TURIN, TURIN.hwid[:7] + bytes(57), id="turin-7-bytes"),
    ],
)
def test_chip_id_is_the_hwid(machine: SnpMachine, chip_id: bytes) -> None:
    found = run(machine, chip_id=chip_id)
    assert found.authentic
    assert failed(found) == {"snp.chip-id": "snp.chip-id"}


def test_masked_chip_id() -> None:
    found = run(MILAN, chip_id=bytes(64))
    assert failed(found) == {"snp.chip-id": "snp.chip-id"}
    assert text(found, "snp.chip-id") == "CHIP_ID is all zero: masked"


@pytest.mark.parametrize("machine", [MILAN, TURIN])
def test_masked_chip_id_and_a_certificate_for_no_chip(machine: SnpMachine) -> None:
    leaf = machine.vcek(hwid=bytes(len(machine.hwid)))
    given = machine.endorsements(certificates=(leaf,))
    assert failed(run(machine, endorsements=given, chip_id=bytes(64))) == {"snp.chip-id": "snp.chip-id"}


def test_hwid_of_the_wrong_length_for_the_product() -> None:
    """Eight bytes and zeros behind them would be Turin's; on Milan they are nobody's."""
    leaf = MILAN.vcek(hwid=b"12345678")
    given = MILAN.endorsements(certificates=(leaf,))
    found = run(MILAN, endorsements=given, chip_id=b"12345678" + bytes(56))
    assert failed(found) == {"snp.chip-id": "snp.chip-id"}


# --- binding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 31, 32, 63])
def test_all_64_bytes_of_report_data_count(index: int) -> None:
    other = bytearray(DATA)
    other[index] ^= 0x80
    found = run(MILAN, binding=ReportData(bytes(other)))
    assert found.authentic
    assert failed(found) == {"binding.report-data": "binding.report-data"}


def test_unbound_is_said_aloud() -> None:
    found = run(MILAN, binding=UNBOUND)
    assert found.verdict is Verdict.ACCEPTED
    assert outcome(found, "binding.report-data") is Outcome.NOT_CHECKED
    assert text(found, "binding.report-data") == "not compared: no challenge in this test"


# --- missing and unusable certificates ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "reason", "kind"),
    [
        pytest.param(GENOA, "collateral.vcek-missing", "amd.vcek", id="vcek"),
        pytest.param(SnpMachine(signing_key="VLEK"), "collateral.vlek-missing", "amd.vlek", id="vlek"),
    ],
)
def test_no_leaf_is_undecided(machine: SnpMachine, reason: str, kind: str) -> None:
    found = run(machine, endorsements=machine.endorsements(certificates=()))
    assert found.verdict is Verdict.UNDECIDED
    assert first_reason(found.checks) == reason
    assert (found.signature_valid, found.chain_valid, found.simulated) == (False, False, False)
    assert set(unknown(found)) == {
        "snp.chain",
        "snp.chain-names",
        "snp.chain-dates",
        "snp.signature",
        "snp.signing-key",
        "snp.product",
        "snp.tcb-certificate",
        "snp.csp-id" if kind == "amd.vlek" else "snp.chip-id",
    }
    assert set(unknown(found).values()) == {reason}
    assert [need.kind for need in found.missing] == [kind, "amd.crl"]
    assert found.claims["snp.reported_tcb"] == machine.certified_tcb


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"policy": 0x10000}, "snp.reserved"),
        ({"vmpl": 0xFFFFFFFF}, "snp.host-requested"),
        ({"key_info": 0b11100}, "snp.signing-key"),
        ({"cpuid_fms": (1, 2, 3)}, "snp.product"),
        ({"chip_id": bytes(64)}, "snp.chip-id"),
        ({"launch_tcb": HIGH, "current_tcb": LOW}, "snp.tcb-order"),
        ({"version": 7}, "snp.version"),
        ({"signature_algo": 3}, "snp.signature"),
    ],
)
def test_a_definite_failure_outranks_a_missing_leaf(fields: dict[str, Any], check: str) -> None:
    found = run(MILAN, endorsements=MILAN.endorsements(certificates=()), **fields)
    assert found.verdict is Verdict.REFUSED
    assert check in failed(found)


def test_v2_without_a_leaf_has_no_product_and_no_tcb_claims() -> None:
    machine = SnpMachine(product="Milan", version=2)
    found = run(machine, endorsements=machine.endorsements(certificates=()))
    assert found.evidence.product is None
    assert not {"snp.product", "snp.reported_tcb", "snp.cpuid_fms"} & found.claims.keys()
    assert unknown(found)["snp.tcb-order"] == "snp.product"


@pytest.mark.parametrize(
    ("machine", "kind"),
    [pytest.param(MILAN, "vcek", id="vcek"), pytest.param(AWS, "vlek", id="vlek")],
)
@pytest.mark.parametrize("spoil", [lambda leaf: leaf + b"\0", lambda leaf: leaf[:-1], lambda _: b"junk"])
def test_a_leaf_that_cannot_be_read_is_as_missing_as_none(
    machine: SnpMachine, kind: str, spoil: Callable[[bytes], bytes]
) -> None:
    """Anybody can put junk beside a report: the answer is to give the leaf, and never that all is well."""
    found = run(machine, endorsements=machine.endorsements(certificates=(spoil(machine.leaf),)))
    without = run(machine, endorsements=machine.endorsements(certificates=()))
    assert found.verdict is Verdict.UNDECIDED
    assert (found.signature_valid, found.chain_valid) == (False, False)
    assert unknown(found) == unknown(without)
    assert set(unknown(found).values()) == {f"collateral.{kind}-missing"}
    assert text(found, "snp.chain").startswith(
        f"no {kind.upper()} certificate; cannot be read: certificates[0]"
    )
    assert [need.kind for need in found.missing] == [f"amd.{kind}", "amd.crl"]


def test_of_many_that_cannot_be_read_the_first_is_shown() -> None:
    found = run(MILAN, endorsements=MILAN.endorsements(certificates=(b"junk", b"more", b"and more")))
    assert "certificates[0]" in text(found, "snp.chain")
    assert text(found, "snp.chain").endswith(" and 2 more")


def test_a_certificate_that_cannot_be_read_when_it_is_not_needed() -> None:
    found = run(MILAN, endorsements=MILAN.endorsements(certificates=(b"junk", MILAN.leaf)))
    assert found.verdict is Verdict.ACCEPTED
    assert outcome(found, "snp.ignored-collateral") is Outcome.NOT_CHECKED
    assert "certificates[0]" in text(found, "snp.ignored-collateral")


def test_too_many_certificates() -> None:
    found = run(MILAN, endorsements=MILAN.endorsements(certificates=(MILAN.leaf,) * 257))
    assert failed(found)["snp.chain"] == "collateral.malformed"
    assert run(MILAN, endorsements=MILAN.endorsements(certificates=(MILAN.leaf,) * 256)).authentic


@pytest.mark.parametrize("offset", [0x2A0, 0x2E8])
@pytest.mark.parametrize("value", [0, P384_ORDER, P384_ORDER + 1])
def test_what_is_no_signature_at_all_needs_no_leaf_to_fail(offset: int, value: int) -> None:
    found = run(
        MILAN,
        endorsements=MILAN.endorsements(certificates=()),
        patch={offset: value.to_bytes(72, "little")},
    )
    assert failed(found) == {"snp.signature": "snp.signature"}


@pytest.mark.parametrize("value", [1, P384_ORDER - 1])
def test_what_may_be_a_signature_needs_a_leaf(value: int) -> None:
    given = MILAN.endorsements(certificates=())
    found = run(MILAN, endorsements=given, patch={0x2A0: value.to_bytes(72, "little")})
    assert unknown(found)["snp.signature"] == "collateral.vcek-missing"


@pytest.mark.parametrize("key_info", [0b00010, 0b11100])
def test_a_report_that_nobody_signed_says_so(key_info: int) -> None:
    found = run(MILAN, key_info=key_info, patch={0x2A0: bytes(144)})
    assert text(found, "snp.signature") == "the firmware was told not to sign (KEY_INFO)"


# --- the rest -----------------------------------------------------------------------------------------


def test_claims_are_filled_although_the_signature_fails() -> None:
    found = run(MILAN, sign_with=ec.generate_private_key(ec.SECP384R1()))
    assert found.claims["snp.measurement"] == MILAN.good["measurement"]
    assert found.claims["snp.product"] == "Milan"


@pytest.mark.parametrize(
    "now", [MILAN.at.replace(tzinfo=None), MILAN.at.astimezone(timezone(timedelta(hours=1)))]
)
def test_time_is_aware_and_utc(now: datetime) -> None:
    with pytest.raises(ValueError, match="UTC"):
        run(MILAN, at=now)


def test_a_changed_report_does_not_ask_for_the_leaf_that_is_there() -> None:
    changed = MILAN.report(DATA, sign_with=ec.generate_private_key(ec.SECP384R1()))
    assert run(MILAN, changed).missing == ()
    higher = run(MILAN, changed, endorsements=MILAN.endorsements(certificates=(MILAN.vcek(tcb=HIGH),)))
    assert [need.kind for need in higher.missing] == ["amd.vcek"]


def test_an_expired_leaf_is_asked_for_again() -> None:
    given = MILAN.endorsements(certificates=(MILAN.vcek(not_after=MILAN.at),))
    assert [need.kind for need in run(MILAN, endorsements=given).missing] == ["amd.vcek"]


def test_nothing_needs_a_need_when_all_is_there() -> None:
    assert run(MILAN).missing == ()
    other = MILAN.endorsements(crls=())
    assert run(MILAN, endorsements=other).missing == (
        Need("amd.crl", (("kind", "vcek"), ("product", "Milan"))),
    )


def test_the_same_arguments_give_the_same_result() -> None:
    report = MILAN.report(DATA)
    assert run(MILAN, report) == run(MILAN, report)
    assert run(MILAN, report, at=datetime(2026, 7, 2, tzinfo=UTC)) != run(MILAN, report)
