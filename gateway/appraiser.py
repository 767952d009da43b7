"""Evidence in, appraisals out: the pure packages, with collateral and policies at hand.

Of what came with evidence, only what a pinned key signed is read here (`verifiers/vouching.py`). When that
does not make the evidence authentic, nothing can: then the reader is asked to look at the rest, so that a
refusal explains itself, and its findings count only as the refusal that it is anyway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import structs

from gateway import evidence
from gateway.appraisals import CollateralSet
from gateway.caches import LruChains
from gateway.errors import GatewayError, GatewayReason
from gateway.evidence import Inputs
from gateway.policybook import Compiled, PolicyBook
from gateway.ports import CollateralSource, Supplied
from gateway.reading import InProcess, Read, Reader, explain_here
from policies.appraise import Appraisal, appraise
from policies.compiler import Policy
from policies.model import ALL_REQUIREMENTS, Profile
from verifiers import registry, verdict, vouching
from verifiers.carriers import Opened
from verifiers.dcap import needs as dcap_needs
from verifiers.dcap.quote import PCK_LEAF, Quote
from verifiers.model import (
    AnchorSet,
    Binding,
    ChainCache,
    Check,
    Endorsements,
    Need,
    Outcome,
    Verdict,
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
    reader: Reader = field(default_factory=InProcess)
    sets: LruChains = field(default_factory=lambda: LruChains(_SETS))
    """Digests of objects that were handed over together, to the set that they are."""

    def open(self, tenant: str, message: bytes) -> Read:
        """Evidence out of the request's `evidence`, as JSON. Raises as `Reader.open`."""
        return self.reader.open(tenant, message)

    def supply(self, read: Read, now: datetime) -> Supplied:
        """What we hold for this evidence. Which that is is worked out here, as soon as nothing has to be read
        for it that nobody vouches for; a reader that keeps a CRL from us could hide a revocation."""
        sent = read.opened.evidence
        if isinstance(sent, Quote):
            alone = sent.signature_data.certification_type == PCK_LEAF  # what is above it may be ours
            issuers = self.source.get((dcap_needs.root_crl(),), now).certificates if alone else ()
            ours = Endorsements(anchors=self.anchors, certificates=issuers, cache=self.cache)
            if not vouching.quote_vouched(sent, ours):
                return self.source.get(self.reader.needs(read), now)
        return self.source.get(registry.needs(sent), now)

    def verify(
        self, read: Read, binding: Binding, now: datetime, errand: Errand | None = None
    ) -> tuple[Verification, Inputs]:
        """The findings, with what the carrier says of its own content in front: that decides like them. And
        what they were made from.

        errand: for whom; what was lacking is noted for it, so that it is there next time. None notes nothing.
        Raises GatewayError: CONTAINED_REPLY for a reader that calls authentic what is not, and as
        `Reader.explain`.
        """
        held, opened = self.supply(read, now), read.opened
        endorsements = endorse(opened, held, self.anchors, self.cache)

        def explain(everything: Endorsements) -> Verification:
            return self.reader.explain(read, everything, binding, now)

        found, lacking = _verify(opened, endorsements, binding, now, explain)
        found = _with_withheld(found, held.withheld)
        if errand is not None:
            errand.retry_after = self.source.want(lacking, now, errand.client)
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
    found, _ = _verify(opened, endorsements, binding, now, lambda e: explain_here(opened, e, binding, now))
    return _with_withheld(found, withheld)


def _verify(
    opened: Opened,
    endorsements: Endorsements,
    binding: Binding,
    now: datetime,
    explain: Callable[[Endorsements], Verification],
) -> tuple[Verification, Sequence[Need]]:
    """The findings, and what was lacking: of evidence that a stranger's certificates stand in, what can be
    told without them."""
    strange = vouching.strangers(
        opened.evidence, opened.certificates, endorsements.anchors, endorsements.cache
    )
    if isinstance(opened.evidence, Quote) and not vouching.quote_vouched(opened.evidence, endorsements):
        return _refused(explain(endorsements)), ()
    ours = endorsements
    if strange:
        ours = dataclasses.replace(
            endorsements, certificates=tuple(c for c in endorsements.certificates if c not in strange)
        )
    found = registry.verify(opened.evidence, ours, binding, now, event_log=opened.event_log)
    lacking = _lacking(opened, found)
    if strange and not found.chain_valid:
        return _refused(explain(endorsements)), lacking
    notes = (*opened.notes, _ignored(len(strange))) if strange else opened.notes
    return verdict.with_notes(found, notes), lacking


def _refused(told: Verification) -> Verification:
    """Findings about evidence that no pin vouches for, by whoever read it. If they say otherwise, somebody is
    lying, or we have a bug: then nothing comes of the attempt."""
    if not told.chain_valid and told.verdict is not Verdict.ACCEPTED:
        return told
    raise GatewayError(
        GatewayReason.CONTAINED_REPLY,
        "the evidence could not be judged",
        where="findings",
        expected="evidence that no pinned key vouches for, to be told so",
        found="a chain that leads to one" if told.chain_valid else "nothing against it",
    )


def _lacking(opened: Opened, found: Verification) -> tuple[Need, ...]:
    """What the verifier missed, and the PCK that a quote only names by its encrypted PPID."""
    if found.chain_valid:
        return found.missing
    pcks = (need for need in registry.needs(opened.evidence) if need.kind == "intel.pck")
    return tuple(dict.fromkeys((*found.missing, *pcks)))


def _ignored(count: int) -> Check:
    return Check(
        "evidence.ignored",
        Outcome.NOT_CHECKED,
        "certificates that a pinned key signed",
        f"{count} certificate{'s' if count > 1 else ''} by somebody else, not read",
        "RFC 5280, section 6",
    )


def _with_withheld(found: Verification, withheld: Sequence[str]) -> Verification:
    return structs.replace(found, checks=(*found.checks, *map(_withheld, withheld))) if withheld else found


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
