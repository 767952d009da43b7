"""What every allow rule must pin down, and how to tell that it does.

A rule *pins* a claim when it can hold only for values that somebody wrote down: through `equals` or `in`, or
through a reference set, which pins the claims that all of its entries state. `all` pins what any of its parts
pins; `any` only what each part pins; `not` pins nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from policies.model import All, Any, BaselineRule, Condition, Floor, Not, ReferenceSet, Requirement, Test
from policies.values import TcbFloor
from policies.vocabulary import (
    DEBUG_CLAIMS,
    GUEST_COMPLETE,
    INIT_DATA,
    INIT_DATA_REGISTER,
    Role,
)
from verifiers.model import TeeKind
from verifiers.sevsnp.product import Product

MAX_WAIVER = timedelta(days=90)
"""How long a minimum may be left open by an accepted risk."""

# Any one of these, pinned, says which workload runs: launch-time registers that the measured guest checks,
# or the register that the guest extends with what it runs. An SGX enclave is its own workload.
_WORKLOAD: Mapping[TeeKind, frozenset[str]] = MappingProxyType(
    {
        TeeKind.SEV_SNP: frozenset({"snp.host_data"}),
        TeeKind.TDX: frozenset({"tdx.mr_config_id", "tdx.rtmr3"}),
        TeeKind.SGX: frozenset({"sgx.mr_enclave"}),
    }
)

# What a rule that asks for revocation must require: these claims exist only when a current CRL was checked.
REVOCATION_CLAIMS: Mapping[TeeKind, frozenset[str]] = MappingProxyType(
    {
        TeeKind.SEV_SNP: frozenset({"collateral.amd_crl"}),
        TeeKind.TDX: frozenset({"collateral.pck_crl", "collateral.root_crl"}),
        TeeKind.SGX: frozenset({"collateral.pck_crl", "collateral.root_crl"}),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """One thing that no rule may leave open. finding: what an accepted risk names."""

    finding: str
    waivable: bool
    leaves: str
    """What follows when it is open."""
    remedy: str


MINIMUMS: Mapping[str, Minimum] = MappingProxyType(
    {
        row.finding: row
        for row in (
            Minimum(
                finding="minimum.evidence-type",
                waivable=False,
                leaves="nobody can say which checks apply",
                remedy="when: {evidence.type: {equals: …}}",
            ),
            Minimum(
                finding="minimum.baseline",
                waivable=False,
                leaves="nothing is asked of the platform",
                remedy="a baseline for this evidence under uses: baselines",
            ),
            Minimum(
                finding="minimum.debug",
                waivable=False,
                leaves="the host could read the guest's memory",
                remedy="a baseline rule without `when`, waivable: never, that requires debug to be false",
            ),
            Minimum(
                finding="minimum.revocation",
                waivable=True,
                leaves="a withdrawn machine would still pass",
                remedy="a baseline rule without `when`, asks: revocation, that requires checked CRLs",
            ),
            Minimum(
                finding="minimum.tcb-floor",
                waivable=True,
                leaves="hosts with any firmware, however old, would pass",
                remedy="a floor in the rule (snp.reported_tcb: {at_least: …}), or exclude that product",
            ),
            Minimum(
                finding="minimum.guest",
                waivable=True,
                leaves="any image would pass",
                remedy="guest: {in_set: …}",
            ),
            Minimum(
                finding="minimum.workload",
                waivable=True,
                leaves="any pod on an approved image would pass",
                remedy="workload: {in_set: …}",
            ),
            Minimum(
                finding="minimum.vmpl",
                waivable=True,
                leaves="a less privileged layer could answer for the one that was measured",
                remedy="snp.vmpl: {equals: 0}",
            ),
        )
    }
)


def pins(condition: Condition, kind: TeeKind, sets: Mapping[str, ReferenceSet]) -> frozenset[str]:
    """Names of the claims that `condition`, cut down to `kind`, pins."""
    if isinstance(condition, Test):
        return _test_pins(condition, kind, sets)
    if isinstance(condition, Not):
        return frozenset()
    parts = [pins(part, kind, sets) for part in condition.of]
    if isinstance(condition, Any):
        return frozenset.intersection(*parts)
    return frozenset[str]().union(*parts)


def _test_pins(test: Test, kind: TeeKind, sets: Mapping[str, ReferenceSet]) -> frozenset[str]:
    if test.operator == "in_set":
        found = sets.get(str(test.literal))
        shapes = () if found is None else found.index.entries.get((Role(test.claim), kind), ())
        return (
            frozenset.intersection(*(frozenset(shape.names) for shape in shapes)) if shapes else frozenset()
        )
    if test.operator not in {"equals", "in"}:
        return frozenset()
    if test.claim == INIT_DATA:
        return frozenset({INIT_DATA_REGISTER[kind][0]}) if kind in INIT_DATA_REGISTER else frozenset()
    return frozenset({test.claim})


def open_in_rule(
    conditions: tuple[Condition, ...],
    kind: TeeKind,
    sets: Mapping[str, ReferenceSet],
    baseline: tuple[BaselineRule, ...],
) -> list[str]:
    """Findings of the minimums that `conditions`, all of which must hold, and the baseline leave open."""
    pinned = frozenset[str]().union(*(pins(condition, kind, sets) for condition in conditions))
    out = _open_in_baseline(kind, baseline)
    if _open_floor(kind, conditions, baseline):
        out.append("minimum.tcb-floor")
    if not GUEST_COMPLETE[kind] <= pinned:
        out.append("minimum.guest")
    if pinned.isdisjoint(_WORKLOAD[kind]):
        out.append("minimum.workload")
    if kind is TeeKind.SEV_SNP and "snp.vmpl" not in pinned:
        out.append("minimum.vmpl")
    return out


def _open_in_baseline(kind: TeeKind, baseline: tuple[BaselineRule, ...]) -> list[str]:
    always = [rule for rule in baseline if rule.when is None and rule.require is not None]
    debug = any(
        rule.waivable is None and rule.require is not None and _forbids(rule.require, DEBUG_CLAIMS[kind])
        for rule in always
    )
    revocation = any(
        rule.asks is Requirement.REVOCATION
        and rule.require is not None
        and REVOCATION_CLAIMS[kind] <= pins(rule.require, kind, {})
        for rule in always
    )
    return [
        name for name, closed in (("minimum.debug", debug), ("minimum.revocation", revocation)) if not closed
    ]


def _forbids(condition: Condition, claim: str) -> bool:
    """Whether `condition` can hold only when the flag `claim` is false."""
    if isinstance(condition, Test):
        return condition.claim == claim and condition.operator == "equals" and condition.literal is False
    if isinstance(condition, Not):
        return False
    parts = (_forbids(part, claim) for part in condition.of)
    return any(parts) if isinstance(condition, All) else all(parts)


def _open_floor(kind: TeeKind, conditions: tuple[Condition, ...], baseline: tuple[BaselineRule, ...]) -> bool:
    """Whether some machine that is admitted meets no floor, neither the rule's nor the baseline's."""
    if any(_bounds_tcb(condition, kind) for condition in conditions):
        return False
    floors = [
        rule
        for rule in baseline
        if rule.floor is Floor.YES and rule.require is not None and _bounds_tcb(rule.require, kind)
    ]
    if any(rule.when is None for rule in floors):
        return False
    if kind is not TeeKind.SEV_SNP:
        return True
    admitted = (line.value for line in Product if not _excludes(conditions, "snp.product", line.value))
    return not all(any(_is_about(rule.when, product) for rule in floors) for product in admitted)


def _is_about(when: Condition | None, product: str) -> bool:
    """Whether a rule with `when` counts for every machine of `product`, whatever else it is."""
    named = _values(when)
    return named is not None and named[0] == "snp.product" and product in named[1]


def _bounds_tcb(condition: Condition, kind: TeeKind) -> bool:
    """Whether `condition` can hold only from some TCB on: AMD's SNP firmware, Intel's status."""
    if isinstance(condition, Test):
        if kind is not TeeKind.SEV_SNP:
            return condition.claim == f"{kind.value}.tcb.status" and condition.operator in {"equals", "in"}
        if condition.claim != "snp.reported_tcb":
            return False
        floor = condition.literal
        return condition.operator == "equals" or (
            condition.operator == "at_least" and isinstance(floor, TcbFloor) and bool(floor.snp)
        )
    if isinstance(condition, Not):
        return False
    parts = (_bounds_tcb(part, kind) for part in condition.of)
    return any(parts) if isinstance(condition, All) else all(parts)


def _excludes(conditions: Iterable[Condition], claim: str, value: object) -> bool:
    """Whether `conditions`, all of which must hold, rule out that `claim` is `value`."""
    for condition in conditions:
        if isinstance(condition, All) and _excludes(condition.of, claim, value):
            return True
        named = _values(condition)
        if named is not None and named[0] == claim and value not in named[1]:
            return True
        denied = _values(condition.of) if isinstance(condition, Not) else None
        if denied is not None and denied[0] == claim and value in denied[1]:
            return True
    return False


def _values(condition: Condition | None) -> tuple[str, frozenset[object]] | None:
    if not isinstance(condition, Test) or condition.operator not in {"equals", "in"}:
        return None
    literal = condition.literal
    return condition.claim, literal if condition.operator == "in" and isinstance(literal, frozenset) else (
        frozenset({literal})
    )
