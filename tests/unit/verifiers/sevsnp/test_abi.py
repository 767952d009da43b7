"""The report's layout as data, and bytes to fields and back."""

from __future__ import annotations

import pytest

from verifiers.errors import EvidenceFormatError, Reason
from verifiers.sevsnp import abi
from verifiers.sevsnp.abi import SigningKey

RAMP = bytes(range(256)) * 4 + bytes(range(160))


def test_the_layout_has_no_gap_and_no_overlap() -> None:
    at = 0
    for field in abi.LAYOUT:
        assert (field.name, field.offset) == (field.name, at)
        at += field.size
    assert at == abi.SIZE == 1184
    assert len({field.name for field in abi.LAYOUT}) == len(abi.LAYOUT)


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("POLICY", 0x008),
        ("PLATFORM_INFO", 0x040),
        ("REPORT_DATA", 0x050),
        ("MEASUREMENT", 0x090),
        ("HOST_DATA", 0x0C0),
        ("REPORTED_TCB", 0x180),
        ("CHIP_ID", 0x1A0),
        ("COMMITTED_TCB", 0x1E0),
        ("LAUNCH_TCB", 0x1F0),
        ("SIGNATURE_R", 0x2A0),
        ("SIGNATURE_S", 0x2E8),
    ],
)
def test_fields_stand_where_the_specification_puts_them(name: str, offset: int) -> None:
    assert next(field.offset for field in abi.LAYOUT if field.name == name) == offset


def test_fields_that_came_later_are_in_the_layout() -> None:
    assert abi.FIELDS_SINCE.keys() <= {field.name for field in abi.LAYOUT}


@pytest.mark.parametrize("size", [0, abi.SIZE - 1, abi.SIZE + 1])
def test_other_lengths_are_refused(size: int) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        abi.parse(bytes(size))
    assert caught.value.reason == Reason.BAD_LENGTH


def test_fields_are_read_where_they_stand() -> None:
    report = abi.parse(RAMP)
    assert report.raw == RAMP
    assert report.signed == RAMP[:672]
    assert report.version == 0x03020100
    assert report.policy == int.from_bytes(RAMP[8:16], "little")
    assert report.vmpl == 0x33323130
    assert report.report_data == RAMP[0x50:0x90]
    assert report.cpuid_fms == b"\x88\x89\x8a"
    assert report.current_version == (0xEA, 0xE9, 0xE8)
    assert report.committed_version == (0xEE, 0xED, 0xEC)
    assert report.launch_mit_vector == int.from_bytes(RAMP[0x1F8:0x200], "little")
    assert report.r == int.from_bytes(RAMP[0x2A0:0x2E8], "little")
    assert report.s == int.from_bytes(RAMP[0x2E8:0x330], "little")


def test_write_gives_the_bytes_back() -> None:
    assert abi.write(abi.parse(RAMP)) == RAMP


def test_parse_keeps_its_own_bytes() -> None:
    buffer = bytearray(RAMP)
    report = abi.parse(buffer)
    buffer[0] ^= 1
    assert report.raw == RAMP


@pytest.mark.parametrize(("version", "cpuid"), [(2, None), (3, (0x19, 0x11, 1)), (5, (0x19, 0x11, 1))])
def test_cpuid_exists_from_version_3(version: int, cpuid: tuple[int, int, int] | None) -> None:
    raw = abi.build(VERSION=version, CPUID_FAM_ID=0x19, CPUID_MOD_ID=0x11, CPUID_STEP=1)
    assert abi.parse(raw).cpuid == cpuid


@pytest.mark.parametrize(
    ("key_info", "author", "masked", "key"),
    [
        (0b00000, False, False, SigningKey.VCEK),
        (0b00001, True, False, SigningKey.VCEK),
        (0b00010, False, True, SigningKey.VCEK),
        (0b00100, False, False, SigningKey.VLEK),
        (0b01000, False, False, None),
        (0b11000, False, False, None),
        (0b11100, False, False, SigningKey.NONE),
    ],
)
def test_key_info(key_info: int, author: bool, masked: bool, key: SigningKey | None) -> None:
    report = abi.parse(abi.build(KEY_INFO=key_info))
    assert (report.author_key_en, report.mask_chip_key, report.signing_key) == (author, masked, key)


def test_build_is_zero_where_nothing_is_given() -> None:
    assert abi.build() == bytes(abi.SIZE)
    raw = abi.build(VERSION=5, MEASUREMENT=b"m" * 48)
    assert raw == b"\x05".ljust(0x90, b"\0") + b"m" * 48 + bytes(abi.SIZE - 0xC0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("MEASUREMENT", bytes(47)), ("MEASUREMENT", bytes(49)), ("VERSION", 1 << 32), ("VERSION", -1)],
)
def test_build_refuses_what_does_not_fit(field: str, value: int | bytes) -> None:
    with pytest.raises(ValueError, match=field):
        abi.build(**{field: value})


def test_build_refuses_unknown_fields() -> None:
    with pytest.raises(TypeError, match="NONCE"):
        abi.build(NONCE=1)
