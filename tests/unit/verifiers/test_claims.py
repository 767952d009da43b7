"""The published claim table, and that verifiers say nothing that is not in it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from gateway.simulator.seeds import EPOCH
from tests.support import load_manifest, needs_vectors, vector_bytes
from verifiers import claims, registry, verdict
from verifiers.carriers import open_evidence
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.collateral import classify, merge
from verifiers.model import (
    AnchorSet,
    Check,
    ClaimValue,
    Endorsements,
    Outcome,
    TcbVersion,
    TeeKind,
    Unbound,
    Verdict,
    Verification,
)

TYPES: dict[ClaimType, type] = {
    ClaimType.DIGEST: bytes,
    ClaimType.BYTES: bytes,
    ClaimType.FLAG: bool,
    ClaimType.INTEGER: int,
    ClaimType.MASK: int,
    ClaimType.TEXT: str,
    ClaimType.VERSION: tuple,
    ClaimType.LIST: tuple,
    ClaimType.TCB: TcbVersion,
    ClaimType.TIME: datetime,
    ClaimType.DURATION: timedelta,
    ClaimType.SET: frozenset,
}
PREFIX = {TeeKind.SEV_SNP: "snp", TeeKind.TDX: "tdx", TeeKind.SGX: "sgx"}


def complaints(spec: ClaimSpec, value: ClaimValue) -> list[str]:
    """Everything that is wrong with a value by its row."""
    out = []
    if type(value) is not TYPES[spec.type]:
        out.append(f"{spec.name}: {type(value).__name__}, not {spec.type}")
    if spec.length is not None and isinstance(value, bytes) and len(value) != spec.length:
        out.append(f"{spec.name}: {len(value)} bytes, not {spec.length}")
    if spec.values and value not in spec.values:
        out.append(f"{spec.name}: {value!r} is none of {spec.values}")
    words = [value] if isinstance(value, str) else value if isinstance(value, frozenset) else ()
    if spec.pattern and not all(re.fullmatch(spec.pattern, word) for word in words):
        out.append(f"{spec.name}: {value!r} is not spelled {spec.pattern}")
    if isinstance(value, datetime) and value.tzinfo is not UTC:
        out.append(f"{spec.name}: not UTC")
    return out


def all_complaints(found: Verification) -> list[str]:
    unknown = [f"{name} is in no table" for name in found.claims if name not in claims.BY_NAME]
    foreign = [
        f"{name} in {found.evidence.kind} evidence"
        for name in found.claims
        if name.split(".")[0] not in {"evidence", "collateral", PREFIX[found.evidence.kind]}
    ]
    known = [(claims.BY_NAME[n], v) for n, v in found.claims.items() if n in claims.BY_NAME]
    return [*unknown, *foreign, *(line for spec, value in known for line in complaints(spec, value))]


MACHINES = {
    "milan": SnpMachine(product="Milan"),
    "genoa-vlek": SnpMachine(product="Genoa", signing_key="VLEK"),
    "turin": SnpMachine(product="Turin"),
    "milan-v2": SnpMachine(product="Milan", version=2),
    "tdx-4": TdxMachine(),
    "tdx-5": TdxMachine(version=5),
    "tdx-5-extended": TdxMachine(version=5, body="1.5ex"),
    "sgx": SgxMachine(),
}


def verified(name: str) -> Verification:
    machine = MACHINES[name]
    raw = machine.report(bytes(64)) if isinstance(machine, SnpMachine) else machine.quote(bytes(64))
    return registry.verify(open_evidence(raw).evidence, machine.endorsements(), Unbound("test"), EPOCH)


def test_names_are_unique_and_documented() -> None:
    assert [name for name, count in Counter(s.name for s in claims.TABLE).items() if count > 1] == []
    assert [s.name for s in claims.TABLE if not s.doc or not s.source] == []
    assert set(claims.BY_NAME) == {spec.name for spec in claims.TABLE}


@pytest.mark.parametrize("kind", TeeKind)
def test_json_keys_are_unique_within_one_kind_of_evidence(kind: TeeKind) -> None:
    mine = [s for s in claims.TABLE if s.name.split(".")[0] in {"evidence", "collateral", PREFIX[kind]}]
    counted = Counter(spec.json for spec in mine if spec.json is not None)
    assert [key for key, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("spec", claims.TABLE, ids=lambda spec: spec.name)
def test_digests_have_a_length_and_text_sets_are_closed_or_free(spec: ClaimSpec) -> None:
    if spec.type is ClaimType.DIGEST:
        assert spec.length in (20, 32, 48, 64)
    if spec.type not in (ClaimType.DIGEST, ClaimType.BYTES):
        assert spec.length is None
    if spec.values:
        assert spec.type is ClaimType.TEXT
    if spec.pattern:
        assert spec.type in (ClaimType.TEXT, ClaimType.SET)


@pytest.mark.parametrize("name", MACHINES)
def test_every_claim_is_in_the_table_with_its_type_and_length(name: str) -> None:
    found = verified(name)
    assert (found.verdict, found.simulated) == (Verdict.ACCEPTED, True)
    assert all_complaints(found) == []
    assert found.claims["evidence.type"] == found.evidence.kind
    assert found.claims["evidence.version"] == found.evidence.version
    assert found.claims["evidence.simulated"] is True


@pytest.mark.parametrize("name", MACHINES)
def test_the_json_form_holds_what_the_table_says(name: str) -> None:
    found = verified(name)
    written = claims.json_claims(found)
    expected = {claims.BY_NAME[n].json for n in found.claims} - {None}
    assert set(written) == expected
    assert all(isinstance(value, str | int | bool | list | dict) for value in written.values())


@needs_vectors("tdx")
@pytest.mark.parametrize("vector", load_manifest("tdx").get("vectors", []), ids=lambda vector: vector["id"])
def test_real_quotes_say_nothing_else(vector: dict[str, object]) -> None:
    files = dict(vector["files"])  # type: ignore[call-overload]
    evidence = open_evidence(vector_bytes("tdx", files.pop("quote"))).evidence
    found = merge(*(classify(vector_bytes("tdx", name), name) for name in files.values() if name))
    endorsements = Endorsements(
        anchors=AnchorSet.VENDOR,
        certificates=found.certificates,
        crls=found.crls,
        tcb_infos=found.tcb_infos,
        qe_identities=found.qe_identities,
    )
    at = datetime.fromisoformat(str(vector.get("verification_time") or "2026-01-01T00:00:00Z"))
    result = registry.verify(evidence, endorsements, Unbound("test"), at.astimezone(UTC))
    assert all_complaints(result) == []
    stated = vector.get("claims")
    if isinstance(stated, dict) and stated:
        written = claims.json_claims(result)
        same = {key: written.get(key) for key in stated if not isinstance(stated[key], list)}
        assert same == {key: value for key, value in stated.items() if not isinstance(value, list)}


# --- carrier notes in the verdict ------------------------------------------------------------------


def note(outcome: Outcome) -> Check:
    return Check("evidence.runtime-claims", outcome, "a", "b", "c", "evidence.runtime-claims-mismatch")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.PASSED, Verdict.ACCEPTED),
        (Outcome.NOT_CHECKED, Verdict.ACCEPTED),
        (Outcome.UNKNOWN, Verdict.UNDECIDED),
        (Outcome.FAILED, Verdict.REFUSED),
    ],
)
def test_what_the_carrier_said_counts_like_any_finding(outcome: Outcome, expected: Verdict) -> None:
    found = verified("milan")
    joined = verdict.with_notes(found, [note(outcome)])
    assert joined.verdict is expected
    assert joined.checks == (note(outcome), *found.checks)
    assert verdict.with_notes(found, ()) is found
