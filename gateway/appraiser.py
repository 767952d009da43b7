"""Evidence in, appraisals out: the pure packages, with collateral and policies at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from gateway import evidence
from gateway.appraisals import CollateralSet
from gateway.caches import LruChains
from gateway.errors import GatewayReason
from gateway.evidence import Inputs
from gateway.policybook import Compiled, PolicyBook
from gateway.ports import CollateralSource, Supplied
from policies.appraise import Appraisal, appraise
from policies.compiler import Policy
from policies.model import ALL_REQUIREMENTS, Profile
from verifiers import registry, verdict
from verifiers.carriers import Opened
from verifiers.model import (
    AnchorSet,
    Binding,
    ChainCache,
    Check,
    Endorsements,
    Need,
    Outcome,
    Verification,
)

_SETS = 4096


@dataclass(slots=True)
class Errand:
    """For whom a verification is made: an address and tenant, for the budget of machines never seen before.
    And what came of it: in how many seconds to come again for what was lacking, None when nothing will
    come."""

    client: str
    retry_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraiser:
    """anchors: VENDOR, except in a store that was created in development mode."""

    source: CollateralSource
    book: PolicyBook
    anchors: AnchorSet
    cache: ChainCache
    sets: LruChains = field(default_factory=lambda: LruChains(_SETS))
    """Digests of objects that were handed over together, to the set that they are."""

    def supply(self, opened: Opened, now: datetime) -> Supplied:
        """What we hold for this evidence."""
        return self.source.get(registry.needs(opened.evidence), now)

    def verify(
        self, opened: Opened, binding: Binding, now: datetime, errand: Errand | None = None
    ) -> tuple[Verification, Inputs]:
        """The findings, with what the carrier says of its own content in front: that decides like them. And
        what they were made from.

        errand: for whom; what was lacking is noted for it, so that it is there next time. None notes nothing.
        """
        held = self.supply(opened, now)
        found = verify(opened, endorse(opened, held, self.anchors, self.cache), binding, now, held.withheld)
        if errand is not None:
            errand.retry_after = self.source.want(_lacking(opened, found), now, errand.client)
        return found, Inputs(
            anchors=self.anchors, binding=binding, held=self._set_of(held), withheld=held.withheld
        )

    def _set_of(self, held: Supplied) -> CollateralSet:
        known = self.sets.get(held.digests)
        if not isinstance(known, CollateralSet):
            known = evidence.set_of(held)
            self.sets.put(held.digests, known)
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


def endorse(opened: Opened, held: Supplied, anchors: AnchorSet, cache: ChainCache) -> Endorsements:
    """What is held for this evidence, and the certificates that came with it; those must chain to a pin like
    all others. CRLs, TCB infos and identities are ours alone."""
    return Endorsements(
        anchors=anchors,
        certificates=tuple(dict.fromkeys((*opened.certificates, *held.certificates))),
        crls=held.crls,
        tcb_infos=held.tcb_infos,
        qe_identities=held.qe_identities,
        cache=cache,
    )


def verify(
    opened: Opened,
    endorsements: Endorsements,
    binding: Binding,
    now: datetime,
    withheld: Sequence[str] = (),
) -> Verification:
    """As `Appraiser.verify`, with everything given: what a replay does again. withheld: a line for each thing
    that is held and was handed to nobody."""
    found = registry.verify(opened.evidence, endorsements, binding, now, event_log=opened.event_log)
    found = replace(found, checks=(*found.checks, *map(_withheld, withheld)))
    return verdict.with_notes(found, opened.notes)


def _lacking(opened: Opened, found: Verification) -> tuple[Need, ...]:
    """What the verifier missed, and the PCK that a quote only names by its encrypted PPID."""
    if found.chain_valid:
        return found.missing
    pcks = (need for need in registry.needs(opened.evidence) if need.kind == "intel.pck")
    return tuple(dict.fromkeys((*found.missing, *pcks)))


def _withheld(line: str) -> Check:
    """Why something that is held did not count: for the operator who sees only that it was missing."""
    return Check(
        "collateral.max-age",
        Outcome.NOT_CHECKED,
        "collateral no older than this gateway allows",
        line,
        "[collateral] in the configuration",
        str(GatewayReason.COLLATERAL_TOO_OLD),
        "fetch or import a newer one, or allow a greater age",
    )
