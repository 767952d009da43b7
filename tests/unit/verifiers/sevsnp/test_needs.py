"""What a report asks the shell to fetch."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.simulator.amd import SnpMachine
from verifiers.model import Need
from verifiers.sevsnp import abi
from verifiers.sevsnp.needs import needs

GENOA, TURIN = SnpMachine(product="Genoa"), SnpMachine(product="Turin")
GENOA_SPL = (("blSPL", "10"), ("snpSPL", "25"), ("teeSPL", "0"), ("ucodeSPL", "84"))


def asked(machine: SnpMachine, **fields: Any) -> tuple[Need, ...]:
    return needs(abi.parse(machine.report(bytes(64), **fields)))


def test_vcek_and_its_crl() -> None:
    leaf, crl = asked(GENOA)
    assert leaf.kind == "amd.vcek"
    assert dict(leaf.key) == {"chip_id": GENOA.hwid.hex(), "product": "Genoa", **dict(GENOA_SPL)}
    assert crl == Need("amd.crl", (("kind", "vcek"), ("product", "Genoa")))
    assert list(leaf.key) == sorted(leaf.key)


def test_turin_asks_by_8_bytes_and_with_an_fmc() -> None:
    leaf, _ = asked(TURIN)
    assert dict(leaf.key)["chip_id"] == TURIN.hwid.hex()
    assert len(dict(leaf.key)["chip_id"]) == 16
    assert dict(leaf.key)["fmcSPL"] == "1"


def test_vlek_and_its_crl() -> None:
    leaf, crl = asked(SnpMachine(product="Genoa", signing_key="VLEK"))
    assert leaf == Need("amd.vlek", tuple(sorted((*GENOA_SPL, ("product", "Genoa")))))
    assert crl == Need("amd.crl", (("kind", "vlek"), ("product", "Genoa")))


def test_the_reported_tcb_is_asked_for() -> None:
    higher = SnpMachine(product="Milan").certified_tcb
    leaf, _ = asked(GENOA, current_tcb=higher, committed_tcb=higher, launch_tcb=higher)
    assert tuple(item for item in leaf.key if item[0].endswith("SPL")) == GENOA_SPL


def test_version_2_does_not_say_its_product() -> None:
    leaf, *crls = asked(SnpMachine(product="Milan", version=2))
    assert "product" not in dict(leaf.key)
    assert dict(leaf.key)["ucodeSPL"] == "219"
    assert [dict(crl.key)["product"] for crl in crls] == ["Milan", "Genoa"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"chip_id": bytes(64)}, id="masked-chip-id"),
        pytest.param({"key_info": 0b00010}, id="masked-chip-key"),
        pytest.param({"key_info": 0b11100}, id="not-signed"),
        pytest.param({"key_info": 0b01000}, id="reserved-signing-key"),
        pytest.param({"cpuid_fms": (0x1A, 0x50, 0)}, id="unknown-product"),
    ],
)
def test_what_no_certificate_can_help_asks_for_nothing(fields: dict[str, Any]) -> None:
    assert asked(GENOA, **fields) == ()
