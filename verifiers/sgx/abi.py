"""The SGX enclave report in a quote's body. The layout is shared with quoting enclaves: `dcap.report`."""

from __future__ import annotations

from verifiers.dcap import report
from verifiers.dcap.quote import BodyType, Quote
from verifiers.dcap.report import EnclaveReport
from verifiers.errors import EvidenceFormatError, Reason

XFRM_FIXED1 = 0x3
"""x87 and SSE: always set (Intel SDM volume 3D, "ATTRIBUTES.XFRM")."""
XFRM_KNOWN = 0x61AFF
"""XCR0 layout: x87, SSE, AVX (2), MPX (3, 4), AVX-512 (5 to 7), PKRU (9), CET (11, 12), AMX (17, 18)."""


def parse(quote: Quote) -> EnclaveReport:
    """The enclave report in a quote's body.

    Raises EvidenceFormatError(EVIDENCE_TYPE_MISMATCH) for a TDX quote.
    """
    if quote.body_type is not BodyType.SGX_ENCLAVE:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH,
            "quote.body",
            expected="an enclave report",
            found=quote.body_type.name,
        )
    return report.parse(quote.body, "enclave report")


def attribute_problem(body: EnclaveReport) -> str | None:
    """Why the enclave's attributes cannot be judged, or None."""
    if body.unknown_flags:
        return f"ATTRIBUTES: reserved or unknown bits {body.unknown_flags:#x}"
    if body.xfrm & XFRM_FIXED1 != XFRM_FIXED1:
        return f"XFRM {body.xfrm:#x}: bits 0 and 1 must be set"
    if body.xfrm & ~XFRM_KNOWN:
        return f"XFRM {body.xfrm:#x}: unknown bits"
    if body.has_reserved:
        return "reserved bytes that are not zero"
    return None
