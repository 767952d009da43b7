"""Verify an SGX quote: the common DCAP steps, then what only an enclave report has."""

from __future__ import annotations

from datetime import datetime

from verifiers.dcap.quote import Quote
from verifiers.dcap.verify import check, examine, finish
from verifiers.errors import Reason
from verifiers.model import Binding, Endorsements, Verification
from verifiers.sgx import abi, claims


def verify(quote: Quote, endorsements: Endorsements, binding: Binding, now: datetime) -> Verification:
    """Everything that can be found out about an SGX quote at `now` (aware, UTC).

    quote: an SGX quote; anything else is a programming error (EvidenceFormatError from `abi.parse`). Bad
    signatures, collateral and TCB levels are checks in the result, never exceptions. DEBUG and the key flags
    are claims, which the platform baseline judges.
    """
    report = abi.parse(quote)
    found = examine(quote, None, endorsements, now)
    problem = abi.attribute_problem(report)
    found.checks.append(
        check(
            "sgx.attributes",
            problem is None,
            "ATTRIBUTES and XFRM with known bits only, reserved bytes zero",
            problem or report.attributes.hex(),
            'Intel SDM volume 3D, "REPORT"',
            Reason.SGX_ATTRIBUTES,
        )
    )
    return finish(
        quote, found, claims.claims(quote, report, found, now), report.report_data, endorsements, binding, now
    )
