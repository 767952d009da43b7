"""Whether tests can hold together: the answer of `cells.py` against plain enumeration on small domains."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import strictyaml
from policies.cells import TooMany, possible, terms
from policies.conditions import read
from policies.errors import Problems
from policies.logic import Facts, truth
from policies.model import Condition
from policies.operators import Truth
from policies.reading import Context
from policies.vocabulary import Vocabulary
from tests.unit.policies.support import NOW
from verifiers.claims import BY_NAME
from verifiers.model import ClaimValue, TcbVersion, TeeKind

WORDS = Vocabulary.of(BY_NAME)
NUMBERS = range(6)


def parsed(text: str) -> Condition:
    problems = Problems()
    (node,) = strictyaml.parse(text.encode(), "f")
    found = read(node, Context(problems, WORDS))
    problems.check()
    assert found is not None
    return found


def tcb(n: st.DrawFn, draw: st.DrawFn) -> str:
    parts = [draw(st.sampled_from(["any", 0, 1, 2])) for _ in range(2)]
    if parts == ["any", "any"] or set(parts) <= {"any", 0}:
        parts[0] = 1
    return f"{{bootloader: {parts[0]}, tee: any, snp: {parts[1]}, microcode: any}}"


TOKENS = ["INTEL-SA-00001", "INTEL-SA-00002", "INTEL-SA-00003"]


@st.composite
def leaf(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["integer", "flag", "text", "mask", "duration", "tcb", "set"]))
    number = draw(st.integers(0, 4))
    if kind == "integer":
        operator = draw(st.sampled_from(["equals", "at_least", "at_most"]))
        return f"{{snp.vmpl: {{{operator}: {number}}}}}"
    if kind == "flag":
        return f"{{snp.policy.debug: {{equals: {draw(st.sampled_from(['true', 'false']))}}}}}"
    if kind == "text":
        words = draw(st.lists(st.sampled_from(["Milan", "Genoa", "Turin"]), min_size=1, unique=True))
        return f"{{snp.product: {{in: [{', '.join(words)}]}}}}"
    if kind == "mask":
        operator = draw(st.sampled_from(["equals", "subset_of", "includes"]))
        return f"{{snp.platform_info: {{{operator}: {draw(st.integers(0, 7))}}}}}"
    if kind == "duration":
        operator = draw(st.sampled_from(["at_least", "at_most"]))
        return f"{{collateral.amd_crl.age: {{{operator}: {number}s}}}}"
    if kind == "tcb":
        operator = draw(st.sampled_from(["at_least", "at_most"]))
        return f"{{snp.reported_tcb: {{{operator}: {tcb(draw, draw)}}}}}"
    operator = draw(st.sampled_from(["subset_of", "includes"]))
    words = draw(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=2, unique=True))
    return f"{{tdx.tcb.advisory_ids: {{{operator}: [{', '.join(words)}]}}}}"


def trees() -> st.SearchStrategy[str]:
    return st.recursive(
        leaf(),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda p: f"{{all: [{', '.join(p)}]}}"),
            st.lists(inner, min_size=1, max_size=3).map(lambda p: f"{{any: [{', '.join(p)}]}}"),
            inner.map(lambda part: f"{{not: {part}}}"),
        ),
        max_leaves=5,
    )


DOMAINS: dict[str, list[ClaimValue]] = {
    "snp.vmpl": list(NUMBERS),
    "snp.policy.debug": [True, False],
    "snp.product": ["Milan", "Genoa", "Turin"],
    "snp.platform_info": list(range(16)),
    "collateral.amd_crl.age": [timedelta(seconds=n / 2) for n in range(-1, 12)],
    "snp.reported_tcb": [
        TcbVersion(bootloader=a, tee=0, snp=b, microcode=0) for a, b in product(range(4), range(4))
    ],
    "tdx.tcb.advisory_ids": [
        frozenset(c) for n in range(5) for c in combinations([*TOKENS, "INTEL-SA-00009"], n)
    ],
}


def claims_of(condition: Condition) -> set[str]:
    from policies.conditions import tests_of

    return {test.claim for test in tests_of(condition)}


def worlds(names: list[str]) -> Iterator[dict[str, ClaimValue]]:
    for values in product(*(DOMAINS[name] for name in names)):
        yield dict(zip(names, values, strict=True))


@settings(max_examples=400, deadline=None)
@given(trees(), st.booleans())
def test_possible_is_exactly_that_some_evidence_does_it(text: str, wanted: bool) -> None:
    tree = parsed(text)
    names = sorted(claims_of(tree))
    if len(names) > 3:
        return
    found = any(possible(term, WORDS.specs) for term in terms(tree, wanted))
    expected = any(
        truth(tree, Facts(kind=TeeKind.SEV_SNP, claims=world, sets={}, now=NOW)) is Truth.of(wanted)
        for world in worlds(names)
    )
    assert found == expected


def test_what_is_too_large_is_said_to_be() -> None:
    wide = ", ".join(
        f"{{any: [{{snp.vmpl: {{equals: {n}}}}}, {{snp.guest_svn: {{equals: {n}}}}}]}}" for n in range(12)
    )
    with pytest.raises(TooMany):
        terms(parsed(f"{{all: [{wide}]}}"))
