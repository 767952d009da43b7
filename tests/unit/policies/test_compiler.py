"""Documents that do not fit together, and rules that leave something open, do not compile."""

from __future__ import annotations

import pytest

from policies import compiler
from policies.errors import PolicyErrors
from policies.model import Baseline
from policies.paths import matches, overlaps
from tests.unit.policies.support import (
    BUNDLES,
    GUESTS,
    PODS,
    RELEASE,
    changed,
    documents,
    errors_of,
    references,
    release,
    shipped,
)

AMD = (BUNDLES / "amd-sev-snp.yaml").read_text()
TDX = (BUNDLES / "intel-tdx.yaml").read_text()
SGX = (BUNDLES / "intel-sgx.yaml").read_text()


def baselines(*texts: str) -> tuple[Baseline, ...]:
    return tuple(d for text in texts for d in documents(text) if isinstance(d, Baseline))


def codes(text: str = RELEASE, *sets: str, amd: str = AMD, tdx: str = TDX) -> list[tuple[str, int]]:
    return errors_of(
        lambda: compiler.compile(
            baselines(amd, tdx, SGX), references(*(sets or (GUESTS, PODS))), release(text)
        )
    )


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_the_sample_compiles() -> None:
    assert codes() == []
    assert compiler.platform_only(shipped()).release is None


@pytest.mark.parametrize(
    ("old", "new", "code", "at"),
    [
        ("      - workload: {in_set: db-pods}\n", "", "policy.open-finding", "id: kata-on-genoa"),
        ("      - snp.vmpl: {equals: 0}\n", "", "policy.open-finding", "id: kata-on-genoa"),
        (
            "      - snp.vmpl: {equals: 0}\n",
            "      - snp.vmpl: {at_most: 1}\n",
            "policy.open-finding",
            "id: kata-on-genoa",
        ),
        ("[Genoa, Milan]", "[Genoa, Turin]", "policy.open-finding", "id: kata-on-genoa"),
        ("      - snp.product: {in: [Genoa, Milan]}\n", "", "policy.open-finding", "id: kata-on-genoa"),
        ("      - tdx.rtmr3: {equals: zero}\n", "", "policy.open-finding", "id: vm-on-tdx"),
        (
            "      - tdx.rtmr3: {equals: zero}\n",
            "      - not: {tdx.rtmr3: {equals: zero}}\n",
            "policy.open-finding",
            "id: vm-on-tdx",
        ),
        (
            "{evidence.type: {equals: tdx}}",
            "{evidence.version: {equals: 4}}",
            "policy.open-finding",
            "id: vm-on-tdx",
        ),
        (
            "{evidence.type: {equals: tdx}}",
            "{not: {evidence.type: {equals: sev-snp}}}",
            "policy.open-finding",
            "id: vm-on-tdx",
        ),
        (
            "      - tdx.rtmr3: {equals: zero}\n",
            "      - snp.vmpl: {equals: 0}\n",
            "policy.claim-type",
            "snp.vmpl: {equals: 0}\ndeny",
        ),
        ("amd-sev-snp: 1}", "amd-sev-snp: 2}", "policy.version", "uses:"),
        ("amd-sev-snp: 1}", "amd-sevsnp: 1}", "policy.not-active", "uses:"),
        ("db-guests: 4", "db-guests: 5", "policy.version", "uses:"),
        ("db-guests: 4, ", "", "policy.reference", "guest: {in_set"),
        ("    only_in: vm-on-tdx", "    only_in: vm-on-tdy", "policy.unknown-rule", "only_in"),
        ("    finding: tdx.tcb-status", "    finding: tdx.tcb-state", "policy.unknown-finding", "finding:"),
        (
            "    finding: tdx.tcb-status",
            "    finding: snp.tcb-floor.genoa",
            "policy.unknown-finding",
            "finding:",
        ),
        ("    finding: tdx.tcb-status", "    finding: tdx.debug-off", "policy.not-waivable", "finding:"),
        ("    finding: tdx.tcb-status", "    finding: minimum.debug", "policy.not-waivable", "finding:"),
        ("    finding: tdx.tcb-status", "    finding: minimum.baseline", "policy.not-waivable", "finding:"),
        (
            "    finding: tdx.tcb-status",
            "    finding: binding.report-data",
            "policy.unknown-finding",
            "finding:",
        ),
        (
            "    expires: 2026-11-30T00:00:00Z",
            "    expires: 2026-12-31T00:00:01Z",
            "policy.risk-too-long",
            "id: gcp-waits",
        ),
        (
            "      - tdx.fmspc: {equals: 00806F050000}",
            "      - snp.vmpl: {equals: 0}",
            "policy.claim-type",
            "id: gcp-waits",
        ),
        (
            "deny:\n",
            "deny:\n  - id: x\n    when: {all: [{snp.vmpl: {equals: 0}}, {tdx.rtmr3: {equals: zero}}]}\n",
            "policy.claim-type",
            "id: x",
        ),
        (
            "deny:\n",
            "deny:\n  - id: x\n    when: {guest: {in_set: nobody}}\n",
            "policy.reference",
            "guest: {in_set: nobody",
        ),
    ],
)
def test_one_change_one_code(old: str, new: str, code: str, at: str) -> None:
    text = RELEASE.replace(old, new, 1)
    assert text != RELEASE
    found = codes(text)
    assert {c for c, _ in found} == {code}
    # The place is a line that mentions what is wrong.
    assert line_of(text, at) in {line for _, line in found} or at in {
        "uses:",
        "only_in",
        "finding:",
        "guest: {in_set",
    }


