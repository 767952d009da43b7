"""Evidence in, appraisals out: the pure packages, with collateral and policies at hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.collateral import CERTIFICATE, CRL, QE_IDENTITY, TCB_INFO
from gateway.policybook import Compiled, PolicyBook
from gateway.ports import CollateralSource
from policies.appraise import Appraisal, appraise
from policies.compiler import Policy
from policies.model import ALL_REQUIREMENTS, Profile
from verifiers import registry, verdict
from verifiers.carriers import Opened
from verifiers.model import AnchorSet, Binding, ChainCache, Endorsements, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraiser:
    """anchors: VENDOR, except in a store that was created in development mode."""

    source: CollateralSource
    book: PolicyBook
    anchors: AnchorSet
    cache: ChainCache

    def endorsements(self, opened: Opened) -> Endorsements:
        """What we hold for this evidence, and the certificates that came with it; those must chain to a pin
        like all others. CRLs, TCB infos and identities are ours alone."""
        held = self.source.get(registry.needs(opened.evidence))
        return Endorsements(
            anchors=self.anchors,
            certificates=tuple(dict.fromkeys((*opened.certificates, *held[CERTIFICATE]))),
            crls=tuple(held[CRL]),
            tcb_infos=tuple(held[TCB_INFO]),
            qe_identities=tuple(held[QE_IDENTITY]),
            cache=self.cache,
        )

    def verify(self, opened: Opened, binding: Binding, now: datetime) -> Verification:
        """The findings, with what the carrier says of its own content in front: that decides like them."""
        found = registry.verify(
            opened.evidence, self.endorsements(opened), binding, now, event_log=opened.event_log
        )
        return verdict.with_notes(found, opened.notes)

    def judge(
        self, verification: Verification, compiled: Compiled, name: str | None, now: datetime
    ) -> Appraisal:
        """Under release policy `name`; None: under the baselines alone, identity then stays open."""
        policy: Policy = compiled.platform if name is None else compiled.releases[name]
        return appraise(
            verification,
            compiled.references.values(),
            policy,
            now,
            profile=Profile.NATIVE,
            required=ALL_REQUIREMENTS,
        )
