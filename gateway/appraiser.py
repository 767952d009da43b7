"""Evidence in, appraisals out: the pure packages, with collateral and policies at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway import evidence
from gateway.caches import LruChains
from gateway.collateral import CERTIFICATE, CRL, QE_IDENTITY, TCB_INFO
from gateway.evidence import Inputs
from gateway.policybook import Compiled, PolicyBook
from gateway.ports import CollateralSet, CollateralSource
from policies.appraise import Appraisal, appraise
from policies.compiler import Policy
from policies.model import ALL_REQUIREMENTS, Profile
from verifiers import registry, verdict
from verifiers.carriers import Opened
from verifiers.model import AnchorSet, Binding, ChainCache, Endorsements, Verification

_SETS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraiser:
    """anchors: VENDOR, except in a store that was created in development mode."""

    source: CollateralSource
    book: PolicyBook
    anchors: AnchorSet
    cache: ChainCache
    sets: LruChains = field(default_factory=lambda: LruChains(_SETS))
    """Objects that were handed over together to the set that they are: digests are taken once."""

    def verify(self, opened: Opened, binding: Binding, now: datetime) -> tuple[Verification, Inputs]:
        """The findings, with what the carrier says of its own content in front: that decides like them. And
        what they were made from."""
        held = self.source.get(registry.needs(opened.evidence))
        inputs = Inputs(anchors=self.anchors, binding=binding, held=self._set_of(held))
        endorsements = endorse(opened, held, self.anchors, self.cache)
        return verify(opened, endorsements, binding, now), inputs

    def _set_of(self, held: Mapping[str, Sequence[bytes]]) -> CollateralSet:
        # The same objects again, so that comparing them takes no look at their bytes.
        key = tuple((kind, tuple(raws)) for kind, raws in held.items())
        known = self.sets.get(key)
        if not isinstance(known, CollateralSet):
            known = evidence.set_of(held)
            self.sets.put(key, known)
        return known

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


def endorse(
    opened: Opened, held: Mapping[str, Sequence[bytes]], anchors: AnchorSet, cache: ChainCache
) -> Endorsements:
    """What is held for this evidence, and the certificates that came with it; those must chain to a pin like
    all others. CRLs, TCB infos and identities are ours alone."""
    return Endorsements(
        anchors=anchors,
        certificates=tuple(dict.fromkeys((*opened.certificates, *held.get(CERTIFICATE, ())))),
        crls=tuple(held.get(CRL, ())),
        tcb_infos=tuple(held.get(TCB_INFO, ())),
        qe_identities=tuple(held.get(QE_IDENTITY, ())),
        cache=cache,
    )


def verify(opened: Opened, endorsements: Endorsements, binding: Binding, now: datetime) -> Verification:
    """As `Appraiser.verify`, with everything given: what a replay does again."""
    return verdict.with_notes(registry.verify(opened.evidence, endorsements, binding, now), opened.notes)
