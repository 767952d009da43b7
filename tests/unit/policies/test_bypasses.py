"""Documents that look as if they asked for something, and would have let evidence pass that must not."""

from __future__ import annotations

import pytest

from policies import compiler
from policies.appraise import Appraisal, appraise
from policies.errors import Problems
from policies.model import ALL_REQUIREMENTS, Profile, ReferenceSet, Requirement
from policies.vocabulary import Vocabulary
from tests.unit.policies.support import (
    BUNDLES,
    GUESTS,
    HOST_DATA,
    NOW,
    PASSED,
    PODS,
    RELEASE,
    changed,
    documents,
    errors_of,
    judge,
    references,
    release,
    verification,
    with_outcome,
)
from verifiers.model import Check, Outcome, TeeKind, Verdict, Verification

AMD = (BUNDLES / "amd-sev-snp.yaml").read_text()
TDX = (BUNDLES / "intel-tdx.yaml").read_text()


def under(baselines: tuple[str, ...], policy_text: str, evidence: Verification) -> Appraisal:
    sets = references(GUESTS, PODS)
    found = tuple(d for text in baselines for d in documents(text))
    policy = compiler.compile(found, sets, release(policy_text))  # type: ignore[arg-type]
    return appraise(evidence, sets, policy, NOW, required=ALL_REQUIREMENTS, profile=Profile.NATIVE)


def refusals(baselines: tuple[str, ...], policy_text: str = RELEASE) -> list[str]:
    """Codes with which these documents do not fit together."""
    return [code for code, _ in errors_of(lambda: under(baselines, policy_text, verification()))]


# --- waivers ---------------------------------------------------------------------------------------

BOTH_KINDS = f"""\
sealgate: release-policy/1
name: both
version: 1
tenant: acme
owner: security@acme.example
secrets: [payments/db/password]
uses: {{baselines: {{intel-tdx: 1, amd-sev-snp: 1}}, references: {{db-guests: 4}}}}
lease: {{lasts: 12h, renew_every: 1h}}
allow:
  - id: either
    when: {{evidence.type: {{in: [sev-snp, tdx]}}}}
    require:
      - guest: {{in_set: db-guests}}
      - any:
          - all:
              - snp.product: {{equals: Genoa}}
              - snp.vmpl: {{equals: 0}}
              - snp.host_data: {{equals: "hex:{HOST_DATA.hex()}"}}
              - snp.reported_tcb: {{at_least: {{bootloader: any, tee: any, snp: 23, microcode: any}}}}
          - tdx.rtmr3: {{equals: zero}}
accept_risk:
  - id: shared-name
    finding: hygiene
    only_in: either
    reason: only the other kind's rule may be waived
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-02T00:00:00Z
    expires: 2026-11-30T00:00:00Z
"""
HYGIENE = "  - id: hygiene\n    require: {evidence.version: {at_least: 3}}\n    waivable: {up_to: 90d}\n"


@pytest.mark.parametrize(
    ("amd", "tdx"),
    [
        pytest.param(AMD + HYGIENE, changed(TDX, "id: tdx.debug-off", "id: hygiene"), id="tdx-never"),
        pytest.param(changed(AMD, "id: snp.debug-off", "id: hygiene"), TDX + HYGIENE, id="snp-never"),
    ],
)
def test_a_waivable_rule_of_one_kind_does_not_open_its_namesake_of_another(amd: str, tdx: str) -> None:
    assert refusals((amd, tdx), BOTH_KINDS) == ["policy.not-waivable"]


def test_a_namesake_that_both_kinds_let_waive_is_held_to_the_shorter_time() -> None:
    short = HYGIENE.replace("90d", "7d")
    assert refusals((AMD + HYGIENE, TDX + HYGIENE), BOTH_KINDS) == []
    assert refusals((AMD + short, TDX + HYGIENE), BOTH_KINDS) == ["policy.risk-too-long"]
    assert refusals((AMD + HYGIENE, TDX + short), BOTH_KINDS) == ["policy.risk-too-long"]


# --- revocation ------------------------------------------------------------------------------------

