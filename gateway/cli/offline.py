"""Evidence, collateral and policies in; an appraisal out. What `verify` and `policy explain` share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway import bundles
from gateway.cli import files
from gateway.cli.errors import InputError, reading
from gateway.cli.files import Gathered
from policies import compiler
from policies.appraise import Appraisal, appraise
from policies.load import load
from policies.model import Baseline, Document, Profile, ReferenceSet, ReleasePolicy, Requirement
from policies.strictyaml import MAX_BYTES
from verifiers import registry, verdict
from verifiers.carriers import Opened
from verifiers.claims import BY_NAME
from verifiers.model import AnchorSet, Binding, Endorsements


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Baselines (shipped ones, unless a document of that name was given), sets, one policy or none."""

    baselines: tuple[Baseline, ...]
    references: tuple[ReferenceSet, ...]
    release: ReleasePolicy | None


def read_documents(policy: str | None, references: tuple[str, ...]) -> Documents:
    """Load what judges. Raises InputError: unreadable, several release policies, two sets of one name."""
    given: list[Document] = []
    for name, raw in files.documents([*([policy] if policy else []), *references], MAX_BYTES):
        with reading(name):
            given += load(raw, name, claims=BY_NAME)
    shipped = [d for name, raw in bundles.baselines() for d in load(raw, name, claims=BY_NAME)]
    baselines = {d.name: d for d in shipped if isinstance(d, Baseline)}
    baselines |= {d.name: d for d in given if isinstance(d, Baseline)}
    releases = [d for d in given if isinstance(d, ReleasePolicy)]
    if len(releases) > 1:
        names = ", ".join(release.name for release in releases[:6])
        raise InputError(
            f"--policy: expected one release policy, found {len(releases)}: {names}; name one file"
        )
    if policy and not given:
        raise InputError(f"{policy}: expected policy documents, found none")
    sets = [d for d in given if isinstance(d, ReferenceSet)]
    return Documents(
        baselines=tuple(baselines[name] for name in sorted(baselines)),
        references=tuple(sets),
        release=releases[0] if releases else None,
    )


def judge(
    opened: Opened,
    gathered: Gathered,
    documents: Documents,
    binding: Binding,
    now: datetime,
    *,
    required: frozenset[Requirement],
    anchors: AnchorSet,
) -> Appraisal:
    """Verify and appraise. Total: whatever is wrong with evidence or collateral is in the result."""
    with reading("policy"):
        if documents.release is None and not documents.references:
            policy = compiler.platform_only(documents.baselines)
        else:
            policy = compiler.compile(documents.baselines, documents.references, documents.release)
    collateral = gathered.collateral
    endorsements = Endorsements(
        anchors=anchors,
        certificates=(*collateral.certificates, *opened.certificates),
        crls=collateral.crls,
        tcb_infos=collateral.tcb_infos,
        qe_identities=collateral.qe_identities,
    )
    verification = registry.verify(opened.evidence, endorsements, binding, now, event_log=opened.event_log)
    verification = verdict.with_notes(verification, opened.notes)
    profile = Profile.KBS if opened.carrier.startswith(("kbs-", "az-")) else Profile.NATIVE
    return appraise(verification, documents.references, policy, now, required=required, profile=profile)
