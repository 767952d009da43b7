"""Cases, coverage and mutants, on the small world of the policy tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from policies import cases_document, compiler, coverage, hypothetical, mutants, trials
from policies.cases_document import Cases
from policies.compiler import Policy
from policies.model import ReleasePolicy
from policies.mutants import OPERATORS, Score
from policies.trials import Result, Trial
from policies.vocabulary import Vocabulary
from tests.unit.policies.support import (
    GUESTS,
    NOW,
    PODS,
    RELEASE,
    changed,
    errors_of,
    references,
    release,
    shipped,
    verification,
)
from verifiers.claims import BY_NAME
from verifiers.model import TeeKind, Verdict

SETS = {found.name: found for found in references(GUESTS, PODS)}
ONE = """\
sealgate: policy-cases/1
policy: payments-db.yaml
at: 2026-11-20T12:00:00Z
cases:
  - name: good
    evidence: {claims: sev-snp}
    expect: {verdict: accepted, rule: kata-on-genoa, lease: 12h, waived: [], releases: [payments/db/password]}
"""


def read(text: str) -> Cases:
    return cases_document.read(text.encode(), "cases.yaml", BY_NAME)


def case(evidence: str, expect: str, more: str = "") -> str:
    return ONE + f"  - name: other\n{more}    evidence: {evidence}\n    expect: {expect}\n"


def prepared(text: str) -> tuple[Trial, ...]:
    """Cases whose stated evidence is that of the small world."""
    out = []
    for item in read(text).cases:
        kind = TeeKind(item.evidence.what)
        out.append(Trial(case=item, verification=trials.changed(verification(kind), item.evidence, SETS)))
    return tuple(out)


def results(text: str, policy_text: str = RELEASE) -> tuple[Result, ...]:
    policy = compiler.compile(shipped(), SETS.values(), release(policy_text))
    return trials.run(prepared(text), policy, SETS.values())


def wrong(text: str) -> list[str]:
    return [said for result in results(text) for said in result.wrong]


# --- the file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "expect", "code"),
    [
        ("{like: god}", "{verdict: accepted}", "policy.reference"),
        ("{claims: snp}", "{verdict: accepted}", "policy.value"),
        ("{claims: tdx, file: a.bin}", "{verdict: accepted}", "policy.missing-key"),
        ("{like: good, product: Milan}", "{verdict: accepted}", "policy.unknown-key"),
        ("{like: good, but: {snp.vmlp: 1}}", "{verdict: accepted}", "policy.claim-unknown"),
        ("{like: good, but: {snp.vmpl: one}}", "{verdict: accepted}", "policy.type-mismatch"),
        ("{like: good, but: {evidence.type: tdx}}", "{verdict: accepted}", "policy.claim-unknown"),
        ("{like: good, without: [snp.vmlp]}", "{verdict: accepted}", "policy.claim-unknown"),
        ("{like: good, assume: [freshness]}", "{verdict: accepted}", "policy.value"),
        ("{like: good, entries: [db-guests]}", "{verdict: accepted}", "policy.reference"),
        ("{like: good}", "{verdict: acepted}", "policy.value"),
        ("{like: good}", "{verdict: accepted, reason: x.y}", "policy.unknown-key"),
        ("{like: good}", "{verdict: refused, rule: a}", "policy.unknown-key"),
        ("{like: good}", "{verdict: accepted, releases: [a//b]}", "policy.path"),
        ("{like: good}", "{}", "policy.missing-key"),
    ],
)
def test_what_a_case_cannot_say(evidence: str, expect: str, code: str) -> None:
    assert errors_of(lambda: read(case(evidence, expect)))[0][0] == code


def test_two_cases_of_one_name() -> None:
    again = ONE + ONE[ONE.index("  - name") :]
    assert errors_of(lambda: read(again)) == [("policy.duplicate-id", 8)]


def test_changes_add_up() -> None:
    text = case(
        "{like: good, but: {snp.vmpl: 1, snp.guest_svn: 2}, without: [snp.chip_id]}", "{verdict: refused}"
    )
    text += "  - name: third\n    evidence: {like: other, but: {snp.chip_id: zero}, without: [snp.vmpl]}\n"
    text += "    expect: {verdict: undecided}\n"
    third = read(text).cases[2].evidence
    assert dict(third.but) == {"snp.guest_svn": 2, "snp.chip_id": bytes(64)}
    assert third.without == ("snp.vmpl",)


# --- running -----------------------------------------------------------------------------------------


def test_a_case_that_holds() -> None:
    assert wrong(ONE) == []


@pytest.mark.parametrize(
    ("evidence", "expect", "more", "said"),
    [
        ("{like: good}", "{verdict: refused}", "", "expected refused, found accepted by rule kata-on-genoa"),
        ("{like: good}", "{verdict: accepted, rule: vm-on-tdx}", "", "expected rule vm-on-tdx"),
        ("{like: good}", "{verdict: accepted, lease: 11h}", "", "expected a lease of 11h, found 12h"),
        ("{like: good}", "{verdict: accepted, waived: [x]}", "", "expected waived x, found nothing"),
        ("{like: good}", "{verdict: accepted, releases: [a/b]}", "", "expected a/b released"),
        ("{like: good}", "{verdict: accepted, withholds: [payments/db/tls-1]}", "", "tls-1 withheld"),
        ("{like: good, but: {snp.vmpl: 1}}", "{verdict: accepted}", "", "kata-on-genoa/snp.vmpl"),
        ("{like: good, but: {snp.vmpl: 1}}", "{verdict: refused, reason: a.b}", "", "reason a.b"),
        ("{like: good, but: {snp.vmpl: 1}}", "{verdict: refused, reasons: [a.b]}", "", "reason a.b"),
    ],
)  # fmt: skip
def test_a_case_that_does_not_hold(evidence: str, expect: str, more: str, said: str) -> None:
    (found,) = wrong(case(evidence, expect, more))
    assert said in found


def test_what_is_changed_is_marked_as_made_up() -> None:
    real = structs.replace(verification(TeeKind.SEV_SNP), simulated=False)
    good, other = (
        trials.changed(real, replace(item.evidence, source="file"), SETS)
        for item in read(case("{like: good, but: {snp.vmpl: 1}}", "{verdict: refused}")).cases
    )
    assert good is real and other.simulated
    assert all(trial.verification.simulated for trial in prepared(ONE))


@pytest.mark.parametrize("kind", list(TeeKind))
def test_what_is_stated_is_simulated_whatever_it_says(kind: TeeKind) -> None:
    assert hypothetical.supposed(kind, {"evidence.simulated": False}, NOW).simulated


def test_stated_evidence_was_checked_for_revocation_if_its_claims_say_so() -> None:
    text = case("{like: good, without: [collateral.amd_crl]}", "{verdict: undecided}")
    assert wrong(text) == []
    again = case(
        "{like: good, without: [collateral.amd_crl.age], assume: [revocation]}", "{verdict: accepted}"
    )
    assert prepared(again)[1].verification.verdict is Verdict.ACCEPTED


def test_entries_give_their_claims() -> None:
    text = case("{claims: tdx, entries: [db-guests/vm-tdx]}", "{verdict: accepted, rule: vm-on-tdx}")
    assert wrong(text) == []
    missing = case("{claims: tdx, entries: [db-guests/vm-tdxx]}", "{verdict: accepted}")
    assert errors_of(lambda: prepared(missing)) == [("policy.reference", 9)]
    other = case("{claims: tdx, entries: [db-guests/kata-genoa]}", "{verdict: accepted}")
    assert errors_of(lambda: prepared(other)) == [("policy.no-entry", 9)]


def test_stated_evidence_says_nothing_more() -> None:
    found = hypothetical.supposed(TeeKind.TDX, {}, NOW)
    assert dict(found.claims) == {"evidence.type": "tdx"} and found.simulated and found.authentic


# --- coverage ----------------------------------------------------------------------------------------


def measured(text: str) -> coverage.Coverage:
    return coverage.measure(results(text), release(RELEASE), SETS, Vocabulary.of(BY_NAME).specs)


def test_coverage_names_what_was_not_shown() -> None:
    found = {item.what: item.missing for item in measured(ONE).open}
    assert found["allow kata-on-genoa"] == "not taken" and found["allow vm-on-tdx"] == "taken"
    assert found["snp.vmpl equals 0"] == "false" and found["tdx.rtmr3 equals zero"] == "true or false"
    assert found["deny stolen-board"] == "taken or not taken"
    more = measured(case("{like: good, but: {snp.vmpl: 1}}", "{verdict: refused}"))
    assert "snp.vmpl equals 0" not in {item.what for item in more.open}
    assert more.ratio("condition")[0] == measured(ONE).ratio("condition")[0] + 1


# --- mutants -----------------------------------------------------------------------------------------


def scored(text: str, policy_text: str = RELEASE) -> Score:
    def compile_with(target: object) -> Policy:
        assert isinstance(target, ReleasePolicy)
        return compiler.compile(shipped(), SETS.values(), target)

    specs = Vocabulary.of(BY_NAME).specs
    return mutants.score(release(policy_text), prepared(text), SETS, specs, compile_with)


def test_a_survivor_says_where_and_what() -> None:
    found = scored(ONE)
    texts = {f"{m.operator}: {m.what} at {m.place.line}" for m in found.survivors}
    assert "widen-set: payments/db/password becomes payments/db/* at 6" in texts
    line = RELEASE[: RELEASE.index("- id: stolen-board")].count("\n") + 1
    assert f"remove-deny: without deny rule stolen-board at {line}" in texts
    assert any(text.startswith("drop-check: without snp.signing_key equals VCEK at 16") for text in texts)
    assert found.killed > 0 and found.stillborn > 0


def test_a_case_kills_what_it_shows() -> None:
    before = len(scored(ONE).survivors)
    vlek = case("{like: good, but: {snp.signing_key: VLEK}}", "{verdict: refused}")
    after = {m.what for m in scored(vlek).survivors}
    assert len(after) < before and "without snp.signing_key equals VCEK" not in after


def test_every_operator_has_mutants_and_each_is_another_policy() -> None:
    text = changed(RELEASE, "      - tdx.rtmr3: {equals: zero}\n", """\
      - tdx.rtmr3: {equals: zero}
      - tdx.tcb.date: {after: 2026-01-01T00:00:00Z}
      - collateral.tcb_info.age: {at_most: 20d}
      - tdx.module.id: {in: [TDX_01]}
      - tdx.td_attribute_flags: {subset_of: [SEPT_VE_DISABLE]}
      - tdx.pck.components: {at_least: [any, 2]}
      - not: {tdx.vm_id: {at_most: 3}}
