"""The values that cross module borders: evidence in, a `Verification` out.

What must stay true:

* `Verification` is made in `verifiers/verdict.py` only; everything that decides takes one.
* A `Check` exists for every question asked, in the order of the vendor's procedure, whether it passed
  or not; "not checked" is a check with that outcome, never an absence.
* Claims are read from signed bytes or from verified endorsements; a claim that is absent from the
  mapping is *missing*, which is never the same as false.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec


class TeeKind(enum.StrEnum):
    SEV_SNP = "sev-snp"
    TDX = "tdx"
    SGX = "sgx"


class Outcome(enum.StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """An input was missing: this may or may not hold. Makes the verdict undecided."""
    WAIVED = "waived"
    """Would not have passed; an `accept_risk` covers it by name."""
    NOT_CHECKED = "not_checked"
    """Nobody asked. Listed, never silent; does not decide."""


class Verdict(enum.StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNDECIDED = "undecided"
    MALFORMED = "malformed"


class Check(msgspec.Struct, frozen=True):
    """One finding.

    id: stable name of the question ("snp.signature").
    expected, found: short texts for people; no secrets.
    source: document and section, or file and line, that asks for it.
    reason: stable code when it did not pass; the id when nothing more exact is known.
    fix: what would make it pass, when we know.
    """

    id: str
    outcome: Outcome
    expected: str
    found: str
    source: str
    reason: str | None = None
    fix: str | None = None

    @property
    def code(self) -> str | None:
        """The reason code, or None when the check passed."""
        return None if self.outcome is Outcome.PASSED else (self.reason or self.id)


class TcbVersion(msgspec.Struct, frozen=True, kw_only=True):
    """SEV-SNP TCB_VERSION, by component (AMD 56860, TCB_VERSION; layout depends on product).

    There is deliberately no `<` and no integer form: TCBs are compared component by component.
    """

    bootloader: int
    tee: int
    snp: int
    microcode: int
    fmc: int | None = None
    """Exists from Turin on."""


ClaimValue = bytes | bool | int | str | TcbVersion | datetime | timedelta | frozenset[str] | tuple[int, ...]
"""Digests and identifiers are bytes; times are aware and UTC; sets are sets of tokens."""

Claims = Mapping[str, ClaimValue]
"""Full claim name, as `verifiers/claims.py` lists it ("snp.measurement"), to value."""


class AnchorSet(enum.Enum):
    """Which pinned roots count as roots."""

    VENDOR = "vendor"
    """AMD's and Intel's. The only choice outside development mode."""
    VENDOR_AND_SIMULATED = "vendor-and-simulated"
    """The simulator's too. Whatever they vouch for is marked `simulated` in every result."""


class ChainCache(Protocol):
    """Remembers *verified chains and collateral*, never verdicts. Owned by the shell.

    Keys contain every certificate, CRL and document, as a digest or as it is, and the anchor set, so a hit
    means the same bytes verified against the same roots. Dates are checked again at each use. Safe to call
    from several threads; may forget anything at any time.
    """

    def get(self, key: tuple[object, ...]) -> object | None: ...

    def put(self, key: tuple[object, ...], value: object) -> None: ...


class NoCache:
    """Remembers nothing."""

    def get(self, key: tuple[object, ...]) -> object | None:
        return None

    def put(self, key: tuple[object, ...], value: object) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsements:
    """What vendors say, as bytes that have NOT been verified yet, and the roots to judge them by.

    certificates: DER, any order, leaf and intermediates; vendor or evidence may have supplied them.
    crls: DER. tcb_infos, qe_identities: PCS response bodies, exactly as served.
    TCB infos, identities and CRLs come from our own sources, never from evidence.
    """

    anchors: AnchorSet
    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    tcb_infos: tuple[bytes, ...] = ()
    qe_identities: tuple[bytes, ...] = ()
    cache: ChainCache = field(default_factory=NoCache)


class ReportData(msgspec.Struct, frozen=True):
    """The 64 bytes that REPORT_DATA must equal, computed by us from our own challenge."""

    expected: bytes

    def __post_init__(self) -> None:
        if len(self.expected) != 64:
            raise ValueError(f"report data is 64 bytes, not {len(self.expected)}")


@dataclass(frozen=True, slots=True)
class Unbound:
    """Nobody compares REPORT_DATA, and `why` is shown in the result."""

    why: str