REVOCATION_RULE = """\
    asks: revocation
    require: {collateral.amd_crl: {equals: checked}}
    waivable: {up_to: 30d}"""


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("    floor: none\n    waivable: never", id="nothing-known"),
        pytest.param(REVOCATION_RULE.replace("asks: revocation", "asks: identity"), id="asks-another"),
    ],
)
def test_a_rule_that_does_not_decide_never_stands_for_required_revocation(rule: str) -> None:
    policy = compiler.platform_only(documents(changed(AMD, REVOCATION_RULE, rule)))  # type: ignore[arg-type]
    evidence = verification(
        checks=with_outcome("snp.revocation", Outcome.NOT_CHECKED), without=["collateral.amd_crl"]
    )
    required = frozenset({Requirement.REVOCATION})
    found = appraise(evidence, (), policy, NOW, required=required, profile=Profile.NATIVE)
    assert (found.verdict, found.reason) == (Verdict.UNDECIDED, "snp.revocation")


@pytest.mark.parametrize(
    "role", [pytest.param("guest", id="its-own-role"), pytest.param("workload", id="another-role")]
)
def test_values_that_a_set_revoked_do_not_match_it_in_any_role(role: str) -> None:
    """The entry states image and workload; the revocation names the image alone."""
    both = changed(GUESTS, "  - id: vm-tdx\n", f"    snp.host_data: hex:{HOST_DATA.hex()}\n  - id: vm-tdx\n")
    image = documents(GUESTS)[0].entries[0].claims["snp.measurement"]  # type: ignore[union-attr]
    assert isinstance(image, bytes)
    revoked = changed(both, "0d" * 48, image.hex())
    roles = "      - guest: {in_set: db-guests}\n      - workload: {in_set: db-pods}\n"
    text = changed(RELEASE, roles, f"      - {role}: {{in_set: db-guests}}\n")
    assert judge(verification(), policy_text=text, sets=(both, PODS)).verdict is Verdict.ACCEPTED
    found = judge(verification(), policy_text=text, sets=(revoked, PODS))
    assert (found.verdict, found.reason) == (Verdict.REFUSED, "reference.revoked")


# --- what a baseline must really ask ---------------------------------------------------------------


def without_rules(text: str, *ids: str) -> str:
    """The baseline without some of its rules."""
    head, *rules = text.split("  - id: ")
    return "  - id: ".join([head, *(rule for rule in rules if rule.split("\n")[0] not in ids)])


REVOCATION_OF_NOTHING = changed(
    AMD,
    "    require: {collateral.amd_crl: {equals: checked}}",
    "    require: {evidence.version: {at_least: 2}}",
)
NO_GENOA = without_rules(AMD, "snp.tcb-floor.genoa")
ONLY_ONE_CPU = changed(
    NO_GENOA, "snp: any, microcode: 84", "snp: 23, microcode: 84"
)  # still under `when: snp.cpuid_fms`
GENOA_RULE = next(rule for rule in AMD.split("  - id: ") if rule.startswith("snp.tcb-floor.genoa\n"))
ZERO_FOR_GENOA = AMD.replace(
    GENOA_RULE, changed(GENOA_RULE, "snp: 23, microcode: any", "snp: 0, microcode: 1")
)
MISLABELLED = AMD.replace("    floor: true\n", "").replace(
    "  - id: snp.no-provisional-firmware\n", "  - id: snp.no-provisional-firmware\n    floor: true\n"
)
TDX_STATUS = "    require: {tdx.tcb.status: {in: [UpToDate]}}\n"
NO_STATUS = changed(TDX, TDX_STATUS, "    require: {tdx.td_attributes.kl: {equals: false}}\n")
SOME_STATUS = changed(TDX, TDX_STATUS, "    when: {evidence.version: {at_least: 5}}\n" + TDX_STATUS)


@pytest.mark.parametrize(
    "baselines",
    [
        pytest.param((REVOCATION_OF_NOTHING, TDX), id="revocation-of-nothing"),
        pytest.param((ZERO_FOR_GENOA, TDX), id="floor-of-zero"),
        pytest.param((NO_GENOA, TDX), id="no-floor-for-genoa"),
        pytest.param((ONLY_ONE_CPU, TDX), id="floor-for-one-cpu-only"),
        pytest.param((MISLABELLED, TDX), id="called-floor-but-no-tcb"),
        pytest.param((AMD, NO_STATUS), id="called-floor-but-no-status"),
        pytest.param((AMD, SOME_STATUS), id="status-of-some-quotes"),
    ],
)
def test_a_baseline_that_only_says_so_leaves_a_minimum_open(baselines: tuple[str, ...]) -> None:
    assert refusals(baselines) == ["policy.open-finding"]


