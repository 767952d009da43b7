"""A small world for policy tests: documents, claims that satisfy them, and one-line changes to either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from policies import compiler, load
from policies.appraise import Appraisal, appraise
from policies.model import (
    ALL_REQUIREMENTS,
    Baseline,
    Document,
    Profile,
    ReferenceSet,
    ReleasePolicy,
    Requirement,
)
from verifiers.claims import BY_NAME
from verifiers.model import (
    Check,
    ClaimValue,
    EvidenceSummary,
    Outcome,
    Tcb,
    TcbVersion,
    TeeKind,
    Verification,
)
from verifiers.verdict import conclude

BUNDLES = Path(__file__).resolve().parents[3] / "policies" / "bundles"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

MEASUREMENT = bytes(range(48))
HOST_DATA = bytes(range(100, 132))
OTHER48 = b"\xee" * 48

GUESTS = f"""\
sealgate: reference-values/1
name: db-guests
version: 4
owner: platform@acme.example
valid: {{from: 2026-06-01T00:00:00Z, until: 2026-12-01T00:00:00Z}}
provenance: {{builder: image-pipeline, run: "8812"}}
entries:
  - id: kata-genoa
    snp.measurement: sha384:{MEASUREMENT.hex()}
  - id: vm-tdx
    tdx.mr_td: sha384:{"01" * 48}
    tdx.rtmr0: sha384:{"02" * 48}
    tdx.rtmr1: sha384:{"03" * 48}
    tdx.rtmr2: sha384:{"04" * 48}
revoked:
  - entry: kata-genoa@3
    since: 2026-06-12T00:00:00Z
    reason: accepts a header with a null cipher
    snp.measurement: sha384:{"0d" * 48}
"""

PODS = f"""\
sealgate: reference-values/1
name: db-pods
version: 2
owner: database@acme.example
valid: {{from: 2026-06-01T00:00:00Z, until: 2027-06-01T00:00:00Z}}
entries:
  - id: db-client
    init_data.digest: sha256:{HOST_DATA.hex()}
    from_file: initdata/db-client.toml
"""

RELEASE = """\
sealgate: release-policy/1
name: payments-db
version: 12
tenant: acme
owner: security@acme.example
secrets: [payments/db/password, payments/db/tls-*]
uses:
  baselines: {intel-tdx: 1, amd-sev-snp: 1}
  references: {db-guests: 4, db-pods: 2}
lease: {lasts: 12h, renew_every: 1h, on_change: re-evaluate, holders: {at_most: 40}}
allow:
  - id: kata-on-genoa
    when: {evidence.type: {equals: sev-snp}}
    require:
      - snp.product: {in: [Genoa, Milan]}
      - snp.signing_key: {equals: VCEK}
      - snp.vmpl: {equals: 0}
      - guest: {in_set: db-guests}
      - workload: {in_set: db-pods}
  - id: vm-on-tdx
    when: {evidence.type: {equals: tdx}}
    require:
      - guest: {in_set: db-guests}
      - tdx.rtmr3: {equals: zero}
deny:
  - id: stolen-board
    when: {tdx.pck.platform_instance_id: {in: ["hex:5d1c0000000000000000000000000001"]}}
accept_risk:
  - id: gcp-waits-for-bios
    finding: tdx.tcb-status
    only_in: vm-on-tdx
    only_when:
      - tdx.fmspc: {equals: 00806F050000}
      - tdx.tcb.status: {in: [UpToDate, OutOfDate]}
      - tdx.tcb.advisory_ids: {subset_of: [INTEL-SA-01010, INTEL-SA-01036]}
    reason: provider rolls BIOS out by end of November; secret is rotated daily
    ticket: SEC-4411
    owner: asha@acme.example
    approved_by: [lena@acme.example]
    from: 2026-10-02T00:00:00Z
    expires: 2026-11-30T00:00:00Z
