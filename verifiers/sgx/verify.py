"""Verify an SGX quote: the common DCAP steps, then what only an enclave report has."""

from __future__ import annotations

from datetime import datetime

from verifiers.dcap.questions import Question
from verifiers.dcap.quote import Quote
from verifiers.dcap.verify import examine, finish
from verifiers.errors import Reason
from verifiers.model import Binding, Endorsements, Verification
from verifiers.sgx import abi, claims

ATTRIBUTES = Question(
    "sgx.attributes",
    "ATTRIBUTES and XFRM with known bits only, reserved bytes zero",
    "they are known",
    'Intel SDM volume 3D, "REPORT"',
    Reason.SGX_ATTRIBUTES,
)


def verify(quote: Quote, endorsements: Endorsements, binding: Binding, now: datetime) -> Verification:
    """Everything that can be found out about an SGX quote at `now` (aware, UTC).

    quote: an SGX quote; anything else is a programming error (EvidenceFormatError from `abi.parse`), and so
    is a time that is not UTC (ValueError). Bad signatures, collateral and TCB levels are checks in the
    result, never exceptions. DEBUG and the key flags
    are claims, which the platform baseline judges.
    """
    report = abi.parse(quote)
    found = examine(quote, None, endorsements, now)
    problem = abi.attribute_problem(report)
    found.checks.append(ATTRIBUTES.fails(problem) if problem else ATTRIBUTES.holds(report.attributes.hex()))
    return finish(
        quote, found, claims.claims(quote, report, found, now), report.report_data, endorsements, binding, now
    )
