"""Documents with one line changed: each gives exactly one code, at the line that was changed."""

from __future__ import annotations

import pytest

from policies.errors import PolicyError, PolicyErrors
from policies.model import Baseline, Floor, Profile, ReferenceSet, ReleasePolicy, Requirement
from policies.references import Contradiction, build_index, for_kind
from tests.unit.policies.support import (
    BUNDLES,
    GUESTS,
    HOST_DATA,
    MEASUREMENT,
    PODS,
    RELEASE,
    changed,
    documents,
    errors_of,
    shipped,
)
from verifiers.model import TeeKind

BASELINE = """\
sealgate: platform-baseline/1
name: corporate
version: 3
issued: 2026-06-30T00:00:00Z
review_by: 2026-09-30T00:00:00Z
applies_to: {evidence.type: {equals: sev-snp}}
rules:
  - id: corp.debug
    require: {snp.policy.debug: {equals: false}}
    waivable: never
  - id: corp.floor
    floor: true
    when: {snp.product: {equals: Genoa}}
    require:
      - snp.reported_tcb: {at_least: {bootloader: any, tee: any, snp: 27, microcode: any}}
      - snp.launch_tcb: {at_least: {bootloader: any, tee: any, snp: 27, microcode: any}}
    waivable: {up_to: 90d}
    because: [{advisory: AMD-SB-3020, cve: CVE-2025-0033, confidence: secondary, read: 2026-06-28}]
    fix: update
  - id: corp.no-floor
    floor: none
    when: {snp.product: {equals: Turin}}
    waivable: never
  - id: corp.revocation
    asks: revocation
    require: {collateral.amd_crl: {equals: checked}}
    waivable: {up_to: 30d}
"""


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_baseline() -> None:
    (found,) = documents(BASELINE)
    assert isinstance(found, Baseline)
    assert (found.name, found.version, found.kinds) == ("corporate", 3, {TeeKind.SEV_SNP})
    assert [rule.id for rule in found.rules] == [
        "corp.debug",
        "corp.floor",
        "corp.no-floor",
        "corp.revocation",
    ]
    assert [rule.floor for rule in found.rules] == [Floor.NO, Floor.YES, Floor.NONE, Floor.NO]
    assert found.rules[0].waivable is None
    assert found.rules[1].waivable is not None and found.rules[1].waivable.days == 90
    assert found.rules[1].because == ("AMD-SB-3020 CVE-2025-0033 (secondary, read 2026-06-28)",)
    assert found.rules[3].asks is Requirement.REVOCATION
    assert found.digest.startswith("sha256:") and len(found.digest) == 71


def test_reference_set() -> None:
    (found,) = documents(GUESTS)
    assert isinstance(found, ReferenceSet)
    assert [entry.id for entry in found.entries] == ["kata-genoa", "vm-tdx"]
    assert found.entries[0].claims == {"snp.measurement": MEASUREMENT}
    assert found.provenance == (("builder", "image-pipeline"), ("run", "8812"))
    assert found.revoked[0].entry == "kata-genoa@3"


def test_release_policy() -> None:
    (found,) = documents(RELEASE)
    assert isinstance(found, ReleasePolicy)
    assert found.secrets == ("payments/db/password", "payments/db/tls-*")
    assert found.allow[0].profiles == {Profile.NATIVE}
    assert found.baselines == {"intel-tdx": 1, "amd-sev-snp": 1}
    assert found.lease.max_holders == 40
    assert found.accept_risk[0].approved_by == ("lena@acme.example",)


def test_several_documents_in_one_file_share_its_digest() -> None:
    both = documents(GUESTS + "---\n" + PODS)
    assert [d.name for d in both] == ["db-guests", "db-pods"]
    assert both[0].digest == both[1].digest != documents(GUESTS)[0].digest


