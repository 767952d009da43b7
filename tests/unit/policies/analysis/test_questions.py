"""Questions with known answers, over the shipped baselines and a policy like a real one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies.analysis.compare import compare, implied
from policies.analysis.counterfactual import flips, waivers
from policies.analysis.encode import Side
from policies.analysis.judging import judge
from policies.analysis.prove import (
    STANDARD,
    Proof,
    Property,
    never,
    never_below_baseline,
    never_unlisted,
    prove,
)
from policies.model import Profile
from policies.vocabulary import Role
from tests.unit.policies.analysis.worlds import SPECS, side, small
from tests.unit.policies.support import (
    GUESTS,
    NOW,
    OTHER48,
    PODS,
    RELEASE,
    SNP_CLAIMS,
    TDX_CLAIMS,
    changed,
    release,
)
from verifiers.model import TcbVersion, TeeKind, Verdict

SNP, TDX = TeeKind.SEV_SNP, TeeKind.TDX
BASE = side()
DENY = RELEASE[RELEASE.index("deny:") : RELEASE.index("accept_risk:")]


def proof(asked: Property, of: Side = BASE) -> Proof:
    (found,) = prove(of, [asked], SPECS, since=NOW)
    return found


# --- comparing -------------------------------------------------------------------------------------


def test_a_policy_is_the_same_as_itself_and_as_one_with_its_rules_in_another_order() -> None:
    assert compare(BASE, side(), SPECS, since=NOW).same
    first, second = RELEASE.index("  - id: kata-on-genoa"), RELEASE.index("  - id: vm-on-tdx")
    end = RELEASE.index("deny:")
    swapped = RELEASE[:first] + RELEASE[second:end] + RELEASE[first:second] + RELEASE[end:]
    assert compare(BASE, side(swapped), SPECS, since=NOW).same


def test_a_product_more_is_newly_allowed_with_a_witness_and_nothing_is_newly_refused() -> None:
    narrow = side(changed(RELEASE, "[Genoa, Milan]", "[Genoa]"))
    found = compare(narrow, BASE, SPECS, since=NOW)
    (change,) = found.allowed
    assert (change.rule, change.witness.claims["snp.product"]) == ("kata-on-genoa", "Milan")
    assert "snp.product" in change.witness.decisive
    assert found.refused == ()
    assert found.unknown == ()
    assert implied(narrow, BASE, SPECS, since=NOW).same
    assert not implied(BASE, narrow, SPECS, since=NOW).same


def test_a_product_that_the_baseline_refuses_anyway_makes_no_difference() -> None:
    text = changed(RELEASE, "[Genoa, Milan]", "[Genoa]")
    odd = changed(
        text,
        "      - snp.vmpl: {equals: 0}\n",
        "      - snp.vmpl: {equals: 0}\n      - snp.policy.debug: {equals: false}\n",
    )
    assert compare(side(text), side(odd), SPECS, since=NOW).same


def test_a_deny_rule_also_refuses_evidence_without_the_claim() -> None:
    found = compare(side(changed(RELEASE, DENY, "")), BASE, SPECS, since=NOW)
    (change,) = found.refused
    assert change.rule == "vm-on-tdx"
    zero = "      - tdx.rtmr3: {equals: zero}\n"
    stolen = '{in: ["hex:5d1c0000000000000000000000000001"]}'
    guarded = changed(RELEASE, zero, f"{zero}      - not: {{tdx.pck.platform_instance_id: {stolen}}}\n")
    assert compare(side(changed(guarded, DENY, "")), BASE, SPECS, since=NOW).same


def test_a_longer_risk_counts_only_when_later_instants_are_asked_about() -> None:
    later = side(changed(RELEASE, "expires: 2026-11-30T00:00:00Z", "expires: 2026-12-10T00:00:00Z"))
    found = compare(BASE, later, SPECS, since=NOW)
    # The set of guests ends on 1 December: nothing more is allowed after that.
    assert [change.witness.at for change in found.allowed] == [datetime(2026, 11, 30, tzinfo=UTC)]
    assert compare(BASE, later, SPECS, since=NOW, at=NOW).same


def test_an_entry_more_and_an_entry_less_are_told_apart() -> None:
    grown = GUESTS.replace(
        "revoked:", f"  - id: other\n    snp.measurement: sha384:{OTHER48.hex()}\nrevoked:"
    )
    found = compare(BASE, side(RELEASE, grown, PODS), SPECS, since=NOW)
    assert [change.witness.claims["snp.measurement"] for change in found.allowed] == [OTHER48]
    assert found.refused == ()


def test_sets_of_one_file_are_told_apart() -> None:
    """They have the file's digest in common; a chip that the one lists is not listed by the other."""
    chips = {"ours": "09", "gone": "07"}
    sets = "---\n".join(
        f"sealgate: reference-values/1\nname: {name}\nversion: 1\nowner: a@acme.example\n"
        "valid: {from: 2026-06-01T00:00:00Z, until: 2027-06-01T00:00:00Z}\n"
        f'entries:\n  - id: chip\n    snp.chip_id: "{byte * 64}"\n'
        for name, byte in chips.items()
    )
    vmpl = "      - snp.vmpl: {equals: 0}\n"
    text = changed(RELEASE, "db-pods: 2}", "db-pods: 2, ours: 1, gone: 1}")
    text = changed(text, vmpl, f"{vmpl}      - platform: {{in_set: ours}}\n")
    barred = changed(text, "deny:\n", "deny:\n  - id: gone\n    when: {platform: {in_set: gone}}\n")
    found = side(barred, GUESTS, PODS, sets)
    assert found.sets["ours"].digest == found.sets["gone"].digest
    open_to = proof(never(release(text).allow[0].when, "nothing to this kind"), found).counterexample
    assert open_to is not None
    assert open_to.claims["snp.chip_id"] == b"\x09" * 64