def test_a_missing_floor_does_not_matter_for_products_that_the_rule_excludes() -> None:
    assert refusals((NO_GENOA, TDX), changed(RELEASE, "{in: [Genoa, Milan]}", "{in: [Milan]}")) == []
    unnamed = changed(RELEASE, "      - snp.product: {in: [Genoa, Milan]}\n", "")
    assert refusals((AMD, TDX), unnamed) == ["policy.open-finding"]  # Turin


NOTHING, OPEN = ["policy.tcb-component"], ["policy.open-finding"]


@pytest.mark.parametrize(
    ("floor", "codes"),
    [
        ("{fmc: 0, bootloader: 0, tee: 0, snp: 0, microcode: 0}", NOTHING),
        ("{fmc: any, bootloader: any, tee: any, snp: 0, microcode: 0}", NOTHING),
        ("{fmc: 1, bootloader: any, tee: any, snp: 0, microcode: any}", OPEN),
        ("{fmc: 1, bootloader: any, tee: any, snp: any, microcode: any}", OPEN),
        ("{fmc: any, bootloader: any, tee: any, snp: 1, microcode: any}", []),
    ],
)
def test_a_floor_of_zero_is_no_floor(floor: str, codes: list[str]) -> None:
    text = changed(RELEASE, "snp.product: {in: [Genoa, Milan]}", f"snp.reported_tcb: {{at_least: {floor}}}")
    assert refusals((AMD, TDX), text) == codes


def test_a_baseline_none_of_whose_rules_is_about_the_machine_is_none() -> None:
    head = AMD[: AMD.index("rules:")]
    about, demand = "{snp.product: {equals: Milan}}", "{snp.vmpl: {equals: 0}}"
    rule = f"  - {{id: x, when: {about}, require: {demand}, waivable: never}}\n"
    policy = compiler.platform_only(documents(head + "rules:\n" + rule))  # type: ignore[arg-type]
    for product, verdict in (("Milan", Verdict.ACCEPTED), ("Genoa", Verdict.REFUSED)):
        evidence = verification(TeeKind.SEV_SNP, claims={"snp.product": product})
        found = appraise(evidence, (), policy, NOW, required=frozenset(), profile=Profile.NATIVE)
        assert found.verdict is verdict
    assert found.reason == "policy.no-baseline"


# --- constants that can never be met ---------------------------------------------------------------

BOARD = '{tdx.pck.platform_instance_id: {in: ["hex:5d1c0000000000000000000000000001"]}}'


@pytest.mark.parametrize(
    "condition",
    [
        '{snp.cpuid_fms: {equals: "19A001"}}',
        '{snp.cpuid_fms: {in: ["191101", "A00F11"]}}',
        '{snp.cpuid_fms: {equals: "00A10F11"}}',
        "{snp.policy_flags: {includes: [SMT]}}",
        "{snp.platform_info_flags: {includes: [smt]}}",
        "{tdx.td_attribute_flags: {includes: [migratable]}}",
        "{tdx.td_attribute_flags: {includes: [BIT_0]}}",
        "{tdx.tcb.advisory_ids: {includes: [intel-sa-01010]}}",
        "{tdx.tcb.advisory_ids: {includes: [INTEL-SA-1010]}}",
        "{tdx.module.id: {equals: tdx_01}}",
    ],
)
def test_a_deny_rule_about_a_word_that_no_evidence_has_is_refused(condition: str) -> None:
    """It would look like a bar, and never fire."""
    assert [c for c, _ in errors_of(lambda: release(changed(RELEASE, BOARD, condition)))] == ["policy.value"]


