"""The one table of TEE kinds: which verifier judges which evidence. The only module that knows them all."""

from __future__ import annotations

from datetime import datetime

from verifiers.dcap import needs as dcap_needs
from verifiers.dcap.quote import Quote
from verifiers.eventlog.log import SentLog
from verifiers.model import Binding, Endorsements, Need, TeeKind, Verification
from verifiers.sevsnp import needs as snp_needs
from verifiers.sevsnp import verify as snp
from verifiers.sevsnp.abi import SnpReport
from verifiers.sgx import verify as sgx
from verifiers.tdx import verify as tdx

Evidence = SnpReport | Quote
"""Parsed evidence, *not* trusted."""


def verify(
    evidence: Evidence,
    endorsements: Endorsements,
    binding: Binding,
    now: datetime,
    *,
    event_log: SentLog | None = None,
) -> Verification:
    """Everything that can be found out about `evidence` at `now` (aware, UTC); see each kind's `verify`.

    event_log: as it came with a TDX quote, or read elsewhere; ValueError with other evidence, which has none
    (carriers refuse it). Never raises for what is wrong with evidence, log or endorsements: that is in the
    result's checks.
    """
    if isinstance(evidence, Quote) and evidence.kind is TeeKind.TDX:
        return tdx.verify(evidence, endorsements, binding, now, event_log=event_log)
    if event_log is not None:
        raise ValueError("only a TDX quote has an event log")
    if isinstance(evidence, SnpReport):
        return snp.verify(evidence, endorsements, binding, now)
    return sgx.verify(evidence, endorsements, binding, now)


def needs(evidence: Evidence) -> tuple[Need, ...]:
    """Which collateral `verify` will ask for. A second round may follow once some of it is there."""
    return snp_needs.needs(evidence) if isinstance(evidence, SnpReport) else dcap_needs.needs(evidence)
