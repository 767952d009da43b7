"""Ports of changes on their way: who must approve them, what was proposed, what is tried beside what counts.
As `ports.py` otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from gateway.ports import NewEntry, StoredChange


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApprovalKey:
    """Whose signature approves changes of one tenant. jwk: the public key, JSON. administrator: id of whom it
    belongs to, with whom it ends; "" is nobody in particular. revoked: None while it counts. may: whether
    whose it is has a role here that approves; true of nobody in particular."""

    tenant: str
    thumbprint: str
    jwk: str
    administrator: str
    created: datetime
    revoked: datetime | None
    may: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalState:
    """What approvals are judged by. needed: None when nobody has said. last: sequence of the last change."""

    keys: Sequence[StoredApprovalKey]
    needed: int | None
    last: int


class ApprovalStore(Protocol):
    """Every change here raises the epoch of the documents: `DocumentStore.change` fails when who must approve
    was changed since it was judged."""

    def state(self, tenant: str) -> ApprovalState: ...

    def add_key(self, key: StoredApprovalKey, entry: NewEntry) -> bool:
        """Keep a key and enter it into the ledger, in one durable step. False, and neither, when the tenant
        has or had that key."""
        ...

    def revoke_key(self, tenant: str, thumbprint: str, at: datetime, entry: NewEntry) -> bool:
        """False, and no change, when the tenant has no such key that still counts."""
        ...

    def set_needed(self, tenant: str, needed: int, before: int | None, entry: NewEntry) -> bool:
        """False, and no change, unless `before` is still what was said (None: nothing was)."""
        ...

    def history(self, tenant: str, limit: int) -> Sequence[StoredChange]:
        """Newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Documents that may become active. id: of their content. files: JSON, names and sources as sent."""

    tenant: str
    id: str
    created: datetime
    by: str
    files: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalStep:
    """What became of a proposal. step: "tested", "backtested" or "approved"."""

    at: datetime
    step: str
    by: str
    detail: Mapping[str, Any]


class Written(NamedTuple):
    """A document as the one that its writers meant, whatever its bytes. tenant: "" for baselines."""

    tenant: str
    kind: str
    name: str
    version: int


class ProposalStore(Protocol):
    """Proposals never change; each addition and its ledger entry are one durable step."""

    def add(self, proposal: Proposal, documents: Sequence[Written], entry: NewEntry) -> bool:
        """Keep it, and that `proposal.by` wrote these documents. False, and no change, when the tenant has it
        already from whoever that is."""
        ...

    def authors(self, documents: Sequence[Written]) -> Mapping[Written, frozenset[str]]:
        """Who wrote each of these, as far as they were ever proposed: ids of administrators."""
        ...

    def find(self, tenant: str, prefix: str, limit: int) -> Sequence[Proposal]:
        """Those whose id begins so, newest first. prefix: hex digits."""
        ...

    def steps(self, tenant: str, proposal: str) -> Sequence[ProposalStep]: ...

    def add_step(self, tenant: str, proposal: str, step: ProposalStep, entry: NewEntry) -> None: ...

    def activated(self, tenant: str, proposal: str) -> Sequence[int]:
        """Sequences of the changes that activated it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShadow:
    """A proposal that is asked beside what counts. number: of the tenant's shadows, from 1. stopped: None
    while it runs. counts: answers by result, of those that are written down."""

    tenant: str
    number: int
    proposal: str
    started: datetime
    by: str
    stopped: datetime | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowDifference:
    """One answer beside the shadow's: `shadow.Result`, verdicts and codes. path: "" is the verdict alone."""

    at: datetime
    attempt: str
    path: str
    result: str
    verdict: str
    reason: str
    shadow_verdict: str
    shadow_reason: str


class ShadowStore(Protocol):
    """Starting and stopping raises the epoch of the documents, and is one durable step with its entry."""

    def running(self) -> tuple[int, Mapping[str, StoredShadow]]:
        """The epoch, and the running shadow of every tenant that has one; without counts."""
        ...

    def start(self, tenant: str, proposal: str, at: datetime, by: str, entry: NewEntry) -> bool:
        """False, and no change, while another one of the tenant runs."""
        ...

    def stop(self, tenant: str, number: int, at: datetime, entry: NewEntry) -> bool:
        """False, and no change, when it does not run."""
        ...

    def find(self, tenant: str, proposal: str, limit: int) -> Sequence[StoredShadow]:
        """Those of one proposal ("": of every one), newest first."""
        ...

    def count(
        self, tenant: str, number: int, counts: Mapping[str, int], differences: Sequence[ShadowDifference]
    ) -> None:
        """Add to what is known. The newest differences are kept, a bounded number."""
        ...

    def differences(self, tenant: str, number: int, limit: int) -> Sequence[ShadowDifference]:
        """Newest first."""
        ...
