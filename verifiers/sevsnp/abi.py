"""The SEV-SNP attestation report: its layout as a table, bytes to `SnpReport` and back.

Source: AMD 56860, "SEV Secure Nested Paging Firmware ABI Specification" (1.51 to 1.58), table
ATTESTATION_REPORT; field names as printed there. All integers are little-endian.

What must stay true: exactly 1184 bytes are a report and nothing else is; everything *inside* is judged by
`verify`, where a wrong value is a finding beside the signature's, not an exception in front of it.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from verifiers.codec.reader import Field
from verifiers.errors import EvidenceFormatError, Reason

SIZE = 0x4A0
SIGNED_SIZE = 0x2A0
"""The signature covers bytes 0x000..0x29F."""

LAYOUT: tuple[Field, ...] = (
    Field("VERSION", 0x000, 4),
    Field("GUEST_SVN", 0x004, 4),
    Field("POLICY", 0x008, 8),
    Field("FAMILY_ID", 0x010, 16),
    Field("IMAGE_ID", 0x020, 16),
    Field("VMPL", 0x030, 4),
    Field("SIGNATURE_ALGO", 0x034, 4),
    Field("CURRENT_TCB", 0x038, 8),
    Field("PLATFORM_INFO", 0x040, 8),
    Field("KEY_INFO", 0x048, 4),
    Field("RESERVED_04C", 0x04C, 4),
    Field("REPORT_DATA", 0x050, 64),
    Field("MEASUREMENT", 0x090, 48),
    Field("HOST_DATA", 0x0C0, 32),
    Field("ID_KEY_DIGEST", 0x0E0, 48),
    Field("AUTHOR_KEY_DIGEST", 0x110, 48),
    Field("REPORT_ID", 0x140, 32),
    Field("REPORT_ID_MA", 0x160, 32),
    Field("REPORTED_TCB", 0x180, 8),
    Field("CPUID_FAM_ID", 0x188, 1),
    Field("CPUID_MOD_ID", 0x189, 1),
    Field("CPUID_STEP", 0x18A, 1),
    Field("RESERVED_18B", 0x18B, 21),
    Field("CHIP_ID", 0x1A0, 64),
    Field("COMMITTED_TCB", 0x1E0, 8),
    Field("CURRENT_BUILD", 0x1E8, 1),
    Field("CURRENT_MINOR", 0x1E9, 1),
    Field("CURRENT_MAJOR", 0x1EA, 1),
    Field("RESERVED_1EB", 0x1EB, 1),
    Field("COMMITTED_BUILD", 0x1EC, 1),
    Field("COMMITTED_MINOR", 0x1ED, 1),
    Field("COMMITTED_MAJOR", 0x1EE, 1),
    Field("RESERVED_1EF", 0x1EF, 1),
    Field("LAUNCH_TCB", 0x1F0, 8),
    Field("LAUNCH_MIT_VECTOR", 0x1F8, 8),
    Field("CURRENT_MIT_VECTOR", 0x200, 8),
    Field("RESERVED_208", 0x208, 152),
    Field("SIGNATURE_R", 0x2A0, 72),
    Field("SIGNATURE_S", 0x2E8, 72),
    Field("RESERVED_330", 0x330, 368),
)
"""Version 5. Earlier versions have no fields at other places, only fewer: see `FIELDS_SINCE`."""

# The layout has no gaps, so one call cuts a report into all its fields.
_NAMES = tuple(field.name for field in LAYOUT)
_CUT = struct.Struct("<" + "".join(f"{field.size}s" for field in LAYOUT))

FIELDS_SINCE: Mapping[str, int] = MappingProxyType(
    {
        "CPUID_FAM_ID": 3,
        "CPUID_MOD_ID": 3,
        "CPUID_STEP": 3,
        "LAUNCH_MIT_VECTOR": 5,
        "CURRENT_MIT_VECTOR": 5,
    }
)
"""Fields that are reserved, zero, before this version (version 4: see `verify`)."""

VMPL_HOST = 0xFFFFFFFF
"""VMPL of a report that the host asked for (SNP_HV_REPORT_REQ)."""

ECDSA_P384_SHA384 = 1
"""The one SIGNATURE_ALGO that is defined."""


class GuestPolicy(enum.IntFlag, boundary=enum.KEEP):
    """POLICY, bits 16 and up (AMD 56860, table Guest Policy). Bits 0..15 are the minimum ABI version."""

    SMT = 1 << 16
    RESERVED_MB1 = 1 << 17
    """Must be one."""
    MIGRATE_MA = 1 << 18
    DEBUG = 1 << 19
    SINGLE_SOCKET = 1 << 20
    CXL_ALLOW = 1 << 21
    MEM_AES_256_XTS = 1 << 22
    RAPL_DIS = 1 << 23
    CIPHERTEXT_HIDING_DRAM = 1 << 24
    PAGE_SWAP_DISABLE = 1 << 25


POLICY_KNOWN = 0x3FFFFFF


class PlatformInfo(enum.IntFlag, boundary=enum.KEEP):
    """PLATFORM_INFO (AMD 56860, table PLATFORM_INFO; bit 6 after AMD-SB-3016)."""

    SMT_EN = 1 << 0
    TSME_EN = 1 << 1
    ECC_EN = 1 << 2
    RAPL_DIS = 1 << 3
    CIPHERTEXT_HIDING_DRAM_EN = 1 << 4
    ALIAS_CHECK_COMPLETE = 1 << 5
    IOMMU_WRITE_SAFE = 1 << 6
    TIO_EN = 1 << 7


PLATFORM_INFO_KNOWN = 0xFF


class SigningKey(enum.Enum):
    """KEY_INFO.SIGNING_KEY, bits 4:2. Values 2 to 6 are reserved."""

    VCEK = 0
    VLEK = 1
    NONE = 7


_SIGNING_KEYS = MappingProxyType({key.value: key for key in SigningKey})


class SnpReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report cut into fields, *not* trusted. Signatures are checked over `raw`, never over fields.

    raw: the 1184 bytes received. TCBs are 8 raw bytes, since their layout depends on the product
    (`product.decode_tcb`). Versions are (major, minor, build). R and S are integers of up to 576 bits.
    """

    raw: bytes
    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algo: int
    current_tcb: bytes
    platform_info: int
    key_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid_fms: bytes
    """Family, model, stepping as they stand in the report; meaningless before version 3: use `cpuid`."""
    chip_id: bytes
    committed_tcb: bytes
    current_version: tuple[int, int, int]
    committed_version: tuple[int, int, int]
    launch_tcb: bytes
    launch_mit_vector: int
    current_mit_vector: int
    r: int
    s: int

    @property
    def signed(self) -> bytes:
        """The 672 bytes that the signature covers."""
        return self.raw[:SIGNED_SIZE]

    @property
    def cpuid(self) -> tuple[int, int, int] | None:
        """Combined family, combined model, stepping; None before version 3."""
        return None if self.version < 3 else (self.cpuid_fms[0], self.cpuid_fms[1], self.cpuid_fms[2])

    @property
    def author_key_en(self) -> bool:
        return bool(self.key_info & 1)

    @property
    def mask_chip_key(self) -> bool:
        """The firmware was told not to sign: there is no signature in this report."""
        return bool(self.key_info & 2)

    @property
    def signing_key(self) -> SigningKey | None:
        """None for a reserved value."""
        return _SIGNING_KEYS.get(self.key_info >> 2 & 7)


