"""The one table of TEE kinds: which verifier judges which evidence. The only module that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from verifiers.dcap import needs as dcap_needs
from verifiers.dcap.quote import Quote
from verifiers.model import Binding, Endorsements, Need, TeeKind, Verification
from verifiers.sevsnp import needs as snp_needs
from verifiers.sevsnp import verify as snp
from verifiers.sevsnp.abi import SnpReport
from verifiers.sgx import verify as sgx
from verifiers.tdx import verify as tdx

Evidence = SnpReport | Quote
"""Parsed evidence, *not* trusted."""

_QUOTES: Mapping[TeeKind, Callable[[Quote, Endorsements, Binding, datetime], Verification]] = (
    MappingProxyType({TeeKind.TDX: tdx.verify, TeeKind.SGX: sgx.verify})
)


def verify(evidence: Evidence, endorsements: Endorsements, binding: Binding, now: datetime) -> Verification:
    """Everything that can be found out about `evidence` at `now` (aware, UTC); see each kind's `verify`.

    Never raises for what is wrong with evidence or endorsements: that is in the result's checks.
    """
    if isinstance(evidence, SnpReport):
        return snp.verify(evidence, endorsements, binding, now)
    return _QUOTES[evidence.kind](evidence, endorsements, binding, now)


def needs(evidence: Evidence) -> tuple[Need, ...]:
    """Which collateral `verify` will ask for. A second round may follow once some of it is there."""
    return snp_needs.needs(evidence) if isinstance(evidence, SnpReport) else dcap_needs.needs(evidence)
