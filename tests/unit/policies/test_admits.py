"""SNP report version 4: refused unless every baseline for SNP admits it; everything else still counts.

Real reports out of the simulator, verified and appraised; one thing differs at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from gateway.appraiser import Appraiser
from gateway.policybook import Compiled
from gateway.simulator.amd import SnpMachine
from policies import compiler
from policies.appraise import Appraisal, appraise
from policies.model import Baseline, Profile, Requirement
from tests.unit.policies.support import BUNDLES, changed, documents, errors_of, outcome_of
from verifiers import registry
from verifiers.model import AnchorSet, NoCache, Outcome, ReportData, Verdict, Verification
from verifiers.sevsnp import abi

SHIPPED = (BUNDLES / "amd-sev-snp.yaml").read_text()
ADMITTING = changed(SHIPPED, "rules:\n", "admits: [snp.report-version-4]\nrules:\n")
CORPORATE = """\
sealgate: platform-baseline/1
name: corporate
version: 1
issued: 2026-06-30T00:00:00Z
review_by: 2026-09-30T00:00:00Z
applies_to: {evidence.type: {equals: sev-snp}}
rules:
  - {id: corporate.guest-alone, require: {snp.policy.debug: {equals: false}}, waivable: never}
"""
DATA = bytes(range(64))
MACHINE = SnpMachine(product="Milan", version=4)
REQUIRED = frozenset({Requirement.FRESHNESS, Requirement.REVOCATION})


def verified(machine: SnpMachine = MACHINE, **fields: Any) -> Verification:
    report = abi.parse(machine.report(DATA, **fields))
    return registry.verify(report, machine.endorsements(), ReportData(DATA), machine.at)


def judge(found: Verification, *texts: str) -> Appraisal:
    baselines = [d for text in texts for d in documents(text) if isinstance(d, Baseline)]
    policy = compiler.platform_only(baselines)
    return appraise(found, (), policy, found.at, required=REQUIRED, profile=Profile.NATIVE)


def test_the_shipped_baseline_refuses_it_and_says_what_would_not() -> None:
    got = judge(verified(), SHIPPED)
    assert (got.verdict, got.reason) == (Verdict.REFUSED, "snp.version")
    (asked,) = [check for check in got.checks if check.id == "snp.version"]
    assert asked.outcome is Outcome.FAILED
    assert asked.fix is not None
    assert "admits: [snp.report-version-4]" in asked.fix and "amd-sev-snp@1" in asked.fix
    assert [c.id for c in got.checks if c.outcome in (Outcome.FAILED, Outcome.UNKNOWN)] == ["snp.version"]


def test_a_baseline_that_admits_it_accepts_it_and_the_result_says_so() -> None:
    got = judge(verified(), ADMITTING)
    assert (got.verdict, got.reason) == (Verdict.ACCEPTED, None)
    (asked,) = [check for check in got.checks if check.id == "snp.version"]
    assert asked.outcome is Outcome.PASSED
    assert "admitted" in asked.found
    assert asked.source == "amd-sev-snp@1 (admits snp.report-version-4)"


WRONG = [
    ({"policy": 0x30000 | 1 << 19}, "snp.debug-off"),
    ({"vmpl": 0xFFFFFFFF}, "snp.host-requested"),
    ({"chip_id": b"\x01" * 64}, "snp.chip-id"),
    ({"patch": {0x18B: b"\x01"}}, "snp.reserved"),
    ({"version": 1}, "snp.version"),
    ({"version": 6}, "snp.version"),
    ({"report_data": bytes(64)}, "binding.report-data"),
]


@pytest.mark.parametrize(("change", "reason"), WRONG, ids=[f"{r}-{i}" for i, (_, r) in enumerate(WRONG)])
def test_admitted_it_still_fails_for_anything_else(change: dict[str, Any], reason: str) -> None:
    if "report_data" in change:
        report = abi.parse(MACHINE.report(change["report_data"]))
        found = registry.verify(report, MACHINE.endorsements(), ReportData(DATA), MACHINE.at)
    else:
        found = verified(**change)
    got = judge(found, ADMITTING)
    assert (got.verdict, got.reason) == (Verdict.REFUSED, reason)


def test_an_unsigned_version_4_is_not_admitted() -> None:
    report = bytearray(SnpMachine(product="Milan", version=3).report(DATA))
    report[0] = 4
    found = registry.verify(abi.parse(bytes(report)), MACHINE.endorsements(), ReportData(DATA), MACHINE.at)
    got = judge(found, ADMITTING)
    assert (got.verdict, got.reason) == (Verdict.REFUSED, "snp.signature")
    assert outcome_of(got, "snp.version") is Outcome.UNKNOWN
    assert outcome_of(judge(found, SHIPPED), "snp.version") is Outcome.FAILED


def test_admitted_it_waits_for_a_missing_certificate() -> None:
    given = MACHINE.endorsements(certificates=())
    found = registry.verify(abi.parse(MACHINE.report(DATA)), given, ReportData(DATA), MACHINE.at)
    got = judge(found, ADMITTING)
    assert (got.verdict, got.reason) == (Verdict.UNDECIDED, "collateral.vcek-missing")


def test_one_baseline_that_is_silent_is_enough_to_refuse() -> None:
    admitting = CORPORATE + "admits: [snp.report-version-4]\n"
    assert judge(verified(), ADMITTING, admitting).verdict is Verdict.ACCEPTED
    got = judge(verified(), admitting, SHIPPED)
    assert (got.verdict, got.reason) == (Verdict.REFUSED, "snp.version")
    (asked,) = [check for check in got.checks if check.id == "snp.version"]
    assert asked.fix is not None and asked.fix.endswith("missing in: amd-sev-snp@1")


@pytest.mark.parametrize("texts", [(), ((BUNDLES / "intel-tdx.yaml").read_text(),)], ids=["none", "other"])
def test_without_a_baseline_for_it_nobody_admits_it(texts: Iterable[str]) -> None:
    got = judge(verified(), *texts)
    assert outcome_of(got, "snp.version") is Outcome.FAILED
    assert got.verdict is Verdict.REFUSED


def test_other_versions_need_no_admission() -> None:
    assert judge(verified(SnpMachine(product="Milan", version=3)), SHIPPED).verdict is Verdict.ACCEPTED


def test_only_a_baseline_about_snp_can_admit_it() -> None:
    text = changed(
        (BUNDLES / "intel-tdx.yaml").read_text(), "rules:\n", "admits: [snp.report-version-4]\nrules:\n"
    )
    line = text[: text.index("admits")].count("\n") + 1
    assert errors_of(lambda: documents(text)) == [("policy.value", line)]


@pytest.mark.parametrize(("text", "verdict"), [(SHIPPED, Verdict.REFUSED), (ADMITTING, Verdict.ACCEPTED)])
def test_a_gateway_asks_its_active_baseline(text: str, verdict: Verdict) -> None:
    """Through the gateway's own appraiser, which requires identity besides: left open, and nothing else."""
    policy = compiler.platform_only(d for d in documents(text) if isinstance(d, Baseline))
    compiled = Compiled(platform=policy, releases={}, owners=(), references={})
    book: Any = None
    source: Any = None
    appraiser = Appraiser(source=source, book=book, anchors=AnchorSet.VENDOR_AND_SIMULATED, cache=NoCache())
    got = appraiser.judge(verified(), compiled, None, MACHINE.at)
    blocking = [c.id for c in got.checks if c.outcome in (Outcome.FAILED, Outcome.UNKNOWN)]
    assert blocking == (["identity"] if verdict is Verdict.ACCEPTED else ["snp.version", "identity"])
