"""Who must approve a change, and did they: k of the tenant's keys, over exactly this change.

What must stay true:

* A signature counts for the next change of its tenant only: the sequence is in what was signed.
* A key counts once, whatever number of signatures it made; never when it, or whose it is, was revoked, nor
  when whose it is may not approve (`roles.py`).
* Where two or more must approve, it is people who count: keys of one administrator once, keys of nobody in
  particular never, and neither who wrote the change nor who hands it in.
* Where one is enough, an administrator's credential is that one, and the ledger says `self-approved`.

Baselines judge every tenant's evidence: their approvals are those of the whole gateway, tenant "".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway import approval
from gateway.approval import Action, ApprovalKey, Statement, Subject
from gateway.changeports import ApprovalState, ApprovalStore, StoredApprovalKey
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Clock, NewEntry, StoredChange
from gateway.record import rfc3339

MOST = 16
"""Approvals that can be asked for."""
_TURNS = 8
"""Who finds that somebody else changed the number asks again whether it may be changed, so often."""
_NEAR = 4
"""Sequences around the next one that a message looks for a signature in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """store_id: names this gateway in what is signed. development: decides how many must approve where nobody
    has said."""

    store: ApprovalStore
    store_id: str
    development: bool
    clock: Clock

    def needed(self, state: ApprovalState) -> int:
        if state.needed is not None:
            return state.needed
        return 1 if self.development else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A change that may be made, as the next one of its tenant. approvers: thumbprints that count."""

    statement: Statement
    needed: int
    approvers: tuple[str, ...]
    self_approved: bool
    stop: bool = False

    def facts(self) -> dict[str, Any]:
        """For the ledger and the sequence of changes."""
        how = "self-approved" if self.self_approved else f"{len(self.approvers)} of {self.needed}"
        if self.stop:
            how = "none needed to stop"
        return {
            "sequence": self.statement.sequence,
            "approval": how,
            "approvers": list(self.approvers),
        }


def approve(
    desk: Desk,
    tenant: str,
    action: Action,
    documents: Sequence[Subject],
    signatures: Sequence[str],
    *,
    by: Collection[str],
    stop: bool = False,
) -> Approved:
    """Whether this change may be made now. by: ids of whoever wrote it and hands it in.

    stop: it can only end releases, so one administrator is enough. Read after the epoch that the change is
    committed under. Raises GatewayError: "approval.missing"; "approval.malformed", "approval.unknown-key" and
    "approval.signature" for any signature that does not belong to this change.
    """
    state = desk.store.state(tenant)
    statement = Statement(
        store=desk.store_id,
        tenant=tenant,
        action=action,
        sequence=state.last + 1,
        documents=tuple(documents),
    )
    if len(signatures) > approval.MAX_SIGNATURES:
        raise GatewayError(
            GatewayReason.APPROVAL_MALFORMED,
            f"expected at most {approval.MAX_SIGNATURES} signatures, found {len(signatures)}",
            where="signatures",
            expected=f"at most {approval.MAX_SIGNATURES}",
            found=len(signatures),
        )
    keys = counting(state)
    owners = {each.thumbprint: each.administrator for each in state.keys}
    signers = sorted({signer(text, statement, keys) for text in signatures})
    needed = 1 if stop else desk.needed(state)
    strict = needed > 1
    others = _people({kid: owners[kid] for kid in signers if owners[kid] not in by}, nobody=not strict)
    if not strict:
        return Approved(
            statement=statement,
            needed=1,
            approvers=tuple(signers),
            self_approved=not others,
            stop=stop and desk.needed(state) > 1,
        )
    if len(others) < needed:
        people = len(_people({each.thumbprint: owners[each.thumbprint] for each in keys}, nobody=False))
        anonymous = sum(not owners[kid] for kid in signers)
        raise _missing(statement, needed, len(others), signers, len(signatures), anonymous, people)
    return Approved(statement=statement, needed=needed, approvers=tuple(others), self_approved=False)


def _people(owners: Mapping[str, str], *, nobody: bool) -> list[str]:
    """One key of each administrator, in order. owners: key to whose it is. nobody: whether keys that belong
    to nobody in particular count, each by itself."""
    found: dict[str, str] = {}
    for kid in sorted(owners):
        if owners[kid] or nobody:
            found.setdefault(owners[kid] or kid, kid)
    return sorted(found.values())


def register(
    desk: Desk, tenant: str, key: ApprovalKey, administrator: str, *, by: str, wide: bool
) -> StoredApprovalKey:
    """Let a key approve changes of this tenant. Raises GatewayError: FORBIDDEN unless `wide`, since who adds
    keys could approve alone; STORE_CONFLICT for a key that the tenant has or had."""
    _require_wide(wide, "registers approval keys")
    row = StoredApprovalKey(
        tenant=tenant,
        thumbprint=key.thumbprint,
        jwk=json.dumps(dict(key.jwk), sort_keys=True),
        administrator=administrator,
        created=desk.clock.now(),
        revoked=None,
        may=True,
    )
    body = {"key": key.thumbprint, "administrator": administrator, "by": by}
    if not desk.store.add_key(row, NewEntry(tenant, "approval.key-add", body)):
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            "this key is or was registered here; a revoked key does not come back",
            where="key",
            expected="a key that is new to this tenant",
            found=key.thumbprint,
        )
    return row


def revoke(desk: Desk, tenant: str, thumbprint: str, *, by: str) -> None:
    """Let a key count no more, for ever. Raises GatewayError(REQUEST_NOT_FOUND)."""
    entry = NewEntry(tenant, "approval.key-revoke", {"key": thumbprint, "by": by})
    if not desk.store.revoke_key(tenant, thumbprint, desk.clock.now(), entry):
        raise GatewayError(
            GatewayReason.REQUEST_NOT_FOUND,
            "no such key counts here",
            where="key",
            expected="the thumbprint of a key that counts",
            found=repr(thumbprint[:64]),
        )


def require(desk: Desk, tenant: str, needed: int, *, by: str, wide: bool) -> None:
    """Say how many must approve; nothing happens when that was said already. Raises GatewayError:
    REQUEST_MALFORMED outside 1..16; FORBIDDEN to lower it unless `wide`, also what somebody else raised
    meanwhile."""
    if not 1 <= needed <= MOST:
        raise GatewayError(
            GatewayReason.REQUEST_MALFORMED,
            f"approvals: expected 1 to {MOST}, found {needed}",
            where="approvals",
            expected=f"1 to {MOST}",
            found=needed,
        )
    for _ in range(_TURNS):
        state = desk.store.state(tenant)
        if state.needed == needed:
            return
        before = desk.needed(state)
        if needed < before:
            _require_wide(wide, "lowers the number of approvals")
        body = {"approvals": needed, "before": before, "by": by}
        if desk.store.set_needed(tenant, needed, state.needed, NewEntry(tenant, "approval.set", body)):
            return
    raise GatewayError(
        GatewayReason.STORE_BUSY,
        "others keep changing how many must approve; try again",
        where="approvals",
        expected="a number that stays while it is replaced",
        found=f"{_TURNS} changes by others",
    )


def change_of(approved: Approved, desk: Desk, record: dict[str, Any]) -> StoredChange:
    """The change as it enters the tenant's sequence. record: what else is to be known of it."""
    statement = approved.statement
    documents = [
        {"kind": d.kind, "name": d.name, "version": d.version, "digest": d.digest}
        for d in statement.documents
    ]
    return StoredChange(
        tenant=statement.tenant,
        sequence=statement.sequence,
        action=str(statement.action),
        made=desk.clock.now(),
        record={**approved.facts(), "needed": approved.needed, "documents": documents, **record},
    )


