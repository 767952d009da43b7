"""RTMR0 and RTMR1: TD HOB, variable store, ACPI, and the kernel as it is started; each also by hand."""

from __future__ import annotations

import hashlib

import pytest

from policies.foundry import linuxkernel, rtmr, tdhob, tdvf
from policies.foundry.errors import FoundryError, FoundryReason
from policies.foundry.rtmr import Acpi
from tests import firmware as fw
from tests import kernels
from tests.firmware import le

GIB = 1 << 30
STORE = kernels.variable_store()
ROWS = (
    (0, 4096, (1 << 32) - 8192, 4096, 1, 0),
    (4096, 4096, (1 << 32) - 4096, 4096, 0, 1),
    (0, 0, 0x810000, 0x10000, 3, 0),
    (0, 0, 0x809000, 0x2000, 2, 0),
)


def image(store: bytes = STORE) -> bytes:
    return store + fw.tdvf(ROWS)[len(store) :]


SECTIONS = tdvf.parse(image())


def resource(kind: int, start: int, size: int) -> bytes:
    return b"\3\0\x30\0" + bytes(20) + le((kind, 4), (7, 4), (start, 8), (size, 8))


def handoff(end: int) -> bytes:
    return b"\1\0\x38\0" + bytes(4) + b"\x09" + bytes(39) + le((end, 8))


def test_the_hob_lists_memory_in_ascending_order() -> None:
    low = [
        resource(7, 0, 0x809000),
        resource(0, 0x809000, 0x2000),
        resource(7, 0x80B000, 0x5000),
        resource(0, 0x810000, 0x10000),
    ]
    one = [*low, resource(7, 0x820000, GIB - 0x820000)]
    assert tdhob.build(SECTIONS, GIB) == handoff(0x809000 + 56 + 5 * 48 + 8) + b"".join(one)
    four = [*low, resource(7, 0x820000, 0x80000000 - 0x820000), resource(7, 1 << 32, 2 * GIB)]
    assert tdhob.build(SECTIONS, 4 * GIB) == handoff(0x809000 + 56 + 6 * 48 + 8) + b"".join(four)


@pytest.mark.parametrize(
    ("memory", "low"), [(0xAFF00000, 0xAFF00000), (0xB0000000, 0x80000000), (64 * GIB, 0x80000000)]
)
def test_memory_is_split_from_2_75_gib(memory: int, low: int) -> None:
    assert tdhob.below_4g(memory) == low


@pytest.mark.parametrize("memory", [0, 1 << 20, GIB + 1, 1 << 47])
def test_memory_that_no_td_has_is_refused(memory: int) -> None:
    with pytest.raises(FoundryError) as caught:
        tdhob.below_4g(memory)
    assert caught.value.reason == FoundryReason.MALFORMED


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param((0, 0, 0x900000, 4096, 4, 2), FoundryReason.UNCERTAIN, id="permanent-memory"),
        pytest.param((0, 0, 0x900000, 4096, 2, 0), FoundryReason.MALFORMED, id="two-hobs"),
        pytest.param((0, 0, 0x90000000, 4096, 3, 0), FoundryReason.MALFORMED, id="outside-memory"),
    ],
)
def test_sections_without_a_known_place_are_refused(row: tuple[int, ...], reason: str) -> None:
    sections = tdvf.parse(fw.tdvf([*ROWS, row]))  # type: ignore[list-item]
    with pytest.raises(FoundryError) as caught:
        tdhob.build(sections, 4 * GIB)
    assert caught.value.reason == reason


