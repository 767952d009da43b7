"""Appraisals: a good machine and one change, with the exact verdict, reason and findings."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import get_type_hints

import pytest
from msgspec import structs

from policies import compiler
from policies.appraise import Appraisal, appraise
from policies.explain import explain, headline
from policies.model import ALL_REQUIREMENTS, Baseline, Profile, Requirement
from policies.release import Refusal, ReleaseGrant, decide
from tests.support import ROOT
from tests.unit.policies.support import (
    GUESTS,
    HOST_DATA,
    MEASUREMENT,
    NOW,
    OTHER48,
    PASSED,
    PODS,
    RELEASE,
    changed,
    documents,
    judge,
    outcome_of,
    references,
    release,
    shipped,
    verification,
    with_outcome,
)
from verifiers.model import Check, ClaimValue, Outcome, TcbVersion, TeeKind, Verdict

A, R, U = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.UNDECIDED
NONE: frozenset[Requirement] = frozenset()


def tcb(snp: int, microcode: int, fmc: int | None = None) -> TcbVersion:
    return TcbVersion(bootloader=10, tee=0, snp=snp, microcode=microcode, fmc=fmc)


def test_accepted() -> None:
    found = judge(verification())
    assert (found.verdict, found.reason, found.rule) == (A, None, "kata-on-genoa")
    assert found.lease == timedelta(hours=12)
    assert (found.waived, found.unchecked, found.alternatives) == ((), (), ())
    assert found.tcb.status == "ok"
    ids = [check.id for check in found.checks]
    assert len(ids) == len(set(ids))
    assert ids[:4] == ["snp.signature", "snp.revocation", "binding.report-data", "snp.debug-off"]
    assert ids[-2:] == ["kata-on-genoa/guest", "kata-on-genoa/workload"]
    assert {check.outcome for check in found.checks} == {Outcome.PASSED}
    assert [(d.kind, d.name, d.version) for d in found.documents] == [
        ("baseline", "amd-sev-snp", 1),
        ("reference", "db-guests", 4),
        ("reference", "db-pods", 2),
        ("release", "payments-db", 12),
    ]
    assert found.policy_digests == tuple(d.digest for d in found.documents)


def test_tdx_accepted() -> None:
    found = judge(verification(TeeKind.TDX))
    assert (found.verdict, found.rule, found.unchecked) == (A, "vm-on-tdx", ())
    assert outcome_of(found, "deny/stolen-board") is Outcome.PASSED


@pytest.mark.parametrize(
    ("claims", "verdict", "reason"),
    [
        ({"snp.policy.debug": True}, R, "snp.debug-off"),
        ({"snp.policy.migrate_ma": True}, R, "snp.migration-off"),
        ({"snp.report_id_ma": b"\xff" * 31 + b"\xfe"}, R, "snp.migration-off"),
        ({"snp.product": "Venice"}, R, "snp.known-product"),
        ({"snp.reported_tcb": tcb(22, 84)}, R, "snp.tcb-floor.genoa"),
        ({"snp.reported_tcb": tcb(23, 83)}, R, "snp.tcb-floor.genoa-b1"),
        ({"snp.reported_tcb": tcb(24, 85)}, A, None),
        ({"snp.reported_tcb": tcb(23, 83), "snp.cpuid_fms": "191102"}, A, None),  # Genoa-X: own numbers
        ({"snp.launch_tcb": tcb(22, 84)}, R, "snp.launch-tcb-floor.genoa"),
        ({"snp.product": "Milan"}, R, "snp.tcb-floor.milan"),
        (
            {
                "snp.product": "Milan",
                "snp.cpuid_fms": "190101",
                "snp.reported_tcb": tcb(24, 218),
                "snp.launch_tcb": tcb(24, 219),
            },
            R,
            "snp.tcb-floor.milan-b1",
        ),
        ({"snp.provisional_firmware": True}, R, "snp.no-provisional-firmware"),
        ({"snp.platform_info.alias_check_complete": False}, R, "snp.alias-check"),
        ({"evidence.version": 2}, R, "snp.report-version"),
        ({"snp.signing_key": "VLEK"}, R, "kata-on-genoa/snp.signing_key"),
        ({"snp.vmpl": 1}, R, "kata-on-genoa/snp.vmpl"),
        ({"snp.measurement": OTHER48}, R, "guest.not-listed"),
        ({"snp.host_data": bytes(32)}, R, "workload.not-listed"),
        ({"snp.measurement": b"\x0d" * 48}, R, "reference.revoked"),
        ({"evidence.type": "tdx"}, R, "release.no-rule"),
    ],
)
def test_one_claim_changed(claims: dict[str, ClaimValue], verdict: Verdict, reason: str | None) -> None:
    found = judge(verification(claims=claims))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert (found.rule, found.lease is None) == (("kata-on-genoa", False) if verdict is A else (None, True))


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("snp.policy.debug", "snp.debug-off"),
        ("snp.report_id_ma", "snp.migration-off"),
        ("snp.product", "snp.known-product"),
        ("snp.reported_tcb", "snp.tcb-floor.genoa"),
        ("snp.cpuid_fms", "snp.tcb-floor.genoa-b1"),
        ("evidence.version", "snp.alias-check"),
        ("snp.platform_info.alias_check_complete", "snp.alias-check"),
        ("collateral.amd_crl", "snp.revocation"),
        ("snp.signing_key", "kata-on-genoa/snp.signing_key"),
        ("snp.vmpl", "kata-on-genoa/snp.vmpl"),
        ("snp.measurement", "kata-on-genoa/guest"),
        ("snp.host_data", "kata-on-genoa/workload"),
        ("evidence.type", "kata-on-genoa/when"),
    ],
)
def test_one_claim_missing_is_undecided(claim: str, reason: str) -> None:
    found = judge(verification(without=[claim]))
    assert (found.verdict, found.reason, found.rule) == (U, reason, None)


def test_a_definite_failure_outranks_a_missing_input() -> None:
    found = judge(verification(claims={"snp.measurement": OTHER48}, without=["snp.product"]))
    assert (found.verdict, found.reason) == (R, "guest.not-listed")


# --- requirements ----------------------------------------------------------------------------------


def platform(evidence_checks: tuple[Check, ...], required: frozenset[Requirement]) -> Appraisal:
    crl = any(c.id == "snp.revocation" and c.outcome is Outcome.PASSED for c in evidence_checks)
    evidence = verification(checks=evidence_checks, without=() if crl else ["collateral.amd_crl"])
    policy = compiler.platform_only(shipped())
    return appraise(evidence, (), policy, NOW, required=required, profile=Profile.NATIVE)


UNASKED = tuple(
    c if c.id == "snp.signature" else structs.replace(c, outcome=Outcome.NOT_CHECKED, reason=f"why.{c.id}")
    for c in PASSED
)


def test_what_nobody_asks_is_listed() -> None:
    found = platform(UNASKED, NONE)
    assert (found.verdict, found.reason) == (A, None)
    assert found.unchecked == ("binding.report-data", "snp.revocation", "identity")
    assert (found.rule, found.lease) == (None, None)
    assert headline(found).endswith("(binding.report-data, snp.revocation, identity not checked)")


@pytest.mark.parametrize(
    ("requirement", "check", "reason"),
    [
        (Requirement.IDENTITY, "identity", "identity"),
        (Requirement.FRESHNESS, "binding.report-data", "why.binding.report-data"),
        (Requirement.REVOCATION, "snp.revocation", "why.snp.revocation"),
    ],
)
def test_each_requirement(requirement: Requirement, check: str, reason: str) -> None:
    found = platform(UNASKED, frozenset({requirement}))
    assert (found.verdict, found.reason) == (U, reason)
    assert outcome_of(found, check) is Outcome.UNKNOWN
    assert check not in found.unchecked and len(found.unchecked) == 2


def test_a_verifier_that_never_looked_does_not_satisfy_a_requirement() -> None:
    found = judge(verification(checks=PASSED[:1]))
    assert found.verdict is U
    assert outcome_of(found, "binding.report-data") is Outcome.UNKNOWN
    assert outcome_of(found, "revocation") is Outcome.UNKNOWN


def test_no_rule_answers_for_the_verifier() -> None:
    """The baseline says the CRL was checked, the verifier says it was not: the verifier counts."""
    checks = with_outcome("snp.revocation", Outcome.NOT_CHECKED)
    found = judge(verification(checks=checks))
    assert (found.verdict, found.reason) == (U, "snp.revocation")


# --- the verifier's word ---------------------------------------------------------------------------


@pytest.mark.parametrize("check", [check.id for check in PASSED])
@pytest.mark.parametrize(("outcome", "verdict"), [(Outcome.FAILED, R), (Outcome.UNKNOWN, U)])
def test_the_verifier_cannot_be_overridden(check: str, outcome: Outcome, verdict: Verdict) -> None:
    found = judge(verification(checks=with_outcome(check, outcome, reason="exact.reason")))
    assert (found.verdict, found.reason, found.rule) == (verdict, "exact.reason", None)


@pytest.mark.parametrize(("signature", "chain"), [(False, True), (True, False), (False, False)])
def test_evidence_that_is_not_authentic_is_never_judged_on_its_claims(signature: bool, chain: bool) -> None:
    found = judge(verification(signature_valid=signature, chain_valid=chain))
    assert (found.verdict, found.reason) == (R, "evidence.authentic")
    assert [c.id for c in found.checks] == [*(c.id for c in PASSED), "evidence.authentic"]
    unknown = with_outcome("snp.signature", Outcome.UNKNOWN, reason="collateral.vcek-missing")
    debug: dict[str, ClaimValue] = {"snp.policy.debug": True}
    open_ = judge(verification(claims=debug, checks=unknown, signature_valid=False, chain_valid=False))
    assert (open_.verdict, open_.reason, open_.tcb.status) == (U, "collateral.vcek-missing", None)


def test_no_checks_at_all_is_not_acceptance() -> None:
    found = judge(verification(checks=()), required=NONE)
    assert found.verdict is A  # baseline and rules passed
    bare = appraise(
        verification(checks=()),
        (),
        compiler.platform_only(()),
        NOW,
        required=NONE,
        profile=Profile.NATIVE,
    )
    assert (bare.verdict, bare.reason) == (R, "policy.no-baseline")


def test_a_baseline_that_asks_nothing_accepts_nothing() -> None:
    text = """\
