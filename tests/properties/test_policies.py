"""Laws of appraisal, on generated evidence, policies and times."""

from __future__ import annotations

import functools
import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import compiler, conditions, load, strictyaml
from policies.appraise import Appraisal, appraise
from policies.compiler import Policy
from policies.errors import PolicyErrors, Problems
from policies.logic import Facts, judge, truth
from policies.model import ALL_REQUIREMENTS, Condition, Profile, ReferenceSet, Requirement
from policies.operators import Truth
from policies.paths import is_path, matches, overlaps
from policies.reading import Context
from policies.release import ReleaseGrant, decide
from policies.vocabulary import Vocabulary
from tests.unit.policies.support import (
    BASES,
    GUESTS,
    NOW,
    PASSED,
    PODS,
    RELEASE,
    changed,
    references,
    release,
    shipped,
    verification,
)
from verifiers.claims import BY_NAME
from verifiers.model import Check, ClaimValue, Outcome, TcbVersion, TeeKind, Verdict

KINDS = st.sampled_from([TeeKind.SEV_SNP, TeeKind.TDX])
REQUIRED = st.frozensets(st.sampled_from(list(Requirement)))

# A policy in which `not`, `any` and deny rules have their say: where missing could slip through.
TRICKY = changed(
    changed(
        RELEASE,
        "deny:\n",
        """\
  - id: by-exclusion
    when: {evidence.type: {in: [sev-snp, tdx]}}
    require:
      - not: {any: [{snp.vmpl: {equals: 3}}, {tdx.td_attributes.perfmon: {equals: true}}]}
      - any: [{snp.vmpl: {in: [0, 1]}}, {tdx.rtmr3: {equals: zero}}]
      - any: [{not: {snp.product: {equals: Turin}}}, {tdx.tcb.status: {equals: UpToDate}}]
      - guest: {in_set: db-guests}
      - any: [{snp.host_data: {equals: zero}}, {tdx.rtmr3: {equals: zero}}, {workload: {in_set: db-pods}}]
deny:
  - id: odd-chip
    when: {not: {snp.chip_id: {in: ['hex:"""
        + "07" * 64
        + """']}}}
""",
    ),
    "accept_risk:\n",
    """\
accept_risk:
  - id: product-open
    finding: minimum.tcb-floor
    only_in: by-exclusion
    reason: a test
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-01T00:00:00Z
    expires: 2026-12-01T00:00:00Z
  - id: vmpl-open
    finding: minimum.vmpl
    only_in: by-exclusion
    reason: a test
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-01T00:00:00Z
    expires: 2026-12-01T00:00:00Z
""",
)


@functools.cache
def world(text: str) -> tuple[Policy, tuple[ReferenceSet, ...]]:
    sets = references(GUESTS, PODS)
    return compiler.compile(shipped(), sets, release(text)), sets


def look(
    kind: TeeKind,
    claims: dict[str, ClaimValue],
    gone: frozenset[str],
    checks: tuple[Check, ...] = PASSED,
    *,
    text: str = TRICKY,
    now: datetime = NOW,
    required: frozenset[Requirement] = ALL_REQUIREMENTS,
    authentic: bool = True,
) -> Appraisal:
    policy, sets = world(text)
    evidence = verification(kind, claims=claims, without=gone, checks=checks, chain_valid=authentic)
    return appraise(evidence, sets, policy, now, required=required, profile=Profile.NATIVE)


def _values(name: str) -> list[ClaimValue]:
    """A few other values for a claim of the samples, by the type of its good one."""
    good = next(base[name] for base in BASES.values() if name in base)
    if isinstance(good, bool):
        return [True, False]
    if isinstance(good, int):
        return [0, 1, 2, 3, 5]
    if isinstance(good, bytes):
        return [bytes(len(good)), b"\xff" * len(good), b"\x0d" * len(good), good]
    if isinstance(good, TcbVersion):
        return [good, TcbVersion(bootloader=0, tee=0, snp=22, microcode=255)]
    if isinstance(good, timedelta):
        return [timedelta(days=-1), timedelta(days=30), timedelta(days=31)]
    if isinstance(good, frozenset):
        return [frozenset({"INTEL-SA-01010"}), frozenset({"INTEL-SA-09999"})]
    return ["Milan", "Turin", "VLEK", "OutOfDate", "Revoked", "191102", "sev-snp", "tdx", good]


NAMES = {kind: sorted(BASES[kind]) for kind in BASES}


@st.composite
def changes(draw: st.DrawFn) -> tuple[TeeKind, dict[str, ClaimValue], frozenset[str]]:
    kind = draw(KINDS)
    changed_names = draw(st.lists(st.sampled_from(NAMES[kind]), max_size=3, unique=True))
    claims = {name: draw(st.sampled_from(_values(name))) for name in changed_names}
    gone = draw(st.frozensets(st.sampled_from(NAMES[kind]), max_size=2))
    return kind, claims, gone


