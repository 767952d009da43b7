"""MRTD of minted firmware, runtime registers, and what is refused."""

from __future__ import annotations

import hashlib

import pytest

from policies.foundry import rtmr, tdvf
from policies.foundry.errors import FoundryError, FoundryReason
from policies.foundry.tdvf import PageOrder
from tests import firmware as fw

IMAGE = fw.tdvf()
BASE = (1 << 32) - len(IMAGE)


def add(gpa: int) -> bytes:
    return b"MEM.PAGE.ADD" + bytes(4) + gpa.to_bytes(8, "little") + bytes(104)


def extends(page: int) -> bytes:
    return b"".join(
        b"MR.EXTEND" + bytes(7) + (BASE + at).to_bytes(8, "little") + bytes(104) + IMAGE[at : at + 256]
        for at in range(page, page + 4096, 256)
    )


def test_mr_td_adds_and_measures_in_the_order_of_the_monitor() -> None:
    later = add(0x809000) + add(0x80A000)  # the page at 0x80B000 is added by the guest
    single = add(BASE) + extends(0) + add(BASE + 4096) + extends(4096) + later
    two = add(BASE) + add(BASE + 4096) + extends(0) + extends(4096) + later
    sections = tdvf.parse(IMAGE)
    assert tdvf.mr_td(sections, PageOrder.SINGLE_PASS) == hashlib.sha384(single).digest()
    assert tdvf.mr_td(sections, PageOrder.TWO_PASS) == hashlib.sha384(two).digest()


def test_memory_beyond_the_data_is_zero() -> None:
    short = tdvf.parse(fw.tdvf([(0, 100, 0x1000, 4096, 0, 1)]))[0]
    assert len(short.data) == 100
    full = tdvf.Section(
        data=short.data + bytes(3996),
        gpa=0x1000,
        memory_size=4096,
        type=short.type,
        attributes=short.attributes,
    )
    assert tdvf.mr_td([short], PageOrder.SINGLE_PASS) == tdvf.mr_td([full], PageOrder.SINGLE_PASS)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param((0, 8193, BASE, 12288, 0, 1), FoundryReason.MALFORMED, id="data-outside"),
        pytest.param((0, 8192, BASE, 4096, 0, 1), FoundryReason.MALFORMED, id="more-data-than-memory"),
        pytest.param((0, 0, 0x1001, 4096, 2, 0), FoundryReason.MALFORMED, id="address"),
        pytest.param((0, 0, 0x1000, 4097, 2, 0), FoundryReason.MALFORMED, id="size"),
        pytest.param((0, 0, (1 << 64) - 4096, 4096, 2, 0), FoundryReason.MALFORMED, id="beyond-memory"),
        pytest.param((0, 0, 0x1000, 4096, 7, 0), FoundryReason.UNSUPPORTED, id="type"),
        pytest.param((0, 0, 0x1000, 4096, 2, 4), FoundryReason.UNSUPPORTED, id="attribute"),
        pytest.param((0, 0, 0x1000, 4096, 2, 3), FoundryReason.MALFORMED, id="measured-and-later"),
        pytest.param((0, 0, 0x1000, 1 << 40, 2, 0), FoundryReason.TOO_MUCH, id="too-many-pages"),
    ],
)
def test_bad_sections_are_refused(row: tuple[int, int, int, int, int, int], reason: str) -> None:
    with pytest.raises(FoundryError) as caught:
        tdvf.parse(fw.tdvf([row]))
    assert caught.value.reason == reason


def test_overlapping_sections_are_refused() -> None:
    with pytest.raises(FoundryError, match="overlap"):
        tdvf.parse(fw.tdvf([(0, 0, 0x1000, 8192, 2, 0), (0, 0, 0x2000, 4096, 3, 0)]))


def test_firmware_without_a_descriptor_is_refused() -> None:
    with pytest.raises(FoundryError) as caught:
        tdvf.parse(fw.svsm())
    assert caught.value.reason == FoundryReason.MISSING
    with pytest.raises(FoundryError) as caught:
        tdvf.parse(fw.ovmf())  # the descriptor's place holds SEV metadata
    assert (caught.value.reason, caught.value.expected) == (FoundryReason.MALFORMED, "TDVF")


def test_rtmr2_is_command_line_then_initrd() -> None:
    line = hashlib.sha384("root=/dev/vda1\0".encode("utf-16-le")).digest()
    first = hashlib.sha384(bytes(48) + line).digest()
    expected = hashlib.sha384(first + hashlib.sha384(b"initrd").digest()).digest()
    assert rtmr.rtmr2("root=/dev/vda1", b"initrd") == expected


@pytest.mark.parametrize("text", ["a\0", "\ud800"])
def test_a_command_line_that_cannot_be_given_is_refused(text: str) -> None:
    with pytest.raises(FoundryError):
        rtmr.command_line(text)