def test_rtmr0_by_hand() -> None:
    acpi = Acpi(b"L" * 48, b"R" * 48, b"T" * 48)
    register = bytes(48)
    variables = [
        hashlib.sha384(vendor + le((len(name), 8), (0, 8)) + name.encode("utf-16-le")).digest()
        for vendor, name in (
            *((bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c"), n) for n in ("SecureBoot", "PK", "KEK")),
            *((bytes.fromhex("cbb219d73a3d9645a3bcdad00e67656f"), n) for n in ("db", "dbx")),
        )
    ]
    menu = bytes.fromhex(
        "090100002c0055006900410070007000000004071400c9bdb87cebf8344faaea3ee4af6516a1"
        "0406140021aa2c4614760345836e8ab6f46623317fff0400"
    )
    for digest in [
        hashlib.sha384(tdhob.build(SECTIONS, 4 * GIB)).digest(),
        hashlib.sha384(STORE).digest(),
        *variables,
        hashlib.sha384(bytes(4)).digest(),
        *(b"L" * 48, b"R" * 48, b"T" * 48),
        hashlib.sha384(bytes(2)).digest(),
        hashlib.sha384(menu).digest(),
    ]:
        register = hashlib.sha384(register + digest).digest()
    assert rtmr.predicted_rtmr0(SECTIONS, 4 * GIB, acpi) == register


@pytest.mark.parametrize(
    "store",
    [
        kernels.variable_store(first=b"\xaa\x55"),
        bytes(4096),
        STORE[:0x30] + b"\xff\xff" + STORE[0x32:],
    ],
    ids=["with-a-variable", "no-volume", "header-runs-out"],
)
def test_a_store_that_may_hold_keys_is_refused(store: bytes) -> None:
    with pytest.raises(FoundryError) as caught:
        rtmr.firmware_volume(tdvf.parse(image(store)))
    assert caught.value.reason == FoundryReason.UNCERTAIN


def test_firmware_without_a_store_is_refused() -> None:
    with pytest.raises(FoundryError) as caught:
        rtmr.firmware_volume(tdvf.parse(fw.tdvf()))
    assert caught.value.reason == FoundryReason.MALFORMED


# --- the kernel ------------------------------------------------------------------------------------


def by_hand(raw: bytes, certificates: int = 0) -> bytes:
    kept = raw[: kernels.CHECKSUM_AT] + raw[kernels.CHECKSUM_AT + 4 : kernels.CERTIFICATES_AT]
    return hashlib.sha384(kept + raw[kernels.CERTIFICATES_AT + 8 : len(raw) - certificates]).digest()


def test_checksum_and_certificates_do_not_count() -> None:
    plain, signed = kernels.kernel(), kernels.kernel(certificates=b"c" * 64)
    assert linuxkernel.authenticode(plain) == by_hand(plain)
    assert linuxkernel.authenticode(signed) == by_hand(signed, 64) == by_hand(plain)
    changed = plain[: kernels.CHECKSUM_AT] + b"\1\2\3\4" + plain[kernels.CHECKSUM_AT + 4 :]
    assert linuxkernel.authenticode(changed) == by_hand(plain)
    assert linuxkernel.authenticode(plain + b"trailing") == by_hand(plain + b"trailing") != by_hand(plain)


def test_the_loader_changes_the_setup_header_and_nothing_else() -> None:
    raw = kernels.kernel()
    expected = bytearray(raw)
    expected[0x210:0x212] = b"\xb0\x81"
    expected[0x224:0x22C] = le((0xFE00, 4), (0x20000, 4))
    assert linuxkernel.patched(raw, 0, 0x80000000) == bytes(expected)
    address = (0x80000000 - 0x28000 - 1 - 5000) & ~0xFFF
    expected[0x218:0x220] = le((address, 4), (5000, 4))
    assert linuxkernel.patched(raw, 5000, 0x80000000) == bytes(expected)
    low = linuxkernel.patched(kernels.kernel(limit=0x37FFFFFF, xloadflags=0), 4096, 0x80000000)
    assert low[0x218:0x21C] == le(((0x37FFFFFF - 4096) & ~0xFFF, 4))


def test_rtmr1_by_hand() -> None:
    raw = kernels.kernel()
    register = bytes(48)
    for digest in [
        by_hand(linuxkernel.patched(raw, 7, GIB)),
        *(
            hashlib.sha384(data).digest()
            for data in (
                b"Calling EFI Application from Boot Option",
                bytes(4),
                b"Exit Boot Services Invocation",
                b"Exit Boot Services Returned with Success",
            )
        ),
    ]:
        register = hashlib.sha384(register + digest).digest()
    assert rtmr.predicted_rtmr1(raw, 7, GIB) == register
    assert rtmr.predicted_rtmr1(raw, 7, None) == rtmr.rtmr1(by_hand(raw)) != register


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"k", FoundryReason.MALFORMED, id="no-kernel"),
        pytest.param(kernels.kernel(protocol=0x20B), FoundryReason.UNSUPPORTED, id="old-protocol"),
        pytest.param(kernels.kernel(flags=0), FoundryReason.UNSUPPORTED, id="loaded-low"),
        pytest.param(
            kernels.kernel(limit=0x37FFFFFF, xloadflags=2), FoundryReason.UNCERTAIN, id="which-limit"
        ),
        pytest.param(kernels.kernel(limit=0x1000, xloadflags=0), FoundryReason.MALFORMED, id="no-room"),
    ],
)
def test_kernels_that_the_loader_changes_otherwise_are_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(FoundryError) as caught:
        linuxkernel.patched(raw, 4096, 0x80000000)
    assert caught.value.reason == reason


def with_bytes(at: int, value: bytes) -> bytes:
    raw = kernels.kernel()
    return raw[:at] + value + raw[at + len(value) :]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"", FoundryReason.MALFORMED, id="empty"),
        pytest.param(with_bytes(0, b"ZM"), FoundryReason.MALFORMED, id="magic"),
        pytest.param(with_bytes(0x3C, b"\xff\xff\xff\xff"), FoundryReason.MALFORMED, id="offset"),
        pytest.param(with_bytes(0x58, b"\x0b\1"), FoundryReason.UNSUPPORTED, id="pe32"),
        pytest.param(with_bytes(0x58 + 108, b"\4"), FoundryReason.UNSUPPORTED, id="directories"),
        pytest.param(with_bytes(0x46, b"\xff\xff"), FoundryReason.MALFORMED, id="sections"),
        pytest.param(with_bytes(0x58 + 60, b"\xff\xff\xff"), FoundryReason.MALFORMED, id="headers"),
        pytest.param(with_bytes(0x120 + 20, b"\0\5"), FoundryReason.UNCERTAIN, id="gap"),
        pytest.param(with_bytes(0x120 + 20, b"\0\3"), FoundryReason.MALFORMED, id="overlap"),
        pytest.param(
            with_bytes(kernels.CERTIFICATES_AT, le((9, 4), (8, 4))), FoundryReason.MALFORMED, id="cert"
        ),
        pytest.param(kernels.kernel(gap=16), FoundryReason.UNCERTAIN, id="gap-behind-headers"),
        pytest.param(kernels.kernel() + b"1", FoundryReason.UNCERTAIN, id="would-be-padded"),
    ],
)
def test_images_that_are_hashed_otherwise_are_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(FoundryError) as caught:
        linuxkernel.authenticode(raw)
    assert caught.value.reason == reason


def test_a_kernel_cut_at_any_length_is_refused() -> None:
    raw = kernels.kernel(certificates=b"c" * 64)
    for size in range(len(raw)):
        with pytest.raises(FoundryError):
            linuxkernel.authenticode(raw[:size])
