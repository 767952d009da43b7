"""The four questions that a result answers for people, and which finding answers which."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

from gateway.cli.offline import Documents
from gateway.cli.page import MARK, Line, Page, readable, short
from policies.appraise import Appraisal
from policies.conditions import tests_of
from policies.model import Floor
from policies.values import TCB_COMPONENTS, TcbFloor
from verifiers.model import Check, Outcome, TcbVersion, TeeKind


class Part(enum.Enum):
    GENUINE = "genuine"
    CURRENT = "current"
    SAFE = "safe"
    MINE = "mine"


_CURRENT_IDS = frozenset({"dcap.tcb", "dcap.tcb-info", "dcap.qe-identity-document"})
_CURRENT_WORDS = ("tcb-floor", "tcb-status", "floor", "age", "advisor", "evaluation", "committed", "firmware")
_GENUINE_IDS = frozenset(
    {"tdx.attributes", "tdx.xfam", "tdx.seam", "sgx.attributes", "snp.tcb-certificate", "snp.tcb-order"}
)
_GENUINE_SNP = frozenset(
    {
        "chain", "chain-names", "chain-dates", "revocation", "signature", "version", "reserved",
        "host-requested", "signing-key", "product", "chip-id", "csp-id",
    }
)  # fmt: skip
_TITLES: Mapping[str, str] = {
    "dcap.attestation-key-binding": "attestation key bound by the quoting enclave",
    "dcap.chain": "PCK chain to the pinned root",
    "dcap.chain-dates": "certificates valid now",
    "dcap.chain-names": "certificate names and usages",
    "dcap.header": "header",
    "dcap.qe-identity": "quoting enclave as in its signed identity",
    "dcap.qe-report-signature": "quoting enclave certified by the PCK",
    "dcap.revocation": "not revoked",
    "dcap.signature": "quote signature over header and body",
    "dcap.tcb": "a TCB level that Intel supports",
    "evidence.runtime-claims": "runtime claims hashed into REPORT_DATA",
    "snp.chain-dates": "certificates valid now",
    "snp.chain-names": "certificate names and usages",
    "snp.chip-id": "VCEK is this chip's",
    "snp.host-requested": "asked for by the guest",
    "snp.product": "product agrees in chain, certificate and CPUID",
    "snp.reserved": "no unknown bits",
    "snp.revocation": "not revoked",
    "snp.signature": "signature P-384 over bytes 0x000–0x29f",
    "snp.signing-key": "one kind of signing key",
    "snp.tcb-certificate": "certificate is for this TCB",
    "snp.tcb-order": "TCBs in order",
    "snp.version": "known report version",
    "sgx.revocation": "not revoked",
    "tdx.revocation": "not revoked",
    "tdx.attributes": "no unknown attributes",
    "tdx.event-log": "event log replays to RTMR0–3",
    "tdx.seam": "TDX module signed by Intel",
    "tdx.xfam": "no unknown features",
    "sgx.attributes": "no unknown attributes",
}
"""Short words for what passed; anything else is called by its id."""
_TELLING = frozenset({"snp.chain", "dcap.tcb-info", "dcap.qe-identity-document"})
"""Passed checks whose finding is worth reading."""

_IDENTITY: Mapping[TeeKind, tuple[tuple[str, str], ...]] = {
    TeeKind.SEV_SNP: (
        ("measurement", "snp.measurement"),
        ("HOST_DATA", "snp.host_data"),
        ("ID key", "snp.id_key_digest"),
    ),
    TeeKind.TDX: (
        ("MRTD", "tdx.mr_td"),
        ("RTMR0", "tdx.rtmr0"),
        ("RTMR1", "tdx.rtmr1"),
        ("RTMR2", "tdx.rtmr2"),
        ("RTMR3", "tdx.rtmr3"),
        ("MRCONFIGID", "tdx.mr_config_id"),
    ),
    TeeKind.SGX: (("MRENCLAVE", "sgx.mr_enclave"), ("MRSIGNER", "sgx.mr_signer")),
}


def part_of(check_id: str) -> Part:
    """Which question a finding answers. Unknown ids are about the platform's configuration."""
    head, _, tail = check_id.partition(".")
    if "/" in check_id or check_id in ("identity", "allow", "tdx.event-log") or head == "binding":
        return Part.MINE
    if check_id in _CURRENT_IDS:
        return Part.CURRENT
    if check_id in _GENUINE_IDS or head in ("evidence", "dcap") or check_id.endswith(".revocation"):
        return Part.GENUINE
    if head == "snp" and tail in _GENUINE_SNP:
        return Part.GENUINE
    if head == "collateral" or any(word in tail for word in _CURRENT_WORDS):
        return Part.CURRENT
    return Part.SAFE