@pytest.mark.parametrize(
    "condition",
    [
        '{snp.cpuid_fms: {equals: "19a001"}}',
        "{snp.policy_flags: {includes: [smt, page_swap_disable]}}",
        "{snp.platform_info_flags: {includes: [smt_en]}}",
        "{tdx.td_attribute_flags: {includes: [MIGRATABLE, BIT_33]}}",
        "{tdx.tcb.advisory_ids: {includes: [INTEL-SA-01010]}}",
        "{tdx.module.id: {equals: TDX_01}}",
    ],
)
def test_words_that_evidence_has_are_not(condition: str) -> None:
    assert errors_of(lambda: release(changed(RELEASE, BOARD, condition))) == []


@pytest.mark.parametrize(
    ("condition", "claims"),
    [
        ("{snp.current_version: {equals: 1.55}}", {"snp.current_version": (1, 55, 29)}),
        ("{snp.current_version: {in: [1.54, 1.55]}}", {"snp.current_version": (1, 55, 29)}),
        (
            "{snp.reported_tcb: {equals: {fmc: 0, bootloader: 10, tee: 0, snp: 23, microcode: 84}}}",
            {},
        ),
    ],
)
def test_a_deny_rule_whose_constant_cannot_be_compared_fires(
    condition: str, claims: dict[str, tuple[int, ...]]
) -> None:
    found = judge(verification(claims=claims), policy_text=changed(RELEASE, BOARD, condition))
    assert (found.verdict, found.reason) == (Verdict.REFUSED, "deny/stolen-board")


# --- names and persons -----------------------------------------------------------------------------


def test_a_baseline_rule_cannot_take_the_name_of_a_minimum() -> None:
    """One accepted risk would then cover two findings, for as long as the rule says."""
    rule = "  - id: minimum.guest\n    require: {snp.vmpl: {equals: 0}}\n    waivable: {up_to: 365d}\n"
    assert [code for code, _ in errors_of(lambda: documents(AMD + rule))] == ["policy.identifier"]


@pytest.mark.parametrize(
    ("owner", "approver", "codes"),
    [
        ("asha@acme.example", "lena@acme.example", []),
        ("Lena@ACME.example", "lena@acme.example", ["policy.self-approved"]),
        ("lena+risk@acme.example", "lena@acme.example", ["policy.self-approved"]),
        ("lena@acme.example", "lena+review@acme.example", ["policy.self-approved"]),
        ("lena@acme.example.", "lena@acme.example", ["policy.person"]),
        ("Lena <lena@acme.example>", "lena@acme.example", ["policy.person"]),
        ("lena@acme.example", "Lena (lena@acme.example)", ["policy.person"]),
        ("l\u0435na@acme.example", "lena@acme.example", ["policy.person"]),  # CYRILLIC SMALL LETTER IE
        ("\uff4cena@acme.example", "lena@acme.example", ["policy.person"]),  # fullwidth
        ("lena@acme.example\u00a0x", "lena@acme.example", ["policy.person"]),
    ],
)
def test_nobody_approves_their_own_risk_under_another_spelling(
    owner: str, approver: str, codes: list[str]
) -> None:
    text = changed(RELEASE, "    owner: asha@acme.example", f'    owner: "{owner}"')
    text = changed(text, "approved_by: [lena@acme.example]", f'approved_by: ["{approver}"]')
    assert [code for code, _ in errors_of(lambda: release(text))] == codes


def test_one_person_approves_once() -> None:
    twice = 'approved_by: [lena@acme.example, "Lena+two@acme.example"]'
    text = changed(RELEASE, "approved_by: [lena@acme.example]", twice)
    assert [code for code, _ in errors_of(lambda: release(text))] == ["policy.duplicate-value"]


# --- work ------------------------------------------------------------------------------------------


