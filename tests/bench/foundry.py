"""A family of SNP measurements at once, and the same measurements each computed from the start."""

from __future__ import annotations

from policies.foundry import snp
from policies.foundry.snp import Launch
from policies.foundry.vmsa import Vmm
from tests import firmware
from tests.bench.clock import Timing, interleaved

VCPUS = range(1, 65)
CPUS = ("EPYC-Milan", "EPYC-Genoa")


def families(rounds: int) -> dict[str, Timing]:
    """64 vCPU counts and 2 models, on 2 MiB of firmware."""
    launch = Launch(vmm=Vmm.QEMU, firmware=firmware.ovmf(size=2 << 20))

    def together(_: int) -> list[bytes]:
        return [member.measurement for member in snp.family(launch, VCPUS, CPUS, (1,))]

    def apart(_: int) -> list[bytes]:
        return [
            member.measurement
            for cpu in CPUS
            for count in VCPUS
            for member in snp.family(launch, range(count, count + 1), (cpu,), (1,))
        ]

    assert together(0) == apart(0)
    return interleaved({"together": together, "apart": apart}, rounds)
