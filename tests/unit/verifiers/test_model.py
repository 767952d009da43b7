"""What a list of checks adds up to: the verdict, and the reason that is given for it."""

from __future__ import annotations

import itertools

import pytest

from verifiers.model import Check, Outcome, Verdict, first_reason, verdict_of

PASSED, FAILED, UNKNOWN, WAIVED, NOT_CHECKED = (
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.WAIVED,
    Outcome.NOT_CHECKED,
)


def checks(*outcomes: Outcome) -> tuple[Check, ...]:
    """One for each, in order; the reason says which place it had."""
    return tuple(
        Check(f"id-{place}", outcome, "expected", "found", "source", f"reason-{place}")
        for place, outcome in enumerate(outcomes)
    )


def test_the_outcomes_are_those_that_are_weighed_here() -> None:
    """A new one must be given a place in `verdict_of` by somebody who thought about it."""
    assert set(Outcome) == {PASSED, FAILED, UNKNOWN, WAIVED, NOT_CHECKED}


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        pytest.param((), Verdict.UNDECIDED, id="nothing"),
        pytest.param((NOT_CHECKED,), Verdict.UNDECIDED, id="nobody-asked"),
        pytest.param((WAIVED,), Verdict.UNDECIDED, id="only-waived"),
        pytest.param((WAIVED, NOT_CHECKED), Verdict.UNDECIDED, id="waived-and-not-checked"),
        pytest.param((UNKNOWN,), Verdict.UNDECIDED, id="unknown"),
        pytest.param((PASSED, UNKNOWN), Verdict.UNDECIDED, id="passed-and-unknown"),
        pytest.param((FAILED,), Verdict.REFUSED, id="failed"),
        pytest.param((PASSED, FAILED), Verdict.REFUSED, id="passed-and-failed"),
        pytest.param((UNKNOWN, FAILED), Verdict.REFUSED, id="unknown-and-failed"),
        pytest.param((PASSED,), Verdict.ACCEPTED, id="passed"),
        pytest.param((PASSED, WAIVED, NOT_CHECKED), Verdict.ACCEPTED, id="what-does-not-decide"),
    ],
)
def test_verdict(outcomes: tuple[Outcome, ...], verdict: Verdict) -> None:
    for order in itertools.permutations(outcomes):
        assert verdict_of(checks(*order)) is verdict


@pytest.mark.parametrize("size", range(4))
def test_accepted_is_some_passed_and_none_failed_or_unknown(size: int) -> None:
    for outcomes in itertools.product(Outcome, repeat=size):
        good = PASSED in outcomes and FAILED not in outcomes and UNKNOWN not in outcomes
        assert (verdict_of(checks(*outcomes)) is Verdict.ACCEPTED) is good
        assert (first_reason(checks(*outcomes)) is None) is (
            FAILED not in outcomes and UNKNOWN not in outcomes
        )


@pytest.mark.parametrize(
    ("outcomes", "place"),
    [
        pytest.param((), None, id="nothing"),
        pytest.param((PASSED, NOT_CHECKED, WAIVED), None, id="nothing-decides"),
        pytest.param((PASSED, FAILED, FAILED), 1, id="first-failed"),
        pytest.param((PASSED, UNKNOWN, UNKNOWN), 1, id="first-unknown"),
        pytest.param((UNKNOWN, PASSED, FAILED), 2, id="failed-before-unknown"),
        pytest.param((FAILED, UNKNOWN), 0, id="failed-and-then-unknown"),
        pytest.param((NOT_CHECKED, WAIVED, UNKNOWN), 2, id="unknown-alone-decides"),
    ],
)
def test_first_reason(outcomes: tuple[Outcome, ...], place: int | None) -> None:
    assert first_reason(checks(*outcomes)) == (None if place is None else f"reason-{place}")


def test_without_a_reason_the_id_stands_for_it_and_passed_has_none() -> None:
    assert first_reason((Check("snp.x", FAILED, "", "", ""),)) == "snp.x"
    assert Check("snp.x", PASSED, "", "", "", "left over").code is None
    assert Check("snp.x", NOT_CHECKED, "", "", "", "why").code == "why"