sealgate: platform-baseline/1
name: empty
version: 1
issued: 2026-06-30T00:00:00Z
review_by: 2026-09-30T00:00:00Z
applies_to: {evidence.type: {equals: sev-snp}}
rules:
  - {id: nothing, floor: none, waivable: never}
"""
    policy = compiler.platform_only(d for d in documents(text) if isinstance(d, Baseline))
    found = appraise(verification(checks=()), (), policy, NOW, required=NONE, profile=Profile.NATIVE)
    assert (found.verdict, found.reason) == (U, "policy.nothing-passed")


def test_without_a_baseline_for_the_kind() -> None:
    only_amd = tuple(b for b in shipped() if b.name == "amd-sev-snp")
    policy = compiler.platform_only(only_amd)
    found = appraise(verification(TeeKind.TDX), (), policy, NOW, required=NONE, profile=Profile.NATIVE)
    assert (found.verdict, found.reason) == (R, "policy.no-baseline")


def test_simulated_is_carried_along() -> None:
    assert judge(verification(simulated=True)).simulated
    assert "SIMULATED" in headline(judge(verification(simulated=True)))


# --- AMD's TCB in one word -------------------------------------------------------------------------

TURIN: dict[str, ClaimValue] = {
    "snp.product": "Turin",
    "snp.cpuid_fms": "1a0201",
    "snp.reported_tcb": tcb(4, 81, fmc=1),
    "snp.launch_tcb": tcb(4, 81, fmc=1),
}


@pytest.mark.parametrize(
    ("claims", "without", "status"),
    [
        ({}, [], "ok"),
        ({"snp.reported_tcb": tcb(22, 83)}, [], "below_floor"),
        (TURIN, [], "no_floor"),
        ({}, ["snp.reported_tcb"], None),
        ({"snp.cpuid_fms": "191102"}, [], "ok"),
        ({"snp.product": "Venice"}, [], "no_floor"),
    ],
)
def test_tcb_status(claims: dict[str, ClaimValue], without: list[str], status: str | None) -> None:
    policy = compiler.platform_only(shipped())
    evidence = verification(claims=claims, without=without)
    found = appraise(evidence, (), policy, NOW, required=NONE, profile=Profile.NATIVE)
    assert found.tcb.status == status
    if status == "below_floor":
        assert [(s.component, s.has, s.needs) for s in found.tcb.short] == [
            ("snp (reported_tcb)", 22, 23),
            ("microcode (reported_tcb)", 83, 84),
        ]
    if claims is TURIN:
        assert found.verdict is A
        assert found.unchecked == ("snp.tcb-floor.turin", "identity")


# --- deny rules ------------------------------------------------------------------------------------

STOLEN = bytes.fromhex("5d1c0000000000000000000000000001")


@pytest.mark.parametrize(
    ("claims", "without", "outcome"),
    [
        ({}, [], Outcome.PASSED),
        ({"tdx.pck.platform_instance_id": STOLEN}, [], Outcome.FAILED),
        ({}, ["tdx.pck.platform_instance_id"], Outcome.FAILED),
        ({"tdx.pck.platform_instance_id": "text"}, [], Outcome.FAILED),
    ],
)
def test_deny_overrides_and_fires_when_its_input_is_missing(
    claims: dict[str, ClaimValue], without: list[str], outcome: Outcome
) -> None:
    found = judge(verification(TeeKind.TDX, claims=claims, without=without))
    assert outcome_of(found, "deny/stolen-board") is outcome
    assert found.verdict is (A if outcome is Outcome.PASSED else R)
    assert found.reason == (None if outcome is Outcome.PASSED else "deny/stolen-board")


def test_a_deny_rule_of_another_kind_does_not_apply() -> None:
    assert "deny/stolen-board" not in {check.id for check in judge(verification()).checks}


DENY_GUEST = "deny:\n  - id: bad-guest\n    when: {guest: {in_set: bad}}\n"
BAD = f"""\
sealgate: reference-values/1
name: bad
version: 1
owner: security@acme.example
valid: {{from: 2026-06-01T00:00:00Z, until: 2026-11-20T12:00:01Z}}
entries:
  - id: broken
    snp.measurement: {OTHER48.hex()}
