"""Bundles out of a store: evidence opened, and everything beside it looked up by its digest."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import evidence, record
from gateway.appraisals import AppraisalStore
from gateway.errors import GatewayError, GatewayReason
from gateway.evidence import Submission
from gateway.ports import Clock, CollateralSource, CollateralStore, DocumentStore, Keys, Supplied
from gateway.replay import again, bundle
from verifiers import registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The ports that replays need, together. They are read and nothing else."""

    appraisals: AppraisalStore
    collateral: CollateralStore
    documents: DocumentStore
    source: CollateralSource
    keys: Keys
    clock: Clock

    def bundle(self, tenant: str, attempt: str, *, with_now: bool) -> bytes:
        """One attempt's bundle. with_now: with what our sources would hand over today, too.

        Raises GatewayError: REQUEST_NOT_FOUND, REPLAY_NOT_KEPT, REPLAY_ALTERED, KEYS_UNKNOWN, SEAL_BROKEN.
        """
        stored = self.appraisals.get(tenant, attempt)
        if stored is None:
            raise GatewayError(
                GatewayReason.REQUEST_NOT_FOUND,
                "there is no such attempt, or its time is over",
                where="attempt",
                expected="a known attempt",
                found=repr(attempt[:64]),
            )
        sent = evidence.open_stored(self.keys, stored)
        listed = bundle.documents_of(bundle.replayable(stored))
        members = () if stored.collateral is None else evidence.members(stored.collateral)
        value = bundle.write(
            stored,
            sent,
            objects=self.collateral.by_digests([digest for _, digest in members]),
            documents=self.documents.versions(tenant, [(d.kind, d.name, d.version) for d in listed]),
            now=self._now(sent) if with_now else None,
        )
        return record.encode(value)

    def _now(self, sent: Submission) -> Supplied:
        return self.source.get(registry.needs(again.opened(sent).evidence), self.clock.now())
