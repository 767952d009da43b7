"""Documents that look as if they asked for something, and would have let evidence pass that must not."""

from __future__ import annotations

import pytest

from policies import compiler
from policies.appraise import Appraisal, appraise
from policies.model import ALL_REQUIREMENTS, Profile, Requirement
from tests.unit.policies.support import (
    BUNDLES,
    GUESTS,
    HOST_DATA,
    NOW,
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
from verifiers.model import Outcome, TeeKind, Verdict, Verification

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