"""


@pytest.mark.parametrize(("now", "fires"), [(NOW, False), (NOW + timedelta(seconds=1), True)])
def test_a_deny_rule_over_an_expired_set_fires(now: datetime, fires: bool) -> None:
    """An expired set says neither yes nor no."""
    text = changed(changed(RELEASE, "deny:\n", DENY_GUEST), "db-pods: 2}", "db-pods: 2, bad: 1}")
    found = judge(verification(), policy_text=text, sets=(GUESTS, PODS, BAD), now=now)
    assert found.reason == ("deny/bad-guest" if fires else None)


# --- reference sets --------------------------------------------------------------------------------

ONE = timedelta(microseconds=1)
FROM, UNTIL = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "verdict", "reason"),
    [
        (FROM - ONE, R, "reference.not-yet-valid"),
        (FROM, A, None),
        (UNTIL - ONE, A, None),
        (UNTIL, R, "reference.expired"),
    ],
)
def test_a_set_holds_from_and_until_before(now: datetime, verdict: Verdict, reason: str | None) -> None:
    pods = changed(PODS, "from: 2026-06-01", "from: 2026-01-01")
    found = judge(verification(), sets=(GUESTS, pods), now=now)
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(("now", "reason"), [(NOW - ONE, None), (NOW, "reference.revoked")])
def test_a_current_entry_is_revoked_from_an_instant_on(now: datetime, reason: str | None) -> None:
    text = GUESTS + "  - {entry: kata-genoa, since: 2026-11-20T12:00:00Z, reason: leaked}\n"
    assert judge(verification(), sets=(text, PODS), now=now).reason == reason


def test_revocation_of_the_same_values_under_another_id_wins() -> None:
    text = GUESTS + (
        "  - {entry: old@2, since: 2026-07-01T00:00:00Z, reason: leaked, "
        f"snp.measurement: '{MEASUREMENT.hex()}'}}\n"
    )
    assert judge(verification(), sets=(text, PODS)).reason == "reference.revoked"


@pytest.mark.parametrize("register", ["tdx.mr_td", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2"])
def test_entries_never_mix(register: str) -> None:
    """Two entries that differ in one register each; evidence that takes one register of the other."""
    second = GUESTS[GUESTS.index("  - id: vm-tdx") : GUESTS.index("revoked:")]
    other = second.replace("vm-tdx", "vm-other")
    for digit in "1234":
        other = other.replace(f"0{digit}" * 48, f"1{digit}" * 48)
    text = changed(GUESTS, "revoked:", other + "revoked:")
    value = bytes(
        [0x10 + {"tdx.mr_td": 1}.get(register, 2 + int(register[-1]) if register[-1].isdigit() else 1)]
    )
    mixed = judge(verification(TeeKind.TDX, claims={register: value * 48}), sets=(text, PODS))
    assert (mixed.verdict, mixed.reason) == (R, "guest.not-listed")
    whole: dict[str, ClaimValue] = {
        "tdx.mr_td": b"\x11" * 48,
        "tdx.rtmr0": b"\x12" * 48,
        "tdx.rtmr1": b"\x13" * 48,
        "tdx.rtmr2": b"\x14" * 48,
    }
    assert judge(verification(TeeKind.TDX, claims=whole), sets=(text, PODS)).verdict is A


def test_an_entry_with_image_and_workload_matches_as_a_whole() -> None:
    """Guest from one entry and workload from another must not add up."""
    pairs = changed(
        GUESTS,
        "  - id: vm-tdx\n",
        f"    snp.host_data: {'aa' * 32}\n  - id: second\n    snp.measurement: {OTHER48.hex()}\n"
        f"    snp.host_data: {HOST_DATA.hex()}\n  - id: vm-tdx\n",
    )
    text = changed(
        RELEASE, "      - workload: {in_set: db-pods}\n", "      - workload: {in_set: db-guests}\n"
    )
    mixed = judge(verification(), policy_text=text, sets=(pairs, PODS))
    assert (mixed.verdict, mixed.reason) == (R, "guest.not-listed")
    whole = judge(verification(claims={"snp.measurement": OTHER48}), policy_text=text, sets=(pairs, PODS))
    assert whole.verdict is A


def test_a_set_that_is_gone_never_passes() -> None:
    policy = compiler.compile(shipped(), references(GUESTS, PODS), release())
    found = appraise(
        verification(), references(PODS), policy, NOW, required=ALL_REQUIREMENTS, profile=Profile.NATIVE
    )
    assert (found.verdict, found.reason) == (U, "reference.missing")


def test_init_data_on_tdx() -> None:
    text = changed(RELEASE, "      - tdx.rtmr3: {equals: zero}\n", "      - workload: {in_set: db-pods}\n")
    padded: dict[str, ClaimValue] = {"tdx.mr_config_id": HOST_DATA + bytes(16)}
    assert judge(verification(TeeKind.TDX, claims=padded), policy_text=text).verdict is A
    assert judge(verification(TeeKind.TDX), policy_text=text).reason == "workload.not-listed"


# --- accepted risks --------------------------------------------------------------------------------

OUT_OF_DATE: dict[str, ClaimValue] = {
    "tdx.tcb.status": "OutOfDate",
    "tdx.tcb.advisory_ids": frozenset({"INTEL-SA-01010"}),
}
BEGIN, END = datetime(2026, 10, 2, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "verdict"), [(BEGIN - ONE, R), (BEGIN, A), (NOW, A), (END - ONE, A), (END, R), (END + ONE, R)]
)
def test_a_waiver_holds_from_and_until_before(now: datetime, verdict: Verdict) -> None:
    found = judge(verification(TeeKind.TDX, claims=OUT_OF_DATE), now=now)
    assert found.verdict is verdict
    assert outcome_of(found, "tdx.tcb-status") is (Outcome.WAIVED if verdict is A else Outcome.FAILED)
    assert [w.id for w in found.waived] == (["gcp-waits-for-bios"] if verdict is A else [])
    if verdict is R:
        assert found.reason == "tdx.tcb-status"
        (check,) = [c for c in found.checks if c.id == "tdx.tcb-status"]
        assert check.fix is not None and "accepted risk gcp-waits-for-bios" in check.fix


def test_a_lease_ends_with_the_waiver_it_rests_on() -> None:
    found = judge(verification(TeeKind.TDX, claims=OUT_OF_DATE), now=END - timedelta(hours=3))
    assert found.lease == timedelta(hours=3)
    assert judge(verification(TeeKind.TDX), now=END - timedelta(hours=3)).lease == timedelta(hours=12)


@pytest.mark.parametrize(
    ("claims", "without"),
    [
        ({"tdx.fmspc": bytes(6)}, []),
        ({"tdx.tcb.status": "OutOfDateConfigurationNeeded"}, []),
        ({"tdx.tcb.advisory_ids": frozenset({"INTEL-SA-01010", "INTEL-SA-09999"})}, []),
        ({}, ["tdx.tcb.advisory_ids"]),
        ({}, ["tdx.fmspc"]),
    ],
)
def test_a_waiver_covers_this_and_nothing_that_appears_later(
    claims: dict[str, ClaimValue], without: list[str]
) -> None:
    found = judge(verification(TeeKind.TDX, claims=OUT_OF_DATE | claims, without=without))
    assert (found.verdict, found.reason, found.waived) == (R, "tdx.tcb-status", ())


def test_a_waiver_covers_one_finding_in_one_rule() -> None:
    twice = judge(verification(TeeKind.TDX, claims=OUT_OF_DATE | {"tdx.td_attributes.debug": True}))
    assert (twice.verdict, twice.reason) == (R, "tdx.debug-off")
    text = changed(RELEASE, "only_in: vm-on-tdx", "only_in: second") + ""
    second = "  - id: second\n" + RELEASE[RELEASE.index("    when: {evidence.type: {equals: tdx}}") :]
    second = second[: second.index("deny:")].replace("equals: zero", "equals: '" + "05" * 48 + "'")
    text = changed(text, "deny:\n", second + "deny:\n")
    found = judge(verification(TeeKind.TDX, claims=OUT_OF_DATE), policy_text=text)
    assert (found.verdict, found.reason) == (R, "tdx.tcb-status")
    extended: dict[str, ClaimValue] = {"tdx.rtmr3": b"\x05" * 48}
    other = judge(verification(TeeKind.TDX, claims=OUT_OF_DATE | extended), policy_text=text)
    assert (other.verdict, other.rule) == (A, "second")
    assert [a.rule for a in other.alternatives] == ["vm-on-tdx"]


REVOCATION_RISK = """\
  - id: crl-outage
    finding: snp.revocation
    only_in: kata-on-genoa
    reason: our mirror is being replaced
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-19T00:00:00Z
    expires: 2026-11-26T00:00:00Z
