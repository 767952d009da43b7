"""The page about the language names every operator and every type's operators as they are."""

from __future__ import annotations

import re

import pytest

from policies import compiler
from policies.appraise import appraise
from policies.minimums import MINIMUMS
from policies.model import ALL_REQUIREMENTS, Baseline, Profile, ReferenceSet, ReleasePolicy
from policies.operators import OPERATORS
from tests.support import ROOT
from tests.unit.policies.support import NOW, documents, errors_of, verification
from verifiers.claimtypes import ClaimType
from verifiers.model import Outcome, Verdict

PAGE = (ROOT / "policies" / "README.md").read_text()
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NEEDED = [
    line for line in EXAMPLE.splitlines() if re.match(r"(    asks:|    floor:|      - |  - id: snp\.)", line)
]


def compiled(text: str) -> tuple[compiler.Policy, tuple[ReferenceSet, ...]]:
    found = documents(text)
    sets = tuple(d for d in found if isinstance(d, ReferenceSet))
    (release,) = (d for d in found if isinstance(d, ReleasePolicy))
    return compiler.compile([d for d in found if isinstance(d, Baseline)], sets, release), sets


def test_the_example_compiles_and_decides() -> None:
    policy, sets = compiled(EXAMPLE)
    for claims, verdict, reason in (
        ({}, Verdict.ACCEPTED, None),
        ({"snp.host_data": bytes(32)}, Verdict.REFUSED, "guest.not-listed"),
        ({"snp.policy.debug": True}, Verdict.REFUSED, "snp.debug-off"),
    ):
        evidence = verification(claims=claims)
        found = appraise(evidence, sets, policy, NOW, required=ALL_REQUIREMENTS, profile=Profile.NATIVE)
        assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize("line", NEEDED, ids=str.strip)
def test_no_line_of_the_example_can_be_left_out(line: str) -> None:
    assert len(NEEDED) == 8
    assert errors_of(lambda: compiled(EXAMPLE.replace(line + "\n", ""))) != []


def test_the_table_gives_every_operator_its_types() -> None:
    """The words for types in the second column, as the operators themselves have them."""
    words = {kind.value: kind for kind in ClaimType} | {"TCB": ClaimType.TCB}
    table = PAGE[PAGE.index("| operator |") : PAGE.index("They are the rows")]
    for row in table.strip().splitlines()[2:]:
        names, types = row.split("|")[1:3]
        said = {words[word] for word in re.findall(r"\w+", types) if word in words}
        for name in re.findall(r"`(\w+)`", names):
            expected = set(OPERATORS[name].types)
            assert said == (set(ClaimType) - expected if "every type but" in types else expected), name


def test_every_outcome_is_in_the_table_of_results() -> None:
    table = PAGE[PAGE.index("| outcome of a check |") : PAGE.index("Every check has")]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {outcome.value for outcome in Outcome}


def test_the_page_is_one_page() -> None:
    assert len(PAGE.splitlines()) <= 170


def test_every_operator_and_no_other_is_in_the_table() -> None:
    table = PAGE[PAGE.index("| operator |") : PAGE.index("They are the rows")]
    named = {
        word for row in table.strip().splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == set(OPERATORS)


def test_every_waivable_minimum_is_named() -> None:
    for name, minimum in MINIMUMS.items():
        if minimum.waivable:
            assert name.removeprefix("minimum") in PAGE


def test_every_file_it_names_exists() -> None:
    for name in re.findall(r"`(?:policies/)?([a-z_]+\.py)`", PAGE):
        assert (ROOT / "policies" / name).is_file(), name
