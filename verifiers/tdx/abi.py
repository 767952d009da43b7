"""TD reports 1.0, 1.5 and 1.5 extended, as they stand in a quote's body.

Source: Intel TDX DCAP Quoting Library API, A.3.2 (1.0) and A.3.3 (1.5); Intel TDX Module ABI, TDREPORT. Field
names as printed there; integers are little-endian. `dcap.quote` gives the body its exact size.
"""

from __future__ import annotations

import struct

import msgspec
from msgspec.structs import replace

from verifiers.codec.reader import Field
from verifiers.dcap.quote import BODY_SIZE, BodyType, Quote
from verifiers.errors import EvidenceFormatError, Reason

TD_REPORT_1_0: tuple[Field, ...] = (
    Field("TEE_TCB_SVN", 0, 16),
    Field("MRSEAM", 16, 48),
    Field("MRSIGNERSEAM", 64, 48),
    Field("SEAMATTRIBUTES", 112, 8),
    Field("TDATTRIBUTES", 120, 8),
    Field("XFAM", 128, 8),
    Field("MRTD", 136, 48),
    Field("MRCONFIGID", 184, 48),
    Field("MROWNER", 232, 48),
    Field("MROWNERCONFIG", 280, 48),
    Field("RTMR0", 328, 48),
    Field("RTMR1", 376, 48),
    Field("RTMR2", 424, 48),
    Field("RTMR3", 472, 48),
    Field("REPORTDATA", 520, 64),
)
TD_REPORT_1_5: tuple[Field, ...] = (
    *TD_REPORT_1_0,
    Field("TEE_TCB_SVN2", 584, 16),
    Field("MRSERVICETD", 600, 48),
)
TD_REPORT_1_5_EXTENDED: tuple[Field, ...] = (
    *TD_REPORT_1_5,
    Field("VMID", 648, 1),
    Field("TD_ID", 649, 32),
    Field("DEVINFO", 681, 48),
    Field("INIT_SERVTD_HASH", 729, 48),
    Field("INIT_SERVTD_ATTR", 777, 8),
    Field("INIT_CPUSVN", 785, 16),
    Field("INIT_TEE_TCB_SVN", 801, 16),
    Field("INIT_TEE_FMSPC", 817, 12),
    Field("CURR_SERVTD_HASH", 829, 48),
    Field("CURR_SERVTD_ATTR", 877, 8),
)
LAYOUTS = {
    BodyType.TD_REPORT_1_0: TD_REPORT_1_0,
    BodyType.TD_REPORT_1_5: TD_REPORT_1_5,
    BodyType.TD_REPORT_1_5_EXTENDED: TD_REPORT_1_5_EXTENDED,
}
_CUT = {
    kind: struct.Struct("".join(f"{field.size}s" for field in layout)) for kind, layout in LAYOUTS.items()
}


class Extension(msgspec.Struct, frozen=True):
    """What 1.5 extended adds: identity of the TD, attached devices, and service TDs at launch and now."""

    vm_id: int
    td_id: bytes
    dev_info: bytes
    init_servtd_hash: bytes
    init_servtd_attr: bytes
    init_cpu_svn: bytes
    init_tee_tcb_svn: bytes
    init_tee_fmspc: bytes
    curr_servtd_hash: bytes
    curr_servtd_attr: bytes


class TdReport(msgspec.Struct, frozen=True):
    """A TD report body, parsed, *not* trusted. Measurements are 48 bytes, report_data 64."""

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    report_data: bytes
    tee_tcb_svn2: bytes | None = None
    mr_service_td: bytes | None = None
    extension: Extension | None = None

    @property
    def attribute_bits(self) -> int:
        return int.from_bytes(self.td_attributes, "little")

    @property
    def xfam_bits(self) -> int:
        return int.from_bytes(self.xfam, "little")


def parse(quote: Quote) -> TdReport:
    """The TD report in a quote's body.

    Raises EvidenceFormatError: EVIDENCE_TYPE_MISMATCH for an SGX quote, BAD_LENGTH for a body of another size
    (`dcap.quote.parse` makes neither for a TDX quote).
    """
    layout = LAYOUTS.get(quote.body_type)
    if layout is None:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH, "quote.body", expected="a TD report", found=quote.body_type.name
        )
    if len(quote.body) != BODY_SIZE[quote.body_type]:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH,
            "TD report",
            expected=f"{BODY_SIZE[quote.body_type]} bytes",
            found=f"{len(quote.body)} bytes",
        )
    # The layouts have no gaps, and their order is that of the fields of `TdReport` and `Extension`.
    parts = _CUT[quote.body_type].unpack(quote.body)
    report, extended = TdReport(*parts[: len(TD_REPORT_1_5)]), parts[len(TD_REPORT_1_5) :]
    if not extended:
        return report
    return replace(report, extension=Extension(extended[0][0], *extended[1:]))
