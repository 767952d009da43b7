"""Every operator: its true, false and missing rows; and Kleene's tables."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from policies import conditions, model, strictyaml
from policies.errors import Problems
from policies.logic import Facts, judge, truth
from policies.model import All, Any, Condition, Not
from policies.operators import OPERATORS, Truth, for_type
from policies.reading import Context
from policies.vocabulary import Vocabulary
from tests.unit.policies.support import HOST_DATA, NOW
from verifiers.claims import BY_NAME
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import ClaimValue, TcbVersion, TeeKind

T, F, M = Truth.TRUE, Truth.FALSE, Truth.MISSING


def claim(name: str, kind: ClaimType, length: int | None = None) -> ClaimSpec:
    return ClaimSpec(name=name, type=kind, doc="", source="", json=None, length=length)


TABLE = {
    spec.name: spec
    for spec in (
        claim("t.digest", ClaimType.DIGEST, 32),
        claim("t.bytes", ClaimType.BYTES, 2),
        claim("t.flag", ClaimType.FLAG),
        claim("t.int", ClaimType.INTEGER),
        claim("t.mask", ClaimType.MASK),
        claim("t.text", ClaimType.TEXT),
        claim("t.version", ClaimType.VERSION),
        claim("t.list", ClaimType.LIST),
        claim("t.tcb", ClaimType.TCB),
        claim("t.time", ClaimType.TIME),
        claim("t.duration", ClaimType.DURATION),
        claim("t.set", ClaimType.SET),
    )
}
WORDS = Vocabulary.of({**BY_NAME, **TABLE})


def condition(text: str) -> Condition:
    problems = Problems()
    (node,) = strictyaml.parse(text.encode(), "f")
    found = conditions.read(node, Context(problems, WORDS))
    problems.check()
    assert found is not None
    return found


def facts(kind: TeeKind = TeeKind.SEV_SNP, **claims: ClaimValue) -> Facts:
    named = {name.replace("__", "."): value for name, value in claims.items()}
    return Facts(kind=kind, claims=named, sets={}, now=NOW)


def tcb(bootloader: int, tee: int, snp: int, microcode: int, fmc: int | None = None) -> TcbVersion:
    return TcbVersion(bootloader=bootloader, tee=tee, snp=snp, microcode=microcode, fmc=fmc)


FLOOR = "{t.tcb: {at_least: {bootloader: any, tee: 0, snp: 23, microcode: 84}}}"
FLOOR_FMC = "{t.tcb: {at_least: {fmc: 1, bootloader: any, tee: any, snp: 4, microcode: any}}}"
AT = datetime(2026, 7, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

ROWS: list[tuple[str, ClaimValue | None, Truth]] = [
    # equals
    ("{t.digest: {equals: zero}}", bytes(32), T),
    ("{t.digest: {equals: zero}}", b"\1" + bytes(31), F),
    ("{t.digest: {equals: zero}}", None, M),
    ("{t.bytes: {equals: 'hex:00ff'}}", b"\x00\xff", T),
    ("{t.bytes: {equals: 'hex:00ff'}}", b"\xff\x00", F),
    ("{t.flag: {equals: true}}", True, T),
    ("{t.flag: {equals: true}}", False, F),
    ("{t.flag: {equals: false}}", None, M),
    ("{t.int: {equals: 1}}", 1, T),
    ("{t.int: {equals: 1}}", 2, F),
    ("{t.mask: {equals: 0x30000}}", 0x30000, T),
    ("{t.text: {equals: UpToDate}}", "UpToDate", T),
    ("{t.text: {equals: UpToDate}}", "uptodate", F),
    ("{t.version: {equals: 1.55.29}}", (1, 55, 29), T),
    ("{t.version: {equals: 1.55.29}}", (1, 55), M),
    ("{t.version: {equals: 1.55.29}}", (1, 55, 28), F),
    ("{t.list: {equals: [1, 2]}}", (1, 2), T),
    ("{t.list: {equals: [1, 2]}}", (2, 1), F),
    ("{t.list: {equals: [1, 2]}}", (1, 2, 0), M),
    ("{t.tcb: {equals: {bootloader: 1, tee: 2, snp: 3, microcode: 4}}}", tcb(1, 2, 3, 4), T),
    ("{t.tcb: {equals: {bootloader: 1, tee: 2, snp: 3, microcode: 4}}}", tcb(1, 2, 3, 4, 0), M),
    ("{t.set: {equals: [a, b]}}", frozenset({"a", "b"}), T),
    ("{t.set: {equals: [a, b]}}", frozenset({"a"}), F),
    # in
    ("{t.text: {in: [a, b]}}", "a", T),
    ("{t.text: {in: [a, b]}}", "c", F),
    ("{t.text: {in: [a, b]}}", None, M),
    ("{t.int: {in: [1, 3]}}", 3, T),
    ("{t.int: {in: [1, 3]}}", 2, F),
    ("{t.version: {in: [1.2, 1.3]}}", (1, 3), T),
    ("{t.version: {in: [1.2, 1.3]}}", (1, 4), F),
    ("{t.version: {in: [1.2, 1.3.0]}}", (1, 4), M),
    ("{t.version: {in: [1.2, 1.3.0]}}", (1, 2), T),
    # at_least, at_most: just below, at, just above
    ("{t.int: {at_least: 5}}", 4, F),
    ("{t.int: {at_least: 5}}", 5, T),
    ("{t.int: {at_least: 5}}", 6, T),
    ("{t.int: {at_most: 5}}", 5, T),
    ("{t.int: {at_most: 5}}", 6, F),
    ("{t.int: {at_most: 5}}", None, M),
    ("{t.version: {at_least: 1.55.29}}", (1, 55, 28), F),
    ("{t.version: {at_least: 1.55.29}}", (1, 55, 29), T),
    ("{t.version: {at_least: 1.55.29}}", (1, 56, 0), T),
    ("{t.version: {at_least: 1.55.29}}", (2, 0, 0), T),
    ("{t.version: {at_least: 1.55.29}}", (0, 99, 99), F),
    ("{t.version: {at_least: 1.55.29}}", (1, 55), M),
    ("{t.version: {at_most: 1.55.29}}", (1, 54, 99), T),
    ("{t.version: {at_most: 1.55.29}}", (1, 55, 30), F),
    ("{t.list: {at_least: [1, any, 3]}}", (1, 0, 3), T),
    ("{t.list: {at_least: [1, any, 3]}}", (2, 0, 2), F),
    ("{t.list: {at_least: [1, any, 3]}}", (1, 0), M),
    ("{t.list: {at_most: [1, any, 3]}}", (1, 9, 3), T),
    (FLOOR, tcb(0, 0, 23, 84), T),
    (FLOOR, tcb(9, 9, 24, 255), T),
    (FLOOR, tcb(9, 9, 22, 255), F),
    (FLOOR, tcb(9, 9, 255, 83), F),
    (FLOOR, None, M),
    (FLOOR, tcb(1, 1, 99, 99, 0), M),  # has an FMC that the floor does not name
    (FLOOR_FMC, tcb(1, 1, 4, 1, 1), T),
    (FLOOR_FMC, tcb(1, 1, 4, 1, 0), F),
    (FLOOR_FMC, tcb(1, 1, 4, 1), M),  # the floor names an FMC that this product does not have
    (FLOOR_FMC.replace("fmc: 1", "fmc: any"), tcb(1, 1, 4, 1), T),
    (FLOOR.replace("at_least", "at_most"), tcb(200, 0, 23, 84), T),
    (FLOOR.replace("at_least", "at_most"), tcb(200, 1, 23, 84), F),
    ("{t.duration: {at_most: 7d}}", timedelta(days=7) - SECOND, T),
    ("{t.duration: {at_most: 7d}}", timedelta(days=7), T),
    ("{t.duration: {at_most: 7d}}", timedelta(days=7) + SECOND, F),
    ("{t.duration: {at_most: 7d}}", timedelta(0), T),
    ("{t.duration: {at_most: 7d}}", -SECOND, F),  # issued in the future
    ("{t.duration: {at_most: 7d}}", None, M),
    ("{t.duration: {at_least: 7d}}", timedelta(days=7), T),
    ("{t.duration: {at_least: 7d}}", timedelta(days=7) - SECOND, F),
    # before, after: neither holds at the instant itself
    ("{t.time: {before: 2026-07-01T00:00:00Z}}", AT - SECOND, T),
    ("{t.time: {before: 2026-07-01T00:00:00Z}}", AT, F),
    ("{t.time: {before: 2026-07-01T00:00:00Z}}", AT + SECOND, F),
    ("{t.time: {before: 2026-07-01T00:00:00Z}}", None, M),
    ("{t.time: {after: 2026-07-01T00:00:00Z}}", AT - SECOND, F),
    ("{t.time: {after: 2026-07-01T00:00:00Z}}", AT, F),
    ("{t.time: {after: 2026-07-01T00:00:00Z}}", AT + SECOND, T),
    ("{t.time: {after: 2026-07-01T00:00:00Z}}", None, M),
    # subset_of, includes
    ("{t.set: {subset_of: [a, b]}}", frozenset(), T),
    ("{t.set: {subset_of: [a, b]}}", frozenset({"a"}), T),
    ("{t.set: {subset_of: [a, b]}}", frozenset({"a", "c"}), F),
    ("{t.set: {subset_of: [a, b]}}", None, M),
    ("{t.set: {includes: [a, b]}}", frozenset({"a", "b", "c"}), T),
    ("{t.set: {includes: [a, b]}}", frozenset({"a", "c"}), F),
    ("{t.set: {includes: [a, b]}}", None, M),
    ("{t.mask: {subset_of: 0x6}}", 0x4, T),
    ("{t.mask: {subset_of: 0x6}}", 0x5, F),
    ("{t.mask: {subset_of: 0x6}}", None, M),
    ("{t.mask: {includes: 0x6}}", 0xE, T),
    ("{t.mask: {includes: 0x6}}", 0x2, F),
    # values of another type than the claim's are a fault of ours, and missing
    ("{t.flag: {equals: true}}", 1, M),
    ("{t.int: {equals: 1}}", True, M),
    ("{t.text: {equals: a}}", b"a", M),
    ("{t.int: {at_most: 5}}", "1", M),
    ("{t.set: {subset_of: [a]}}", "a", M),
]


@pytest.mark.parametrize(("text", "value", "expected"), ROWS)
def test_operator_rows(text: str, value: ClaimValue | None, expected: Truth) -> None:
    test = condition(text)
    assert isinstance(test, model.Test)
    claims = {} if value is None else {test.claim: value}
    found = Facts(kind=TeeKind.SEV_SNP, claims=claims, sets={}, now=NOW)
    assert truth(test, found) is expected
    judged = judge(test, found)
    assert judged.truth is expected
    assert judged.expected and judged.found


def test_each_operator_has_all_three_rows() -> None:
    seen: dict[str, set[Truth]] = {name: set() for name in OPERATORS}
    for text, _, expected in ROWS:
        test = condition(text)
        assert isinstance(test, model.Test)
        seen[test.operator].add(expected)
    del seen["in_set"]  # test_references.py
    assert seen == {name: {T, F, M} for name in seen}


def test_every_type_has_operators() -> None:
    assert [kind for kind in ClaimType if not for_type(kind)] == []
    assert "at_least" not in for_type(ClaimType.DIGEST)
    assert "equals" not in for_type(ClaimType.DURATION)


# --- init_data.digest ------------------------------------------------------------------------------

D32, D48 = HOST_DATA.hex(), "5a" * 48


@pytest.mark.parametrize(
    ("kind", "digest", "register", "expected"),
    [
        (TeeKind.SEV_SNP, D32, HOST_DATA, T),
        (TeeKind.SEV_SNP, D32, b"\0" * 32, F),
        (TeeKind.SEV_SNP, D48, bytes.fromhex(D48)[:32], F),  # never truncated
        (TeeKind.SEV_SNP, D32, HOST_DATA + bytes(16), M),  # not a HOST_DATA
        (TeeKind.SEV_SNP, D32, None, M),
        (TeeKind.TDX, D48, bytes.fromhex(D48), T),
        (TeeKind.TDX, D32, HOST_DATA + bytes(16), T),
        (TeeKind.TDX, D32, HOST_DATA + b"\1" + bytes(15), F),
        (TeeKind.TDX, D32, bytes(16) + HOST_DATA, F),  # padding is on the right
        (TeeKind.TDX, D32, HOST_DATA, M),
        (TeeKind.SGX, D32, HOST_DATA, M),
    ],
)
@pytest.mark.parametrize("operator", ["equals", "in"])
def test_init_data(
    kind: TeeKind, digest: str, register: bytes | None, expected: Truth, operator: str
) -> None:
    constant = digest if operator == "equals" else f"[{'77' * 32}, {digest}]"
    test = condition(f"{{init_data.digest: {{{operator}: {constant}}}}}")
    names = {TeeKind.SEV_SNP: "snp.host_data", TeeKind.TDX: "tdx.mr_config_id", TeeKind.SGX: "snp.host_data"}
    claims = {} if register is None else {names[kind]: register}
    assert truth(test, Facts(kind=kind, claims=claims, sets={}, now=NOW)) is expected


# --- connectives -----------------------------------------------------------------------------------

LEAF = {
    T: "{t.flag: {equals: true}}",
    F: "{t.flag: {equals: false}}",
    M: "{t.int: {equals: 1}}",
}
ORDER = {F: 0, M: 1, T: 2}


def leafs(values: tuple[Truth, ...]) -> str:
    return ", ".join(LEAF[value] for value in values)


@pytest.mark.parametrize("values", list(itertools.product(Truth, repeat=3)) + [(v,) for v in Truth])
def test_kleene(values: tuple[Truth, ...]) -> None:
    """all is the least of its parts, any the greatest, in the order false < missing < true."""
    found = facts(t__flag=True)
    lowest, highest = min(values, key=ORDER.__getitem__), max(values, key=ORDER.__getitem__)
    negated = {T: F, F: T, M: M}
    for word, expected in (("all", lowest), ("any", highest)):
        tree = condition(f"{{{word}: [{leafs(values)}]}}")
        assert truth(tree, found) is expected
        assert judge(tree, found).truth is expected
        inverse = condition(f"{{not: {{{word}: [{leafs(values)}]}}}}")
        assert truth(inverse, found) is negated[expected]
        assert judge(inverse, found).truth is negated[expected]


def test_texts_of_composites() -> None:
    tree = condition(
        "{all: [{t.flag: {equals: false}}, {any: [{t.int: {equals: 1}}, {t.text: {equals: a}}]}]}"
    )
    judged = judge(tree, facts(t__flag=True, t__text="b"))
    assert judged.expected == "t.flag false and (t.int 1 or t.text a)"
    assert judged.found == "t.flag true; t.int missing; t.text b"


# --- kinds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{snp.vmpl: {equals: 0}}", {TeeKind.SEV_SNP}),
        ("{evidence.version: {equals: 3}}", set(TeeKind)),
        ("{not: {snp.vmpl: {equals: 0}}}", {TeeKind.SEV_SNP}),
        ("{all: [{snp.vmpl: {equals: 0}}, {evidence.version: {equals: 3}}]}", {TeeKind.SEV_SNP}),
        ("{all: [{snp.vmpl: {equals: 0}}, {tdx.rtmr3: {equals: zero}}]}", set()),
        ("{any: [{snp.vmpl: {equals: 0}}, {tdx.rtmr3: {equals: zero}}]}", {TeeKind.SEV_SNP, TeeKind.TDX}),
        ("{collateral.tcb_info.age: {at_most: 7d}}", {TeeKind.TDX, TeeKind.SGX}),
        ("{init_data.digest: {equals: '" + D32 + "'}}", {TeeKind.SEV_SNP, TeeKind.TDX}),
    ],
)
def test_for_kind(text: str, kept: set[TeeKind]) -> None:
    tree = condition(text)
    assert {kind for kind in TeeKind if conditions.for_kind(tree, kind) is not None} == kept


def test_for_kind_drops_branches_of_any() -> None:
    tree = condition("{any: [{snp.vmpl: {equals: 0}}, {not: {tdx.rtmr3: {equals: zero}}}]}")
    cut = conditions.for_kind(tree, TeeKind.SEV_SNP)
    assert isinstance(cut, Any) and len(cut.of) == 1
    assert isinstance(tree, Any) and isinstance(tree.of[1], Not)
    assert not isinstance(cut, All)
