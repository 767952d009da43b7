"""What administrators do with documents, each change in the ledger with it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway import authors, bundles, policybook
from gateway.approval import Action, Subject
from gateway.approving import Approved, Desk, approve, change_of
from gateway.changeports import ProposalStore, ShadowStore
from gateway.errors import GatewayError, GatewayReason
from gateway.expiry import Endings, ending
from gateway.policybook import BASELINE, RELEASE, Sources
from gateway.ports import Clock, DocumentStore, Ledger, LedgerUnavailable, NewEntry, StoredDocument
from gateway.protocol.names import refuse
from gateway.record import rfc3339
from policies import expiry
from policies.errors import Place, PolicyErrors, Problems
from policies.model import Baseline, Document, ReleasePolicy

log = logging.getLogger("sealgate.administration")
_ATTEMPTS = 8
"""Changes are judged outside the store's lock; who finds that others were faster judges again, so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The ports that administration needs, together. sources: stored files, as they were read."""

    documents: DocumentStore
    ledger: Ledger
    clock: Clock
    desk: Desk
    proposals: ProposalStore
    shadows: ShadowStore
    sources: Sources = field(default_factory=Sources)
    endings: Endings = field(default_factory=Endings)


def apply(
    office: Office,
    tenant: str,
    raw: bytes,
    name: str,
    *,
    by: str,
    baselines: bool,
    signatures: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """As `activate`, for the documents of one file."""
    return activate(office, tenant, [(name, raw)], by=by, baselines=baselines, signatures=signatures)


def activate(
    office: Office,
    tenant: str,
    files: Sequence[tuple[str, bytes]],
    *,
    by: str,
    baselines: bool,
    signatures: Sequence[str] = (),
    note: Mapping[str, Any] = {},
) -> list[dict[str, Any]]:
    """Activate every document of these files, if all of them and everything active compile together: what the
    tenant has, and for a baseline what every tenant has; and if enough of those who must have approved it.

    files: (what messages call it, content). Whoever proposed these documents, in whatever files, is not among
    the approvers. note: for ledger and history. Raises PolicyErrors with file, line and column, of another
    tenant's documents without their words. Raises GatewayError: STORE_CONFLICT for a version that is not
    higher than every one before; STORE_BUSY when others keep changing documents; FORBIDDEN for a policy of
    another tenant, and for a baseline unless `baselines`: those judge every tenant's evidence; as
    `approving.approve`; APPROVAL_MIXED for baselines together with others, where approvals count.
    """
    rows, new = _read(office, tenant, files, baselines)
    content = content_id(raw for _, raw in files)
    wrote = {each.by for each in office.proposals.find(tenant, content, 1)}
    wrote |= authors.proposed(office.proposals, rows)
    made = _settle(office, tenant, Action.ACTIVATE, rows, new, signatures, by, wrote=wrote, note=note)
    try:
        end_shadow(office, tenant, content, by=by)
    except (
        GatewayError,
        LedgerUnavailable,
    ) as error:  # what counts has changed; beside itself it differs in nothing
        log.warning("the shadow of proposal %s was not stopped: %s", content[:8], error)
    return made


def end_shadow(office: Office, tenant: str, proposal: str, *, by: str) -> bool:
    """Let a proposal be asked no more beside what counts. False when it was not."""
    for each in office.shadows.find(tenant, proposal, 1):
        if each.stopped is None:
            body = {"proposal": proposal, "shadow": each.number, "answers": dict(each.counts), "by": by}
            entry = NewEntry(tenant, "shadow.stop", body)
            return office.shadows.stop(tenant, each.number, office.clock.now(), entry)
    return False


def content_id(contents: Iterable[bytes]) -> str:
    """What a proposal of these files is called: 32 hex digits, whatever their names and order."""
    digests = sorted(hashlib.sha256(raw).hexdigest() for raw in contents)
    return hashlib.sha256("\n".join(("sealgate/1 proposal", *digests)).encode()).hexdigest()[:32]


def check(office: Office, tenant: str, files: Sequence[tuple[str, bytes]], *, baselines: bool) -> None:
    """Raises as `activate` does for documents that cannot count here; approvals are not asked for."""
    rows, new = _read(office, tenant, files, baselines)
    _require_sound(office, tenant, rows, new, _replaced(rows))


def _read(
    office: Office, tenant: str, files: Sequence[tuple[str, bytes]], baselines: bool
) -> tuple[list[StoredDocument], tuple[Document, ...]]:
    read = [(document, raw) for name, raw in files for document in policybook.read(raw, name)]
    for document, _ in read:
        _require_tenant(document, tenant)
        _require_baselines(document, tenant, baselines)
    read.sort(key=lambda each: policybook.kind_of(each[0]))  # in the order in which they need each other
    return [_row(office, tenant, *each) for each in read], tuple(document for document, _ in read)


def rollback(
    office: Office,
    tenant: str,
    wanted: Sequence[tuple[str, str]],
    *,
    by: str,
    baselines: bool,
    signatures: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Let older content count again: a change of its own, with a place in the sequence and approvals of its
    own. The documents keep their versions and digests; a later file still needs a version never seen.

    wanted: (name, version or "sha256:…" digest). Raises as `activate`, and GatewayError: REQUEST_NOT_FOUND
    for what never counted here, STORE_CONFLICT for what counts already.
    """
    now = office.clock.now()
    rows = [replace(_older(office, tenant, name, to), activated=now) for name, to in wanted]
    new = office.sources.documents(rows)
    for document in new:
        _require_baselines(document, tenant, baselines)
    wrote = authors.wrote(office.proposals, office.desk.store, rows)
    return _settle(office, tenant, Action.ROLLBACK, rows, new, signatures, by, wrote=wrote)


def _settle(
    office: Office,
    tenant: str,
    action: Action,
    rows: Sequence[StoredDocument],
    new: Sequence[Document],
    signatures: Sequence[str],
    by: str,
    *,
    wrote: Collection[str] = (),
    note: Mapping[str, Any] = {},
) -> list[dict[str, Any]]:
    """Judge a change and make it, again from the start whenever others were faster."""
    replaced = _replaced(rows)
    for _ in range(_ATTEMPTS):
        epoch = _require_sound(office, tenant, rows, new, replaced)
        approved = _approvals(office, action, rows, signatures, {by, *wrote})
        entries = [
            _entry(f"policy.{action}", row, by, digest=row.digest, **approved[row.tenant].facts(), **note)
            for row in rows
        ]
        changes = [change_of(each, office.desk, {"by": by, **note}) for each in approved.values()]
        fresh = action is Action.ACTIVATE
        if office.documents.change(
            epoch,
            entries,
            activate=rows if fresh else (),
            restore=() if fresh else rows,
            changes=changes,
        ):
            return [_shown(row) | approved[row.tenant].facts() for row in rows]
    raise _contended()


def _replaced(rows: Sequence[StoredDocument]) -> set[tuple[str, str, str]]:
    replaced = {(row.tenant, row.kind, row.name) for row in rows}
    if not rows or len(replaced) != len(rows):
        raise refuse("documents", expected="documents, each name once", found=f"{len(rows)}, some twice")
    return replaced


def _require_sound(
    office: Office,
    tenant: str,
    rows: Sequence[StoredDocument],
    new: Sequence[Document],
    replaced: Collection[tuple[str, str, str]],
) -> int:
    """What would count must compile; the epoch at which that was found."""
    wide = tuple(document for document in new if isinstance(document, Baseline))
    epoch, before = _seen(office, tenant, everything=bool(wide))
    kept = [row for row in before if (row.tenant, row.kind, row.name) not in replaced]
    policybook.compile_all((*office.sources.documents(_of(kept, tenant)), *new))
    if wide:
        _require_others_sound(office, tenant, before, kept, wide, wide[0])
    return epoch


def _approvals(
    office: Office,
    action: Action,
    rows: Sequence[StoredDocument],
    signatures: Sequence[str],
    by: Collection[str],
    *,
    stop: bool = False,
) -> dict[str, Approved]:
    """By tenant of the documents: "" for baselines. One signature is about one tenant's sequence, so where
    signatures count nothing is mixed."""
    tenants = sorted({row.tenant for row in rows})
    desk = office.desk
    counted = bool(signatures) or any(desk.needed(desk.store.state(each)) > 1 for each in tenants)
    if len(tenants) > 1 and counted:
        raise GatewayError(
            GatewayReason.APPROVAL_MIXED,
            "baselines are approved for the whole gateway, others for their tenant: make two changes",
            where="documents",
            expected="either baselines or others",
            found="both",
        )
    return {
        each: approve(
            desk,
            each,
            action,
            [Subject(r.kind, r.name, r.version, r.digest) for r in rows if r.tenant == each],
            signatures,
            by=by,
            stop=stop,
        )
        for each in tenants
    }


def retire(
    office: Office, tenant: str, kind: str, name: str, *, by: str, signatures: Sequence[str] = ()
) -> None:
    """Let a document count no more, if what stays still compiles. Raises as `activate`.

    One administrator is enough for a tenant's documents, for without them less is released; what a baseline
    demands ends with it, so that takes the approvals of the whole gateway.
    """
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
        approved = _approvals(office, Action.RETIRE, gone, signatures, {by}, stop=kind != BASELINE)
        (only,) = approved.values()
        entry = _entry("policy.retire", gone[0], by, **only.facts())
        changes = [change_of(only, office.desk, {"by": by})]
        if office.documents.change(epoch, [entry], retire=[triple], changes=changes):
            return
    raise _contended()


def _older(office: Office, tenant: str, name: str, to: str) -> StoredDocument:
    """The one stored document that a rollback means."""
    found = [row for row in office.documents.ever(tenant, name) if to in (str(row.version), row.digest)]
    active = office.documents.active(tenant)[1]
    counting = {(row.tenant, row.kind, row.name, row.version) for row in active}
    older = [row for row in found if (row.tenant, row.kind, row.name, row.version) not in counting]
    if found and not older:
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            f"{name} version {found[0].version} counts already",
            where=name,
            expected="a version that does not count now",
            found=f"version {found[0].version}",
        )
    if len(older) != 1:
        raise GatewayError(
            GatewayReason.REQUEST_NOT_FOUND,
            f"{len(older)} documents of the name {name} were active as {to}",
            where="documents",
            expected="a version or digest that was active once, as `sealgate policy history` lists them",
            found=f"{len(older)} of them",
        )
    return older[0]


def _require_baselines(document: Document, tenant: str, baselines: bool) -> None:
    if isinstance(document, Baseline) and not baselines:
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            "baselines belong to the whole gateway",
            where=document.name,
            expected="an administrator of the whole gateway",
            found=f"one of tenant {tenant}",
        )


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


def _entry(what: str, row: StoredDocument, by: str, **more: Any) -> NewEntry:
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
