"""Who wrote a document: whoever proposed it, in whatever file and bytes, or else handed it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.approval import Action
from gateway.changeports import ApprovalStore, ProposalStore, Written
from gateway.ports import StoredDocument

_EVERY = 2**31
"""Changes that a history has, and more."""


def proposed(store: ProposalStore, rows: Sequence[StoredDocument]) -> set[str]:
    """Who proposed one of these documents: ids of administrators."""
    return set[str]().union(*_found(store, rows).values())


def wrote(store: ProposalStore, changes: ApprovalStore, rows: Sequence[StoredDocument]) -> set[str]:
    """Who wrote one of these documents, which counted once: ids of administrators. Of what nobody proposed,
    who handed it in."""
    found = _found(store, rows)
    unknown = {each for each, authors in found.items() if not authors}
    out = set[str]().union(*found.values())
    for tenant in {each.tenant for each in unknown}:
        for change in changes.history(tenant, _EVERY):
            named = {Written(tenant, d["kind"], d["name"], d["version"]) for d in change.record["documents"]}
            if change.action == Action.ACTIVATE and named & unknown:
                out.add(change.record["by"])
    return out


def _found(store: ProposalStore, rows: Sequence[StoredDocument]) -> Mapping[Written, frozenset[str]]:
    return store.authors([Written(r.tenant, r.kind, r.name, r.version) for r in rows])