def test_suggestions_are_looked_for_no_longer_than_problems_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each costs a comparison with every claim: ten thousand mistakes must not cost minutes."""
    calls = []

    def suggest(self: Vocabulary, word: str) -> str | None:
        calls.append(word)
        return None

    monkeypatch.setattr(Vocabulary, "suggest", suggest)
    head = GUESTS[: GUESTS.index("entries:")]
    wrong = "".join(f"    snp.measuremen{number}: x\n" for number in range(500))
    found = errors_of(lambda: documents(head + "entries:\n  - id: x\n" + wrong))
    assert (len(found), len(calls)) == (Problems.LIMIT, Problems.LIMIT)


# --- documents that are not those that were checked ------------------------------------------------


def test_a_file_holds_a_document_once() -> None:
    other = changed(changed(RELEASE, "version: 12", "version: 13"), "payments/db/password", "payments/db/key")
    assert [c for c, _ in errors_of(lambda: documents(RELEASE + "---\n" + other))] == [
        "policy.duplicate-document"
    ]
    assert len(documents(GUESTS + "---\n" + PODS)) == 2


def test_a_policy_is_not_applied_to_sets_that_it_was_not_compiled_with() -> None:
    """What a rule pins was read from the entries: with others it may pin less."""
    sets = references(GUESTS, PODS)
    policy = compiler.compile(documents(AMD) + documents(TDX), sets, release())  # type: ignore[arg-type]
    partial = references(changed(GUESTS, f"    tdx.rtmr2: sha384:{'04' * 48}\n", ""), PODS)

    def run(given: tuple[ReferenceSet, ...]) -> Verdict:
        found = appraise(
            verification(TeeKind.TDX),
            given,
            policy,
            NOW,
            required=ALL_REQUIREMENTS,
            profile=Profile.NATIVE,
        )
        return found.verdict

    assert run(sets) is Verdict.ACCEPTED
    assert run(()) is Verdict.UNDECIDED
    with pytest.raises(ValueError, match="db-guests"):
        run(partial)


def test_an_open_question_of_the_verifier_counts_where_nobody_requires_revocation() -> None:
    """A list that ended was given: the verifier wants a current one, whatever the rule makes of the claim."""
    checks = with_outcome("snp.revocation", Outcome.UNKNOWN, reason="collateral.crl-expired")
    evidence = verification(without=["collateral.amd_crl"], checks=checks)
    for required in (ALL_REQUIREMENTS, frozenset({Requirement.IDENTITY})):
        found = judge(evidence, required=required)
        assert (found.verdict, found.reason) == (Verdict.UNDECIDED, "collateral.crl-expired")


def test_a_withdrawn_or_forged_list_is_covered_by_no_waiver() -> None:
    risk = RELEASE[RELEASE.index("  - id: gcp-waits-for-bios") :]
    waived = risk.replace("tdx.tcb-status", "snp.revocation").replace("vm-on-tdx", "kata-on-genoa")
    waived = waived[: waived.index("    only_when:")] + waived[waived.index("    reason:") :]
    policy = RELEASE.replace(risk, waived.replace("2026-10-02", "2026-11-02"))
    open_question = with_outcome("snp.revocation", Outcome.UNKNOWN, reason="collateral.crl-expired")
    without = verification(without=["collateral.amd_crl"], checks=open_question)
    assert judge(without, policy_text=policy).verdict is Verdict.ACCEPTED
    failed = with_outcome("snp.revocation", Outcome.FAILED, reason="snp.revoked")
    for evidence in (
        verification(without=["collateral.amd_crl"], checks=failed),
        verification(checks=failed),
    ):
        found = judge(evidence, policy_text=policy)
        assert (found.verdict, found.reason) == (Verdict.REFUSED, "snp.revoked")


def test_no_rule_can_be_called_like_intels_open_question_and_waived() -> None:
    own = TDX.replace("name: intel-tdx", "name: own-tdx").replace("id: tdx.revocation", "id: dcap.revocation")
    assert own.count("waivable: never") > 1
    at = own.index("id: dcap.revocation")
    own = own[:at] + own[at:].replace("waivable: never", "waivable: {up_to: 30d}", 1)
    policy = RELEASE.replace("finding: tdx.tcb-status", "finding: dcap.revocation")
    policy = policy.replace("intel-tdx: 1", "own-tdx: 1").replace("from: 2026-10-02", "from: 2026-11-02")
    policy = policy[: policy.index("    only_when:")] + policy[policy.index("    reason:") :]
    checks = tuple(
        Check("dcap.revocation", Outcome.UNKNOWN, c.expected, "no CRL", c.source, "collateral.crl-expired")
        if c.id == "snp.revocation"
        else c
        for c in PASSED
    )
    without = ["collateral.pck_crl", "collateral.root_crl"]
    found = under((AMD, own), policy, verification(TeeKind.TDX, without=without, checks=checks))
    assert found.verdict is Verdict.UNDECIDED
