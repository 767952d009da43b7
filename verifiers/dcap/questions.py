"""The questions asked about every quote, as a table: what is expected, who asks, how a "no" is coded."""

from __future__ import annotations

from dataclasses import dataclass, field

from verifiers.errors import Reason
from verifiers.model import Check, Outcome


@dataclass(frozen=True, slots=True)
class Question:
    """One question. id, expected, source: as in `Check`. yes: what is found when it simply holds. reason: the
    code of a plain no.

    passed: the answer "yes", made once, since it is the same every time.
    """

    id: str
    expected: str
    yes: str
    source: str
    reason: Reason
    passed: Check = field(init=False)

    def __post_init__(self) -> None:
        passed = Check(self.id, Outcome.PASSED, self.expected, self.yes, self.source)
        object.__setattr__(self, "passed", passed)

    def holds(self, found: str) -> Check:
        """PASSED, and worth saying what was found."""
        return Check(self.id, Outcome.PASSED, self.expected, found, self.source)

    def fails(self, found: str, reason: Reason | None = None, fix: str | None = None) -> Check:
        return Check(self.id, Outcome.FAILED, self.expected, found, self.source, reason or self.reason, fix)

    def unknown(self, found: str, reason: Reason, fix: str | None = None) -> Check:
        """An input is missing: `reason` names it."""
        return Check(self.id, Outcome.UNKNOWN, self.expected, found, self.source, reason, fix)

    def not_checked(self, found: str, reason: Reason) -> Check:
        return Check(self.id, Outcome.NOT_CHECKED, self.expected, found, self.source, reason)


_PCK_PROFILE = "Intel PCK Certificate and CRL Profile, 1.3"
_QUOTE = "Intel TDX DCAP Quoting Library API, A.3"
_PCS = "Intel PCS API v4"

HEADER = Question(
    "dcap.header",
    "Intel's QE vendor id, reserved fields zero",
    "as expected",
    _QUOTE,
    Reason.DCAP_HEADER,
)
CHAIN = Question(
    "dcap.chain",
    "signatures from the PCK certificate to a pinned root",
    "they hold",
    _PCK_PROFILE,
    Reason.DCAP_CHAIN,
)
NAMES = Question(
    "dcap.chain-names",
    "names, CA flags, path length and key usage of the PCK profile",
    "as expected",
    _PCK_PROFILE,
    Reason.DCAP_CHAIN_NAMES,
)
DATES = Question(
    "dcap.chain-dates",
    "every certificate valid now",
    "all are",
    _PCK_PROFILE,
    Reason.DCAP_CHAIN_DATES,
)
REVOCATION = Question(
    "dcap.revocation",
    "root CRL and PCK CRL current, nothing revoked",
    "as expected",
    _PCK_PROFILE,
    Reason.DCAP_REVOKED,
)
QE_SIGNATURE = Question(
    "dcap.qe-report-signature",
    "QE report signed by the PCK",
    "it is",
    _QUOTE,
    Reason.DCAP_QE_SIGNATURE,
)
KEY_BINDING = Question(
    "dcap.attestation-key-binding",
    "QE REPORTDATA is SHA-256(attestation key ‖ authentication data) and 32 zero bytes; key on P-256",
    "it is",
    _QUOTE,
    Reason.DCAP_KEY_BINDING,
)
SIGNATURE = Question(
    "dcap.signature",
    "header and body signed by the attestation key",
    "they are",
    _QUOTE,
    Reason.DCAP_SIGNATURE,
)
TCB_INFO = Question(
    "dcap.tcb-info",
    "TCB info for this platform, signed by Intel, current",
    "it is",
    f"{_PCS}, TCB Info",
    Reason.DCAP_PCEID_MISMATCH,
)
QE_DOCUMENT = Question(
    "dcap.qe-identity-document",
    "identity of the quoting enclave, signed by Intel, current",
    "it is",
    f"{_PCS}, Enclave Identity",
    Reason.DCAP_QE_IDENTITY_MISSING,
)
QE_IDENTITY = Question(
    "dcap.qe-identity",
    "the QE report is that enclave, at a level that is not revoked",
    "it is",
    f"{_PCS}, Enclave Identity",
    Reason.DCAP_QE_IDENTITY,
)
TCB = Question(
    "dcap.tcb",
    "a TCB level that is supported and not revoked",
    "it is",
    f"{_PCS}, TCB Info",
    Reason.DCAP_TCB_NOT_SUPPORTED,
)
REPORT_DATA = Question(
    "binding.report-data",
    "REPORTDATA that we computed",
    "equal",
    "RFC 9334, 10.3",
    Reason.REPORT_DATA_MISMATCH,
)
SIMULATED = Question(
    "evidence.simulated",
    "no simulated evidence, unless it is allowed",
    "the simulator's root, which is allowed",
    "verifiers/dcap/roots.py",
    Reason.SIMULATED,
)