"""


def test_revocation_that_is_merely_unknown_can_be_waived_and_a_revoked_chain_cannot() -> None:
    text = RELEASE + REVOCATION_RISK
    unknown = with_outcome("snp.revocation", Outcome.NOT_CHECKED, reason="collateral.amd-crl-missing")
    lacking = verification(checks=unknown, without=["collateral.amd_crl"])
    found = judge(lacking, policy_text=text)
    assert (found.verdict, [w.finding for w in found.waived]) == (A, ["snp.revocation"])
    assert judge(lacking).reason == "collateral.amd-crl-missing"
    failed = with_outcome("snp.revocation", Outcome.FAILED, reason="snp.revoked")
    assert judge(verification(checks=failed, without=["collateral.amd_crl"]), policy_text=text).reason == (
        "snp.revoked"
    )


MINIMUM_RISK = REVOCATION_RISK.replace("crl-outage", "any-pod").replace("snp.revocation", "minimum.workload")


@pytest.mark.parametrize(("hours", "verdict"), [(0, A), (24 * 6, R)])
def test_a_minimum_left_open_shows_and_ends(hours: int, verdict: Verdict) -> None:
    text = changed(RELEASE, "      - workload: {in_set: db-pods}\n", "") + MINIMUM_RISK
    found = judge(verification(), policy_text=text, now=NOW + timedelta(hours=hours))
    assert found.verdict is verdict
    name = "kata-on-genoa/minimum.workload"
    assert outcome_of(found, name) is (Outcome.WAIVED if verdict is A else Outcome.FAILED)
    assert [w.id for w in found.waived] == (["any-pod"] if verdict is A else [])
    assert found.reason == (None if verdict is A else "minimum.workload")


# --- alternatives ----------------------------------------------------------------------------------

SECOND_RULE = """\
  - id: vmpl1
    when: {evidence.type: {equals: sev-snp}}
    require:
      - snp.product: {equals: Genoa}
      - snp.vmpl: {equals: 1}
      - guest: {in_set: db-guests}
      - workload: {in_set: db-pods}
