"""Accepted risks: none outlasts its limit, alone or one after the other; seen measurements need one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies import compiler
from policies.risks import covers
from tests.unit.policies.support import (
    GUESTS,
    NOW,
    PODS,
    RELEASE,
    changed,
    documents,
    errors_of,
    judge,
    references,
    release,
    shipped,
    verification,
)
from verifiers.model import Outcome, Verdict

RISK = RELEASE[RELEASE.index("  - id: gcp-waits-for-bios") :]


def risk(name: str, start: str, end: str) -> str:
    text = changed(RISK, "id: gcp-waits-for-bios", f"id: {name}")
    text = changed(text, "from: 2026-10-02T00:00:00Z", f"from: {start}T00:00:00Z")
    return changed(text, "expires: 2026-11-30T00:00:00Z", f"expires: {end}T00:00:00Z")


def codes(*risks: str, sets: tuple[str, ...] = (GUESTS, PODS), text: str = RELEASE) -> list[str]:
    whole = changed(text, RISK, "".join(risks)) if risks else text
    return [
        code for code, _ in errors_of(lambda: compiler.compile(shipped(), references(*sets), release(whole)))
    ]


def test_risks_one_after_the_other_do_not_exceed_the_limit_together() -> None:
    first = risk("one", "2026-09-01", "2026-11-01")
    assert codes(first, risk("two", "2026-11-01", "2026-11-30")) == []
    assert codes(first, risk("two", "2026-11-01", "2026-12-01")) == ["policy.risk-too-long"]
    # A pause between them is no way around it, nor is their order in the file.
    assert codes(first, risk("two", "2026-11-02", "2026-12-31")) == ["policy.risk-too-long"]
    assert codes(risk("two", "2026-11-01", "2026-12-01"), first) == ["policy.risk-too-long"]


def test_risks_that_overlap_count_once() -> None:
    assert codes(risk("one", "2026-09-01", "2026-11-15"), risk("two", "2026-10-01", "2026-11-30")) == []


def test_covers_is_the_length_of_the_union() -> None:
    document = release(
        changed(
            RELEASE,
            RISK,
            risk("b", "2026-09-10", "2026-09-20")
            + risk("a", "2026-09-01", "2026-09-15")
            + risk("c", "2026-09-12", "2026-09-13")
            + risk("d", "2026-10-01", "2026-10-02"),
        )
    )
    assert covers(document.accept_risk) == timedelta(days=20)


# --- measurements that were seen -------------------------------------------------------------------

SEEN = changed(GUESTS, "  - id: kata-genoa\n", "  - id: kata-genoa\n    origin: seen\n")
ACCEPTED = """\
  - id: not-predicted-yet
    finding: minimum.provenance
    only_in: kata-on-genoa
    reason: the image is being built again
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-14T00:00:00Z
    expires: 2026-11-28T00:00:00Z
"""


def test_a_seen_measurement_needs_an_accepted_risk() -> None:
    assert codes(sets=(SEEN, PODS)) == ["policy.open-finding", "policy.open-finding"]
    predicted = changed(SEEN, "origin: seen", "origin: predicted")
    assert codes(sets=(predicted, PODS)) == []


def one_rule() -> str:
    """Without the rule for TDX, which leans on the same set."""
    start, end = RELEASE.index("  - id: vm-on-tdx"), RELEASE.index("deny:")
    return RELEASE[:start] + RELEASE[end:].replace(RISK, "")


def test_a_seen_measurement_counts_for_fourteen_days() -> None:
    text = one_rule() + ACCEPTED
    assert codes(sets=(SEEN, PODS), text=text) == []
    longer = changed(text, "expires: 2026-11-28T00:00:00Z", "expires: 2026-11-28T00:00:01Z")
    assert codes(sets=(SEEN, PODS), text=longer) == ["policy.risk-too-long"]
    found = judge(verification(), policy_text=text, sets=(SEEN, PODS))
    assert found.verdict is Verdict.ACCEPTED and [w.id for w in found.waived] == ["not-predicted-yet"]
    later = NOW + timedelta(days=8)
    ended = judge(verification(), policy_text=text, sets=(SEEN, PODS), now=later)
    assert ended.verdict is Verdict.REFUSED and ended.reason == "minimum.provenance"
    assert [c.outcome for c in ended.checks if c.id == "kata-on-genoa/minimum.provenance"] == [Outcome.FAILED]


# --- what was meant --------------------------------------------------------------------------------


def hints(text: str) -> list[str]:
    from policies.errors import PolicyErrors

    with pytest.raises(PolicyErrors) as caught:
        documents(text)
    return [error.hint or "" for error in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "old", "new", "hint"),
    [
        (GUESTS, "  - id: vm-tdx\n", "  - id: vm-tdx\n    orgin: seen\n", "did you mean origin?"),
        (GUESTS, "  - id: vm-tdx\n", "  - id: vm-tdx\n    origin: sen\n", "did you mean seen?"),
        (GUESTS, "    since: 2026", "    sinse: 2026", "did you mean since?"),
        (GUESTS, "entry: kata-genoa@3", "entry: kata-gena", "did you mean kata-genoa?"),
        (GUESTS, "    snp.measurement: sha384:00", "    measurement: sha384:00", "called snp.measurement"),
        (GUESTS, "    tdx.rtmr2:", "    tdx_rtmr2:", "here it is called tdx.rtmr2"),
        (RELEASE, "{guest: {in_set", "{gest: {in_set", "did you mean guest?"),
    ],
)  # fmt: skip
def test_what_was_meant(text: str, old: str, new: str, hint: str) -> None:
    if text is RELEASE:
        text = text.replace("- guest: {in_set: db-guests}", "- {guest: {in_set: db-guests}}", 1)
    assert any(hint in found for found in hints(changed(text, old, new)))


def test_there_are_no_devices_yet() -> None:
    text = changed(RELEASE, "- snp.vmpl: {equals: 0}", "- devices: {every: {snp.vmpl: {equals: 0}}}")
    assert errors_of(lambda: release(text)) == [("policy.devices", 17)]


# --- deny lists ------------------------------------------------------------------------------------

STOLEN = f"""\
sealgate: reference-values/1
name: stolen
version: 1
owner: platform@acme.example
valid: {{from: 2026-06-01T00:00:00Z, until: 2026-12-01T00:00:00Z}}
entries:
  - id: board-7
    snp.chip_id: "{"08" * 64}"
"""
LISTED = changed(
    changed(RELEASE, "db-pods: 2}", "db-pods: 2, stolen: 1}"),
    "deny:\n",
    "deny:\n  - id: listed-board\n    when: {platform: {in_set: stolen}}\n",
)


def test_a_deny_list_is_a_reference_set() -> None:
    sets = (GUESTS, PODS, STOLEN)
    assert judge(verification(), policy_text=LISTED, sets=sets).verdict is Verdict.ACCEPTED
    stolen = verification(claims={"snp.chip_id": b"\x08" * 64})
    assert judge(stolen, policy_text=LISTED, sets=sets).reason == "deny/listed-board"
    unknown = verification(without=["snp.chip_id"])
    assert judge(unknown, policy_text=LISTED, sets=sets).verdict is Verdict.REFUSED
    ended = judge(verification(), policy_text=LISTED, sets=sets, now=NOW + timedelta(days=20))
    assert ended.verdict is Verdict.REFUSED
