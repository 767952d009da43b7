"""When the active reference sets end: for the administrators' list and for /metrics."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import GatewayError
from gateway.policybook import REFERENCE, Sources
from gateway.ports import DocumentStore, StoredDocument
from policies.errors import PolicyErrors
from policies.model import ReferenceSet

MAX_SETS = 64
"""Sets that a scrape names, those first that end first: a tenant's names must not grow it without bound."""


@dataclass(frozen=True, slots=True)
class Ending:
    tenant: str
    name: str
    valid_from: datetime
    valid_until: datetime


def ending(row: StoredDocument, sources: Sources) -> Ending | None:
    """When an active set holds; None for another document, and for one that cannot be read (which refuses
    elsewhere, and must not keep the rest from being shown)."""
    if row.kind != REFERENCE:
        return None
    try:
        (document,) = sources.documents([row])
    except (PolicyErrors, GatewayError):
        return None
    if not isinstance(document, ReferenceSet):
        return None
    return Ending(row.tenant, row.name, document.valid_from, document.valid_until)


class Endings:
    """Those that end first, of all tenants, read again when a document changed. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[int, tuple[Ending, ...]] | None = None

    def first(self, store: DocumentStore, sources: Sources) -> Sequence[Ending]:
        """At most MAX_SETS. Raises what the store raises."""
        epoch = store.epoch()
        with self._lock:
            if self._kept is None or self._kept[0] != epoch:
                epoch, rows = store.everything()
                found = [e for row in rows if (e := ending(row, sources)) is not None]
                found.sort(key=lambda each: (each.valid_until, each.tenant, each.name))
                self._kept = (epoch, tuple(found[:MAX_SETS]))
            return self._kept[1]