@pytest.mark.parametrize(("expires", "ok"), [("2026-12-31T00:00:00Z", True), ("2026-12-31T00:00:01Z", False)])
def test_longest_waiver(expires: str, ok: bool) -> None:
    text = changed(RELEASE, "2026-11-30T00:00:00Z", expires)
    assert codes(text) == ([] if ok else [("policy.risk-too-long", line_of(text, "id: gcp-waits"))])


RISK = """\
  - id: open-on-purpose
    finding: minimum.{what}
    only_in: kata-on-genoa
    reason: a test of what a minimum costs
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-11-01T00:00:00Z
    expires: 2026-12-01T00:00:00Z
"""


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("workload", "      - workload: {in_set: db-pods}\n", ""),
        ("guest", "      - guest: {in_set: db-guests}\n      - workload", "      - workload"),
        ("vmpl", "      - snp.vmpl: {equals: 0}\n", ""),
        ("tcb-floor", "[Genoa, Milan]", "[Genoa, Turin]"),
    ],
)
def test_a_minimum_can_be_left_open_by_name(what: str, old: str, new: str) -> None:
    text = changed(RELEASE, old, new)
    assert [code for code, _ in codes(text)] == ["policy.open-finding"]
    assert codes(text + RISK.replace("{what}", what)) == []
    other = "guest" if what != "guest" else "workload"
    assert [c for c, _ in codes(text + RISK.replace("{what}", other))] == ["policy.open-finding"]


@pytest.mark.parametrize(
    "instead",
    [
        "      - snp.host_data: {equals: zero}\n",
        f"      - snp.host_data: {{in: [{'11' * 32}, {'22' * 32}]}}\n",
        f"      - init_data.digest: {{equals: 'sha256:{'11' * 32}'}}\n",
        "      - any: [{snp.host_data: {equals: zero}}, {workload: {in_set: db-pods}}]\n",
        "      - all: [{workload: {in_set: db-pods}}, {snp.guest_svn: {at_least: 1}}]\n",
    ],
)
def test_other_ways_to_pin_the_workload(instead: str) -> None:
    assert codes(changed(RELEASE, "      - workload: {in_set: db-pods}\n", instead)) == []


@pytest.mark.parametrize(
    "instead",
    [
        "      - any: [{workload: {in_set: db-pods}}, {snp.guest_svn: {at_least: 1}}]\n",
        "      - not: {workload: {in_set: db-pods}}\n",
        "      - not: {snp.host_data: {equals: zero}}\n",
        "      - snp.guest_svn: {equals: 1}\n",
    ],
)
def test_what_does_not_pin_the_workload(instead: str) -> None:
    text = changed(RELEASE, "      - workload: {in_set: db-pods}\n", instead)
    assert [code for code, _ in codes(text)] == ["policy.open-finding"]


def test_a_guest_entry_that_states_the_workload_pins_it() -> None:
    text = changed(RELEASE, "      - workload: {in_set: db-pods}\n", "")
    more = changed(GUESTS, "  - id: kata-genoa\n", f"  - id: kata-genoa\n    snp.host_data: {'11' * 32}\n")
    assert codes(text, more, PODS) == []
    # One entry that leaves it open, and the set no longer pins it.
    loose = changed(
        more, "  - id: vm-tdx\n", f"  - id: loose\n    snp.measurement: {'77' * 48}\n  - id: vm-tdx\n"
    )
    assert [code for code, _ in codes(text, loose, PODS)] == ["policy.open-finding"]


def test_a_tdx_entry_states_all_four_registers_or_leaves_the_guest_open() -> None:
    partial = changed(GUESTS, f"    tdx.rtmr2: sha384:{'04' * 48}\n", "")
    assert [code for code, _ in codes(RELEASE, partial, PODS)] == ["policy.open-finding"]


def test_a_rule_that_could_never_match() -> None:
    only_snp = GUESTS[: GUESTS.index("  - id: vm-tdx")]
    text = changed(
        RELEASE, "guest: {in_set: db-guests}\n      - tdx", "guest: {in_set: db-guests}\n      - tdx"
    )
    assert [code for code, _ in codes(text, only_snp, PODS)] == ["policy.no-entry"]


