"""Which input explains another measurement: each input changed alone must be named alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.foundry import snp
from policies.foundry.explaining import explain
from policies.foundry.kernelhashes import DirectBoot
from policies.foundry.snp import Launch
from policies.foundry.vmsa import Vmm
from tests import firmware as fw

BOOT = DirectBoot(b"kernel", b"initrd", "quiet")
LAUNCH = Launch(vmm=Vmm.QEMU, firmware=fw.ovmf(), boot=BOOT)


def real(launch: Launch = LAUNCH, vcpus: int = 2, cpu: str = "EPYC-Milan", features: int = 1) -> bytes:
    (found,) = snp.family(launch, range(vcpus, vcpus + 1), (cpu,), (features,))
    return found.measurement


def said(wanted: bytes, launch: Launch = LAUNCH) -> list[tuple[str, str]]:
    found = explain(wanted, launch, range(1, 4), ("EPYC-Milan",), (1,))
    assert found is not None
    return [(d.input, d.found) for d in found.differences]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(real(), [], id="in-the-family"),
        pytest.param(real(vcpus=200), [("vCPUs", "200")], id="vcpus"),
        pytest.param(real(cpu="EPYC-Genoa"), [("CPU model", "EPYC-Genoa")], id="cpu"),
        pytest.param(real(features=0x21), [("guest features", "0x21")], id="features"),
        pytest.param(
            real(replace(LAUNCH, boot=None)),
            [("kernel hashes", "off: kernel, initrd and command line are not measured")],
            id="hashes",
        ),
        pytest.param(
            real(replace(LAUNCH, boot=replace(BOOT, append="quiet\n"))),
            [("command line", r"'quiet\n'")],
            id="line-end",
        ),
        pytest.param(
            real(replace(LAUNCH, boot=replace(BOOT, initrd=b""))), [("initrd", "none")], id="initrd"
        ),
        pytest.param(real(replace(LAUNCH, vmm=Vmm.EC2)), [("monitor", "ec2")], id="monitor"),
        pytest.param(
            real(vcpus=9, cpu="EPYC-Turin", features=0x21),
            [("vCPUs", "9"), ("CPU model", "EPYC-Turin"), ("guest features", "0x21")],
            id="three",
        ),
    ],
)
def test_the_changed_input_is_named(wanted: bytes, expected: list[tuple[str, str]]) -> None:
    assert said(wanted) == expected


@pytest.mark.parametrize(
    "wanted",
    [bytes(48), real(replace(LAUNCH, firmware=fw.ovmf(size=12288))), real(vcpus=300)],
    ids=["zero", "other-firmware", "beyond-the-search"],
)
def test_what_is_not_found_is_not_explained(wanted: bytes) -> None:
    assert explain(wanted, LAUNCH, range(1, 4), ("EPYC-Milan",), (1,)) is None


def test_svsm_launches_are_explained_too() -> None:
    launch = Launch(vmm=Vmm.SVSM, firmware=fw.ovmf(fw.PLAIN), svsm=fw.svsm(), vars_size=4096)
    assert said(real(launch, vcpus=5), launch) == [("vCPUs", "5")]