def test_a_search_that_is_given_up_is_unknown_and_proves_nothing() -> None:
    narrow = side(changed(RELEASE, "[Genoa, Milan]", "[Genoa]"))
    found = compare(narrow, BASE, SPECS, since=NOW, steps=0)
    assert (SNP, "kata-on-genoa") in found.unknown
    assert not found.same
    (given_up,) = prove(BASE, [never_below_baseline()], SPECS, since=NOW, steps=0)
    assert not given_up.proved
    assert given_up.unknown


def test_an_age_below_zero_is_not_fresh_and_not_old_either() -> None:
    """A witness may be evidence from the future: the domain has that cell without anybody having shown it."""
    parts = {
        "WHEN": "{snp.vmpl: {equals: 0}}",
        "SECOND": "{snp.vmpl: {equals: 3}}",
        "ONLY": "{snp.vmpl: {equals: 0}}",
        "DENY": "{snp.vmpl: {equals: 9}}",
        "FINDING": "extra",
    }
    baseline = {"WHEN": "{snp.vmpl: {equals: 9}}", "REQUIRE": "{snp.vmpl: {equals: 0}}"}
    young = small({**parts, "REQUIRE": "{not: {collateral.amd_crl.age: {at_most: 7d}}}"}, baseline)
    old = small({**parts, "REQUIRE": "{collateral.amd_crl.age: {at_least: 1s}}"}, baseline)
    (change,) = compare(old, young, SPECS, since=NOW, at=NOW).allowed
    assert change.witness.claims["collateral.amd_crl.age"] < timedelta(0)  # type: ignore[operator]


def test_a_version_that_only_a_baseline_can_admit_is_newly_allowed_by_one_that_does() -> None:
    parts = dict.fromkeys(("WHEN", "REQUIRE", "SECOND", "ONLY"), "{snp.vmpl: {equals: 0}}")
    parts |= {"DENY": "{snp.vmpl: {equals: 9}}", "FINDING": "extra"}
    baseline = {"WHEN": "{snp.vmpl: {equals: 0}}", "REQUIRE": "{snp.vmpl: {equals: 0}}"}
    closed = small(parts, baseline)
    admitting = small(parts, {**baseline, "rules:\n": "admits: [snp.report-version-4]\nrules:\n"})
    found = compare(closed, admitting, SPECS, since=NOW, at=NOW)
    assert {change.witness.claims["evidence.version"] for change in found.allowed} == {4}
    assert found.refused == ()


# --- proving ---------------------------------------------------------------------------------------


def test_the_standard_properties_hold_where_they_do() -> None:
    text = changed(RELEASE, RELEASE[RELEASE.index("accept_risk:") :], "")
    text = changed(text, "      - tdx.rtmr3: {equals: zero}\n", "      - workload: {in_set: db-vms}\n")
    text = changed(text, "db-pods: 2}", "db-pods: 2, db-vms: 1}")
    vms = (
        "sealgate: reference-values/1\nname: db-vms\nversion: 1\nowner: a@acme.example\n"
        "valid: {from: 2026-06-01T00:00:00Z, until: 2027-06-01T00:00:00Z}\nentries:\n"
        f"  - id: plain\n    tdx.rtmr3: sha384:{'07' * 48}\n"
    )
    found = prove(side(text, GUESTS, PODS, vms), STANDARD, SPECS, since=NOW)
    assert [each.asked.name for each in found if not each.proved] == []


def test_a_waiver_of_the_floor_is_a_counterexample_unless_it_is_excepted() -> None:
    found = proof(never_below_baseline())
    assert found.counterexample is not None
    assert found.counterexample.kind is TDX
    assert found.counterexample.claims["tdx.tcb.status"] == "OutOfDate"
    assert proof(never_below_baseline(["tdx.tcb-status"])).proved