def test_a_floor_in_the_rule_replaces_the_one_that_amd_does_not_publish() -> None:
    bounds = "{fmc: any, bootloader: any, tee: any, snp: 4, microcode: any}"
    floor = f"      - snp.reported_tcb: {{at_least: {bounds}}}\n"
    text = changed(RELEASE, "[Genoa, Milan]", "[Turin]")
    assert [code for code, _ in codes(text)] == ["policy.open-finding"]
    assert codes(changed(text, "      - snp.vmpl", floor + "      - snp.vmpl")) == []
    no_snp = floor.replace("snp: 4", "snp: any").replace("microcode: any", "microcode: 9")
    assert [c for c, _ in codes(changed(text, "      - snp.vmpl", no_snp + "      - snp.vmpl"))] == [
        "policy.open-finding"
    ]


def test_excluding_turin_by_not() -> None:
    text = changed(RELEASE, "snp.product: {in: [Genoa, Milan]}", "not: {snp.product: {equals: Turin}}")
    assert codes(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("snp.policy.debug: {equals: false}", "snp.policy.smt: {equals: false}", id="no-debug"),
        pytest.param(
            "snp.policy.debug: {equals: false}", "snp.policy.debug: {equals: true}", id="debug-demanded"
        ),
        pytest.param(
            "    require: {snp.policy.debug",
            "    when: {snp.vmpl: {equals: 0}}\n    require: {snp.policy.debug",
            id="debug-sometimes",
        ),
        pytest.param("    asks: revocation\n", "", id="no-revocation"),
    ],
)
def test_a_baseline_without_its_core_is_not_enough(old: str, new: str) -> None:
    assert {code for code, _ in codes(amd=changed(AMD, old, new))} == {"policy.open-finding"}


def test_a_baseline_without_floors_is_not_enough() -> None:
    text = "\n".join(line for line in AMD.splitlines() if line.strip() != "floor: true")
    assert {code for code, _ in codes(amd=text)} == {"policy.open-finding"}


def test_no_baseline_for_the_evidence() -> None:
    text = changed(RELEASE, "intel-tdx: 1, ", "")
    found = errors_of(lambda: compiler.compile(baselines(AMD), references(GUESTS, PODS), release(text)))
    # The waiver names a rule of the baseline that is not there.
    assert [code for code, _ in found] == ["policy.open-finding", "policy.unknown-finding"]


def test_names_and_rule_ids_are_unique() -> None:
    twice = errors_of(lambda: compiler.platform_only(baselines(AMD, AMD)))
    assert twice[0][0] == "policy.duplicate-document"
    renamed = changed(AMD, "name: amd-sev-snp\n", "name: other\n")
    found = errors_of(lambda: compiler.platform_only(baselines(AMD, renamed)))
    assert {code for code, _ in found} == {"policy.duplicate-rule"}


def test_overlap_of_active_policies() -> None:
    one = release()
    other = release(
        changed(changed(RELEASE, "name: payments-db\n", "name: other\n"), "password, ", "passwords, ")
    )
    with pytest.raises(PolicyErrors) as caught:
        compiler.check_overlap([one, other])
    assert caught.value.reason == "policy.path-overlap"
    elsewhere = release(changed(RELEASE, "tenant: acme", "tenant: umbrella"))
    compiler.check_overlap([one, elsewhere])
    compiler.check_overlap([one])


# --- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "covers"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/*", "a", False),
        ("a/tls-*", "a/tls-", True),
        ("a/tls-*", "a/tls", False),
        ("a/*-key", "a/x-key", True),
        ("a/*b*c", "a/xxbyyc", True),
        ("a/*b*b", "a/b", False),
        ("a/*b*b", "a/bb", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*", "x", True),
        ("*", "..", False),
        ("*", ".", False),
        ("*/b", "../b", False),
        ("a/b", "a//b", False),
        ("a/b", "a/b/", False),
        ("a/b", "/a/b", False),
        ("a/*", "a/ü", False),
        ("a/*", "a/b\n", False),
        ("a/*", "a/%2e", False),
        ("a/**", "a/b", False),
        ("", "", False),
        ("*", "x" * 64, True),
        ("*", "x" * 65, False),
        ("/".join("*" * 8), "/".join("a" * 8), True),
        ("/".join("*" * 9), "/".join("a" * 9), False),
    ],
)
def test_matches(pattern: str, path: str, covers: bool) -> None:
    assert matches(pattern, path) is covers


@pytest.mark.parametrize(
    ("a", "b", "meet"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/*", True),
        ("a/*", "*/b", True),
        ("a/x*", "a/*y", True),
        ("a/x*", "a/y*", False),
        ("a/*x", "a/*y", False),
        ("a/ab*ba", "a/aba", False),
        ("a/a*", "a/*a", True),
        ("a/a*b*c", "a/*d*", True),
        ("a/*", "a/*/c", False),
        (".*", "*.", True),
        ("*", "*", True),
        ("x" * 33 + "*", "*" + "y" * 31, True),
        ("x" * 33 + "*", "*" + "y" * 32, False),  # 65 characters at least
        ("x" * 33 + "*", "*" + "x" * 40, True),
    ],
)
def test_overlaps(a: str, b: str, meet: bool) -> None:
    assert overlaps(a, b) is meet
    assert overlaps(b, a) is meet
