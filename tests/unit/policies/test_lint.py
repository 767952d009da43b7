"""Each finding: there when it should be, with its place, and not in the sample that has nothing to find."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from policies import compiler
from policies.lint import CODES, Finding, lint
from policies.lint_rules import findings
from policies.vocabulary import Vocabulary
from tests.unit.policies.support import (
    GUESTS,
    NOW,
    PODS,
    RELEASE,
    changed,
    references,
    release,
    shipped,
)
from verifiers.claims import BY_NAME

CLEAN = changed(changed(RELEASE, "[Genoa, Milan]", "[Genoa]"), "expires: 2026-11-30", "expires: 2026-12-31")
DENY = "deny:\n"
RULE_TDX = CLEAN[CLEAN.index("  - id: vm-on-tdx") : CLEAN.index(DENY)]
LONGER = changed(GUESTS, "until: 2026-12-01", "until: 2027-12-01")


def found(text: str = CLEAN, *sets: str, now: datetime = NOW) -> list[Finding]:
    given = references(*(sets or (LONGER, PODS)))
    policy = compiler.compile(shipped(), given, release(text))
    return list(lint(policy, {s.name: s for s in given}, now, BY_NAME))


def codes(text: str = CLEAN, *sets: str, now: datetime = NOW) -> list[str]:
    return [finding.code for finding in found(text, *sets, now=now)]


def with_rule(extra: str) -> str:
    return changed(CLEAN, DENY, extra + DENY)


def with_deny(extra: str) -> str:
    return changed(CLEAN, DENY, DENY + extra)


def with_requirement(line: str) -> str:
    return changed(
        CLEAN, "      - snp.vmpl: {equals: 0}\n", f"      - snp.vmpl: {{equals: 0}}\n      - {line}\n"
    )


def test_the_clean_sample_has_nothing() -> None:
    assert codes() == []


# --- rules that cannot match -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("snp.vmpl: {at_least: 1}", "contradict each other"),
        ("snp.signing_key: {equals: VLEK}", "contradict each other"),
        ("not: {snp.product: {in: [Genoa, Turin]}}", "contradict each other"),
        ("all: [{snp.guest_svn: {at_least: 5}}, {snp.guest_svn: {at_most: 4}}]", "contradict each other"),
        (
            "all: [{snp.policy_flags: {includes: [smt, debug]}}, {snp.policy_flags: {subset_of: [smt]}}]",
            "contradict each other",
        ),
        ("snp.policy.debug: {equals: true}", "baseline rule snp.debug-off"),
        (
            "snp.reported_tcb: {at_most: {bootloader: any, tee: any, snp: 22, microcode: any}}",
            "baseline rule snp.tcb-floor.genoa",
        ),
        ("evidence.version: {at_most: 2}", "baseline rule snp.report-version"),
        ("not: {workload: {in_set: db-pods}}", "contradict each other"),
    ],
)
def test_a_rule_that_cannot_match(line: str, why: str) -> None:
    (finding,) = found(with_requirement(line))
    assert finding.code == "rule-never-matches" and why in finding.message
    assert finding.place.line == 12 and finding.level == "error"


@pytest.mark.parametrize(
    "line",
    [
        "snp.guest_svn: {at_least: 5}",
        "all: [{snp.guest_svn: {at_least: 5}}, {snp.guest_svn: {at_most: 5}}]",
        "any: [{snp.vmpl: {at_least: 1}}, {snp.guest_svn: {equals: 1}}]",
        "snp.committed_version: {at_least: 1.55.29}",
        "snp.reported_tcb: {at_least: {bootloader: any, tee: any, snp: 24, microcode: 84}}",
    ],
)
def test_a_rule_that_can_match(line: str) -> None:
    assert codes(with_requirement(line)) == []


def test_a_deny_rule_can_keep_everything_out() -> None:
    (finding,) = found(with_deny("  - id: no-genoa\n    when: {snp.product: {equals: Genoa}}\n"))
    assert finding.code == "rule-never-matches" and "deny rule no-genoa" in finding.message


def test_a_rule_behind_one_that_accepts_as_much() -> None:
    again = changed(RULE_TDX, "id: vm-on-tdx", "id: again")
    # The first one leans on its accepted risk more, never less.
    assert codes(with_rule(again)) == ["rule-shadowed"]
    narrower = again + "      - tdx.td_attributes.sept_ve_disable: {equals: true}\n"
    assert codes(with_rule(narrower)) == ["rule-shadowed"]
    other = changed(again, "tdx.rtmr3: {equals: zero}", "tdx.mr_config_id: {equals: zero}")
    assert codes(with_rule(other)) == []
    implied = changed(
        again, "tdx.rtmr3: {equals: zero}", "all: [{tdx.rtmr3: {in: [zero]}}, {tdx.vm_id: {at_most: 9}}]"
    )
    assert codes(with_rule(implied)) == ["rule-shadowed"]


# --- deny rules --------------------------------------------------------------------------------------


def test_a_deny_rule_that_never_fires() -> None:
    text = with_deny("  - id: both\n    when: [{snp.vmpl: {equals: 1}}, {snp.vmpl: {equals: 2}}]\n")
    assert codes(text) == ["deny-never-fires"]
    nothing = with_deny("  - id: boards\n    when: {platform: {in_set: db-guests}}\n")
    assert codes(nothing) == ["deny-never-fires"]


def test_a_deny_rule_about_other_evidence() -> None:
    text = with_deny("  - id: enclave\n    when: {sgx.isv_svn: {at_most: 3}}\n")
    assert codes(text) == ["deny-idle"]


def test_a_deny_list_of_chips_that_can_hide() -> None:
    listed = f'  - id: chip\n    when: {{snp.chip_id: {{equals: "{"08" * 64}"}}}}\n'
    assert codes(with_deny(listed)) == ["masked-identity"]
    hidden = "  - id: hidden\n    when: {snp.chip_id: {equals: zero}}\n"
    assert codes(with_deny(listed + hidden)) == []


# --- thresholds, registers, products -----------------------------------------------------------------


def test_a_threshold_below_the_baseline() -> None:
    low = "snp.reported_tcb: {at_least: {bootloader: any, tee: any, snp: 22, microcode: any}}"
    (finding,) = found(with_requirement(low))
    assert finding.code == "below-baseline" and "snp.tcb-floor.genoa" in finding.message
    assert finding.place.line == 18
    same = "snp.reported_tcb: {at_least: {bootloader: any, tee: any, snp: 23, microcode: any}}"
    assert codes(with_requirement(same)) == ["below-baseline"]


def test_milan() -> None:
    assert codes(changed(CLEAN, "[Genoa]", "[Genoa, Milan]")) == ["milan-allowed"]


RISK = """\
  - id: open-for-now
    finding: minimum.guest
    only_in: vm-on-tdx
    reason: a test
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-01T00:00:00Z
    expires: 2027-01-01T00:00:00Z