def cut(raw: bytes) -> dict[str, bytes]:
    """The fields of `LAYOUT` as raw bytes. Raises EvidenceFormatError(BAD_LENGTH) unless 1184 bytes."""
    if len(raw) != SIZE:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH, "SNP report", expected=f"{SIZE} bytes", found=f"{len(raw)} bytes"
        )
    return dict(zip(_NAMES, _CUT.unpack(raw), strict=True))


def parse(raw: bytes) -> SnpReport:
    """Cut 1184 bytes into fields.

    Raises EvidenceFormatError(BAD_LENGTH) for any other length, and nothing else: what carriers append is
    theirs to strip, and wrong values are findings of `verify`.
    """
    part = cut(raw)
    number = int.from_bytes
    return SnpReport(
        raw=bytes(raw),
        version=number(part["VERSION"], "little"),
        guest_svn=number(part["GUEST_SVN"], "little"),
        policy=number(part["POLICY"], "little"),
        family_id=part["FAMILY_ID"],
        image_id=part["IMAGE_ID"],
        vmpl=number(part["VMPL"], "little"),
        signature_algo=number(part["SIGNATURE_ALGO"], "little"),
        current_tcb=part["CURRENT_TCB"],
        platform_info=number(part["PLATFORM_INFO"], "little"),
        key_info=number(part["KEY_INFO"], "little"),
        report_data=part["REPORT_DATA"],
        measurement=part["MEASUREMENT"],
        host_data=part["HOST_DATA"],
        id_key_digest=part["ID_KEY_DIGEST"],
        author_key_digest=part["AUTHOR_KEY_DIGEST"],
        report_id=part["REPORT_ID"],
        report_id_ma=part["REPORT_ID_MA"],
        reported_tcb=part["REPORTED_TCB"],
        cpuid_fms=part["CPUID_FAM_ID"] + part["CPUID_MOD_ID"] + part["CPUID_STEP"],
        chip_id=part["CHIP_ID"],
        committed_tcb=part["COMMITTED_TCB"],
        current_version=(part["CURRENT_MAJOR"][0], part["CURRENT_MINOR"][0], part["CURRENT_BUILD"][0]),
        committed_version=(
            part["COMMITTED_MAJOR"][0],
            part["COMMITTED_MINOR"][0],
            part["COMMITTED_BUILD"][0],
        ),
        launch_tcb=part["LAUNCH_TCB"],
        launch_mit_vector=number(part["LAUNCH_MIT_VECTOR"], "little"),
        current_mit_vector=number(part["CURRENT_MIT_VECTOR"], "little"),
        r=number(part["SIGNATURE_R"], "little"),
        s=number(part["SIGNATURE_S"], "little"),
    )