def test_a_waiver_of_revocation_is_a_counterexample() -> None:
    risk = "    finding: tdx.tcb-status\n    only_in: vm-on-tdx\n"
    text = changed(RELEASE, risk, "    finding: snp.revocation\n    only_in: kata-on-genoa\n")
    text = changed(
        text,
        text[text.index("    only_when:") : text.index("    reason:")],
        "    only_when: [{snp.product: {equals: Milan}}]\n",
    )
    text = changed(text, "from: 2026-10-02", "from: 2026-11-02")
    (found,) = prove(
        side(text), [p for p in STANDARD if p.name == "never-without-revocation"], SPECS, since=NOW
    )
    assert found.counterexample is not None
    assert "collateral.amd_crl" not in found.counterexample.claims
    assert found.counterexample.claims["snp.product"] == "Milan"


def test_an_image_outside_a_set_is_a_counterexample_for_a_set_that_does_not_bind() -> None:
    assert proof(never_unlisted(Role.GUEST, ["db-guests"])).proved
    found = proof(never_unlisted(Role.GUEST, ["db-pods"]))
    assert found.counterexample is not None


def test_never_wants_the_condition_to_be_certainly_false() -> None:
    def asked(text: str) -> Property:
        policy = release(
            changed(
                RELEASE,
                'when: {tdx.pck.platform_instance_id: {in: ["hex:5d1c0000000000000000000000000001"]}}',
                f"when: {text}",
            )
        )
        return never(policy.deny[0].when, text)

    assert proof(asked("{snp.product: {equals: Turin}}")).proved
    assert proof(asked("{snp.product: {equals: Milan}}")).counterexample is not None
    # Nothing looks at the chip: evidence without its id passes, and may be of that chip.
    assert proof(asked(f"{{snp.chip_id: {{in: ['hex:{'07' * 64}']}}}}")).counterexample is not None


# --- what would help -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "change", "flip"),
    [
        (SNP, {"snp.policy.debug": True}, {"snp.policy.debug": False}),
        (SNP, {"snp.vmpl": 2}, {"snp.vmpl": 0}),
        (SNP, {"snp.vmpl": 2, "snp.policy.debug": True}, {"snp.vmpl": 0, "snp.policy.debug": False}),
        (SNP, {"snp.measurement": OTHER48}, {"snp.measurement": SNP_CLAIMS["snp.measurement"]}),
        (
            SNP,
            {"snp.reported_tcb": TcbVersion(bootloader=10, tee=0, snp=20, microcode=84)},
            {"snp.reported_tcb": TcbVersion(bootloader=10, tee=0, snp=23, microcode=84)},
        ),
        (TDX, {"tdx.tcb.status": "Revoked"}, {"tdx.tcb.status": "UpToDate"}),
        (TDX, {"tdx.rtmr1": OTHER48}, {"tdx.rtmr1": TDX_CLAIMS["tdx.rtmr1"]}),
    ],
)
def test_the_smallest_change_undoes_exactly_what_was_wrong(
    kind: TeeKind, change: dict[str, object], flip: dict[str, object]
) -> None:
    claims = {**(SNP_CLAIMS if kind is SNP else TDX_CLAIMS), **change}
    found = flips(BASE, kind, claims, NOW, Profile.NATIVE, SPECS)  # type: ignore[arg-type]
    assert found.complete
    assert {name: wanted for name, (_, wanted) in found.found[0].changes.items()} == flip


def test_nothing_helps_what_is_accepted_or_comes_by_the_wrong_protocol() -> None:
    assert flips(BASE, SNP, SNP_CLAIMS, NOW, Profile.NATIVE, SPECS).found == ()
    found = flips(BASE, SNP, SNP_CLAIMS, NOW, Profile.KBS, SPECS)
    assert (found.found, found.complete) == ((), True)


def test_a_waiver_is_offered_where_one_would_do_and_only_there() -> None:
    old = {**SNP_CLAIMS, "snp.reported_tcb": TcbVersion(bootloader=10, tee=0, snp=20, microcode=84)}
    appraisal = judge(BASE, SNP, old, NOW, Profile.NATIVE)
    (offered,) = waivers(BASE, appraisal, old)
    assert (offered.rule, offered.findings) == ("kata-on-genoa", ("snp.tcb-floor.genoa",))
    assert offered.until == NOW + timedelta(days=90)
    debug = {**old, "snp.policy.debug": True}
    assert waivers(BASE, judge(BASE, SNP, debug, NOW, Profile.NATIVE), debug) == ()
    unlisted = {**old, "snp.measurement": OTHER48}
    assert waivers(BASE, judge(BASE, SNP, unlisted, NOW, Profile.NATIVE), unlisted) == ()


def test_evidence_without_crl_is_undecided_and_passes_only_under_a_waiver_of_revocation() -> None:
    claims = {name: value for name, value in SNP_CLAIMS.items() if name != "collateral.amd_crl"}
    appraisal = judge(BASE, SNP, claims, NOW, Profile.NATIVE)
    assert appraisal.verdict is Verdict.UNDECIDED
    (offered,) = waivers(BASE, appraisal, claims)
    assert offered.findings == ("snp.revocation",)