"""


def test_rtmr3_alone() -> None:
    text = CLEAN + RISK
    tdx = text.index("id: vm-on-tdx")
    text = text[:tdx] + text[tdx:].replace("      - guest: {in_set: db-guests}\n", "", 1)
    (finding,) = found(text)
    assert finding.code == "rtmr3-alone" and "tdx.mr_td, tdx.rtmr0" in finding.message


# --- time, people, sets ------------------------------------------------------------------------------


def test_risks_end() -> None:
    assert codes(now=datetime.fromisoformat("2026-12-01T00:00:00Z")) == ["risk-expires-soon"]
    assert "risk-expired" in codes(now=datetime.fromisoformat("2026-12-31T00:00:00Z"))


def test_a_risk_that_covers_nothing() -> None:
    assert codes(CLEAN + RISK) == ["risk-unused"]
    assert codes(changed(CLEAN, "lena@acme.example", "lena@acme.invalid")) == ["placeholder"]


def test_sets_end() -> None:
    assert codes(CLEAN, GUESTS, PODS) == ["set-ends-soon"]
    ended = changed(GUESTS, "until: 2026-12-01", "until: 2026-11-20")
    assert codes(CLEAN, ended, PODS) == ["set-ended"]
    later = changed(LONGER, "from: 2026-06-01", "from: 2026-11-21")
    assert codes(CLEAN, later, PODS) == ["set-not-yet"]


def test_a_set_that_nobody_looks_into() -> None:
    text = changed(CLEAN, "db-pods: 2}", "db-pods: 2, more: 1}")
    more = changed(changed(PODS, "name: db-pods", "name: more"), "version: 2", "version: 1")
    (finding,) = found(text, LONGER, PODS, more)
    assert (finding.code, finding.place.line) == ("set-unused", 9)


def test_the_rest() -> None:
    twice = changed(CLEAN, "payments/db/tls-*]", "payments/db/tls-*, payments/*/password]")
    assert codes(twice) == ["secret-twice"]
    kbs = changed(CLEAN, "  - id: kata-on-genoa\n", "  - id: kata-on-genoa\n    profiles: [native, kbs]\n")
    assert codes(kbs) == ["profile-kbs"]
    late = NOW + timedelta(days=80)
    assert codes(now=late).count("baseline-review") == 2


def test_every_code_is_tried_here() -> None:
    text = Path(__file__).read_text()
    assert [code for code in CODES if f'"{code}"' not in text] == []


def test_many_combinations_are_decided() -> None:
    flags = [name for name, spec in BY_NAME.items() if name.startswith("snp.p") and spec.type == "flag"]
    text = CLEAN
    for flag in flags[:12]:
        either = f"      - any: [{{{flag}: {{equals: true}}}}, {{{flag}: {{equals: false}}}}]\n"
        text = changed(text, "      - snp.vmpl: {equals: 0}\n", f"{either}      - snp.vmpl: {{equals: 0}}\n")
    assert codes(text) == []


def test_what_cannot_be_decided_is_said_and_is_no_finding() -> None:
    given = references(LONGER, PODS)
    bad = with_requirement("snp.vmpl: {at_least: 1}")
    text = changed(
        bad, DENY, DENY + "  - id: both\n    when: [{snp.vmpl: {equals: 1}}, {snp.vmpl: {equals: 2}}]\n"
    )
    policy = compiler.compile(shipped(), given, release(text))
    assert policy.release is not None
    named, specs = {s.name: s for s in given}, Vocabulary.of(BY_NAME).specs
    assert {row[0] for row in findings(policy, policy.release, named, specs)} == {
        "rule-never-matches",
        "deny-never-fires",
    }
    assert [row[0] for row in findings(policy, policy.release, named, specs, steps=0)] == ["too-large"]


# --- what only a search over everything sees -----------------------------------------------------------


def test_two_sets_that_no_evidence_is_in_at_once() -> None:
    other = changed(LONGER, "name: db-guests", "name: others")
    lists = other.index("    snp.measurement: ") + len("    snp.measurement: sha384:")
    other = other[:lists] + "ab" * 48 + other[lists + 96 :]
    text = changed(with_requirement("guest: {in_set: others}"), "db-pods: 2}", "db-pods: 2, others: 4}")
    (finding,) = found(text, LONGER, PODS, other)
    assert finding.code == "rule-never-matches" and "contradict each other" in finding.message


def test_a_deny_list_that_names_every_chip_of_the_rule() -> None:
    chip = f'{{snp.chip_id: {{equals: "{"08" * 64}"}}}}'
    text = changed(with_requirement(chip[1:-1]), DENY, f"{DENY}  - id: chip\n    when: {chip}\n")
    (finding,) = found(text)
    assert finding.code == "rule-never-matches" and "deny rule chip" in finding.message


def test_what_the_terminal_says() -> None:
    (finding,) = found(with_requirement("snp.signing_key: {equals: VLEK}"))
    assert str(finding).startswith("payments-db.yaml:12:5: error[rule-never-matches] kata-on-genoa can")
    assert str(finding).endswith("^")
