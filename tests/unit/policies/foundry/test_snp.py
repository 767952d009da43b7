"""SNP launch digests of minted firmware, against a second computation; what is refused."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest

from policies.foundry import sevmetadata, snp, vmsa
from policies.foundry.errors import FoundryError, FoundryReason
from policies.foundry.kernelhashes import DirectBoot, page
from policies.foundry.snp import Launch
from policies.foundry.vmsa import Vmm
from tests import firmware as fw

BOOT = DirectBoot(b"kernel", b"initrd", "console=ttyS0")
LAUNCH = Launch(vmm=Vmm.QEMU, firmware=fw.ovmf(), boot=BOOT)
SVSM = Launch(vmm=Vmm.SVSM, firmware=fw.ovmf(fw.PLAIN), svsm=fw.svsm(), vars_size=4096)


def chain(rows: list[tuple[int, int, bytes | None]]) -> bytes:
    """The launch digest, written a second time: (type, GPA, page or None)."""
    digest = bytes(48)
    for kind, gpa, data in rows:
        contents = bytes(48) if data is None else hashlib.sha384(data).digest()
        digest = hashlib.sha384(
            struct.pack("<48s48sHBBBBBBQ", digest, contents, 0x70, kind, 0, 0, 0, 0, 0, gpa)
        ).digest()
    return digest


def split(data: bytes, gpa: int) -> list[tuple[int, int, bytes | None]]:
    return [(1, gpa + at, data[at : at + 4096]) for at in range(0, len(data), 4096)]


def one(launch: Launch, vcpus: int = 1, cpu: str = "EPYC-Milan", features: int = 1) -> bytes:
    (found,) = snp.family(launch, range(vcpus, vcpus + 1), (cpu,), (features,))
    return found.measurement


def refused(launch: Launch, **how: object) -> FoundryError:
    with pytest.raises(FoundryError) as caught:
        one(launch, **how)  # type: ignore[arg-type]
    return caught.value


def rows_of(launch: Launch, order: tuple[int, ...], sec_mem: int) -> list[tuple[int, int, bytes | None]]:
    """Pages of firmware and sections, by index into fw.SECTIONS."""
    rows = split(launch.firmware, (1 << 32) - len(launch.firmware))
    types = {1: sec_mem, 2: 5, 3: 6, 4: 3, 0x10: 3}
    for index in order:
        gpa, size, kind = fw.SECTIONS[index]
        if kind == 0x10 and launch.boot is not None:
            rows.append((1, gpa, page(launch.boot, 0x810C00)))
        else:
            rows += [(types[kind], gpa + at, None) for at in range(0, size, 4096)]
    return rows


@pytest.mark.parametrize("boot", [BOOT, None], ids=["hashes", "no-hashes"])
@pytest.mark.parametrize(
    ("vmm", "order", "sec_mem"),
    [
        (Vmm.QEMU, (0, 1, 2, 3, 4, 5), 3),
        (Vmm.GCE, (0, 1, 2, 3, 4, 5), 4),
        (Vmm.EC2, (0, 1, 3, 4, 5, 2), 3),
    ],
)
def test_digest_of_three_vcpus(
    vmm: Vmm, order: tuple[int, ...], sec_mem: int, boot: DirectBoot | None
) -> None:
    launch = replace(LAUNCH, vmm=vmm, boot=boot)
    rows = rows_of(launch, order, sec_mem)
    for eip in (0xFFFFFFF0, 0x80B004, 0x80B004):
        rows.append((2, 0xFFFFFFFFF000, vmsa.real_mode(vmm, eip, 0x00A00F11, 0x21)))
    assert one(launch, vcpus=3, features=0x21) == chain(rows)


def test_digest_with_an_svsm() -> None:
    assert SVSM.svsm is not None
    base = (1 << 32) - len(SVSM.firmware)
    start = base - 4096 - len(SVSM.svsm)
    rows = split(SVSM.firmware, base) + split(SVSM.svsm, start)
    rows += [(3, 0, None), (3, 0x1000, None), (3, 0x2000, None), (5, 0x3000, None)]
    rows += [(2, 0xFFFFFFFFF000, vmsa.flat(start + 0x40, 0x00A00F11))] * 2
    assert one(SVSM, vcpus=2) == chain(rows)


def test_hash_page_is_where_the_firmware_looks_for_it() -> None:
    found = page(BOOT, 0x810C00)
    assert len(found) == 4096 and not any(found[:0xC00]) and not any(found[0xC00 + 168 :])
    assert found[0xC10:0xC12] == (168).to_bytes(2, "little")
    assert found[0xC12 + 18 : 0xC12 + 50] == hashlib.sha256(b"console=ttyS0\0").digest()
    assert found[0xC12 + 68 : 0xC12 + 100] == hashlib.sha256(b"initrd").digest()
    assert found[0xC12 + 118 : 0xC12 + 150] == hashlib.sha256(b"kernel").digest()


@pytest.mark.parametrize(
    ("vmm", "fields"),
    [
        (Vmm.QEMU, {0x12: 0x9B, 0x22: 0x93, 0x92: 0x8B, 0x310: 0xA10F10, 0x408: 0x1F80, 0x410: 0x37F}),
        (Vmm.EC2, {0x12: 0x9A, 0x22: 0x92, 0x92: 0x83, 0x310: 0x600, 0x408: 0, 0x410: 0}),
        (Vmm.EC2_RDX0, {0x12: 0x9A, 0x22: 0x92, 0x92: 0x83, 0x310: 0, 0x408: 0, 0x410: 0}),
        (Vmm.GCE, {0x12: 0x9B, 0x22: 0x93, 0x92: 0x8B, 0x310: 0x600, 0x268: 0x70106, 0x408: 0}),
    ],
)
def test_save_area_of_the_boot_processor(vmm: Vmm, fields: dict[int, int]) -> None:
    area = vmsa.real_mode(vmm, vmsa.RESET, 0xA10F10, 0x21)
    common = {0x10: 0xF000, 0xD0: 0x1000, 0x148: 0x40, 0x158: 0x10, 0x160: 0x400, 0x170: 2, 0x3B0: 0x21}
    sizes = {0x10: 2, 0x12: 2, 0x22: 2, 0x92: 2, 0x408: 4, 0x410: 2}
    for at, value in {**common, 0x178: 0xFFF0, 0x18: 0xFFFF0000, 0x3E8: 1, **fields}.items():
        assert int.from_bytes(area[at : at + sizes.get(at, 8)], "little") == value, hex(at)


def test_a_family_is_its_members() -> None:
    found = list(snp.family(LAUNCH, range(2, 5), ("EPYC-Milan", "EPYC-Genoa"), (1, 0x21)))
    assert [(m.guest_features, m.cpu, m.vcpus) for m in found] == [
        (f, c, n) for f in (1, 0x21) for c in ("EPYC-Milan", "EPYC-Genoa") for n in (2, 3, 4)
    ]
    for member in found:
        alone = one(LAUNCH, member.vcpus, member.cpu, member.guest_features)
        assert member.measurement == alone
    assert len({m.measurement for m in found}) == len(found)


@pytest.mark.parametrize(
    ("launch", "how", "reason", "where"),
    [
        (LAUNCH, {"vcpus": 0}, FoundryReason.TOO_MUCH, "vCPUs"),
        (LAUNCH, {"vcpus": 4097}, FoundryReason.TOO_MUCH, "vCPUs"),
        (LAUNCH, {"cpu": "epyc-milan"}, FoundryReason.UNSUPPORTED, "CPU model"),
        (LAUNCH, {"features": 0x20}, FoundryReason.UNSUPPORTED, "guest features"),
        (LAUNCH, {"features": 0x401}, FoundryReason.UNSUPPORTED, "guest features"),
        (LAUNCH, {"features": 3}, FoundryReason.UNCERTAIN, "guest features"),
        (SVSM, {"features": 0x21}, FoundryReason.UNCERTAIN, "guest features"),
        (replace(SVSM, boot=BOOT), {}, FoundryReason.UNCERTAIN, "kernel"),
        (replace(SVSM, svsm=None), {}, FoundryReason.MISSING, "SVSM"),
        (replace(SVSM, vars_size=1), {}, FoundryReason.MALFORMED, "size of the variable store"),
        (replace(SVSM, vars_size=1 << 32), {}, FoundryReason.MALFORMED, "size of the variable store"),
        (replace(LAUNCH, svsm=b"x"), {}, FoundryReason.UNSUPPORTED, "SVSM image"),
        (replace(LAUNCH, firmware=fw.ovmf(fw.PLAIN)), {}, FoundryReason.MISSING, "firmware"),
        (replace(LAUNCH, boot=replace(BOOT, append="a\0b")), {}, FoundryReason.MALFORMED, "command line"),
        (
            replace(LAUNCH, firmware=fw.ovmf(((0x820000, 0x1000, 0x10),))),
            {},
            FoundryReason.MALFORMED,
            "firmware: kernel hashes",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(
    launch: Launch, how: dict[str, object], reason: str, where: str
) -> None:
    error = refused(launch, **how)
    assert (error.reason, error.where) == (reason, where)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        pytest.param(b"", FoundryReason.MALFORMED, id="empty"),
        pytest.param(fw.ovmf()[:-1], FoundryReason.MALFORMED, id="no-whole-page"),
        pytest.param(fw.ovmf()[:4096], FoundryReason.MISSING, id="half"),
        pytest.param(fw.image({}, b""), FoundryReason.MISSING, id="no-metadata"),
        pytest.param(
            fw.image({fw.SEV_METADATA: fw.le((9000, 4))}, b""), FoundryReason.MALFORMED, id="offset-outside"
        ),
        pytest.param(
            fw.image({fw.SEV_METADATA: fw.le((8, 4))}, b""), FoundryReason.MALFORMED, id="offset-at-end"
        ),
        pytest.param(fw.image({fw.SEV_METADATA: b"12345"}, b""), FoundryReason.MALFORMED, id="entry-size"),
        pytest.param(fw.svsm(), FoundryReason.MISSING, id="no-ap-reset"),
        pytest.param(fw.ovmf(((0, 4096, 9),)), FoundryReason.UNSUPPORTED, id="unknown-section"),
        pytest.param(fw.ovmf(((0, 4095, 1),)), FoundryReason.MALFORMED, id="no-whole-section"),
        pytest.param(fw.ovmf(((0, 0, 1),)), FoundryReason.MALFORMED, id="empty-section"),
        pytest.param(fw.ovmf(((0, 8192, 1), (4096, 4096, 2))), FoundryReason.MALFORMED, id="overlap"),
        pytest.param(fw.ovmf(((0, 1 << 29, 1),)), FoundryReason.TOO_MUCH, id="too-many-pages"),
        pytest.param(fw.ovmf(()), FoundryReason.MALFORMED, id="no-section"),
    ],
)
def test_bad_firmware_is_refused(image: bytes, reason: str) -> None:
    assert refused(Launch(vmm=Vmm.QEMU, firmware=image)).reason == reason


@pytest.mark.parametrize(("at", "value"), [(0, 0), (4, 87), (4, 89), (8, 2), (12, 5), (12, 7)])
def test_one_changed_number_in_the_header_is_refused(at: int, value: int) -> None:
    image = bytearray(fw.ovmf())
    place = len(image) - fw.AT + at
    assert image[place] != value
    image[place] = value
    with pytest.raises(FoundryError):
        sevmetadata.parse(bytes(image), "firmware")


def test_a_guid_that_stands_twice_is_refused() -> None:
    table = fw.le((1, 4)) + fw.le((22, 2)) + fw.AP_RESET
    image = bytearray(fw.image({fw.AP_RESET: fw.le((1, 4)), fw.HASH_TABLE: fw.le((2, 4))}, b""))
    end = len(image) - 32 - 18
    image[end - 44 : end] = table * 2
    with pytest.raises(FoundryError, match="twice"):
        sevmetadata.parse(bytes(image), "firmware")
