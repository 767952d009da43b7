"""Exact questions against plain enumeration: what the search says is what evaluating everything says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from policies.analysis import sets as cut
from policies.analysis.compare import compare
from policies.analysis.counterfactual import flips
from policies.analysis.encode import Side, World
from policies.analysis.formula import And, Effort, Formula, Leaf, Or, first, holds, negation, solve
from policies.analysis.judging import judge
from policies.errors import PolicyErrors
from policies.model import Profile
from tests.unit.policies.analysis.worlds import SPECS, small
from tests.unit.policies.support import MEASUREMENT, NOW, OTHER48, SNP_CLAIMS, references
from verifiers.model import ClaimValue, TcbVersion, TeeKind, Verdict

SNP = TeeKind.SEV_SNP
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

# --- formulas over tiny domains --------------------------------------------------------------------

WIDTHS = (2, 3, 2, 4)
FULL = tuple((1 << width) - 1 for width in WIDTHS)


def formulas() -> st.SearchStrategy[Formula]:
    leaf = st.integers(0, len(WIDTHS) - 1).flatmap(
        lambda n: st.integers(1, FULL[n]).map(lambda cells: Leaf(n, cells))
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4).map(lambda parts: And(tuple(parts))),
            st.lists(inner, min_size=1, max_size=4).map(lambda parts: Or(tuple(parts))),
        ),
        max_leaves=14,
    )


def puzzles() -> st.SearchStrategy[Formula]:
    """Many small disjunctions at once: what only a search with wrong turns solves."""
    leaf = st.tuples(st.integers(0, len(WIDTHS) - 1), st.integers(0, 7)).map(
        lambda pair: Leaf(pair[0], 1 << pair[1] % WIDTHS[pair[0]])
    )
    inner = st.one_of(leaf, st.lists(leaf, min_size=2, max_size=2).map(lambda parts: And(tuple(parts))))
    some = st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts)))
    return st.lists(some, min_size=4, max_size=9).map(lambda parts: And(tuple(parts)))


def points() -> Iterator[tuple[int, ...]]:
    return itertools.product(*((1 << bit for bit in range(width)) for width in WIDTHS))


@settings(max_examples=1000, deadline=None)
@given(formulas() | puzzles())
def test_the_search_finds_an_assignment_exactly_if_there_is_one(formula: Formula) -> None:
    found = solve(formula, FULL, Effort(10_000))
    exists = any(holds(formula, point) for point in points())
    assert (found is not None) is exists
    if found is not None:
        assert all(found)
        assert holds(formula, tuple(1 << first(left) for left in found)) is True


@settings(max_examples=300, deadline=None)
@given(formulas())
def test_a_negation_is_true_where_the_formula_is_not(formula: Formula) -> None:
    opposite = negation(formula, FULL)
    for point in points():
        assert holds(opposite, point) is not holds(formula, point)


# --- policies over small domains -------------------------------------------------------------------

GRID: dict[str, tuple[ClaimValue | None, ...]] = {
    "evidence.version": (3, 4, 5, None),
    "snp.product": ("Genoa", "Milan", None),
    "snp.vmpl": (0, 1, 2, 3, None),
    "snp.policy.smt": (False, True, None),
    "snp.guest_svn": (0, 4, 5, 6, None),
    "snp.reported_tcb": (
        TcbVersion(bootloader=9, tee=0, snp=23, microcode=84),
        TcbVersion(bootloader=9, tee=0, snp=22, microcode=84),
        TcbVersion(bootloader=9, tee=0, snp=24, microcode=83),
        TcbVersion(bootloader=9, tee=0, snp=24, microcode=90, fmc=2),
        None,
    ),
    "snp.policy_flags": (
        frozenset(),
        frozenset({"smt"}),
        frozenset({"smt", "debug"}),
        frozenset({"x"}),
        None,
    ),
    "snp.platform_info": (0, 1, 2, 3, 8, None),
    "snp.current_version": ((1, 55, 29), (1, 55, 28), (1, 56, 0), (0, 9, 9), None),
    "snp.measurement": (MEASUREMENT, b"\x0d" * 48, OTHER48, None),
    "collateral.amd_crl": ("checked", None),
    "collateral.amd_crl.age": (timedelta(days=3), timedelta(days=9), timedelta(days=-1), None),
}
TESTS = (
    "snp.product: {equals: Genoa}",
    "snp.product: {in: [Genoa, Turin]}",
    "snp.vmpl: {at_most: 1}",
    "snp.vmpl: {at_least: 1}",
    "snp.policy.smt: {equals: true}",
    "snp.guest_svn: {at_least: 5}",
    "snp.guest_svn: {in: [4, 6]}",
    "snp.reported_tcb: {at_least: {bootloader: any, tee: any, snp: 24, microcode: 84}}",
    "snp.reported_tcb: {at_least: {fmc: 2, bootloader: any, tee: any, snp: any, microcode: any}}",
    "snp.reported_tcb: {at_most: {bootloader: any, tee: any, snp: 23, microcode: any}}",
    "snp.reported_tcb: {equals: {bootloader: 9, tee: 0, snp: 23, microcode: 84}}",
    "snp.policy_flags: {subset_of: [smt, abi]}",
    "snp.policy_flags: {includes: [smt]}",
    "snp.policy_flags: {equals: [smt, debug]}",
    "snp.platform_info: {subset_of: 0x3}",
    "snp.platform_info: {includes: 0x2}",
    "snp.platform_info: {in: [0x0, 0x3]}",
    "snp.current_version: {at_least: 1.55.29}",
    "snp.current_version: {at_most: 1.55}",
    "snp.current_version: {in: [1.55.28, 1.56.0]}",
    "collateral.amd_crl.age: {at_most: 7d}",
    "guest: {in_set: db-guests}",
    "workload: {in_set: db-pods}",
)


def conditions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(TESTS).map(lambda text: "{" + text + "}"),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: "{all: [" + ", ".join(parts) + "]}"),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: "{any: [" + ", ".join(parts) + "]}"),
            inner.map(lambda part: "{not: " + part + "}"),
        ),
        max_leaves=4,
    )


@st.composite
def sides(draw: st.DrawFn) -> Side:
    parts = {word: draw(conditions()) for word in ("WHEN", "REQUIRE", "SECOND", "DENY", "ONLY")}
    parts["FINDING"] = draw(st.sampled_from(["extra", "snp.tcb-floor", "snp.revocation"]))
    plain = conditions().filter(lambda text: "in_set" not in text)
    try:
        return small(parts, {"WHEN": draw(plain), "REQUIRE": draw(plain)})
    except PolicyErrors:
        assume(False)
        raise


INSTANTS = (NOW, datetime(2026, 11, 30, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


@st.composite
def evidence(draw: st.DrawFn) -> list[dict[str, ClaimValue]]:
    """All combinations of the values of three claims, the others as they should be."""
    names = draw(st.lists(st.sampled_from(sorted(GRID)), min_size=3, max_size=3, unique=True))
    base = {**SNP_CLAIMS, "snp.policy.smt": True, "snp.guest_svn": 5, "snp.policy_flags": frozenset({"smt"})}
    base |= {"snp.platform_info": 3, "snp.current_version": (1, 55, 29)}
    base |= {"collateral.amd_crl.age": timedelta(days=3)}
    out = []
    for values in itertools.product(*(GRID[name] for name in names)):
        claims = {**base, **dict(zip(names, values, strict=True))}
        out.append({name: value for name, value in claims.items() if value is not None})
    return out


def accepted(side: Side, claims: dict[str, ClaimValue], at: datetime = NOW) -> bool:
    return judge(side, SNP, claims, at, Profile.NATIVE).verdict is Verdict.ACCEPTED


@FEW
@given(sides(), evidence(), st.sampled_from(INSTANTS))
def test_the_formula_says_what_the_evaluator_says(
    side: Side, corpus: list[dict[str, ClaimValue]], at: datetime
) -> None:
    world = World(SNP, (side,), SPECS, since=at, at=at, seen=corpus)
    formula, native = world.accepts(side), world.space.number("profile")
    opposite = world.negation(formula)
    for claims in corpus:
        known = world.space.cells_of(claims)
        assert known is not None
        cells = [1 << known.get(number, 0) for number in range(len(world.full))]
        assert world.space.variables[native].cells[first(cells[native])] is Profile.NATIVE
        assert holds(formula, cells) is accepted(side, claims, at)
        assert holds(opposite, cells) is not holds(formula, cells)


@FEW
@given(sides(), sides(), evidence())
def test_what_differs_is_found_and_what_is_not_found_does_not_differ(
    before: Side, after: Side, corpus: list[dict[str, ClaimValue]]
) -> None:
    found = compare(before, after, SPECS, since=NOW, at=NOW)
    assert found.unknown == ()
    for change in found.allowed:
        witness = change.witness
        assert judge(after, witness.kind, witness.claims, NOW, witness.profile).verdict is Verdict.ACCEPTED
        assert (
            judge(before, witness.kind, witness.claims, NOW, witness.profile).verdict is not Verdict.ACCEPTED
        )
    for claims in corpus:
        was, will = accepted(before, claims), accepted(after, claims)
        assert found.allowed or not (will and not was)
        assert found.refused or not (was and not will)


@FEW
@given(sides(), evidence(), st.integers(0, 10_000))
def test_the_smallest_change_flips_the_verdict_and_no_smaller_one_does(
    side: Side, corpus: list[dict[str, ClaimValue]], choice: int
) -> None:
    claims = corpus[choice % len(corpus)]
    assume(not accepted(side, claims))
    found = flips(side, SNP, claims, NOW, Profile.NATIVE, SPECS)
    assert found.complete or len(found.found) > 0
    for flip in found.found:
        changed = dict(claims)
        for name, (was, wanted) in flip.changes.items():
            assert claims.get(name) == was != wanted
            changed.pop(name, None)
            if wanted is not None:
                changed[name] = wanted
        assert accepted(side, changed)
    fewest = len(found.found[0].changes) if found.found else None
    for other in corpus:
        if accepted(side, other):
            distance = sum(claims.get(name) != other.get(name) for name in claims.keys() | other.keys())
            assert fewest is not None
            assert fewest <= distance


# --- reference sets, cut down ----------------------------------------------------------------------

DIGESTS = [bytes([n]) * 48 for n in range(1, 5)]
HOSTS = [bytes([n]) * 32 for n in range(1, 4)]


def set_text(name: str, rows: list[tuple[int | None, int | None]]) -> str:
    lines = [
        f"sealgate: reference-values/1\nname: {name}\nversion: 1\nowner: a@acme.example",
        "valid: {from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z}\nentries:",
    ]
    for number, (image, host) in enumerate(rows):
        lines.append(f"  - id: e{number}")
        if image is not None:
            lines.append(f"    snp.measurement: sha384:{DIGESTS[image].hex()}")
        if host is not None:
            lines.append(f"    snp.host_data: hex:{HOSTS[host].hex()}")
    return "\n".join(lines) + "\n"


ROWS = st.lists(
    st.tuples(st.none() | st.integers(0, 3), st.none() | st.integers(0, 2)).filter(
        lambda row: row != (None, None)
    ),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
@example([(0, 0), (1, 1)], [(0, None), (1, None), (None, 0), (None, 1)])
def test_rows_that_are_left_out_make_no_difference(
    one: list[tuple[int | None, int | None]], two: list[tuple[int | None, int | None]]
) -> None:
    """Every pattern of matches that the whole sets allow, the rows that are left allow too, and no other."""
    found = references(set_text("one", one), set_text("two", two))
    wanted = [(each, role) for each in found for role in (cut.Role.GUEST, cut.Role.WORKLOAD)]
    tables = cut.tables(wanted, SNP, lambda claim, value: None)
    whole = {
        key: [row.values for row in cut._rows(each, key[1], SNP)]
        for each, role in wanted
        for key in [cut.key(each, role)]
    }
    left = {key: [row.values for row in table.entries] for key, table in tables.items()}
    assert patterns(whole) == patterns(left)


def patterns(rows: dict[tuple[str, cut.Role], list[tuple[cut.Value, ...]]]) -> set[frozenset[object]]:
    images: list[bytes] = [*DIGESTS, OTHER48]
    hosts: list[bytes] = [*HOSTS, b"\xee" * 32]
    out: set[frozenset[object]] = set()
    for image, host in itertools.product(images, hosts):
        shown = {"snp.measurement": image, "snp.host_data": host}
        out.add(
            frozenset(
                key for key, found in rows.items() if any(all(shown[n] == v for n, v in row) for row in found)
            )
        )
    return out