OUTCOMES = st.sampled_from([Outcome.PASSED, Outcome.NOT_CHECKED, Outcome.UNKNOWN, Outcome.FAILED])
CHECKS = st.tuples(OUTCOMES, OUTCOMES, OUTCOMES).map(
    lambda outcomes: tuple(
        Check(c.id, outcome, c.expected, c.found, c.source)
        for c, outcome in zip(PASSED, outcomes, strict=True)
    )
)
TIMES = st.sampled_from([NOW, NOW + timedelta(days=11), NOW - timedelta(days=60), NOW + timedelta(days=400)])


def test_the_tricky_policy_accepts_something() -> None:
    for kind in BASES:
        assert look(kind, {}, frozenset(), text=TRICKY).verdict is Verdict.ACCEPTED
    zero: dict[str, ClaimValue] = {"snp.host_data": bytes(32)}
    assert look(TeeKind.SEV_SNP, zero, frozenset()).rule == "by-exclusion"


@settings(max_examples=300, deadline=None)
@given(changes(), CHECKS, TIMES, REQUIRED, st.booleans(), st.sampled_from([RELEASE, TRICKY]))
def test_what_the_verifier_did_not_grant_is_never_accepted(
    change: tuple[TeeKind, dict[str, ClaimValue], frozenset[str]],
    checks: tuple[Check, ...],
    now: datetime,
    required: frozenset[Requirement],
    authentic: bool,
    text: str,
) -> None:
    kind, claims, gone = change
    found = look(kind, claims, gone, checks, text=text, now=now, required=required, authentic=authentic)
    outcomes = {check.outcome for check in checks}
    if Outcome.FAILED in outcomes:
        assert found.verdict is Verdict.REFUSED
    if Outcome.UNKNOWN in outcomes or not authentic:
        assert found.verdict is not Verdict.ACCEPTED
    if found.verdict is Verdict.ACCEPTED:
        assert found.rule is not None and found.lease is not None and found.reason is None
        assert found.lease > timedelta(0)
    else:
        assert found.rule is None and found.lease is None and found.reason is not None
    grant = decide(found, tenant="acme", path="payments/db/password")
    assert isinstance(grant, ReleaseGrant) == (
        found.verdict is Verdict.ACCEPTED and required == ALL_REQUIREMENTS
    )


@settings(max_examples=300, deadline=None)
@given(changes(), st.data(), CHECKS, TIMES, REQUIRED)
def test_removing_a_claim_never_turns_a_no_into_a_yes(
    change: tuple[TeeKind, dict[str, ClaimValue], frozenset[str]],
    data: st.DataObject,
    checks: tuple[Check, ...],
    now: datetime,
    required: frozenset[Requirement],
) -> None:
    kind, claims, gone = change
    before = look(kind, claims, gone, checks, now=now, required=required)
    name = data.draw(st.sampled_from(NAMES[kind]))
    after = look(kind, claims, gone | {name}, checks, now=now, required=required)
    if after.verdict is Verdict.ACCEPTED:
        # Nobody asks about revocation: then its absence is allowed, and listed.
        lists = ("collateral.amd_crl", "collateral.pck_crl", "collateral.root_crl")
        asked = Requirement.REVOCATION in required or not name.startswith(lists)
        assert before.verdict is Verdict.ACCEPTED or not asked
        if not asked:
            assert f"{'snp' if kind is TeeKind.SEV_SNP else 'tdx'}.revocation" in after.unchecked


@pytest.mark.parametrize("kind", list(BASES))
def test_every_single_claim_counts_or_is_not_named(kind: TeeKind) -> None:
    """Each claim of the samples is needed: without it nothing is accepted, except what no rule asks about."""
    idle = {
        "evidence.simulated",
        "snp.committed_tcb",
        "tdx.fmspc",
        "tdx.tcb.advisory_ids",
        "tdx.mr_config_id",
    }
    idle |= {"snp.chip_id"}
    for name in NAMES[kind]:
        found = look(kind, {}, frozenset({name}), text=RELEASE)
        assert (found.verdict is Verdict.ACCEPTED) == (name in idle), name


@settings(max_examples=100, deadline=None)
@given(changes(), CHECKS, TIMES, REQUIRED)
def test_same_arguments_same_verdict(
    change: tuple[TeeKind, dict[str, ClaimValue], frozenset[str]],
    checks: tuple[Check, ...],
    now: datetime,
    required: frozenset[Requirement],
) -> None:
    kind, claims, gone = change
    one = look(kind, claims, gone, checks, now=now, required=required)
    two = look(kind, claims, gone, checks, now=now, required=required)
    assert one == two
    assert not [check for check in one.checks if not check.source or not check.expected]


# --- logic -----------------------------------------------------------------------------------------

LEAVES = [f"{{tdx.td_attributes.{name}: {{equals: true}}}}" for name in ("debug", "pks", "kl", "lass")]


def trees() -> st.SearchStrategy[str]:
    leaf = st.sampled_from(LEAVES)
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"{{all: [{', '.join(parts)}]}}"),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"{{any: [{', '.join(parts)}]}}"),
            inner.map(lambda part: f"{{not: {part}}}"),
        ),
        max_leaves=6,
    )


