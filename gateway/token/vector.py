"""From an appraisal to AR4SI's trustworthiness vector and status (draft-ietf-rats-ar4si, section 2.3).

Two traps of that scheme shape this file. The tiers order none(0) below affirming(2), so a vector that says
nothing must not end up affirming; and a status may be set worse than its vector, never better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies.appraise import Appraisal
from verifiers.model import Check, Outcome, Verdict

CRYPTO_FAILED = 99
_REVOKED = frozenset({"snp.revoked", "dcap.revoked", "dcap.qe-revoked", "dcap.tcb-revoked"})
_UNRECOGNISED = frozenset({"snp.product", "dcap.tcb-not-supported", "collateral.fmspc-mismatch"})
_CURRENT = frozenset({"ok", "UpToDate"})
_DEBUG = ("snp.policy.debug", "tdx.td_attributes.debug", "sgx.attributes.debug")
_MIGRATION = ("snp.policy.migrate_ma", "tdx.td_attributes.migratable")
_TIERS = ((96, "contraindicated"), (32, "warning"), (2, "affirming"))
_OPEN = frozenset({Outcome.FAILED, Outcome.UNKNOWN, Outcome.WAIVED})


def trustworthiness(appraisal: Appraisal) -> dict[str, int]:
    """The claims that this evidence lets us make; never empty. What it does not speak about is left out, and
    evidence that is not authentic speaks about nothing."""
    vector = {"hardware": _hardware(appraisal)}
    if not appraisal.verification.authentic:
        return vector
    vector["configuration"] = _configuration(appraisal)
    vector["executables"] = _executables(appraisal)
    debug = _first_claim(appraisal, _DEBUG)
    if isinstance(debug, bool):
        vector["runtime-opaque"] = 96 if debug else 2
    return vector


def status(appraisal: Appraisal, vector: Mapping[str, int]) -> str:
    """Affirming only when the verdict is accepted, nothing was waived, the hardware is real, and every claim
    that was made is affirming."""
    worst = max((_floor(value) for value in vector.values()), default=0)
    if appraisal.verdict is Verdict.REFUSED or appraisal.verdict is Verdict.MALFORMED:
        worst = 96
    elif appraisal.verdict is not Verdict.ACCEPTED or appraisal.waived or appraisal.verification.simulated:
        worst = max(worst, 32)
    return next((name for floor, name in _TIERS if worst >= floor), "none")


def tier(value: int) -> str:
    """Tier of one claim value, private values included."""
    floor = _floor(value)
    return next((name for low, name in _TIERS if floor >= low), "none")


def _floor(value: int) -> int:
    """Standard values begin a tier at 2, 32 and 96; private ones, which are negative, at −2, −33 and −97."""
    if value < 0:
        value = max(-value - 1, 2) if value < -1 else 0
    return next((low for low, _ in _TIERS if value >= low), 0)


def _hardware(appraisal: Appraisal) -> int:
    verification = appraisal.verification
    if not verification.authentic:
        refused = any(check.outcome is Outcome.FAILED for check in verification.checks)
        return CRYPTO_FAILED if refused else 1
    codes = {check.code for check in _with(appraisal.checks, Outcome.FAILED)}
    if codes & _REVOKED or verification.tcb.status == "Revoked":
        return 96
    if codes & _UNRECOGNISED:
        return 97
    current = appraisal.tcb.status in _CURRENT
    doubted = any(check.outcome in _OPEN for check in verification.checks)
    return 2 if current and not doubted and not verification.simulated and not appraisal.waived else 32


def _configuration(appraisal: Appraisal) -> int:
    if any(_claim(appraisal, name) is True for name in (*_DEBUG, *_MIGRATION)):
        return 96
    if _first_claim(appraisal, _DEBUG) is not False:
        return 36
    return 2 if appraisal.verdict is Verdict.ACCEPTED and appraisal.rule is not None else 3


def _executables(appraisal: Appraisal) -> int:
    """3: a rule that pins the launch measurement allowed it (the compiler admits no other rule)."""
    if appraisal.verdict is Verdict.ACCEPTED and appraisal.rule is not None and not appraisal.waived:
        return 3
    return 33


def _with(checks: Iterable[Check], outcome: Outcome) -> tuple[Check, ...]:
    return tuple(check for check in checks if check.outcome is outcome)


def _claim(appraisal: Appraisal, name: str) -> object:
    return appraisal.verification.claims.get(name)


def _first_claim(appraisal: Appraisal, names: Iterable[str]) -> object:
    return next((value for name in names if (value := _claim(appraisal, name)) is not None), None)
