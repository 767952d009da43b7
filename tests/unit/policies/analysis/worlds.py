"""Sides to ask questions about, made from texts."""

from __future__ import annotations

from policies import compiler
from policies.analysis.encode import Side
from policies.vocabulary import Vocabulary
from tests.unit.policies.support import GUESTS, PODS, RELEASE, documents, references, release, shipped
from verifiers.claims import BY_NAME

SPECS = Vocabulary.of(BY_NAME).specs

SMALL_BASELINE = """\
sealgate: platform-baseline/1
name: small
version: 1
issued: 2026-11-01T00:00:00Z
review_by: 2027-02-01T00:00:00Z
applies_to: {evidence.type: {equals: sev-snp}}
rules:
  - id: snp.debug-off
    require: {snp.policy.debug: {equals: false}}
    waivable: never
  - id: snp.tcb-floor
    floor: true
    require: {snp.reported_tcb: {at_least: {bootloader: any, tee: any, snp: 23, microcode: any}}}
    waivable: {up_to: 90d}
  - id: extra
    when: WHEN
    require: REQUIRE
    waivable: {up_to: 90d}
  - id: snp.revocation
    asks: revocation
    require: {collateral.amd_crl: {equals: checked}}
    waivable: {up_to: 30d}
"""
SMALL_RELEASE = """\
sealgate: release-policy/1
name: small
version: 1
tenant: default
owner: security@acme.example
secrets: [a/b]
uses:
  baselines: {small: 1}
  references: {db-guests: 4, db-pods: 2}
lease: {lasts: 1h, renew_every: 10m}
allow:
  - id: first
    when: {all: [{evidence.type: {equals: sev-snp}}, WHEN]}
    require:
      - REQUIRE
      - snp.vmpl: {in: [0, 1]}
      - guest: {in_set: db-guests}
      - workload: {in_set: db-pods}
  - id: second
    when: {evidence.type: {equals: sev-snp}}
    require:
      - SECOND
      - snp.vmpl: {equals: 0}
      - guest: {in_set: db-guests}
      - workload: {in_set: db-pods}
deny:
  - id: no
    when: DENY
accept_risk:
  - id: waits
    finding: FINDING
    only_in: first
    only_when: [ONLY]
    reason: until the firmware is rolled out everywhere
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-10T00:00:00Z
    expires: 2026-11-30T00:00:00Z
"""


def side(text: str = RELEASE, *sets: str) -> Side:
    """A release policy over the shipped baselines."""
    found = references(*(sets or (GUESTS, PODS)))
    policy = compiler.compile(shipped(), found, release(text))
    return Side(policy=policy, sets={each.name: each for each in found})


def small(parts: dict[str, str], baseline: dict[str, str]) -> Side:
    """The small policy with every upper-case word of its texts replaced. Raises PolicyErrors."""
    found = references(GUESTS, PODS)
    policy = compiler.compile(
        documents(_filled(SMALL_BASELINE, baseline)),  # type: ignore[arg-type]
        found,
        release(_filled(SMALL_RELEASE, parts)),
    )
    return Side(policy=policy, sets={each.name: each for each in found})


def _filled(text: str, parts: dict[str, str]) -> str:
    for word, value in parts.items():
        text = text.replace(word, value)
    return text
