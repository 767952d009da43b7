"""The SGX enclave report, 384 bytes: what a quoting enclave, and an SGX enclave, says about itself.

Source: Intel SGX SDM volume 3D, "REPORT"; Intel SGX ECDSA QuoteLib Reference, appendix A.4, table 5. All
integers are little-endian. Reserved bytes are kept, so that whoever judges a report can refuse them.
"""

from __future__ import annotations

import enum

import msgspec

from verifiers.codec.reader import Field
from verifiers.errors import EvidenceFormatError, Reason

SIZE = 384

LAYOUT: tuple[Field, ...] = (
    Field("CPUSVN", 0, 16),
    Field("MISCSELECT", 16, 4),
    Field("CET_ATTRIBUTES", 20, 1),
    Field("RESERVED1", 21, 11),
    Field("ISVEXTPRODID", 32, 16),
    Field("ATTRIBUTES", 48, 16),
    Field("MRENCLAVE", 64, 32),
    Field("RESERVED2", 96, 32),
    Field("MRSIGNER", 128, 32),
    Field("RESERVED3", 160, 32),
    Field("CONFIGID", 192, 64),
    Field("ISVPRODID", 256, 2),
    Field("ISVSVN", 258, 2),
    Field("CONFIGSVN", 260, 2),
    Field("RESERVED4", 262, 42),
    Field("ISVFAMILYID", 304, 16),
    Field("REPORTDATA", 320, 64),
)


class EnclaveFlags(enum.IntFlag):
    """ATTRIBUTES, low 8 bytes (Intel SDM volume 3D, table "Layout of ATTRIBUTES Structure")."""

    INIT = 1 << 0
    DEBUG = 1 << 1
    MODE64BIT = 1 << 2
    PROVISION_KEY = 1 << 4
    EINITTOKEN_KEY = 1 << 5
    CET = 1 << 6
    KSS = 1 << 7
    AEX_NOTIFY = 1 << 10


KNOWN_FLAGS = sum(EnclaveFlags)
_DEBUG = int(EnclaveFlags.DEBUG)


def _field(name: str) -> slice:
    field = next(f for f in LAYOUT if f.name == name)
    return slice(field.offset, field.offset + field.size)


_CPUSVN, _MISCSELECT, _CET = _field("CPUSVN"), _field("MISCSELECT"), _field("CET_ATTRIBUTES")
_ISVEXTPRODID, _ATTRIBUTES, _MRENCLAVE = _field("ISVEXTPRODID"), _field("ATTRIBUTES"), _field("MRENCLAVE")
_MRSIGNER, _CONFIGID, _ISVPRODID = _field("MRSIGNER"), _field("CONFIGID"), _field("ISVPRODID")
_ISVSVN, _CONFIGSVN, _ISVFAMILYID = _field("ISVSVN"), _field("CONFIGSVN"), _field("ISVFAMILYID")
_REPORTDATA = _field("REPORTDATA")
_RESERVED1, _RESERVED2, _RESERVED3, _RESERVED4 = (_field(f"RESERVED{n}") for n in range(1, 5))
_ZEROS = (bytes(11), bytes(32), bytes(32), bytes(42))


class EnclaveReport(msgspec.Struct, frozen=True):
    """One enclave report, *not* trusted. Made by `parse`, which checks the length.

    Fields are cut out by the table when they are asked for: most of a QE report never is.
    """

    raw: bytes

    @property
    def cpu_svn(self) -> bytes:
        return self.raw[_CPUSVN]

    @property
    def misc_select(self) -> bytes:
        return self.raw[_MISCSELECT]

    @property
    def cet_attributes(self) -> bytes:
        return self.raw[_CET]

    @property
    def isv_ext_prod_id(self) -> bytes:
        return self.raw[_ISVEXTPRODID]

    @property
    def attributes(self) -> bytes:
        return self.raw[_ATTRIBUTES]

    @property
    def mr_enclave(self) -> bytes:
        return self.raw[_MRENCLAVE]

    @property
    def mr_signer(self) -> bytes:
        return self.raw[_MRSIGNER]

    @property
    def config_id(self) -> bytes:
        return self.raw[_CONFIGID]

    @property
    def isv_prod_id(self) -> bytes:
        return self.raw[_ISVPRODID]

    @property
    def isv_svn(self) -> bytes:
        return self.raw[_ISVSVN]

    @property
    def config_svn(self) -> bytes:
        return self.raw[_CONFIGSVN]

    @property
    def isv_family_id(self) -> bytes:
        return self.raw[_ISVFAMILYID]

    @property
    def report_data(self) -> bytes:
        return self.raw[_REPORTDATA]

    @property
    def has_reserved(self) -> bool:
        """Whether any byte of the four reserved areas is set; none is in a real report."""
        raw = self.raw
        return (raw[_RESERVED1], raw[_RESERVED2], raw[_RESERVED3], raw[_RESERVED4]) != _ZEROS

    @property
    def flags(self) -> int:
        """ATTRIBUTES.FLAGS as an integer; bits are `EnclaveFlags`."""
        return int.from_bytes(self.attributes[:8], "little")

    @property
    def unknown_flags(self) -> int:
        """Bits of ATTRIBUTES.FLAGS that are none of `EnclaveFlags`."""
        return self.flags & ~KNOWN_FLAGS

    @property
    def xfrm(self) -> int:
        """ATTRIBUTES.XFRM as an integer; bits as in XCR0."""
        return int.from_bytes(self.attributes[8:], "little")

    @property
    def debug(self) -> bool:
        return bool(self.flags & _DEBUG)

    @property
    def prod_id(self) -> int:
        """ISVPRODID as an integer."""
        return int.from_bytes(self.isv_prod_id, "little")

    @property
    def svn(self) -> int:
        """ISVSVN as an integer."""
        return int.from_bytes(self.isv_svn, "little")


def parse(raw: bytes, what: str) -> EnclaveReport:
    """Parse exactly 384 bytes; `what` names the report in errors.

    Raises EvidenceFormatError(BAD_LENGTH) for any other length.
    """
    if len(raw) != SIZE:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH, what, expected=f"{SIZE} bytes", found=f"{len(raw)} bytes"
        )
    return EnclaveReport(raw)
