"""TD reports 1.0, 1.5 and 1.5 extended, as they stand in a quote's body.

Source: Intel TDX DCAP Quoting Library API, A.3.2 (1.0) and A.3.3 (1.5); Intel TDX Module ABI, TDREPORT. Field
names as printed there; integers are little-endian. `dcap.quote` gives the body its exact size.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifiers.codec.reader import Field, cut
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
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
    tee_tcb_svn2: bytes | None
    mr_service_td: bytes | None
    extension: Extension | None

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
    f = cut(quote.body, layout, BODY_SIZE[quote.body_type], "TD report")
    return TdReport(
        tee_tcb_svn=f["TEE_TCB_SVN"],
        mr_seam=f["MRSEAM"],
        mr_signer_seam=f["MRSIGNERSEAM"],
        seam_attributes=f["SEAMATTRIBUTES"],
        td_attributes=f["TDATTRIBUTES"],
        xfam=f["XFAM"],
        mr_td=f["MRTD"],
        mr_config_id=f["MRCONFIGID"],
        mr_owner=f["MROWNER"],
        mr_owner_config=f["MROWNERCONFIG"],
        rtmr0=f["RTMR0"],
        rtmr1=f["RTMR1"],
        rtmr2=f["RTMR2"],
        rtmr3=f["RTMR3"],
        report_data=f["REPORTDATA"],
        tee_tcb_svn2=f.get("TEE_TCB_SVN2"),
        mr_service_td=f.get("MRSERVICETD"),
        extension=_extension(f) if quote.body_type is BodyType.TD_REPORT_1_5_EXTENDED else None,
    )


def _extension(f: dict[str, bytes]) -> Extension:
    return Extension(
        vm_id=f["VMID"][0],
        td_id=f["TD_ID"],
        dev_info=f["DEVINFO"],
        init_servtd_hash=f["INIT_SERVTD_HASH"],
        init_servtd_attr=f["INIT_SERVTD_ATTR"],
        init_cpu_svn=f["INIT_CPUSVN"],
        init_tee_tcb_svn=f["INIT_TEE_TCB_SVN"],
        init_tee_fmspc=f["INIT_TEE_FMSPC"],
        curr_servtd_hash=f["CURR_SERVTD_HASH"],
        curr_servtd_attr=f["CURR_SERVTD_ATTR"],
    )
