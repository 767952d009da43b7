"""Evidence for cases: simulated machines, files with collateral, or claims one by one; verified once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.cli import files
from gateway.simulator import inteldocs, keys, quotewrite, snpreport, spelling
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from policies import hypothetical, trials
from policies.cases_document import Case, Evidence
from policies.errors import Place, PolicyError, PolicyErrors
from policies.model import ReferenceSet
from policies.trials import Trial
from verifiers import carriers, registry, verdict
from verifiers.carriers import Opened
from verifiers.model import AnchorSet, Endorsements, ReportData, TeeKind, Unbound, Verification

REPORT_DATA = bytes(64)


@dataclass(slots=True)
class Preparer:
    """Makes trials of cases. folder: what files are relative to. Verifications are kept for the next case."""

    folder: Path
    known: dict[tuple[object, ...], Verification] = field(default_factory=dict)

    def trial(self, case: Case, sets: Mapping[str, ReferenceSet]) -> Trial:
        """Raises PolicyErrors and InputError, which name the case's line or the file."""
        evidence = case.evidence
        key = (
            evidence.source,
            evidence.what,
            evidence.settings,
            evidence.fields,
            evidence.collateral,
            case.now,
        )
        if key not in self.known:
            self.known[key] = self._verified(evidence, case.now)
        return Trial(case=case, verification=trials.changed(self.known[key], evidence, sets))

    def _verified(self, evidence: Evidence, now: datetime) -> Verification:
        if evidence.source == "claims":
            return hypothetical.supposed(TeeKind(evidence.what), {}, now)
        if evidence.source == "simulate":
            return simulated(evidence, now)
        opened = files.open_evidence(str(self.folder / evidence.what), None)
        gathered = files.gather([str(self.folder / path) for path in evidence.collateral])
        return verified(opened, gathered, now, anchors=AnchorSet.VENDOR_AND_SIMULATED)


def verified(opened: Opened, gathered: files.Gathered, now: datetime, *, anchors: AnchorSet) -> Verification:
    """Evidence from a file. What its report data is for is no question of policy: it is taken as ours."""
    collateral = gathered.collateral
    endorsements = Endorsements(
        anchors=anchors,
        certificates=(*collateral.certificates, *opened.certificates),
        crls=collateral.crls,
        tcb_infos=collateral.tcb_infos,
        qe_identities=collateral.qe_identities,
    )
    first = registry.verify(opened.evidence, endorsements, Unbound("not known yet"), now)
    name = f"{first.evidence.kind.value.removeprefix('sev-')}.report_data"
    said = first.claims.get(name)
    if not isinstance(said, bytes):
        return verdict.with_notes(first, opened.notes)
    found = registry.verify(opened.evidence, endorsements, ReportData(said), now)
    return verdict.with_notes(found, opened.notes)


def simulated(evidence: Evidence, now: datetime) -> Verification:
    """A simulated machine that lives at `now`. Raises PolicyErrors for settings that no machine has."""
    kind = TeeKind(evidence.what)
    settings, fields = dict(evidence.settings), dict(evidence.fields)
    machine: SnpMachine | TdxMachine | SgxMachine
    try:
        if kind is TeeKind.SEV_SNP:
            machine, raw = _snp(settings, fields, now)
        else:
            machine, raw = _intel(kind, settings, fields, now)
    except (spelling.SpellingError, ValueError, KeyError, TypeError) as error:
        raise _wrong(evidence.at, str(error)) from None
    opened = carriers.open_evidence(raw, forced=None)
    return registry.verify(opened.evidence, machine.endorsements(), ReportData(REPORT_DATA), now)


def _snp(settings: dict[str, str], fields: dict[str, str], now: datetime) -> tuple[SnpMachine, bytes]:
    _known(settings, ("product", "signing_key", "format"))
    product = _one_of(settings, "product", keys.PRODUCTS, "Genoa")
    facts: dict[str, Any] = {}
    if "tcb" in fields:
        facts["tcb"] = spelling.tcb(fields.pop("tcb"))
    if "format" in settings:
        facts["version"] = spelling.snp_value("version", settings["format"])
    for name in fields:
        if name not in snpreport.FIELDS:
            raise spelling.unknown(name, {*snpreport.FIELDS, "tcb"})
    overrides = {name: spelling.snp_value(name, text) for name, text in fields.items()}
    key = _one_of(settings, "signing_key", ("VCEK", "VLEK"), "VCEK")
    machine = SnpMachine(product=product, signing_key=key, at=now, **facts)
    return machine, machine.report(REPORT_DATA, **overrides)  # type: ignore[arg-type]


def _intel(
    kind: TeeKind, settings: dict[str, str], fields: dict[str, str], now: datetime
) -> tuple[TdxMachine | SgxMachine, bytes]:
    _known(settings, ("level", "format") if kind is TeeKind.TDX else ("level",))
    level = _one_of(settings, "level", tuple(inteldocs.SGX_SVNS), "UpToDate")
    machine: TdxMachine | SgxMachine
    if kind is TeeKind.TDX:
        version = int(_one_of(settings, "format", ("4", "5"), "4"))
        machine = TdxMachine(version=version, level=level, at=now)
        layout = quotewrite.TD_BODIES["1.5" if version == 5 else "1.0"][2]
    else:
        machine, layout = SgxMachine(level=level, at=now), quotewrite.ENCLAVE
    for name in fields:
        if name not in layout and name not in quotewrite.HEADER:
            raise spelling.unknown(name, {*layout, *quotewrite.HEADER})
    overrides: dict[str, Any] = {
        name: spelling.quote_value(name, text, layout) for name, text in fields.items()
    }
    return machine, machine.quote(REPORT_DATA, **overrides)


def _known(settings: dict[str, str], names: tuple[str, ...]) -> None:
    for name in settings:
        if name not in names:
            raise spelling.SpellingError(f"{name}: this kind of machine takes {', '.join(names)} only")


def _one_of(settings: dict[str, str], name: str, words: tuple[str, ...], otherwise: str) -> str:
    word = settings.get(name, otherwise)
    if word not in words:
        raise spelling.SpellingError(f"{name}: expected {' or '.join(words)}, found {word!r}")
    return word


def _wrong(place: Place, message: str) -> PolicyErrors:
    return PolicyErrors([PolicyError("policy.recipe", place, message)])
