"""Names of needs: there and back, and no name for what is none."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.collateral import names
from gateway.collateral.vendors.amd import Kds
from gateway.collateral.vendors.intel import Pcs
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from verifiers import registry
from verifiers.carriers import open_evidence
from verifiers.model import Need

VENDORS = (Kds(base="https://kds.example"), Pcs(base="https://pcs.example", certificates="https://c.example"))
CHIP = "ab" * 64


def needs(machine: Any) -> tuple[Need, ...]:
    raw = machine.report(bytes(64)) if isinstance(machine, SnpMachine) else machine.quote(bytes(64))
    return registry.needs(open_evidence(raw).evidence)


@pytest.mark.parametrize(
    "machine",
    [
        SnpMachine(product="Milan"),
        SnpMachine(product="Milan", version=2),
        SnpMachine(product="Genoa"),
        SnpMachine(product="Turin"),
        TdxMachine(),
        SgxMachine(ca="processor"),
    ],
    ids=["milan", "milan-v2", "genoa", "turin", "tdx", "sgx"],
)
def test_every_need_that_a_vendor_answers_has_a_name_that_leads_back(machine: Any) -> None:
    for need in needs(machine):
        name = names.spell(need)
        assert name is not None
        assert names.parse(name) == (need,)
        assert any(vendor.requests(need, "standard") for vendor in VENDORS)


def test_what_nobody_serves_has_no_name() -> None:
    vlek, _ = needs(SnpMachine(signing_key="VLEK"))
    assert vlek.kind == "amd.vlek"
    assert names.spell(vlek) is None


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("amd/milan", ["amd.crl"]),
        ("AMD/Milan/CRL", ["amd.crl"]),
        ("amd:Genoa:vlek", ["amd.crl"]),
        ("intel/tdx", ["intel.root-crl", "intel.pck-crl", "intel.qe-identity"]),
        (
            "intel/sgx/00906ED50000",
            ["intel.root-crl", "intel.pck-crl", "intel.qe-identity", "intel.tcb-info"],
        ),
    ],
)
def test_names_of_several(text: str, kinds: list[str]) -> None:
    found = names.parse(text)
    assert found is not None
    assert [need.kind for need in found] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "amd",
        "amd/milan/crl/",
        "amd/milan/crl\n",
        "amd/rome/crl",
        f"amd/milan/vcek/{CHIP}/4.0.23",
        f"amd/milan/vcek/{CHIP}/4.0.23.256",
        f"amd/milan/vcek/{CHIP}/4.0.23.07",
        f"amd/milan/vcek/{CHIP}/1.4.0.23.213",
        f"amd/turin/vcek/{CHIP[:16]}/4.0.23.213",
        f"amd/milan/vcek/{CHIP[:-1]}/4.0.23.213",
        "intel/tdx/tcb-info/00806F05000",
        "intel/tdx/tcb-info/00806F050000/../x",
        "intel/crl/leaf",
        "x" * 2000,
    ],
)
def test_no_name(text: str) -> None:
    assert names.parse(text) is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("amd/milam/crl", "amd/milan/crl"),
        ("intel/tcb-info/00806F050000", "intel/tdx/tcb-info/FMSPC"),
        ("intel/tdx/qe-identiy", "intel/tdx/qe-identity"),
        ("intel/root-crl", "intel/crl/root"),
    ],
)
def test_a_misspelt_name_is_completed(text: str, hint: str) -> None:
    assert names.parse(text) is None
    assert hint in names.near(text)