def test_shipped_baselines_load() -> None:
    assert [(b.name, b.kinds) for b in shipped()] == [
        ("amd-sev-snp", {TeeKind.SEV_SNP}),
        ("intel-sgx", {TeeKind.SGX}),
        ("intel-tdx", {TeeKind.TDX}),
    ]
    assert len(list(BUNDLES.glob("*.yaml"))) == 3


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("platform-baseline/1", "platform-baseline/2", "policy.document"),
        ("sealgate: platform-baseline/1\n", "", "policy.document"),
        ("name: corporate", "name: Corporate Baseline", "policy.identifier"),
        ("name: corporate", "nam: corporate", "policy.unknown-key"),
        ("version: 3", "version: 0", "policy.type-mismatch"),
        ("version: 3", 'version: "3"', "policy.type-mismatch"),
        ("issued: 2026-06-30T00:00:00Z", "issued: 2026-06-30", "policy.time"),
        ("review_by: 2026-09-30T00:00:00Z", "review_by: 2026-06-30T00:00:00Z", "policy.time-order"),
        ("{evidence.type: {equals: sev-snp}}", "{snp.product: {equals: Genoa}}", "policy.applies-to"),
        ("{evidence.type: {equals: sev-snp}}", "{evidence.type: {equals: sev}}", "policy.value"),
        ("{equals: false}}\n", "{equals: no}}\n", "policy.type-mismatch"),
        ("{equals: false}}\n", "{equal: false}}\n", "policy.operator-unknown"),
        ("{equals: false}}\n", "{at_least: 0}}\n", "policy.operator-type"),
        ("{equals: false}}\n", "{equals: false, in: [true]}}\n", "policy.condition"),
        ("{snp.policy.debug: {equals: false}}", "{}", "policy.condition"),
        ("{snp.policy.debug: {equals: false}}", "[]", "policy.empty-list"),
        ("{snp.policy.debug: {equals: false}}", "{all: []}", "policy.empty-list"),
        ("{snp.policy.debug: {equals: false}}", "{any: []}", "policy.empty-list"),
        ("{snp.policy.debug: {equals: false}}", "{not: []}", "policy.condition"),
        ("{snp.policy.debug: {equals: false}}", "{snp.policy.debg: {equals: false}}", "policy.claim-unknown"),
        ("{snp.policy.debug: {equals: false}}", "{tdx.rtmr3: {equals: zero}}", "policy.claim-type"),
        ("{snp.policy.debug: {equals: false}}", "{guest: {in_set: db-guests}}", "policy.reference"),
        (
            "    waivable: never\n  - id: corp.floor",
            "    waivable: {up_to: 1d}\n  - id: corp.floor",
            "policy.not-waivable",
        ),
        ("    waivable: never\n  - id: corp.floor", "  - id: corp.floor", "policy.missing-key"),
        ("{up_to: 90d}", "{up_to: 366d}", "policy.duration"),
        ("{up_to: 90d}", "{up_to: 0d}", "policy.duration"),
        ("{up_to: 90d}", "{until: 90d}", "policy.unknown-key"),
        ("{up_to: 90d}", "90d", "policy.type-mismatch"),
        ("floor: true", "floor: yes", "policy.type-mismatch"),
        ("floor: none", "floor: true", "policy.missing-key"),
        ("asks: revocation", "asks: revokation", "policy.value"),
        ("  - id: corp.revocation", "  - id: corp.floor", "policy.duplicate-id"),
        ("rules:\n", "admits: [snp.report-version-6]\nrules:\n", "policy.value"),
        ("rules:\n", "admits: [4]\nrules:\n", "policy.value"),
        ("rules:\n", "admits: []\nrules:\n", "policy.empty-list"),
        ("rules:\n", "admits: snp.report-version-4\nrules:\n", "policy.type-mismatch"),
        (
            "rules:\n",
            "admits: [snp.report-version-4, snp.report-version-4]\nrules:\n",
            "policy.duplicate-id",
        ),
    ],
)
def test_baseline_refused(old: str, new: str, code: str) -> None:
    text = BASELINE.replace(old, new, 1)
    assert text != BASELINE
    found = errors_of(lambda: documents(text))
    assert found[0][0] == code
    # "nam:" also leaves name: missing; both are said.
    assert {c for c, _ in found} <= {code, "policy.missing-key"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("until: 2026-12-01T00:00:00Z", "until: 2026-06-01T00:00:00Z", "policy.time-order"),
        ("valid: {from: 2026-06-01T00:00:00Z, until: 2026-12-01T00:00:00Z}\n", "", "policy.missing-key"),
        (", until: 2026-12-01T00:00:00Z", "", "policy.missing-key"),
        ("owner: platform@acme.example", "owner: ", "policy.missing-value"),
        ("  - id: vm-tdx", "  - id: kata-genoa", "policy.duplicate-id"),
        ("    tdx.mr_td:", "    tdx.mrtd:", "policy.claim-unknown"),
        ("    tdx.mr_td:", "    tdx.tcb.advisory_ids:", "policy.claim-type"),
        ("    tdx.mr_td:", "    evidence.version:", "policy.claim-type"),
        (f"sha384:{MEASUREMENT.hex()}", f"sha384:{MEASUREMENT.hex()[2:]}", "policy.digest-length"),
        (f"snp.measurement: sha384:{MEASUREMENT.hex()}", "snp.vmpl: 0", "policy.entry-empty"),
        (f"snp.measurement: sha384:{MEASUREMENT.hex()}", "note: to do", "policy.entry-empty"),
        (f"snp.measurement: sha384:{MEASUREMENT.hex()}", "snp.chip_id: zero", "policy.zero-identity"),
        ("entry: kata-genoa@3", "entry: kata-milan", "policy.reference"),
        ("entry: kata-genoa@3", "entry: kata-genoa@5", "policy.reference"),
        ("entry: kata-genoa@3", "entry: kata-genoa@x", "policy.identifier"),
        ("entry: kata-genoa@3", "entry: kata-genoa", "policy.contradiction"),
        ("    since: 2026-06-12T00:00:00Z\n", "", "policy.missing-key"),
        ("entries:\n", "entries: []\nentris:\n", "policy.unknown-key"),
    ],
)
def test_reference_set_refused(old: str, new: str, code: str) -> None:
    text = changed(GUESTS, old, new)
    assert code in {c for c, _ in errors_of(lambda: documents(text))}


