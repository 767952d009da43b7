"""Evidence in, appraisals out: the pure packages, with collateral and policies at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from gateway.errors import GatewayReason
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

    def supply(self, opened: Opened, now: datetime) -> Supplied:
        """What we hold for this evidence."""
        return self.source.get(registry.needs(opened.evidence), now)

    def endorsements(self, opened: Opened, held: Supplied) -> Endorsements:
        """What we hold for this evidence, and the certificates that came with it; those must chain to a pin
        like all others. CRLs, TCB infos and identities are ours alone."""
        return Endorsements(
            anchors=self.anchors,
            certificates=tuple(dict.fromkeys((*opened.certificates, *held.certificates))),
            crls=held.crls,
            tcb_infos=held.tcb_infos,
            qe_identities=held.qe_identities,
            cache=self.cache,
        )

    def verify(
        self, opened: Opened, binding: Binding, now: datetime, errand: Errand | None = None
    ) -> Verification:
        """The findings, with what the carrier says of its own content in front: that decides like them.

        errand: for whom; what was lacking is noted for it, so that it is there next time. None notes nothing.
        """
        held = self.supply(opened, now)
        found = registry.verify(
            opened.evidence,
            self.endorsements(opened, held),
            binding,
            now,
            event_log=opened.event_log,
        )
        if errand is not None:
            errand.retry_after = self.source.want(_lacking(opened, found), now, errand.client)
        found = replace(found, checks=(*found.checks, *map(_withheld, held.withheld)))
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
