"""What administrators do with documents, each change in the ledger before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway import bundles, policybook
from gateway.errors import GatewayError, GatewayReason
from gateway.policybook import BASELINE, RELEASE
from gateway.ports import Clock, DocumentStore, Ledger, StoredDocument
from gateway.record import rfc3339
from policies.model import Baseline, Document, ReleasePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The ports that administration needs, together."""

    documents: DocumentStore
    ledger: Ledger
    clock: Clock


def apply(
    office: Office, tenant: str, raw: bytes, name: str, *, by: str, baselines: bool
) -> list[dict[str, Any]]:
    """Activate every document of one file, if all of them and everything active compile together.

    Raises PolicyErrors with file, line and column; GatewayError(STORE_CONFLICT) for a version that is not
    higher than every one before; GatewayError(FORBIDDEN) for a policy of another tenant, and for a
    baseline unless `baselines`: those judge every tenant's evidence.
    """
    new = policybook.read(raw, name)
    _, active = office.documents.active(tenant)
    replaced = {(policybook.kind_of(document), document.name) for document in new}
    kept = [row for row in active if (row.kind, row.name) not in replaced]
    for document in new:
        _require_tenant(document, tenant)
        if isinstance(document, Baseline) and not baselines:
            raise GatewayError(
                GatewayReason.FORBIDDEN,
                "baselines belong to the whole gateway",
                where=document.name,
                expected="an administrator of the whole gateway",
                found=f"one of tenant {tenant}",
            )
        _require_newer(document, active)
    policybook.compile_all((*policybook.from_store(kept), *new))
    return [_activate(office, tenant, document, raw, by) for document in new]


def retire(office: Office, tenant: str, kind: str, name: str, *, by: str) -> None:
    """Let a document count no more, if what stays still compiles. Raises as `apply`."""
    _, active = office.documents.active(tenant)
    if not any((row.kind, row.name) == (kind, name) for row in active):
        raise GatewayError(
            GatewayReason.REQUEST_NOT_FOUND,
            f"no active {kind} has that name",
            where="policies",
            expected=f"an active {kind}",
            found=repr(name[:64]),
        )
    kept = [row for row in active if (row.kind, row.name) != (kind, name)]
    policybook.compile_all(policybook.from_store(kept))
    owner = "" if kind == BASELINE else tenant
    office.ledger.append(owner, "policy.retire", {"kind": kind, "name": name, "by": by})
    office.documents.retire(owner, kind, name)


def activate_shipped(office: Office, *, by: str) -> int:
    """The baselines that ship with the package, into a store that has none. How many."""
    _, active = office.documents.active("")
    if active:
        return 0
    count = 0
    for name, raw in bundles.baselines():
        for document in policybook.read(raw, name):
            _activate(office, "", document, raw, by)
            count += 1
    return count


def active_documents(office: Office, tenant: str) -> list[dict[str, Any]]:
    return [_shown(row) for row in office.documents.active(tenant)[1]]


def _activate(office: Office, tenant: str, document: Document, raw: bytes, by: str) -> dict[str, Any]:
    kind = policybook.kind_of(document)
    row = StoredDocument(
        tenant="" if kind == BASELINE else tenant,
        kind=kind,
        name=document.name,
        version=document.version,
        digest=document.digest,
        source=raw,
        activated=office.clock.now(),
    )
    body = {"kind": kind, "name": row.name, "version": row.version, "digest": row.digest, "by": by}
    office.ledger.append(row.tenant, "policy.activate", body)
    if not office.documents.activate(row):
        raise _not_newer(document, "that version or a higher one was active already")
    return _shown(row)


def _require_tenant(document: Document, tenant: str) -> None:
    if isinstance(document, ReleasePolicy) and document.tenant != tenant:
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            f"policy {document.name} says that it belongs to tenant {document.tenant}",
            where=f"{RELEASE} {document.name}",
            expected=f"tenant {tenant}",
            found=document.tenant,
        )


def _require_newer(document: Document, active: Sequence[StoredDocument]) -> None:
    for row in active:
        same = (row.kind, row.name) == (policybook.kind_of(document), document.name)
        if same and document.version <= row.version:
            raise _not_newer(document, f"version {row.version} is active")


def _not_newer(document: Document, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_CONFLICT,
        f"{document.name} version {document.version}: a version is activated once, and only upwards; {found}",
        where=document.name,
        expected="a higher version",
        found=found,
    )


def _shown(row: StoredDocument) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name,
        "version": row.version,
        "digest": row.digest,
        "tenant": row.tenant,
        "activated": rfc3339(row.activated),
    }