""")  # fmt: skip
    target = release(text)
    found = list(mutants.mutants(target, {}, SETS, Vocabulary.of(BY_NAME).specs))
    assert {mutant.operator for mutant in found} == set(OPERATORS)
    seen = mutants.observed(prepared(ONE))
    found = list(mutants.mutants(target, seen, SETS, Vocabulary.of(BY_NAME).specs))
    assert {mutant.operator for mutant in found} >= {"drop-check", "widen-set", "shift-date"}
    assert all(mutant.document != target for mutant in found)
    documents = [mutant.document for mutant in found]
    assert all(one not in documents[index + 1 :] for index, one in enumerate(documents))


def test_a_baseline_is_a_target_too() -> None:
    (amd,) = (baseline for baseline in shipped() if baseline.name == "amd-sev-snp")
    found = list(mutants.mutants(amd, {}, {}, Vocabulary.of(BY_NAME).specs))
    assert {"drop-check", "shift-floor", "flip-comparison", "widen-set"} <= {m.operator for m in found}
    assert any("snp 23" in m.what for m in found)


def test_boundaries_of_a_risk_are_a_second_wide() -> None:
    found = mutants.mutants(release(RELEASE), {}, SETS, Vocabulary.of(BY_NAME).specs)
    ends = [
        risk.expires - release(RELEASE).accept_risk[0].expires
        for m in found
        if isinstance(m.document, ReleasePolicy)
        for risk in m.document.accept_risk
        if "expires" in m.what
    ]
    assert ends == [timedelta(seconds=1)]


def test_nothing_is_expected_of_a_malformed_verdict() -> None:
    assert Verdict.MALFORMED.value not in str(errors_of(lambda: read(ONE)))
