"""The claim table, and what is read into it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway.simulator.amd import MEASUREMENT, SnpMachine
from verifiers.claimtypes import ClaimType, to_json
from verifiers.model import ClaimValue, TcbVersion, Unbound, Verification
from verifiers.sevsnp import abi, claims
from verifiers.sevsnp.verify import verify

ROWS = {row.name: row for row in claims.TABLE}
EVIDENCE = {"evidence.type", "evidence.version", "evidence.simulated"}
PYTHON = {
    ClaimType.DIGEST: bytes,
    ClaimType.BYTES: bytes,
    ClaimType.FLAG: bool,
    ClaimType.INTEGER: int,
    ClaimType.MASK: int,
    ClaimType.TEXT: str,
    ClaimType.VERSION: tuple,
    ClaimType.TCB: TcbVersion,
    ClaimType.DURATION: timedelta,
    ClaimType.SET: frozenset,
}
MACHINES = [
    pytest.param(SnpMachine(product="Milan"), id="milan"),
    pytest.param(SnpMachine(product="Milan", signing_key="VLEK"), id="vlek"),
    pytest.param(SnpMachine(product="Turin"), id="turin"),
    pytest.param(SnpMachine(product="Milan", version=2), id="v2"),
]


def read(machine: SnpMachine, **fields: Any) -> Verification:
    report = abi.parse(machine.report(bytes(range(64)), **fields))
    return verify(report, machine.endorsements(), Unbound("claims alone"), machine.at)


def test_names_and_json_keys_are_unique() -> None:
    assert len(ROWS) == len(claims.TABLE)
    keys = [row.json for row in claims.TABLE if row.json is not None]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_claim_is_a_row_of_its_type_and_length(machine: SnpMachine) -> None:
    for name, value in read(machine).claims.items():
        if name in EVIDENCE:
            continue
        row = ROWS[name]
        assert type(value) is PYTHON[row.type], name
        if row.length is not None:
            assert isinstance(value, bytes)
            assert len(value) == row.length, name
        if row.values:
            assert value in row.values


def test_every_row_is_read_from_some_machine() -> None:
    seen = set[str]()
    for machine in (SnpMachine(product="Turin"), SnpMachine(product="Milan", signing_key="VLEK")):
        seen |= set(read(machine).claims)
    assert seen == ROWS.keys() | EVIDENCE


@pytest.mark.parametrize(("name", "bit"), [(name, bit) for name, bit, _, _ in claims.POLICY_BITS])
def test_policy_flags(name: str, bit: abi.GuestPolicy) -> None:
    found = read(SnpMachine(), policy=0x20000 | bit).claims
    assert [f for f, b, _, _ in claims.POLICY_BITS if found[f"snp.policy.{f}"]] == [name]
    assert found["snp.policy_flags"] == frozenset({name})
    assert read(SnpMachine(), policy=0x20000).claims[f"snp.policy.{name}"] is False


@pytest.mark.parametrize(("name", "bit"), [(name, bit) for name, bit, _, _ in claims.PLATFORM_BITS])
def test_platform_flags(name: str, bit: abi.PlatformInfo) -> None:
    found = read(SnpMachine(), platform_info=int(bit)).claims
    assert [f for f, b, _, _ in claims.PLATFORM_BITS if found[f"snp.platform_info.{f}"]] == [name]
    assert found["snp.platform_info_flags"] == frozenset({name})


def test_bits_have_the_numbers_of_the_specification() -> None:
    policy = {name: bit.bit_length() - 1 for name, bit, _, _ in claims.POLICY_BITS}
    assert policy == {
        "smt": 16,
        "migrate_ma": 18,
        "debug": 19,
        "single_socket": 20,
        "cxl_allow": 21,
        "mem_aes_256_xts": 22,
        "rapl_dis": 23,
        "ciphertext_hiding_dram": 24,
        "page_swap_disable": 25,
    }
    assert [bit.bit_length() - 1 for _, bit, _, _ in claims.PLATFORM_BITS] == list(range(8))


@pytest.mark.parametrize(
    ("name", "fields", "value", "json"),
    [
        ("snp.policy.abi", {"policy": 0x3021F}, (2, 31), "2.31"),
        ("snp.policy", {"policy": 0x3001F}, 0x3001F, "0x3001f"),
        ("snp.cpuid_fms", {"cpuid_fms": (0x19, 0xA0, 2)}, "19a002", "19a002"),
        ("snp.current_version", {"current_version": (1, 55, 29)}, (1, 55, 29), "1.55.29"),
        ("snp.current_version_raw", {"current_version": (1, 55, 29)}, b"\x1d\x37\x01", "1d3701"),
        ("snp.guest_svn", {"guest_svn": 65547}, 65547, 65547),
        ("snp.author_key_en", {"key_info": 1}, True, True),
        ("snp.vmpl", {"vmpl": 3}, 3, 3),
        ("snp.measurement", {}, MEASUREMENT, MEASUREMENT.hex()),
        ("snp.reported_tcb", {}, SnpMachine().certified_tcb, {"bl": 10, "tee": 0, "snp": 25, "ucode": 84}),
    ],
)
def test_values(name: str, fields: dict[str, Any], value: ClaimValue, json: object) -> None:
    found = read(SnpMachine(product="Genoa"), **fields).claims[name]
    assert found == value
    assert to_json(ROWS[name], found) == json


HIGHER = TcbVersion(bootloader=10, tee=0, snp=26, microcode=84)


@pytest.mark.parametrize(
    ("fields", "provisional"),
    [
        pytest.param({}, False, id="committed"),
        pytest.param({"current_tcb": HIGHER}, True, id="tcb"),
        pytest.param({"current_version": (1, 55, 44)}, True, id="version"),
    ],
)
def test_provisional_firmware(fields: dict[str, Any], provisional: bool) -> None:
    assert read(SnpMachine(product="Genoa"), **fields).claims["snp.provisional_firmware"] is provisional


def test_mitigation_vectors() -> None:
    new, old = read(SnpMachine(product="Turin")).claims, read(SnpMachine(product="Milan")).claims
    assert (new["snp.launch_mit_vector"], new["snp.current_mit_vector"]) == (0x3F, 0x3F)
    assert (old["snp.launch_mit_vector"], old["snp.current_mit_vector"]) == (0, 0)


def test_who_the_leaf_was_made_for() -> None:
    vcek, vlek = SnpMachine(product="Turin"), SnpMachine(product="Turin", signing_key="VLEK")
    assert read(vcek).claims["snp.hwid"] == vcek.hwid
    assert "snp.csp_id" not in read(vcek).claims
    assert read(vlek).claims["snp.csp_id"] == vlek.csp_id
    assert "snp.hwid" not in read(vlek).claims


def test_signing_key_is_missing_when_there_is_none() -> None:
    assert "snp.signing_key" not in read(SnpMachine(), key_info=0b11100).claims
    assert "snp.signing_key" not in read(SnpMachine(), key_info=0b01000).claims
    assert read(SnpMachine(), key_info=0b11100).evidence.signing_key == "unknown"


def test_crl_claims_exist_only_with_a_crl() -> None:
    machine = SnpMachine()
    found = read(machine).claims
    assert (found["collateral.amd_crl"], found["collateral.amd_crl.age"]) == ("checked", timedelta(days=1))
    report = abi.parse(machine.report(bytes(64)))
    bare = verify(report, machine.endorsements(crls=()), Unbound("no CRL"), machine.at).claims
    assert not {"collateral.amd_crl", "collateral.amd_crl.age"} & bare.keys()