def shown(desk: Desk, tenant: str) -> dict[str, Any]:
    """What an approver has to know: store, next sequence, how many, whose keys."""
    state = desk.store.state(tenant)
    return {
        "store": desk.store_id,
        "tenant": tenant,
        "approvals": desk.needed(state),
        "next": state.last + 1,
        "keys": [
            {
                "key": each.thumbprint,
                "algorithm": public_of(each).algorithm,
                "administrator": each.administrator,
                "counts": each.revoked is None and each.may,
                "created": rfc3339(each.created),
                "revoked": None if each.revoked is None else rfc3339(each.revoked),
            }
            for each in state.keys
        ],
    }


def history(desk: Desk, tenant: str, limit: int) -> list[dict[str, Any]]:
    """Changes of one tenant, newest first."""
    return [
        {"tenant": each.tenant, "sequence": each.sequence, "action": each.action,
         "at": rfc3339(each.made), **each.record}
        for each in desk.store.history(tenant, limit)
    ]  # fmt: skip


def public_of(key: StoredApprovalKey) -> ApprovalKey:
    return approval.parse_key(json.loads(key.jwk))


def counting(state: ApprovalState) -> list[ApprovalKey]:
    """Keys that were not revoked, of administrators who may approve here or of nobody in particular."""
    return [public_of(each) for each in state.keys if each.revoked is None and each.may]


def signer(signature: str, statement: Statement, keys: Sequence[ApprovalKey]) -> str:
    """As `approval.check`, with a better message for a signature made for another place in the sequence."""
    try:
        return approval.check(signature, statement, keys)
    except GatewayError as error:
        if error.reason is GatewayReason.APPROVAL_SIGNATURE:
            raise _other_sequence(signature, statement, keys) or error from None
        raise


def _other_sequence(signature: str, statement: Statement, keys: Sequence[ApprovalKey]) -> GatewayError | None:
    """A signature over the same documents for another place in the sequence deserves to be told so."""
    now = statement.sequence
    for sequence in range(max(1, now - _NEAR), now + _NEAR + 1):
        other = Statement(
            store=statement.store,
            tenant=statement.tenant,
            action=statement.action,
            sequence=sequence,
            documents=statement.documents,
        )
        try:
            kid = approval.check(signature, other, keys)
        except GatewayError:
            continue
        return GatewayError(
            GatewayReason.APPROVAL_SIGNATURE,
            f"key {kid} signed this as change {sequence}; the next change is {now}",
            where="signature",
            expected=f"sequence {now}",
            found=f"sequence {sequence}",
        )
    return None


def _missing(
    statement: Statement,
    needed: int,
    others: int,
    signers: Sequence[str],
    given: int,
    anonymous: int,
    people: int,
) -> GatewayError:
    """others: people who approve. anonymous: signers whose key is nobody's. people: who could approve."""
    of = f"tenant {statement.tenant}" if statement.tenant else "the whole gateway"
    notes = []
    if given > len(signers):
        notes.append("one key counts once")
    if anonymous:
        notes.append("a key that belongs to no administrator does not count")
    if len(signers) - anonymous > others:
        notes.append(
            "keys of who wrote or hands a change in do not count, and those of one administrator once"
        )
    if people < needed:
        notes.append(f"{people} administrators have keys that count: sealgate admin key add --administrator")
    why = f" ({'; '.join(notes)})" if notes else ""
    return GatewayError(
        GatewayReason.APPROVAL_MISSING,
        f"change {statement.sequence} of {of} needs {needed} approvals, found {others}{why}",
        where="signatures",
        expected=f"{needed} approvals",
        found=f"{others}{why}",
    )


def _require_wide(wide: bool, what: str) -> None:
    if not wide:
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            f"only an administrator of the whole gateway {what}",
            where="authorization",
            expected="an administrator of the whole gateway",
            found="one of a tenant",
        )