def test_entries_with_the_same_values_are_refused() -> None:
    entry = f"  - id: twin\n    snp.measurement: {MEASUREMENT.hex()}\n"
    text = changed(GUESTS, "  - id: vm-tdx\n", entry + "  - id: vm-tdx\n")
    assert errors_of(lambda: documents(text)) == [("policy.duplicate-entry", line_of(text, "- id: twin"))]


def test_an_entry_that_contradicts_itself() -> None:
    text = changed(PODS, "    from_file:", f"    snp.host_data: {'00' * 32}\n    from_file:")
    assert [code for code, _ in errors_of(lambda: documents(text))] == ["policy.contradiction"]
    same = changed(PODS, "    from_file:", f"    snp.host_data: {HOST_DATA.hex()}\n    from_file:")
    assert len(documents(same)) == 1


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("tenant: acme\n", "", "policy.missing-key"),
        ("payments/db/tls-*", "payments/../db", "policy.path"),
        ("payments/db/tls-*", "payments/**", "policy.path"),
        ("payments/db/tls-*", "/payments", "policy.path"),
        ("payments/db/tls-*", "payments/db/password", "policy.duplicate-value"),
        ("[payments/db/password, payments/db/tls-*]", "[]", "policy.empty-list"),
        ("{intel-tdx: 1, amd-sev-snp: 1}", "{}", "policy.empty-list"),
        ("{intel-tdx: 1, amd-sev-snp: 1}", "[intel-tdx]", "policy.type-mismatch"),
        ("lasts: 12h", "lasts: 0h", "policy.duration"),
        ("lasts: 12h", "lasts: 32d", "policy.duration"),
        ("renew_every: 1h", "renew_every: 13h", "policy.duration"),
        ("on_change: re-evaluate", "on_change: ignore", "policy.value"),
        ("  - id: vm-on-tdx", "  - id: kata-on-genoa", "policy.duplicate-id"),
        ("  - id: stolen-board", "  - id: vm-on-tdx", "policy.duplicate-id"),
        ("    when: {evidence.type: {equals: tdx}}\n", "", "policy.missing-key"),
        (
            "    approved_by: [lena@acme.example]",
            "    approved_by: [Asha@acme.example]",
            "policy.self-approved",
        ),
        ("[lena@acme.example]", "[lena@acme.example, asha@acme.example]", "policy.self-approved"),
        ("[lena@acme.example]", "[]", "policy.empty-list"),
        ("[lena@acme.example]", "[lena@acme.example, Lena@acme.example]", "policy.duplicate-value"),
        (
            "    reason: provider rolls BIOS out by end of November; secret is rotated daily\n",
            "",
            "policy.missing-key",
        ),
        ("    expires: 2026-11-30T00:00:00Z\n", "", "policy.missing-key"),
        ("    expires: 2026-11-30T00:00:00Z", "    expires: 2026-10-02T00:00:00Z", "policy.time-order"),
        ("allow:\n", "allow: []\nallowed:\n", "policy.empty-list"),
        (
            "    require:\n      - guest: {in_set: db-guests}\n      - tdx.rtmr3: {equals: zero}\n",
            "    require: []\n",
            "policy.empty-list",
        ),
        ("{snp.vmpl: {equals: 0}}", "x", ""),
    ][:-1],
)
def test_release_policy_refused(old: str, new: str, code: str) -> None:
    text = changed(RELEASE, old, new)
    assert code in {c for c, _ in errors_of(lambda: documents(text))}