"""


def test_one_alternative_is_enough_and_the_others_do_not_decide() -> None:
    text = changed(RELEASE, "deny:\n", SECOND_RULE + "deny:\n")
    found = judge(verification(claims={"snp.vmpl": 1}), policy_text=text)
    assert (found.verdict, found.rule) == (A, "vmpl1")
    assert not [c for c in found.checks if c.id.startswith("kata-on-genoa/")]
    (other,) = found.alternatives
    assert (other.rule, other.applies) == ("kata-on-genoa", True)
    assert [c.id for c in other.checks if c.outcome is Outcome.FAILED] == ["kata-on-genoa/snp.vmpl"]


def test_when_none_matches_the_closest_is_shown() -> None:
    text = changed(RELEASE, "deny:\n", SECOND_RULE + "deny:\n")
    found = judge(verification(claims={"snp.vmpl": 1, "snp.host_data": bytes(32)}), policy_text=text)
    assert (found.verdict, found.reason) == (R, "workload.not-listed")
    assert [a.rule for a in found.alternatives] == ["kata-on-genoa"]


def test_an_alternative_that_may_still_hold_leaves_it_undecided() -> None:
    """any(false, missing) is missing."""
    text = changed(RELEASE, "deny:\n", SECOND_RULE + "deny:\n")
    found = judge(
        verification(claims={"snp.vmpl": 1, "snp.signing_key": "VLEK"}, without=["snp.host_data"]),
        policy_text=text,
    )
    assert (found.verdict, found.reason) == (U, "vmpl1/workload")


def test_profiles_are_listed_or_refused() -> None:
    refused = judge(verification(), profile=Profile.KBS)
    assert (refused.verdict, refused.reason) == (R, "kata-on-genoa/profile")
    text = changed(RELEASE, "  - id: kata-on-genoa\n", "  - id: kata-on-genoa\n    profiles: [kbs]\n")
    assert judge(verification(), policy_text=text, profile=Profile.KBS).verdict is A
    assert judge(verification(), policy_text=text).verdict is R


def test_time_is_aware_utc_and_sets_are_named_once() -> None:
    policy = compiler.platform_only(shipped())
    for now in (NOW.replace(tzinfo=None), NOW.astimezone(tz=None).replace(tzinfo=None)):
        with pytest.raises(ValueError, match="UTC"):
            appraise(verification(), (), policy, now, required=NONE, profile=Profile.NATIVE)
    with pytest.raises(ValueError, match="db-pods"):
        appraise(
            verification(),
            references(PODS, PODS),
            policy,
            NOW,
            required=NONE,
            profile=Profile.NATIVE,
        )


# --- release ---------------------------------------------------------------------------------------


def test_grant() -> None:
    found = decide(judge(verification()), tenant="acme", path="payments/db/tls-cert")
    assert isinstance(found, ReleaseGrant)
    assert (found.tenant, found.path, found.rule) == ("acme", "payments/db/tls-cert", "kata-on-genoa")
    assert (found.policy.name, found.policy.version) == ("payments-db", 12)
    assert (found.lease, found.evidence, found.at) == (timedelta(hours=12), b"\x11" * 32, NOW)


@pytest.mark.parametrize(
    ("tenant", "path", "reason"),
    [
        ("acme", "payments/db/other", "release.not-owned"),
        ("acme", "payments/db/password/x", "release.not-owned"),
        ("umbrella", "payments/db/password", "release.not-owned"),
        ("acme", "payments/db/../db/password", "release.path"),
        ("acme", "payments/db/tls-*", "release.path"),
        ("acme", "", "release.path"),
    ],
)
def test_refused_paths(tenant: str, path: str, reason: str) -> None:
    found = decide(judge(verification()), tenant=tenant, path=path)
    assert isinstance(found, Refusal)
    assert (found.reason, found.path) == (reason, path)


def test_refused_appraisals() -> None:
    def reason(appraisal: Appraisal) -> str:
        found = decide(appraisal, tenant="acme", path="payments/db/password")
        assert isinstance(found, Refusal)
        return found.reason

    good = judge(verification())
    assert reason(judge(verification(claims={"snp.measurement": OTHER48}))) == "guest.not-listed"
    assert reason(judge(verification(without=["collateral.amd_crl"]))) == "snp.revocation"
    assert reason(platform(PASSED, ALL_REQUIREMENTS)) == "release.no-policy"
    for requirement in Requirement:
        fewer = judge(verification(), required=ALL_REQUIREMENTS - {requirement})
        assert fewer.verdict is A
        assert reason(fewer) == "release.requirements"
    # Appraisals that contradict themselves, as no code of ours should make them.
    assert reason(dataclasses.replace(good, rule=None)) == "release.not-accepted"
    assert reason(dataclasses.replace(good, lease=None)) == "release.not-accepted"
    assert reason(dataclasses.replace(good, verdict=U)) == "release.not-accepted"
    broken = verification(signature_valid=False)
    assert reason(dataclasses.replace(good, verification=broken)) == "release.not-accepted"
    failed = (*good.checks, Check("x", Outcome.FAILED, "", "", ""))
    assert reason(dataclasses.replace(good, checks=failed)) == "release.not-accepted"


@pytest.mark.parametrize("name", ["ReleaseGrant", "Appraisal"])
def test_results_are_made_in_one_place(name: str) -> None:
    makers = []
    for package in ("verifiers", "policies", "gateway"):
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text().replace(f"class {name}(", "")
            if any(
                piece and not (piece[-1].isalnum() or piece[-1] in "_`")
                for piece in text.split(f"{name}(")[:-1]
            ):
                makers.append(path.relative_to(ROOT).as_posix())
    assert makers == [{"ReleaseGrant": "policies/release.py", "Appraisal": "policies/appraise.py"}[name]]


def test_security_relevant_arguments_have_no_defaults() -> None:
    assert appraise.__kwdefaults__ is None
    assert decide.__kwdefaults__ is None
    assert "return" in get_type_hints(appraise)


# --- explain ---------------------------------------------------------------------------------------


def test_explain_a_refusal() -> None:
    found = judge(verification(claims={"snp.reported_tcb": tcb(22, 84)}))
    lines = explain(found)
    assert lines[0] == "REFUSED  sev-snp v3, Genoa  snp.tcb-floor.genoa"
    text = "\n".join(lines)
    assert "✗ snp.tcb-floor.genoa   expected at least snp 23   found bootloader 10, tee 0, snp 22" in text
    assert "    short: snp (reported_tcb) 22, needs 23: " in text
    assert "  1. snp.tcb-floor.genoa: update the host's SNP firmware to 23" in text
    assert "amd-sev-snp.yaml:" in text


def test_explain_a_waiver_and_alternatives() -> None:
    text = changed(RELEASE, "deny:\n", SECOND_RULE + "deny:\n")
    lines = "\n".join(explain(judge(verification(), policy_text=text)))
    assert "rule kata-on-genoa, lease 12h" in lines
    assert "– vmpl1: vmpl1/snp.vmpl" in lines
    waived = "\n".join(explain(judge(verification(TeeKind.TDX, claims=OUT_OF_DATE))))
    assert "waived tdx.tcb-status in vm-on-tdx by gcp-waits-for-bios, until 2026-11-30T00:00:00Z" in waived
