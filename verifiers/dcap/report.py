"""The SGX enclave report, 384 bytes: what a quoting enclave, and an SGX enclave, says about itself.

Source: Intel SGX SDM volume 3D, "REPORT"; Intel SGX ECDSA QuoteLib Reference, appendix A.4, table 5. All
integers are little-endian. Reserved bytes are kept, so that whoever judges a report can refuse them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from verifiers.codec.reader import Field, cut

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


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveReport:
    """One enclave report, parsed, *not* trusted. `raw` is kept: signatures are checked over it."""

    raw: bytes
    cpu_svn: bytes
    misc_select: bytes
    cet_attributes: bytes
    isv_ext_prod_id: bytes
    attributes: bytes
    mr_enclave: bytes
    mr_signer: bytes
    config_id: bytes
    isv_prod_id: bytes
    isv_svn: bytes
    config_svn: bytes
    isv_family_id: bytes
    report_data: bytes
    reserved: bytes
    """The four reserved areas, joined; zero in every real report."""

    @property
    def flags(self) -> int:
        """ATTRIBUTES.FLAGS as an integer; bits are `EnclaveFlags`."""
        return int.from_bytes(self.attributes[:8], "little")

    @property
    def xfrm(self) -> int:
        """ATTRIBUTES.XFRM as an integer; bits as in XCR0."""
        return int.from_bytes(self.attributes[8:], "little")

    @property
    def debug(self) -> bool:
        return bool(self.flags & EnclaveFlags.DEBUG)

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
    f = cut(raw, LAYOUT, SIZE, what)
    return EnclaveReport(
        raw=raw,
        cpu_svn=f["CPUSVN"],
        misc_select=f["MISCSELECT"],
        cet_attributes=f["CET_ATTRIBUTES"],
        isv_ext_prod_id=f["ISVEXTPRODID"],
        attributes=f["ATTRIBUTES"],
        mr_enclave=f["MRENCLAVE"],
        mr_signer=f["MRSIGNER"],
        config_id=f["CONFIGID"],
        isv_prod_id=f["ISVPRODID"],
        isv_svn=f["ISVSVN"],
        config_svn=f["CONFIGSVN"],
        isv_family_id=f["ISVFAMILYID"],
        report_data=f["REPORTDATA"],
        reserved=f["RESERVED1"] + f["RESERVED2"] + f["RESERVED3"] + f["RESERVED4"],
    )
