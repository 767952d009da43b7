"""Any bytes are an OVMF or SVSM image whose launch can be measured, or refused by one of our errors."""

from __future__ import annotations

from policies.foundry import sevmetadata, snp
from policies.foundry.kernelhashes import DirectBoot
from policies.foundry.snp import Launch
from policies.foundry.vmsa import Vmm
from tests import firmware as fw
from tests.fuzz.common import only_our_errors


def seeds() -> list[bytes]:
    return [fw.ovmf(size=4096), fw.ovmf(fw.PLAIN, size=4096), fw.svsm(size=4096)]


def measured(image: bytes) -> object:
    launch = Launch(vmm=Vmm.QEMU, firmware=image, boot=DirectBoot(b"", b"", ""))
    pages = sum(section.size for section in sevmetadata.parse(image, "fuzz").sections) // 4096
    return snp.prefix(launch) if pages < 256 else None


def target(data: bytes) -> None:
    # The end of an image decides; filling it to a page in front keeps that end.
    only_our_errors(measured, data.rjust(-(-len(data) // 4096) * 4096, b"\0"))