def parsed(text: str) -> Condition:
    problems = Problems()
    (node,) = strictyaml.parse(text.encode(), "f")
    found = conditions.read(node, Context(problems, Vocabulary.of(BY_NAME)))
    problems.check()
    assert found is not None
    return found


@settings(max_examples=200, deadline=None)
@given(trees())
def test_a_decided_condition_is_decided_whatever_the_missing_claims_were(text: str) -> None:
    """True or false with some claims missing means: true or false under every completion of them."""
    try:
        tree = parsed(text)
    except PolicyErrors as error:
        assert error.reason == "policy.too-deep"
        return
    names = [leaf.split(":")[0].lstrip("{") for leaf in LEAVES]
    full: dict[tuple[bool, ...], Truth] = {}
    for values in itertools.product([True, False], repeat=len(names)):
        facts = Facts(kind=TeeKind.TDX, claims=dict(zip(names, values, strict=True)), sets={}, now=NOW)
        full[values] = truth(tree, facts)
        assert full[values] is not Truth.MISSING
    for partial in itertools.product([True, False, None], repeat=len(names)):
        known = {n: v for n, v in zip(names, partial, strict=True) if v is not None}
        facts = Facts(kind=TeeKind.TDX, claims=known, sets={}, now=NOW)
        found = truth(tree, facts)
        assert judge(tree, facts).truth is found
        if found is not Truth.MISSING:
            fitting = {
                value
                for values, value in full.items()
                if all(p is None or p is v for p, v in zip(partial, values, strict=True))
            }
            assert fitting == {found}


# --- paths -----------------------------------------------------------------------------------------

SEGMENT = st.text(alphabet="ab.-*", min_size=1, max_size=5)
PATTERN = st.lists(SEGMENT, min_size=1, max_size=2).map("/".join)
WORDS = ["".join(p) for n in range(1, 6) for p in itertools.product("ab.-z", repeat=n)]


@settings(max_examples=150, deadline=None)
@given(SEGMENT, SEGMENT)
def test_overlap_is_exactly_a_common_path(a: str, b: str) -> None:
    common = [word for word in WORDS if matches(a, word) and matches(b, word)]
    if common:
        assert overlaps(a, b)
    if not overlaps(a, b):
        assert not common
    elif not common:
        # The shortest witness is longer than the words tried: build one from both patterns.
        long = a.replace("*", "z") + b.replace("*", "z")
        candidates = {
            long,
            a.split("*")[0] + long + b.split("*")[-1],
            b.split("*")[0] + long + a.split("*")[-1],
        }
        assert any(matches(a, word) and matches(b, word) for word in candidates)


@settings(max_examples=200, deadline=None)
@given(PATTERN, PATTERN)
def test_overlap_is_symmetric_and_reflexive(a: str, b: str) -> None:
    assert overlaps(a, b) == overlaps(b, a)
    if is_path(a):
        assert overlaps(a, a) and matches(a, a)
        assert overlaps(a, b) == matches(b, a)


# --- bytes -----------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet="ab:-[]{},&*!|>'\"%# \n\t?<~1", max_size=120)))
def test_any_bytes_load_or_are_refused_with_a_place(raw: bytes | str) -> None:
    data = raw if isinstance(raw, bytes) else raw.encode()
    try:
        load.load(data, "f.yaml", claims=BY_NAME)
    except PolicyErrors as error:
        assert error.errors
        for one in error.errors:
            assert one.reason.startswith("policy.") and one.line >= 1 and one.column >= 1
            assert str(one).startswith(f"f.yaml:{one.line}:{one.column}: error[")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RELEASE) - 1), st.sampled_from(list("\0\t&*!'\"{}[]:#-~x1 \n")))
def test_one_character_changed_loads_or_is_refused_with_a_place(position: int, char: str) -> None:
    text = RELEASE[:position] + char + RELEASE[position + 1 :]
    try:
        load.load(text.encode(), "f.yaml", claims=BY_NAME)
    except PolicyErrors as error:
        assert all(one.reason.startswith("policy.") for one in error.errors)
        assert str(error)


# --- ill-typed input -------------------------------------------------------------------------------

WRONG: list[ClaimValue] = [True, 1, "checked", b"", b"\0" * 48, frozenset[str](), (1, 2), timedelta(0), NOW]


@settings(max_examples=200, deadline=None)
@given(KINDS, st.data())
def test_a_claim_of_another_type_never_allows_more_than_a_missing_one(
    kind: TeeKind, data: st.DataObject
) -> None:
    """Nothing is read as what it is not: a flag that is 1, a digest that is a text, a set that is a list."""
    name = data.draw(st.sampled_from(NAMES[kind]))
    good = BASES[kind][name]
    wrong = data.draw(st.sampled_from([value for value in WRONG if type(value) is not type(good)]))
    text = data.draw(st.sampled_from([RELEASE, TRICKY]))
    with_wrong = look(kind, {name: wrong}, frozenset(), text=text)
    without = look(kind, {}, frozenset({name}), text=text)
    assert with_wrong.verdict is without.verdict, (name, wrong)
