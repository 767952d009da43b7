"""What administrators do with documents, each change in the ledger with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway import bundles, policybook
from gateway.errors import GatewayError, GatewayReason
from gateway.expiry import Endings, ending
from gateway.policybook import BASELINE, RELEASE, Sources
from gateway.ports import Clock, DocumentStore, Ledger, NewEntry, StoredDocument
from gateway.record import rfc3339
from policies import expiry
from policies.errors import Place, PolicyErrors, Problems
from policies.model import Baseline, Document, ReleasePolicy

_ATTEMPTS = 8
"""Changes are judged outside the store's lock; who finds that others were faster judges again, so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The ports that administration needs, together. sources: stored files, as they were read."""

    documents: DocumentStore
    ledger: Ledger
    clock: Clock
    sources: Sources = field(default_factory=Sources)
    endings: Endings = field(default_factory=Endings)


def apply(
    office: Office, tenant: str, raw: bytes, name: str, *, by: str, baselines: bool
) -> list[dict[str, Any]]:
    """Activate every document of one file, if all of them and everything active compile together: what the
    tenant has, and for a baseline what every tenant has.

    Raises PolicyErrors with file, line and column, of another tenant's documents without their words.
    Raises GatewayError: STORE_CONFLICT for a version that is not higher than every one before; STORE_BUSY
    when others keep changing documents; FORBIDDEN for a policy of another tenant, and for a baseline unless
    `baselines`: those judge every tenant's evidence.
    """
    new = policybook.read(raw, name)
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
    rows = [_row(office, tenant, document, raw) for document in new]
    entries = [_entry("policy.activate", row, by, digest=row.digest) for row in rows]
    replaced = {(row.tenant, row.kind, row.name) for row in rows}
    wide = tuple(document for document in new if isinstance(document, Baseline))
    for _ in range(_ATTEMPTS):
        epoch, before = _seen(office, tenant, everything=bool(wide))
        kept = [row for row in before if (row.tenant, row.kind, row.name) not in replaced]
        policybook.compile_all((*office.sources.documents(_of(kept, tenant)), *new))
        if wide:
            _require_others_sound(office, tenant, before, kept, wide, wide[0])
        if office.documents.change(epoch, entries, activate=rows):
            return [_shown(row) for row in rows]
    raise _contended()


def retire(office: Office, tenant: str, kind: str, name: str, *, by: str) -> None:
    """Let a document count no more, if what stays still compiles. Raises as `apply`."""
    triple = ("" if kind == BASELINE else tenant, kind, name)
    for _ in range(_ATTEMPTS):
        epoch, before = _seen(office, tenant, everything=kind == BASELINE)
        gone = [row for row in before if (row.tenant, row.kind, row.name) == triple]
        if not gone:
            raise GatewayError(
                GatewayReason.REQUEST_NOT_FOUND,
                f"no active {kind} has that name",
                where="policies",
                expected=f"an active {kind}",
                found=repr(name[:64]),
            )
        kept = [row for row in before if row not in gone]
        policybook.compile_all(office.sources.documents(_of(kept, tenant)))
        if kind == BASELINE:
            (missed,) = office.sources.documents(gone)
            _require_others_sound(office, tenant, before, kept, (), missed)
        if office.documents.change(epoch, [_entry("policy.retire", gone[0], by)], retire=[triple]):
            return
    raise _contended()


def activate_shipped(office: Office, *, by: str) -> int:
    """The baselines that ship with the package, into a store that has none. How many."""
    epoch, active = office.documents.active("")
    if active:
        return 0
    rows = [
        _row(office, "", document, raw)
        for name, raw in bundles.baselines()
        for document in policybook.read(raw, name)
    ]
    entries = [_entry("policy.activate", row, by, digest=row.digest) for row in rows]
    # Another process that starts now does the same.
    return len(rows) if office.documents.change(epoch, entries, activate=rows) else 0


def active_documents(office: Office, tenant: str) -> list[dict[str, Any]]:
    return [_listed(office, row) for row in office.documents.active(tenant)[1]]


def _listed(office: Office, row: StoredDocument) -> dict[str, Any]:
    """As `_shown`; of a reference set also until when it holds, and a warning when that is near or past."""
    out, when = _shown(row), ending(row, office.sources)
    if when is not None:
        out["valid_until"] = rfc3339(when.valid_until)
        out["warning"] = expiry.warning(when.valid_from, when.valid_until, office.clock.now())
    return out


def _seen(office: Office, tenant: str, *, everything: bool) -> tuple[int, Sequence[StoredDocument]]:
    return office.documents.everything() if everything else office.documents.active(tenant)


def _of(rows: Sequence[StoredDocument], tenant: str) -> list[StoredDocument]:
    """What counts for one tenant."""
    return [row for row in rows if row.tenant in ("", tenant)]


def _require_others_sound(
    office: Office,
    tenant: str,
    before: Sequence[StoredDocument],
    kept: Sequence[StoredDocument],
    new: Sequence[Baseline],
    changed: Document,
) -> None:
    """Every other tenant's documents must compile under the baselines that will count.

    Raises PolicyErrors, policy.breaks-tenant: which tenant, and where, but not a word of what stands there.
    What does not compile today does not count against the change.
    """
    problems = Problems()
    for other in sorted({row.tenant for row in before} - {"", tenant}):
        error = _fault(office, _of(kept, other), new)
        if error is None or _fault(office, _of(before, other)) is not None:
            continue
        code = error.reason.removeprefix("policy.")
        message = f"tenant {other}: its documents would no longer compile ({code}, {error.file}:{error.line})"
        problems.add("breaks-tenant", Place(changed.source, 1, 1), message)
    problems.check()


def _fault(
    office: Office, rows: Sequence[StoredDocument], new: Sequence[Baseline] = ()
) -> PolicyErrors | None:
    try:
        policybook.compile_all((*office.sources.documents(rows), *new))
    except PolicyErrors as error:
        return error
    return None


def _row(office: Office, tenant: str, document: Document, raw: bytes) -> StoredDocument:
    kind = policybook.kind_of(document)
    return StoredDocument(
        tenant="" if kind == BASELINE else tenant,
        kind=kind,
        name=document.name,
        version=document.version,
        digest=document.digest,
        source=raw,
        activated=office.clock.now(),
    )


def _entry(what: str, row: StoredDocument, by: str, **more: str) -> NewEntry:
    body = {"kind": row.kind, "name": row.name, "version": row.version, **more, "by": by}
    return NewEntry(row.tenant, what, body)


def _contended() -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_BUSY,
        "others change documents at the same time; try again",
        where="policies",
        expected="a turn of our own",
        found=f"{_ATTEMPTS} changes by others",
    )


def _require_tenant(document: Document, tenant: str) -> None:
    if isinstance(document, ReleasePolicy) and document.tenant != tenant:
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            f"policy {document.name} says that it belongs to tenant {document.tenant}",
            where=f"{RELEASE} {document.name}",
            expected=f"tenant {tenant}",
            found=document.tenant,
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