def test_profiles() -> None:
    text = changed(RELEASE, "  - id: vm-on-tdx\n", "  - id: vm-on-tdx\n    profiles: [native, kbs]\n")
    (found,) = documents(text)
    assert isinstance(found, ReleasePolicy)
    assert found.allow[1].profiles == {Profile.NATIVE, Profile.KBS}
    for bad in ("[]", "[kbs2]", "kbs"):
        assert errors_of(lambda bad=bad: documents(text.replace("[native, kbs]", bad)))


def test_every_problem_is_reported_in_order() -> None:
    text = changed(RELEASE, "tenant: acme", "tenant: Acme Corp")
    text = changed(text, "snp.signing_key: {equals: VCEK}", "snp.signing_key: {equals: vcek}")
    text = changed(text, "tdx.rtmr3: {equals: zero}", "tdx.rtmr_3: {equals: zero}")
    assert errors_of(lambda: documents(text)) == [
        ("policy.identifier", 4),
        ("policy.value", line_of(text, "snp.signing_key")),
        ("policy.claim-unknown", line_of(text, "tdx.rtmr_3")),
    ]


def test_what_the_terminal_says() -> None:
    text = changed(RELEASE, "tdx.rtmr3: {equals: zero}", "tdx.rtmr_3: {equals: zero}")
    with pytest.raises(PolicyErrors) as caught:
        documents(text, "policies/payments-db.yaml")
    assert str(caught.value) == (
        'policies/payments-db.yaml:24:9: error[claim-unknown] there is no claim "tdx.rtmr_3"\n'
        "   24 |         - tdx.rtmr_3: {equals: zero}\n"
        "      |           ^^^^^^^^^^ did you mean tdx.rtmr3 (digest, 48 bytes)?"
    )
    assert isinstance(caught.value, PolicyError)
    assert (caught.value.file, caught.value.line, caught.value.column) == ("policies/payments-db.yaml", 24, 9)


def test_names_of_other_verifiers_are_recognised() -> None:
    text = changed(RELEASE, "tdx.rtmr3: {equals: zero}", "tdx_rtmr3: {equals: zero}")
    with pytest.raises(PolicyErrors) as caught:
        documents(text)
    assert caught.value.hint == "here it is called tdx.rtmr3"


def test_a_hostile_key_does_not_fill_the_terminal() -> None:
    with pytest.raises(PolicyErrors) as caught:
        documents("sealgate: release-policy/1\n" + "k" * 128 + ": 1\n" + "x: '" + "y" * 5000 + "'\n")
    assert max(map(len, str(caught.value).splitlines())) < 250


def test_problems_are_bounded() -> None:
    text = "sealgate: release-policy/1\n" + "".join(f"k{n}: 1\n" for n in range(1000))
    assert len(errors_of(lambda: documents(text))) == 50


@pytest.mark.parametrize(
    "text", ["[]", "x", "sealgate: [1]", "sealgate:", "{}", "- sealgate: release-policy/1"]
)
def test_not_a_document(text: str) -> None:
    assert len(errors_of(lambda: documents(text))) == 1


def test_for_kind_refuses_to_guess() -> None:
    with pytest.raises(Contradiction):
        for_kind({"init_data.digest": HOST_DATA, "tdx.mr_config_id": HOST_DATA + b"\1" * 16}, TeeKind.TDX)
    assert for_kind({"init_data.digest": b"\1" * 48}, TeeKind.SEV_SNP) is None
    assert for_kind({"init_data.digest": b"\1" * 48}, TeeKind.TDX) == {"tdx.mr_config_id": b"\1" * 48}
    assert for_kind({"init_data.digest": HOST_DATA}, TeeKind.SGX) is None
    assert build_index((), ()).entries == {}


def test_the_rules_that_are_off_load_when_their_mark_is_taken_off() -> None:
    """What somebody uncomments in a hurry must not turn out to be misspelt."""
    text = (BUNDLES / "amd-sev-snp.yaml").read_text()
    off = text.count("#? - id: ")
    assert off == 7
    (before,), (after,) = documents(text), documents(text.replace("  #? ", "  "))
    assert isinstance(before, Baseline) and isinstance(after, Baseline)
    assert len(after.rules) == len(before.rules) + off
    assert all("secondary" in rule.because[0] for rule in after.rules if rule not in before.rules)
