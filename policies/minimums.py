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
    ROLES,
)
from verifiers.model import TeeKind
from verifiers.sevsnp.product import Product

MAX_WAIVER = timedelta(days=90)
"""How long a minimum may be left open by an accepted risk."""

MAX_SEEN = timedelta(days=14)
"""How long a measurement may count that was seen and not predicted."""

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
    up_to: timedelta | None
    """How long an accepted risk may leave it open; None means never."""
    leaves: str
    """What follows when it is open."""
    remedy: str

    @property
    def waivable(self) -> bool:
        return self.up_to is not None


MINIMUMS: Mapping[str, Minimum] = MappingProxyType(
    {
        row.finding: row
        for row in (
            Minimum(
                finding="minimum.evidence-type",
                up_to=None,
                leaves="nobody can say which checks apply",
                remedy="when: {evidence.type: {equals: …}}",
            ),
            Minimum(
                finding="minimum.baseline",
                up_to=None,
                leaves="nothing is asked of the platform",
                remedy="a baseline for this evidence under uses: baselines",
            ),
            Minimum(
                finding="minimum.debug",
                up_to=None,
                leaves="the host could read the guest's memory",
                remedy="a baseline rule without `when`, waivable: never, that requires debug to be false",
            ),
            Minimum(
                finding="minimum.revocation",
                up_to=MAX_WAIVER,
                leaves="a withdrawn machine would still pass",
                remedy="a baseline rule without `when`, asks: revocation, that requires checked CRLs",
            ),
            Minimum(
                finding="minimum.tcb-floor",
                up_to=MAX_WAIVER,
                leaves="hosts with any firmware, however old, would pass",
                remedy="a floor in the rule (snp.reported_tcb: {at_least: …}), or exclude that product",
            ),
            Minimum(
                finding="minimum.guest",
                up_to=MAX_WAIVER,
                leaves="any image would pass",
                remedy="guest: {in_set: …}",
            ),
            Minimum(
                finding="minimum.workload",
                up_to=MAX_WAIVER,
                leaves="any pod on an approved image would pass",
                remedy="workload: {in_set: …}",
            ),
            Minimum(
                finding="minimum.vmpl",
                up_to=MAX_WAIVER,
                leaves="a less privileged layer could answer for the one that was measured",
                remedy="snp.vmpl: {equals: 0}",
            ),
            Minimum(
                finding="minimum.provenance",
                up_to=MAX_SEEN,
                leaves="what ran once would pass, though nobody knows from which image it came",
                remedy="measurements predicted from the image, in place of entries with origin: seen",
            ),
        )
    }
)


_PRODUCTS = frozenset(line.value for line in Product)
_PINNING = frozenset({"equals", "in"})
_NOTHING = frozenset[str]()


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
        return _NOTHING if found is None else found.index.pinned.get((ROLES[test.claim], kind), _NOTHING)
    if test.operator not in _PINNING:
        return _NOTHING
    if test.claim == INIT_DATA:
        return frozenset({INIT_DATA_REGISTER[kind][0]}) if kind in INIT_DATA_REGISTER else frozenset()
    return frozenset({test.claim})


def open_in_rule(
    conditions: tuple[Condition, ...],
    kind: TeeKind,
    sets: Mapping[str, ReferenceSet],
    platform: Platform,
) -> list[str]:
    """Findings of the minimums that `conditions`, all of which must hold, and the baseline leave open."""
    pinned = frozenset[str]().union(*(pins(condition, kind, sets) for condition in conditions))
    out = list(platform.open)
    if _open_floor(kind, conditions, platform):
        out.append("minimum.tcb-floor")
    if not GUEST_COMPLETE[kind] <= pinned:
        out.append("minimum.guest")
    if pinned.isdisjoint(_WORKLOAD[kind]):
        out.append("minimum.workload")
    if kind is TeeKind.SEV_SNP and "snp.vmpl" not in pinned:
        out.append("minimum.vmpl")
    if any(found.index.seen for found in sets.values()) and any(
        _was_seen(condition, sets) for condition in conditions
    ):
        out.append("minimum.provenance")
    return out


def _was_seen(condition: Condition, sets: Mapping[str, ReferenceSet]) -> bool:
    """Whether `condition` leans on a set with an entry that was only seen."""
    if isinstance(condition, Test):
        found = sets.get(str(condition.literal)) if condition.operator == "in_set" else None
        return found is not None and found.index.seen
    parts = (condition.of,) if isinstance(condition, Not) else condition.of
    return any(_was_seen(part, sets) for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the baselines of one kind of evidence give every rule. open: minimums that they leave open.
    floors: the products that have a floor, None when all have one."""

    open: tuple[str, ...]
    floors: frozenset[str] | None


def platform_of(kind: TeeKind, baseline: tuple[BaselineRule, ...]) -> Platform:
    """The same for every rule, so asked once."""
    rules = [
        rule
        for rule in baseline
        if rule.floor is Floor.YES and rule.require is not None and _bounds_tcb(rule.require, kind)
    ]
    everywhere = any(rule.when is None for rule in rules)
    floors = frozenset(p for p in _PRODUCTS if any(_is_about(rule.when, p) for rule in rules))
    return Platform(open=tuple(_open_in_baseline(kind, baseline)), floors=None if everywhere else floors)


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


def _open_floor(kind: TeeKind, conditions: tuple[Condition, ...], platform: Platform) -> bool:
    """Whether some machine that is admitted meets no floor, neither the rule's nor the baseline's."""
    if platform.floors is None:
        return False
    without = () if kind is not TeeKind.SEV_SNP else _PRODUCTS - platform.floors
    if without and all(excludes(conditions, "snp.product", product) for product in without):
        return False
    every_product = kind is TeeKind.SEV_SNP and not without
    return not every_product and not any(_bounds_tcb(condition, kind) for condition in conditions)


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


def excludes(conditions: Iterable[Condition], claim: str, value: object) -> bool:
    """Whether `conditions`, all of which must hold, rule out that `claim` is `value`."""
    for condition in conditions:
        if isinstance(condition, Test) and condition.claim != claim:
            continue
        if isinstance(condition, All) and excludes(condition.of, claim, value):
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