def split(checks: Iterable[Check]) -> dict[Part, list[Check]]:
    out: dict[Part, list[Check]] = {part: [] for part in Part}
    for check in checks:
        out[part_of(check.id)].append(check)
    return out


def findings(page: Page, checks: Sequence[Check]) -> list[Line]:
    """What passed in short words, then everything else with what was expected and found."""
    passed = [check for check in checks if check.outcome is Outcome.PASSED]
    lines = []
    if any(check.id == "evidence.simulated" for check in passed):
        passed = [check for check in passed if check.id != "evidence.simulated"]
        lines.append(
            Line("!", "SIMULATED: every root below is the simulator's; no hardware stands behind it")
        )
    lines += page.flow(MARK[Outcome.PASSED], dict.fromkeys(map(_passed, passed)))
    for outcome in (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WAIVED, Outcome.NOT_CHECKED):
        lines += _open(page, [check for check in checks if check.outcome is outcome])
    return lines


def _open(page: Page, checks: Sequence[Check]) -> list[Line]:
    """Findings of one outcome; questions that wait for the same thing are told together."""
    groups: dict[tuple[str, str | None], list[Check]] = {}
    for check in checks:
        groups.setdefault((check.found, check.code), []).append(check)
    lines: list[Line] = []
    for (found, code), group in groups.items():
        if len(group) < 3:
            for check in group:
                lines += _finding(page, check)
        else:
            names = ", ".join(check.id for check in group)
            lines += page.wrapped(MARK[group[0].outcome], f"{found}; it decides {names}", code)
    return lines


def warnings(appraisal: Appraisal) -> list[Line]:
    """What no finding says and an owner of secrets should know all the same."""
    claims = appraisal.verification.claims
    out = []
    vmpl = claims.get("snp.vmpl")
    if isinstance(vmpl, int) and vmpl != 0:
        out.append(Line("!", f"asked for at VMPL {vmpl}: something more privileged runs in the same guest"))
    if claims.get("snp.platform_info.smt_en") is True:
        out.append(Line("!", "SMT is on (StackWarp, AMD-SB-3027)"))
    if claims.get("snp.product") == "Milan":
        out.append(Line("!", "Milan: its root seed has been extracted by software (arXiv 2605.12990)"))
    service = claims.get("tdx.mr_service_td")
    if isinstance(service, bytes) and any(service):
        out.append(Line("!", f"service TDs are bound to this TD: {short(service)}"))
    return out


def current(page: Page, appraisal: Appraisal, documents: Documents, checks: Sequence[Check]) -> list[Line]:
    """The TCB side by side with its floors (AMD), or Intel's word and what is short of UpToDate."""
    if appraisal.verification.evidence.kind is TeeKind.SEV_SNP:
        table = _tcb_table(appraisal, documents)
        low = [c for c in checks if table and "floor" in c.id and c.outcome is Outcome.FAILED]
        lines = findings(page, [check for check in checks if check not in low])
        for check in low:
            lines += page.wrapped(MARK[check.outcome], f"{check.expected}: says {check.source}", check.code)
        return [*table, *lines]
    return [*_intel(page, appraisal), *findings(page, checks)]


def mine(page: Page, appraisal: Appraisal, checks: Sequence[Check]) -> list[Line]:
    """The values that say whose guest this is, and whether anybody compared them."""
    verification = appraisal.verification
    compared = appraisal.release is not None
    mark = " " if compared else MARK[Outcome.NOT_CHECKED]
    note = "" if compared else "   not compared: give --policy"
    lines = []
    for name, claim in _IDENTITY[verification.evidence.kind]:
        value = verification.claims.get(claim)
        if isinstance(value, bytes) and (any(value) or name in ("measurement", "MRTD", "MRENCLAVE")):
            lines.append(Line(mark, f"{name:<12} {short(value)}{note}"))
    data = verification.claims.get(f"{verification.evidence.kind.value.removeprefix('sev-')}.report_data")
    for check in checks:
        if check.id == "binding.report-data" and isinstance(data, bytes):
            said = {
                Outcome.PASSED: "equal to the value given",
                Outcome.NOT_CHECKED: "not compared: give --report-data",
                Outcome.UNKNOWN: "not compared: give --report-data",
            }.get(check.outcome, f"expected {short(check.expected)}")
            lines.append(
                Line(MARK[check.outcome], f"{'REPORT_DATA':<12} {readable(data)}   {said}", check.code)
            )
    others = [check for check in checks if check.id not in ("binding.report-data",)]
    if not compared:
        others = [check for check in others if check.outcome is not Outcome.NOT_CHECKED]
    return lines + findings(page, others)