Binding = ReportData | Unbound


@dataclass(frozen=True, slots=True)
class Need:
    """One piece of collateral, named by what it is, not by where it lives.

    kind: "amd.vcek", "amd.crl", "intel.tcb-info", "intel.qe-identity", "intel.pck-crl",
    "intel.root-crl", "intel.pck". key: sorted pairs, so that a Need can be a cache key.
    """

    kind: str
    key: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.kind} " + " ".join(f"{k}={v}" for k, v in self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementFacts:
    """What one endorsement says about itself, once its signatures were found to lead to a pin.

    kind: as a Need's, or "intel.issuer" for the certificates above documents and PCKs. key: sorted pairs;
    those of the Need that it answers, and more where the need names fewer. issued: issueDate, thisUpdate or
    notBefore; ends: the first instant at which it is no longer valid. number: TCB evaluation data number or
    CRL number, None for certificates. issuers: DER of the certificates that the signatures lead over, the
    pinned root included; () where the pins are keys. simulated: the pin is the simulator's.
    """

    kind: str
    key: tuple[tuple[str, str], ...]
    issued: datetime
    ends: datetime
    number: int | None
    issuers: tuple[bytes, ...]
    simulated: bool


class EvidenceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at. `digest` is SHA-256 over the *signed* bytes: signatures are malleable, so
    the whole file is no identity."""

    kind: TeeKind
    version: int
    signing_key: str
    """"VCEK", "VLEK", "PCK"; "unknown" when the evidence names none that we know."""
    digest: bytes
    product: str | None = None
    """SNP: Milan, Genoa or Turin once certificates say so, else what CPUID suggests."""
    fmspc: str | None = None
    """Intel: 12 upper-case hex digits, from the PCK certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbShort:
    """One component that is too low: for people who must raise it."""

    component: str
    has: int
    needs: int
    raised_by: str


class Tcb(msgspec.Struct, frozen=True, kw_only=True):
    """status: Intel's word (UpToDate, OutOfDate …, NotSupported), or None while undecidable; for AMD the
    baseline fills `ok`, `below_floor` or `no_floor` in at appraisal."""

    status: str | None = None
    advisory_ids: tuple[str, ...] = ()
    date: datetime | None = None
    short: tuple[TcbShort, ...] = ()


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `verify` found out, at one instant. Made by verifiers/verdict.py only.

    signature_valid: the evidence's own signature holds over the bytes received, under the leaf given. For a
    quote whose PCK nobody brought, it means that body, attestation key and QE report hold together, with
    nothing said about whose QE report it is; what a quote brings as its chain and cannot be read makes it
    False (Intel's samples with DER for PEM count as having brought none). It never says who signed: that
    is `authentic`.
    chain_valid: signatures lead from that leaf, over issuers that may issue it, to a pinned root; False
    without a leaf. Dates and revocation are checks of their own. simulated: that root is the simulator's.
    expires: the first instant at which some certificate or document that was relied on ends.
    used: SHA-256 of every certificate, CRL and document relied on, hex, by role.
    """

    evidence: EvidenceSummary
    signature_valid: bool
    chain_valid: bool
    simulated: bool
    tcb: Tcb
    claims: Claims
    checks: tuple[Check, ...]
    used: Mapping[str, str]
    missing: tuple[Need, ...]
    expires: datetime | None
    at: datetime

    @property
    def authentic(self) -> bool:
        return self.signature_valid and self.chain_valid

    @property
    def verdict(self) -> Verdict:
        """What the checks say; a definite failure outranks a missing input."""
        return verdict_of(self.checks)


def verdict_of(checks: tuple[Check, ...]) -> Verdict:
    """Accepted only if at least one check passed, none failed and none is unknown."""
    outcomes = {check.outcome for check in checks}
    if Outcome.FAILED in outcomes:
        return Verdict.REFUSED
    if Outcome.UNKNOWN in outcomes or Outcome.PASSED not in outcomes:
        return Verdict.UNDECIDED
    return Verdict.ACCEPTED


def first_reason(checks: tuple[Check, ...]) -> str | None:
    """Code of the first failed check; failing that, of the first unknown one; else None."""
    for wanted in (Outcome.FAILED, Outcome.UNKNOWN):
        for check in checks:
            if check.outcome is wanted:
                return check.code
    return None
