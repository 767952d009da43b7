"""The published table of claims: every fact a policy may name, of every kind of evidence.

The rows of one kind stand beside the code that reads its bytes; here are the few that every kind has, and
the joined table. Names are unique; so are JSON keys within one kind of evidence, and one result holds one
kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from verifiers.claimtypes import ClaimSpec, ClaimType, Provenance, to_json
from verifiers.dcap import claims as dcap
from verifiers.model import TeeKind, Verification
from verifiers.sevsnp import claims as sevsnp
from verifiers.sgx import claims as sgx
from verifiers.tdx import claims as tdx
from verifiers.tdx import eventlog

EVIDENCE: tuple[ClaimSpec, ...] = (
    ClaimSpec(
        name="evidence.type",
        type=ClaimType.TEXT,
        doc="what kind of hardware made the evidence",
        source="the evidence's own header",
        json=None,
        trustee="tee",
        trust_authority="attester_type",
        values=tuple(kind.value for kind in TeeKind),
    ),
    ClaimSpec(
        name="evidence.version",
        type=ClaimType.INTEGER,
        doc="version of the report or quote",
        source="the evidence's own header",
        json=None,
    ),
    ClaimSpec(
        name="evidence.simulated",
        type=ClaimType.FLAG,
        doc="vouched for by the simulator's roots: no hardware stands behind it",
        source="the root that the chain leads to",
        json=None,
        provenance=Provenance.ENDORSED,
    ),
)
"""Not in the JSON claims: results say these under `evidence` and `simulated`."""

TABLE: tuple[ClaimSpec, ...] = (
    *EVIDENCE,
    *sevsnp.TABLE,
    *tdx.TABLE,
    *eventlog.TABLE,
    *sgx.TABLE,
    *dcap.TABLE,
)

BY_NAME: Mapping[str, ClaimSpec] = MappingProxyType({spec.name: spec for spec in TABLE})


def json_claims(verification: Verification) -> dict[str, object]:
    """The claims of one result as `verify --json` and tokens spell them, in the table's order."""
    claims = verification.claims
    return {
        spec.json: to_json(spec, claims[spec.name])
        for spec in TABLE
        if spec.json is not None and spec.name in claims
    }


def provenances(verification: Verification) -> dict[str, list[str]]:
    """The keys of `json_claims` by whose word they are: "hardware", "endorsed" or "replayed"."""
    claims = verification.claims
    out: dict[str, list[str]] = {}
    for spec in TABLE:
        if spec.json is not None and spec.name in claims:
            out.setdefault(spec.provenance.value, []).append(spec.json)
    return out