"""

GENOA_TCB = TcbVersion(bootloader=10, tee=0, snp=23, microcode=84)

SNP_CLAIMS: Mapping[str, ClaimValue] = MappingProxyType(
    {
        "evidence.type": "sev-snp",
        "evidence.version": 3,
        "evidence.simulated": False,
        "snp.product": "Genoa",
        "snp.cpuid_fms": "191101",
        "snp.signing_key": "VCEK",
        "snp.vmpl": 0,
        "snp.policy.debug": False,
        "snp.policy.migrate_ma": False,
        "snp.report_id_ma": b"\xff" * 32,
        "snp.platform_info.alias_check_complete": True,
        "snp.provisional_firmware": False,
        "snp.reported_tcb": GENOA_TCB,
        "snp.committed_tcb": GENOA_TCB,
        "snp.launch_tcb": GENOA_TCB,
        "snp.measurement": MEASUREMENT,
        "snp.host_data": HOST_DATA,
        "snp.chip_id": b"\x07" * 64,
        "collateral.amd_crl": "checked",
    }
)

TD_FLAGS = ("debug", "hgs_plus_prof", "perf_prof", "pmt_prof", "migratable", "servtd_ext", "icssd", "tpa")

TDX_CLAIMS: Mapping[str, ClaimValue] = MappingProxyType(
    {
        "evidence.type": "tdx",
        "evidence.version": 4,
        "evidence.simulated": False,
        **{f"tdx.td_attributes.{name}": False for name in TD_FLAGS},
        "tdx.td_attributes.sept_ve_disable": True,
        "tdx.fmspc": bytes.fromhex("00806F050000"),
        "tdx.pck.platform_instance_id": b"\x28" * 16,
        "tdx.tcb.status": "UpToDate",
        "tdx.tcb.advisory_ids": frozenset[str](),
        "tdx.mr_td": b"\x01" * 48,
        "tdx.rtmr0": b"\x02" * 48,
        "tdx.rtmr1": b"\x03" * 48,
        "tdx.rtmr2": b"\x04" * 48,
        "tdx.rtmr3": bytes(48),
        "tdx.mr_config_id": bytes(48),
        "collateral.tcb_info.age": timedelta(days=3),
        "collateral.qe_identity.age": timedelta(days=3),
        "collateral.pck_crl.age": timedelta(days=3),
        "collateral.root_crl.age": timedelta(days=100),
        "collateral.pck_crl": "checked",
        "collateral.root_crl": "checked",
    }
)

BASES = {TeeKind.SEV_SNP: SNP_CLAIMS, TeeKind.TDX: TDX_CLAIMS}

PASSED = (
    Check("snp.signature", Outcome.PASSED, "it holds", "it holds", "AMD 56860"),
    Check("snp.revocation", Outcome.PASSED, "not revoked", "not revoked", "AMD 57230"),
    Check("binding.report-data", Outcome.PASSED, "ours", "ours", "RFC 9334"),
)


def with_outcome(name: str, outcome: Outcome, *, reason: str | None = None) -> tuple[Check, ...]:
    """The verifier's checks with the outcome of one of them changed."""
    return tuple(
        Check(c.id, outcome, c.expected, "something else", c.source, reason) if c.id == name else c
        for c in PASSED
    )


def documents(text: str, name: str = "test.yaml") -> tuple[Document, ...]:
    return load.load(text.encode(), name, claims=BY_NAME)


def shipped() -> tuple[Baseline, ...]:
    out: list[Baseline] = []
    for path in sorted(BUNDLES.glob("*.yaml")):
        out += [d for d in load.load(path.read_bytes(), path.name, claims=BY_NAME) if isinstance(d, Baseline)]
    return tuple(out)


def references(*texts: str) -> tuple[ReferenceSet, ...]:
    return tuple(d for text in texts for d in documents(text) if isinstance(d, ReferenceSet))


def release(text: str = RELEASE) -> ReleasePolicy:
    (document,) = documents(text, "payments-db.yaml")
    assert isinstance(document, ReleasePolicy)
    return document


def changed(text: str, old: str, new: str) -> str:
    """`text` with `old`, which occurs exactly once, replaced."""
    assert text.count(old) == 1, (text.count(old), old)
    return text.replace(old, new)


def verification(
    kind: TeeKind = TeeKind.SEV_SNP,
    *,
    claims: Mapping[str, ClaimValue] | None = None,
    without: Iterable[str] = (),
    checks: tuple[Check, ...] = PASSED,
    signature_valid: bool = True,
    chain_valid: bool = True,
    simulated: bool = False,
) -> Verification:
    """Evidence that satisfies the documents above, with some claims changed and some left out."""
    gone = set(without)
    found = {name: value for name, value in {**BASES[kind], **(claims or {})}.items() if name not in gone}
    return conclude(
        evidence=EvidenceSummary(
            kind=kind,
            version=3,
            signing_key="VCEK",
            digest=b"\x11" * 32,
            product="Genoa" if kind is TeeKind.SEV_SNP else None,
        ),
        signature_valid=signature_valid,
        chain_valid=chain_valid,
        simulated=simulated,
        tcb=Tcb(),
        claims=found,
        checks=checks,
        used={},
        missing=(),
        ends=(),
        now=NOW,
    )


def judge(
    evidence: Verification,
    *,
    policy_text: str = RELEASE,
    sets: tuple[str, ...] = (GUESTS, PODS),
    now: datetime = NOW,
    required: frozenset[Requirement] = ALL_REQUIREMENTS,
    profile: Profile = Profile.NATIVE,
) -> Appraisal:
    found = references(*sets)
    policy = compiler.compile(shipped(), found, release(policy_text))
    return appraise(evidence, found, policy, now, required=required, profile=profile)


def errors_of(action: Callable[[], object]) -> list[tuple[str, int]]:
    """(code, line) of every problem that `action` raises; [] when it raises none."""
    from policies.errors import PolicyErrors

    try:
        action()
    except PolicyErrors as caught:
        return [(error.reason, error.line) for error in caught.errors]
    return []


def outcome_of(appraisal: Appraisal, name: str) -> Outcome:
    (found,) = [check for check in appraisal.checks if check.id == name]
    return found.outcome
