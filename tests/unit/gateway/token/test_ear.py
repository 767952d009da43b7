"""What an appraisal becomes in a token, and what a relying party accepts of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jws as jose
from joserfc.jwk import ECKey

from gateway import record
from gateway.errors import GatewayError
from gateway.token import ear, vector, verify
from policies.appraise import Appraisal, Waiver
from policies.model import ALL_REQUIREMENTS, Profile
from verifiers.model import (
    Check,
    EvidenceSummary,
    Outcome,
    Tcb,
    TeeKind,
    Verdict,
    Verification,
)
from verifiers.verdict import conclude

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
KEY = ECKey.generate_key("P-256", {"kid": "k1"}, private=True)
JWKS = {"keys": [KEY.as_dict(private=False) | {"kid": "k1"}]}
PASSED = Check("snp.signature", Outcome.PASSED, "valid", "valid", "test")
WAIVER = Waiver(
    id="w", finding="f", rule="r", reason="r", ticket=None, owner="o", approved_by=("a",), expires=NOW
)


def verification(**changes: Any) -> Verification:
    settings: dict[str, Any] = {
        "evidence": EvidenceSummary(
            kind=TeeKind.SEV_SNP, version=3, signing_key="VCEK", digest=bytes(32), product="Genoa"
        ),
        "signature_valid": True,
        "chain_valid": True,
        "simulated": False,
        "tcb": Tcb(status="ok"),
        "claims": {"snp.policy.debug": False, "snp.policy.migrate_ma": False},
        "checks": (PASSED,),
        "used": {},
        "missing": (),
        "ends": (),
        "now": NOW,
    }
    return conclude(**(settings | changes))


def appraisal(found: Verification | None = None, **changes: Any) -> Appraisal:
    found = found or verification()
    settings: dict[str, Any] = {
        "verification": found,
        "verdict": Verdict.ACCEPTED,
        "reason": None,
        "checks": found.checks,
        "unchecked": (),
        "rule": "allow",
        "waived": (),
        "tcb": found.tcb,
        "documents": (),
        "alternatives": (),
        "lease": None,
        "required": ALL_REQUIREMENTS,
        "profile": Profile.NATIVE,
        "release": None,
        "at": NOW,
    }
    return Appraisal(**(settings | changes))


def judged(found: Appraisal) -> tuple[str, dict[str, int]]:
    made = vector.trustworthiness(found)
    return vector.status(found, made), made


def failed(reason: str) -> Check:
    return Check("some.check", Outcome.FAILED, "a", "b", "test", reason)


def test_accepted_real_hardware_is_affirming() -> None:
    assert judged(appraisal()) == (
        "affirming",
        {"hardware": 2, "configuration": 2, "executables": 3, "runtime-opaque": 2},
    )


REFUSED: dict[str, Any] = {"verdict": Verdict.REFUSED, "rule": None}
CASES: list[tuple[str, Appraisal, str, dict[str, int]]] = [
    (
        "bad signature",
        appraisal(verification(signature_valid=False, checks=(failed("snp.signature"),)), **REFUSED),
        "contraindicated",
        {"hardware": 99},
    ),
    (
        "chain unknown",
        appraisal(verification(chain_valid=False), verdict=Verdict.UNDECIDED, rule=None),
        "warning",
        {"hardware": 1},
    ),
    (
        "revoked",
        appraisal(verification(checks=(failed("snp.revoked"),)), **REFUSED),
        "contraindicated",
        {"hardware": 96, "configuration": 3, "executables": 33, "runtime-opaque": 2},
    ),
    (
        "unknown product",
        appraisal(verification(checks=(failed("snp.product"),)), **REFUSED),
        "contraindicated",
        {"hardware": 97, "configuration": 3, "executables": 33, "runtime-opaque": 2},
    ),
    (
        "debug",
        appraisal(verification(claims={"snp.policy.debug": True}), **REFUSED),
        "contraindicated",
        {"hardware": 2, "configuration": 96, "executables": 33, "runtime-opaque": 96},
    ),
    (
        "debug unknown",
        appraisal(verification(claims={}), verdict=Verdict.UNDECIDED, rule=None),
        "warning",
        {"hardware": 2, "configuration": 36, "executables": 33},
    ),
    (
        "old firmware, waived",
        appraisal(waived=(WAIVER,)),
        "warning",
        {"hardware": 32, "configuration": 2, "executables": 33, "runtime-opaque": 2},
    ),
    (
        "simulated",
        appraisal(verification(simulated=True)),
        "warning",
        {"hardware": 32, "configuration": 2, "executables": 3, "runtime-opaque": 2},
    ),
    (
        "no floor known",
        appraisal(tcb=Tcb(status="no_floor")),
        "warning",
        {"hardware": 32, "configuration": 2, "executables": 3, "runtime-opaque": 2},
    ),
]


@pytest.mark.parametrize(("what", "found", "status", "made"), CASES, ids=[case[0] for case in CASES])
def test_the_vector_says_what_was_found(
    what: str, found: Appraisal, status: str, made: dict[str, int]
) -> None:
    assert judged(found) == (status, made)


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.MALFORMED, Verdict.UNDECIDED])
def test_only_accepted_is_affirming(verdict: Verdict) -> None:
    assert vector.status(appraisal(verdict=verdict), {"hardware": 2}) != "affirming"


@pytest.mark.parametrize("values", [(), (0,), (0, 1), (-1,)])
def test_saying_nothing_is_none(values: tuple[int, ...]) -> None:
    assert vector.status(appraisal(), {str(i): value for i, value in enumerate(values)}) == "none"


@pytest.mark.parametrize(
    ("value", "tier"),
    [(-128, "contraindicated"), (-97, "contraindicated"), (-96, "warning"), (-33, "warning"),
     (-32, "affirming"), (-2, "affirming"), (-1, "none"), (0, "none"), (1, "none"), (2, "affirming"),
     (31, "affirming"), (32, "warning"), (95, "warning"), (96, "contraindicated"), (127, "contraindicated")],
)  # fmt: skip
def test_tiers(value: int, tier: str) -> None:
    assert vector.tier(value) == tier


def token(changes: dict[str, Any] | None = None, **header: Any) -> str:
    claims = ear.claims(
        appraisal(),
        record.of(appraisal()),
        issuer="https://g.example",
        audience="https://g.example",
        tenant="default",
        jti="A7Q2-M4KD-0FW9-3ZXE",
        issued=NOW,
        expires=NOW + timedelta(minutes=5),
        nonce="n" * 82,
        thumbprint="t" * 43,
        purpose=ear.ATTESTED,
    )
    head = {"alg": "ES256", "kid": "k1", "typ": ear.TYP} | header
    value = {name: item for name, item in (claims | (changes or {})).items() if item is not ...}
    return jose.serialize_compact(head, ear.encode(value), KEY, algorithms=["ES256"])


def check(text: str, *, seconds: int = 0, audience: str | None = "https://g.example") -> dict[str, Any]:
    at = NOW + timedelta(seconds=seconds)
    return verify.verify(text, JWKS, issuer="https://g.example", audience=audience, now=at)


def test_the_claims_are_those_of_the_legacy_dialect() -> None:
    claims = check(token())
    assert claims["eat_profile"] == "tag:github.com,2023:veraison/ear"
    assert type(claims["iat"]) is int and claims["exp"] - claims["iat"] == 300
    assert claims["cnf"] == {"jkt": "t" * 43}
    assert 8 <= len(claims["eat_nonce"]) <= 88
    assert set(claims["ear.verifier-id"]) == {"developer", "build"}
    module = claims["submods"]["cpu0"]
    assert module["ear.status"] == "affirming"
    assert module["ear.trustworthiness-vector"]
    assert "expected" not in json.dumps(module)


@pytest.mark.parametrize(("seconds", "valid"), [(-61, False), (-60, True), (299, True), (300, False)])
def test_times_hold_to_the_second(seconds: int, valid: bool) -> None:
    if valid:
        assert check(token(), seconds=seconds)
    else:
        with pytest.raises(GatewayError) as caught:
            check(token(), seconds=seconds)
        assert caught.value.reason == "token.expired"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "token.audience"),
        ({"iss": ...}, "token.audience"),
        ({"aud": "https://evil.example"}, "token.audience"),
        ({"aud": ["https://g.example"]}, "token.audience"),
        ({"eat_profile": "tag:ietf.org,2026:rats/ear#03"}, "token.malformed"),
        ({"exp": ...}, "token.malformed"),
        ({"exp": 1.9e9}, "token.malformed"),
        ({"iat": True}, "token.malformed"),
        ({"submods": {}}, "token.malformed"),
        ({"submods": []}, "token.malformed"),
    ],
)
def test_each_fault_has_its_code(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(GatewayError) as caught:
        check(token(changes))
    assert caught.value.reason == reason


def test_nobody_asks_for_an_audience_unless_it_is_given() -> None:
    assert check(token({"aud": "https://other.example"}), audience=None)


def test_a_token_of_another_type_is_refused() -> None:
    with pytest.raises(GatewayError) as caught:
        check(token(typ="sealgate-release+jws"))
    assert caught.value.reason == "token.malformed"


def test_the_evidences_claims_are_in_the_token_by_their_json_names() -> None:
    found = verification(claims={"snp.measurement": b"m" * 48})
    result = appraisal(found)
    assert ear.submodule(result, record.of(result))["sealgate"]["claims"] == {"measurement": "6d" * 48}