def _passed(check: Check) -> str:
    if check.id in _TELLING:
        return f"{check.found}" if check.id.endswith(".chain") else f"{check.id}: {check.found}"
    return _TITLES.get(check.id, check.id.partition(".")[2].replace("-", " ") or check.id)


def _finding(page: Page, check: Check) -> list[Line]:
    code = check.code or check.id
    name = "" if code == check.id else f"{check.id}: "
    lines = page.wrapped(MARK[check.outcome], f"{name}expected {check.expected}; found {check.found}", code)
    if check.outcome is Outcome.FAILED:
        lines += page.wrapped(" ", f"says {check.source}")
    return lines


def floors(appraisal: Appraisal, documents: Documents) -> dict[str, int]:
    """The highest floor of each component of REPORTED_TCB, from the rules that were about this machine."""
    asked = {check.id for check in appraisal.checks}
    out: dict[str, int] = {}
    for baseline in documents.baselines:
        for rule in baseline.rules:
            if rule.floor is not Floor.YES or rule.id not in asked or rule.require is None:
                continue
            for test in tests_of(rule.require):
                if test.claim == "snp.reported_tcb" and isinstance(test.literal, TcbFloor):
                    for component in TCB_COMPONENTS:
                        limit = getattr(test.literal, component)
                        if limit is not None:
                            out[component] = max(limit, out.get(component, 0))
    return out


_TCB_NAMES = {
    "fmc": "FMC",
    "bootloader": "boot loader",
    "tee": "TEE",
    "snp": "SNP firmware",
    "microcode": "microcode",
}
_TCB_CLAIMS = ("reported_tcb", "committed_tcb", "current_tcb", "launch_tcb")


def _tcb_table(appraisal: Appraisal, documents: Documents) -> list[Line]:
    claims = appraisal.verification.claims
    tcbs = [claims.get(f"snp.{name}") for name in _TCB_CLAIMS]
    known = [tcb for tcb in tcbs if isinstance(tcb, TcbVersion)]
    if len(known) != len(_TCB_CLAIMS):
        return []
    limits = floors(appraisal, documents)
    columns = "".join(f"{name:>11}" for name in ("floor", "reported", "committed", "current", "launch"))
    out = [Line("", f"{'':<14}{columns}")]
    for component, title in _TCB_NAMES.items():
        values = [getattr(tcb, component) for tcb in known]
        if values[0] is None:
            continue
        limit = limits.get(component)
        low = limit is not None and values[0] < limit
        row = f"{'–' if limit is None else limit:>11}{('✗ ' if low else '') + str(values[0]):>11}"
        row += "".join(f"{value:>11}" for value in values[1:])
        out.append(Line("", f"{title:<14}{row}"))
    status = appraisal.tcb.status
    if status == "no_floor":
        out.append(Line("!", "no floor is known for this product: old firmware would not be noticed"))
    return out


def _intel(page: Page, appraisal: Appraisal) -> list[Line]:
    tcb = appraisal.tcb
    if tcb.status is None:
        return []
    good = tcb.status == "UpToDate"
    date = f", levels of {tcb.date:%Y-%m-%d}" if tcb.date else ""
    lines = [Line(MARK[Outcome.PASSED] if good else "!", f"TCB status {tcb.status}{date}")]
    if tcb.short:
        lines.append(Line("", f"{'short':<36}{'has':>5}{'needs':>7}   raised by"))
        lines += [
            Line("", f"{s.component[:35]:<36}{s.has:>5}{s.needs:>7}   {s.raised_by}") for s in tcb.short
        ]
    if tcb.advisory_ids:
        lines += page.wrapped("", f"advisories {' '.join(tcb.advisory_ids)}")
    return lines
