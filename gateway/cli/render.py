"""The result of `sealgate verify` for people.

The first line alone answers the question. Genuine, current, safe and mine are four answers, never one. What
nobody checked is listed, and a green word stands only where identity and freshness were compared.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.cli import fetched as telling
from gateway.cli import sections, where
from gateway.cli.errors import one_line
from gateway.cli.files import STDIN
from gateway.cli.offline import Documents
from gateway.cli.page import Line, Page, short
from gateway.cli.sections import Part
from gateway.collateral import names
from policies.appraise import Appraisal
from verifiers.carriers import Opened
from verifiers.model import Outcome, TeeKind, Verdict

if TYPE_CHECKING:
    from gateway.collateral.direct import Fetched

_MAKER = {TeeKind.SEV_SNP: "AMD", TeeKind.TDX: "Intel", TeeKind.SGX: "Intel"}
_PLAIN = ("sev-snp-report", "quote")
_MAX_LISTED = 6


def show(
    appraisal: Appraisal,
    opened: Opened,
    ignored: Sequence[str],
    documents: Documents,
    page: Page | None = None,
    *,
    given: str = "EVIDENCE",
    fetched: Sequence[Fetched] = (),
) -> None:
    """Print the whole page to standard output. given: what the evidence was called; fetched: what vendors
    were asked for it."""
    page = page or Page()
    _head(page, appraisal, opened)
    page.blank()
    parts = sections.split(appraisal.checks)
    page.section("Genuine?", sections.findings(page, parts[Part.GENUINE]))
    if not appraisal.verification.authentic:
        page.section("", [Line("!", "what follows is what the evidence says; nobody vouches for it")])
    page.section("Current?", sections.current(page, appraisal, documents, parts[Part.CURRENT]))
    page.section("Safe?", [*sections.findings(page, parts[Part.SAFE]), *sections.warnings(appraisal)])
    page.section("Mine?", sections.mine(page, appraisal, parts[Part.MINE]))
    page.blank()
    for title, lines in (
        ("Not checked", page.flow("–", appraisal.unchecked)),
        ("Fetched", [line for each in fetched for line in _fetched(page, each)]),
        ("Needed", _needed(appraisal)),
        ("Get it", [] if fetched else _get_it(appraisal, given)),
        ("Waived", _waived(page, appraisal)),
        ("To pass", _to_pass(page, appraisal)),
        ("Left aside", _ignored(ignored)),
        ("Judged by", _judged_by(page, appraisal, bool(fetched))),
    ):
        page.section(title, lines)


def unanswered(appraisal: Appraisal) -> list[str]:
    """Which of identity and freshness nobody compared."""
    passed = {check.id for check in appraisal.checks if check.outcome is Outcome.PASSED}
    out = []
    if appraisal.rule is None:
        out.append("identity")
    if "binding.report-data" not in passed:
        out.append("freshness")
    return out


def _head(page: Page, appraisal: Appraisal, opened: Opened) -> None:
    verification = appraisal.verification
    word, style = _word(appraisal)
    page.headline(word, style, _summary(appraisal), appraisal.reason)
    evidence = verification.evidence
    claims = verification.claims
    facts = [f"{_kind(evidence.kind)} v{evidence.version}"]
    if evidence.kind is TeeKind.SEV_SNP:
        facts.append(_snp_product(appraisal))
        version = claims.get("snp.current_version")
        if isinstance(version, tuple):
            facts.append(f"firmware {'.'.join(map(str, version))}")
        chip = claims.get("snp.chip_id")
        named = f", chip {short(chip, 8, 5)}" if isinstance(chip, bytes) and any(chip) else ""
        facts.append(f"signed by {evidence.signing_key}{named}")
    else:
        facts.append(f"FMSPC {evidence.fmspc or 'unknown'}")
        ppid = claims.get(f"{evidence.kind}.pck.ppid")
        if isinstance(ppid, bytes):
            facts.append(f"PPID {short(ppid, 8, 5)}")
    if opened.carrier not in _PLAIN:
        facts.append(f"from {opened.carrier}")
    page.plain(" · ".join(facts), indent=10)


def _word(appraisal: Appraisal) -> tuple[str, str]:
    verdict = appraisal.verdict
    prefix = "SIMULATED " if appraisal.verification.simulated else ""
    if verdict is Verdict.REFUSED:
        return f"{prefix}REFUSED", "bold red"
    if verdict is Verdict.UNDECIDED:
        return f"{prefix}UNDECIDED", "bold yellow"
    open_questions = unanswered(appraisal)
    if open_questions:
        return f"{prefix}ACCEPTED ({' and '.join(open_questions)} not checked)", "bold"
    return f"{prefix}ACCEPTED", "bold" if prefix else "bold green"


def _summary(appraisal: Appraisal) -> str:
    verification = appraisal.verification
    maker = "simulated" if verification.simulated else f"genuine {_MAKER[verification.evidence.kind]}"
    # In the order of the checks, so that the reason code at the end of the line is what is said first.
    blocking = dict.fromkeys(
        sections.part_of(check.id)
        for check in appraisal.checks
        if check.outcome in (Outcome.FAILED, Outcome.UNKNOWN)
        and (appraisal.verdict is not Verdict.REFUSED or check.outcome is Outcome.FAILED)
    )
    if not verification.authentic:
        if appraisal.verdict is Verdict.UNDECIDED:
            return "cannot tell yet whether it is genuine"
        return "this is not shown to be genuine"
    if appraisal.verdict is Verdict.ACCEPTED:
        return f"{maker} hardware"
    says = {
        Verdict.REFUSED: {
            Part.GENUINE: "but not trustworthy as it stands",
            Part.CURRENT: "out-of-date firmware",
            Part.SAFE: "in a configuration that is not acceptable",
            Part.MINE: "but not what was expected",
        },
        Verdict.UNDECIDED: {
            Part.GENUINE: "but what vouches for it is incomplete",
            Part.CURRENT: "whether its firmware is current cannot be told yet",
            Part.SAFE: "whether its configuration is acceptable cannot be told yet",
            Part.MINE: "whether it is what was expected cannot be told yet",
        },
    }[appraisal.verdict]
    return ", ".join([f"{maker} hardware", *(says[part] for part in blocking if part in says)][:3])


def _kind(kind: TeeKind) -> str:
    return {TeeKind.SEV_SNP: "SEV-SNP report", TeeKind.TDX: "TDX quote", TeeKind.SGX: "SGX quote"}[kind]


def _snp_product(appraisal: Appraisal) -> str:
    product = appraisal.verification.evidence.product or "unknown product"
    fms = appraisal.verification.claims.get("snp.cpuid_fms")
    if not isinstance(fms, str) or len(fms) != 6:
        return product
    family, model, stepping = bytes.fromhex(fms)
    base = min(family, 0xF)
    eax = (family - base) << 20 | (model >> 4) << 16 | base << 8 | (model & 0xF) << 4 | stepping
    return f"{product} (CPUID {eax:08X})"


def _fetched(page: Page, each: Fetched) -> list[Line]:
    return page.wrapped("✓" if each.outcome == telling.OK else "✗", telling.said(each))


def _needed(appraisal: Appraisal) -> list[Line]:
    out = []
    for need in appraisal.verification.missing:
        out.append(Line("?", where.title(need)))
        address = where.address(need)
        if address:
            out.append(Line(" ", address))
    return out


def _get_it(appraisal: Appraisal, given: str) -> list[Line]:
    """Commands that fetch what is needed, when it is something that a vendor serves."""
    if not any(names.spell(need) for need in appraisal.verification.missing):
        return []
    if given == STDIN:
        return [Line("", "sealgate verify --fetch FILE   (the same evidence, in a file)")]
    name = shlex.quote(one_line(given))
    return [
        Line("", f"sealgate verify --fetch {name}"),
        Line("", f"sealgate collateral fetch --for {name} --out DIR   and then --collateral DIR"),
    ]


def _waived(page: Page, appraisal: Appraisal) -> list[Line]:
    return [
        line
        for waiver in appraisal.waived
        for line in page.wrapped(
            "~", f"{waiver.finding} by {waiver.id}: {waiver.reason} (owner {waiver.owner})"
        )
    ]


def _to_pass(page: Page, appraisal: Appraisal) -> list[Line]:
    if appraisal.verdict is Verdict.ACCEPTED:
        return []
    fixes = [
        check.fix
        for outcome in (Outcome.FAILED, Outcome.UNKNOWN)
        for check in appraisal.checks
        # "Raise what is short" says nothing beside the list of what is, and nothing before there is one.
        if check.outcome is outcome and check.fix and not check.id.endswith(".tcb-status")
    ]
    by: dict[str, list[str]] = {}
    for item in appraisal.tcb.short:
        by.setdefault(item.raised_by, []).append(f"{item.component} {item.has} → {item.needs}")
    raised = [f"{who}: {', '.join(what)}" for who, what in by.items()]
    # AMD's floors come with a remedy of their own, written by whoever set the floor.
    amd = appraisal.verification.evidence.kind is TeeKind.SEV_SNP
    steps = fixes if amd and fixes else [*raised, *fixes]
    out: list[Line] = []
    for number, step in enumerate(dict.fromkeys(steps), 1):
        out += page.wrapped("", f"{number}. {step}")
    return out


def _ignored(ignored: Sequence[str]) -> list[Line]:
    out = [Line("–", name) for name in ignored[:_MAX_LISTED]]
    if len(ignored) > _MAX_LISTED:
        out.append(Line(" ", f"and {len(ignored) - _MAX_LISTED} more"))
    return out


def _judged_by(page: Page, appraisal: Appraisal, asked: bool) -> list[Line]:
    titles = {"baseline": "platform baseline", "reference": "reference values", "release": "release policy"}
    items = [
        f"{titles.get(d.kind, d.kind)} {d.name}@{d.version} ({short(d.digest, 15, 0)})"
        for d in appraisal.documents
    ]
    how = "with what vendors served just now" if asked else "offline"
    items.append(f"{how}, at {appraisal.at:%Y-%m-%d %H:%M:%SZ}")
    expires = appraisal.verification.expires
    if expires is not None:
        items.append(f"what vouches for it holds until {expires:%Y-%m-%d %H:%M:%SZ}")
    return page.wrapped("", "; ".join(items))
