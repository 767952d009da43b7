"""Stored records, read back: the verified claims of an attempt, for trying other policies on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from policies.backtest import Past
from policies.joining import FRESHNESS_CHECK
from policies.model import Profile
from policies.vocabulary import EVIDENCE_TYPE, kinds_of
from verifiers import claims as table
from verifiers.claimtypes import ClaimSpec, from_json
from verifiers.model import Check, ClaimValue, EvidenceSummary, Outcome, Tcb, TeeKind, Verification
from verifiers.sevsnp.claims import complete
from verifiers.verdict import conclude

_SOURCE = "the record"


class _Evidence(msgspec.Struct):
    type: TeeKind
    version: int
    signing_key: str
    product: str | None
    fmspc: str | None
    digest: str


class _Document(msgspec.Struct):
    kind: str
    name: str


class _Replay(msgspec.Struct):
    profile: Profile
    open: list[tuple[str, Outcome]]


class _Refusal(msgspec.Struct):
    path: str


class _Record(msgspec.Struct):
    attempt: str
    at: datetime
    authentic: bool
    simulated: bool
    evidence: _Evidence
    claims: dict[str, Any]
    policies: list[_Document]
    replay: _Replay
    refusals: list[_Refusal] = []


_decoder = msgspec.json.Decoder(_Record)


def of(raw: bytes) -> Past | None:
    """The attempt of a stored record. None when it has no findings to try policies on: it ended before there
    was a verdict, was not authentic, or is older than backtests. Raises ValueError for claims that are not
    what the claim table says."""
    try:
        record = _decoder.decode(raw)
    except msgspec.DecodeError:
        return None
    if not record.authentic:
        return None
    judged = next((each.name.partition("@")[0] for each in record.policies if each.kind == "release"), None)
    return Past(
        attempt=record.attempt,
        at=record.at,
        profile=record.replay.profile,
        policy=judged,
        refused=tuple(each.path for each in record.refusals),
        verification=_verification(record),
    )


def _verification(record: _Record) -> Verification:
    said = record.evidence
    claims: dict[str, ClaimValue] = {
        EVIDENCE_TYPE: said.type.value,
        "evidence.version": said.version,
        "evidence.simulated": record.simulated,
    }
    for name, spec in _specs(said.type).items():
        if name in record.claims:
            claims[spec.name] = from_json(spec, record.claims[name])
    if said.type is TeeKind.SEV_SNP:
        complete(claims)
    return conclude(
        evidence=EvidenceSummary(
            kind=said.type,
            version=said.version,
            signing_key=said.signing_key,
            digest=bytes.fromhex(said.digest.removeprefix("sha256:")),
            product=said.product,
            fmspc=said.fmspc,
        ),
        signature_valid=True,
        chain_valid=True,
        simulated=record.simulated,
        tcb=Tcb(),
        claims=claims,
        checks=_checks(said.type, record.replay.open),
        used={},
        missing=(),
        ends=(),
        now=record.at,
    )


@cache
def _specs(kind: TeeKind) -> Mapping[str, ClaimSpec]:
    """By key in JSON; keys are unique within one kind of evidence."""
    return {spec.json: spec for spec in table.TABLE if spec.json is not None and kind in kinds_of(spec.name)}


def _checks(kind: TeeKind, left: list[tuple[str, Outcome]]) -> tuple[Check, ...]:
    """The verifier's findings: those that did not pass by name, and that it looked at the rest."""
    vendor = "snp" if kind is TeeKind.SEV_SNP else "dcap"
    outcomes = {f"{vendor}.signature": Outcome.PASSED, f"{vendor}.revocation": Outcome.PASSED}
    outcomes |= {FRESHNESS_CHECK: Outcome.PASSED, **dict(left)}
    return tuple(Check(name, outcome, "", "", _SOURCE) for name, outcome in outcomes.items())
