"""Appraisals as they are stored: what the `Journal` of `gateway/ports.py` writes.

As for all ports: every row belongs to a tenant, times are aware and UTC, and methods may be called from
several threads and processes at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSubmission:
    """What a guest sent, as it lies in the store (`gateway/evidence.py` seals and opens it).

    digest: SHA-256 of the content, hex. held_by: the attempt whose row has the bytes; another attempt on the
    same content names that one, and has `sealed` empty when it is written.
    """

    digest: str
    key_id: str
    sealed: bytes
    held_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralSet:
    """Every object that a verifier was handed. listing: "<kind> <SHA-256 in hex>" a line, in that order;
    digest: SHA-256 of the listing, hex. Kept once, however many appraisals name it."""

    digest: str
    listing: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAppraisal:
    """One appraisal: what a token's `jti` names. Release re-evaluates it from its submission, and takes the
    key from there, never from a token.

    releasable: False for everything that came through /v1/verify. record: the result as JSON. submission:
    what was sent, when something vouched for it. collateral: what was handed to the verifier.
    """

    tenant: str
    jti: str
    created: datetime
    expires: datetime
    releasable: bool
    verdict: str
    record: bytes
    submission: SealedSubmission | None = None
    collateral: CollateralSet | None = None


class AppraisalStore(Protocol):
    """Appraisals as they were recorded. What writes them is the `Journal`."""

    def get(self, tenant: str, jti: str) -> StoredAppraisal | None: ...

    def recent(self, tenant: str, limit: int) -> Sequence[StoredAppraisal]: ...

    def records(self, since: datetime, most: int) -> Iterator[tuple[str, str, datetime, bytes]]:
        """(tenant, jti, created, record) of what can be judged again, of every tenant, the newest first, made
        at `since` or later; at most that many. In pages: reading them all holds up nobody."""
        ...

    def prune(self, before: datetime) -> int:
        """Forget appraisals of every tenant that were made before that time; how many. What the ledger says
        of them stays. A little at a time, so that nobody waits long; interrupted, it has forgotten a part."""
        ...

    def shrink(self, most: int) -> int:
        """Forget the oldest appraisals until evidence and records have at most that many bytes; how many.
        As `prune`: the ledger stays, and nobody waits long. For one caller at a time."""
        ...
