"""Verify a TDX quote: the common DCAP steps, then what only a TD report has."""

from __future__ import annotations

from datetime import datetime

from verifiers.dcap import levels
from verifiers.dcap.levels import TdxTcb
from verifiers.dcap.questions import Question
from verifiers.dcap.quote import Quote
from verifiers.dcap.tcbinfo import Module
from verifiers.dcap.verify import Examined, examine, finish
from verifiers.errors import Reason
from verifiers.eventlog.log import SentLog
from verifiers.model import Binding, Check, Endorsements, Verification
from verifiers.tdx import abi, attributes, claims, eventlog
from verifiers.tdx.abi import TdReport

INTEL_MODULE = Module(mr_signer=bytes(48), attributes=bytes(8), attributes_mask=b"\xff" * 8)
"""What every module that Intel signed says of itself."""

_ABI = "Intel TDX Module 1.5 ABI"
ATTRIBUTES = Question(
    "tdx.attributes",
    "TDATTRIBUTES with known bits only",
    "they are known",
    f"{_ABI}, ATTRIBUTES",
    Reason.TDX_ATTRIBUTES,
)
XFAM = Question(
    "tdx.xfam",
    "XFAM with x87 and SSE, and known bits only",
    "they are known",
    f"{_ABI}, XFAM",
    Reason.TDX_XFAM,
)
SEAM = Question(
    "tdx.seam",
    "MRSIGNERSEAM and SEAMATTRIBUTES of a module that Intel signed",
    "as expected",
    f"{_ABI}, TDREPORT",
    Reason.TDX_SEAM,
)


def verify(
    quote: Quote,
    endorsements: Endorsements,
    binding: Binding,
    now: datetime,
    *,
    event_log: SentLog | None = None,
) -> Verification:
    """Everything that can be found out about a TDX quote at `now` (aware, UTC).

    quote: a TDX quote; anything else is a programming error (EvidenceFormatError from `abi.parse`), and so
    is a time that is not UTC (ValueError). event_log: as sent or read, or None. Bad signatures, collateral,
    TCB levels and logs are checks in the result, never exceptions. DEBUG, MIGRATABLE and the other named
    attributes are claims, which the platform baseline judges.
    """
    report = abi.parse(quote)
    tdx = TdxTcb(
        svn=report.tee_tcb_svn,
        svn2=report.tee_tcb_svn2,
        mr_signer_seam=report.mr_signer_seam,
        seam_attributes=report.seam_attributes,
    )
    found = examine(quote, tdx, endorsements, now)
    replayed, logged = eventlog.examine(event_log, report)
    found.checks += [_attributes(report), _xfam(report), _seam(tdx, found), replayed]
    values = claims.claims(quote, report, found, now) | logged
    return finish(quote, found, values, report.report_data, endorsements, binding, now)


def _attributes(report: TdReport) -> Check:
    problem = attributes.attribute_problem(report.attribute_bits, has_extension=report.extension is not None)
    return ATTRIBUTES.fails(problem) if problem else ATTRIBUTES.holds(f"{report.attribute_bits:#x}")


def _xfam(report: TdReport) -> Check:
    problem = attributes.xfam_problem(report.xfam_bits)
    return XFAM.fails(problem) if problem else XFAM.holds(f"{report.xfam_bits:#x}")


def _seam(tdx: TdxTcb, found: Examined) -> Check:
    """The module's signer and attributes: from TCB info where it names them, else Intel's own."""
    module = INTEL_MODULE
    if found.tcb_info is not None:
        info = found.tcb_info.value
        identity = levels.module_identity(info, tdx.svn[1])
        module = (identity.module if identity else info.module) or module
    if levels.fits(module, tdx):
        return SEAM.passed
    wanted = f"{module.mr_signer.hex()}, {module.attributes.hex()}"
    return SEAM.fails(f"{tdx.mr_signer_seam.hex()}, {tdx.seam_attributes.hex()}, not {wanted}")