def write(report: SnpReport) -> bytes:
    """The 1184 bytes of a report, assembled from its fields; reserved bytes are those received."""
    raw = cut(report.raw)
    fields: dict[str, int | bytes] = {name: value for name, value in raw.items() if "RESERVED" in name}
    for name in raw.keys() - fields.keys():
        if hasattr(SnpReport, name.lower()):
            fields[name] = getattr(report, name.lower())
    fields |= {"SIGNATURE_R": report.r, "SIGNATURE_S": report.s}
    fields |= zip(("CPUID_FAM_ID", "CPUID_MOD_ID", "CPUID_STEP"), report.cpuid_fms, strict=True)
    for which, version in (("CURRENT", report.current_version), ("COMMITTED", report.committed_version)):
        fields |= zip((f"{which}_MAJOR", f"{which}_MINOR", f"{which}_BUILD"), version, strict=True)
    return build(**fields)


def build(**fields: int | bytes) -> bytes:
    """A report of these fields, spelled as in `LAYOUT`; everything not given is zero.

    For carriers that send fields instead of bytes, and for tests. Integers are little-endian, bytes have
    exactly the field's length. Raises TypeError for an unknown name and ValueError for a value that does not
    fit: callers check what peers send before they call.
    """
    places = {field.name: field for field in LAYOUT}
    out = bytearray(SIZE)
    for name, value in fields.items():
        if name not in places:
            raise TypeError(f"an SNP report has no field {name}")
        field = places[name]
        try:
            raw = value.to_bytes(field.size, "little") if isinstance(value, int) else value
        except OverflowError:
            raise ValueError(f"{name} is {field.size} bytes, {value!r} does not fit") from None
        if len(raw) != field.size:
            raise ValueError(f"{name} is {field.size} bytes, not {len(raw)}")
        out[field.offset : field.offset + field.size] = raw
    return bytes(out)
