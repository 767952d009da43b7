"""Changes on their way: proposed, tested, backtested, approved, and then active or not.

    draft → tested → backtested → shadow → active → retired

A proposal is a set of files under the name of its content. `tested` and `backtested` are what its owners
report of it, each with the digest and the counts of the report: the gateway keeps them and believes none.
`shadow` is what the gateway saw itself (`shadow.py`). A proposal is activated from any state, and ledger and
history say through which it went. `active` and `retired` are never written down: they follow from the
sequence of changes and from what counts now.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway import administration, approval, approving, policybook
from gateway.administration import Office
from gateway.approval import Action, Statement, Subject
from gateway.changeports import Proposal, ProposalStep, Written
from gateway.errors import GatewayError, GatewayReason
from gateway.policybook import BASELINE
from gateway.ports import NewEntry
from gateway.protocol.names import refuse
from gateway.record import rfc3339
from verifiers.codec import b64

REPORTED = ("tested", "backtested")
"""What owners report, in the order in which it is done."""
_APPROVED = "approved"
_ID = re.compile(r"[0-9a-f]{8,32}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MOST = 2**31


def propose(
    office: Office, tenant: str, files: Sequence[tuple[str, bytes]], *, by: str, baselines: bool
) -> dict[str, Any]:
    """Keep files as a proposal, if they compile with what counts today. Raises as `administration.activate`;
    the same content again is the same proposal, of whoever proposes it too."""
    administration.check(office, tenant, files, baselines=baselines)
    value = [{"name": name, "source": b64.encode_url(raw)} for name, raw in files]
    digests = sorted(hashlib.sha256(raw).hexdigest() for _, raw in files)
    name = administration.content_id(raw for _, raw in files)
    row = Proposal(
        tenant=tenant, id=name, created=office.clock.now(), by=by, files=msgspec.json.encode(value)
    )
    entry = NewEntry(tenant, "policy.propose", {"proposal": name, "files": digests[:64], "by": by})
    office.proposals.add(row, [written(tenant, each) for each in _documents(row)], entry)
    return shown(office, found(office, tenant, name))


def found(office: Office, tenant: str, name: str) -> Proposal:
    """By id, or by the beginning of one. Raises GatewayError(REQUEST_NOT_FOUND) unless it is exactly one."""
    rows = office.proposals.find(tenant, name, 2) if _ID.match(name) else ()
    if len(rows) != 1:
        raise GatewayError(
            GatewayReason.REQUEST_NOT_FOUND,
            f"{len(rows) or 'no'} proposals have an id that begins like this",
            where="proposal",
            expected="8 to 32 hex digits of one proposal's id",
            found=repr(name[:40]),
        )
    return rows[0]


def report(
    office: Office, tenant: str, name: str, state: str, digest: str, counts: Mapping[str, int], *, by: str
) -> dict[str, Any]:
    """Enter what owners report. counts: "passed" and "failed". Raises GatewayError(REQUEST_MALFORMED)."""
    proposal = found(office, tenant, name)
    if state not in REPORTED:
        raise refuse("state", expected=" or ".join(REPORTED), found=repr(state[:40]))
    if not _DIGEST.match(digest):
        raise refuse("digest", expected="sha256: and 64 hex digits", found=repr(digest[:80]))
    if any(type(each) is not int or not 0 <= each < _MOST for each in counts.values()):
        raise refuse("counts", expected="numbers", found="something else")
    detail = {"digest": digest, **counts}
    _step(office, proposal, state, by, detail, "policy.report", {"state": state, **detail})
    return shown(office, proposal)


def add_approval(office: Office, tenant: str, name: str, signature: str, *, by: str) -> dict[str, Any]:
    """Keep a signature until the proposal is activated. It must be good for the change that is next now.
    Raises GatewayError as `approving.approve`."""
    proposal = found(office, tenant, name)
    documents = _documents(proposal)
    owner = _owner(proposal, documents)
    state = office.desk.store.state(owner)
    statement = Statement(
        store=office.desk.store_id,
        tenant=owner,
        action=Action.ACTIVATE,
        sequence=state.last + 1,
        documents=documents,
    )
    kid = approving.signer(signature, statement, approving.counting(state))
    detail = {"key": kid, "sequence": statement.sequence, "signature": signature}
    told = {"key": kid, "sequence": statement.sequence}
    _step(office, proposal, _APPROVED, by, detail, "policy.approve", told)
    return shown(office, proposal)


def activate(
    office: Office, tenant: str, name: str, *, by: str, baselines: bool, signatures: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Activate a proposal with the signatures kept for the change that is next, and `signatures`. Neither who
    proposed nor who activates is among the approvers. Raises as `administration.activate`."""
    proposal = found(office, tenant, name)
    steps = office.proposals.steps(tenant, proposal.id)
    owner = _owner(proposal, _documents(proposal))
    state = office.desk.store.state(owner)
    valid = {each.thumbprint for each in approving.counting(state)}
    kept = {
        step.detail["key"]: step.detail["signature"]
        for step in steps
        if step.step == _APPROVED
        and step.detail["sequence"] == state.last + 1
        and step.detail["key"] in valid
    }
    for text in signatures:  # a key counts once, and takes one place among those that may be given
        kept[approval.signer_of(text)] = text
    note: dict[str, Any] = {"proposal": proposal.id, "states": _states(office, proposal, steps)}
    for shadow in office.shadows.find(tenant, proposal.id, 1):
        note["shadow"] = {"shadow": shadow.number, "answers": dict(shadow.counts)}
    return administration.activate(
        office,
        tenant,
        files_of(proposal),
        by=by,
        baselines=baselines,
        signatures=tuple(kept.values()),
        note=note,
    )


def listed(office: Office, tenant: str, limit: int) -> list[dict[str, Any]]:
    """Newest first."""
    return [shown(office, each) for each in office.proposals.find(tenant, "", limit)]


def shown(office: Office, proposal: Proposal) -> dict[str, Any]:
    """What is known of a proposal."""
    steps = office.proposals.steps(proposal.tenant, proposal.id)
    documents = _documents(proposal)
    owner = _owner(proposal, documents)
    last = office.desk.store.state(owner).last
    changes = office.proposals.activated(owner, proposal.id)
    active = {
        Subject(row.kind, row.name, row.version, row.digest)
        for row in office.documents.active(proposal.tenant)[1]
    }
    state = _states(office, proposal, steps)[-1]
    if changes:
        state = "active" if active & set(documents) else "retired"
    keys = {s.detail["key"] for s in steps if s.step == _APPROVED and s.detail["sequence"] == last + 1}
    return {
        "proposal": proposal.id,
        "state": state,
        "created": rfc3339(proposal.created),
        "by": proposal.by,
        "documents": [
            {"kind": d.kind, "name": d.name, "version": d.version, "digest": d.digest} for d in documents
        ],
        "approvals": sorted(keys),
        "changes": list(changes),
        "shadow": next(iter(shadows(office, proposal.tenant, 1, proposal.id)), None),
        "steps": [
            {"at": rfc3339(step.at), "step": step.step, "by": step.by,
             **{name: value for name, value in step.detail.items() if name != "signature"}}
            for step in steps
        ],
    }  # fmt: skip


def start_shadow(office: Office, tenant: str, name: str, *, by: str, baselines: bool) -> dict[str, Any]:
    """Let a proposal be asked beside what counts, if it compiles with that today. Raises as
    `administration.activate` does for documents that cannot count; GatewayError(STORE_CONFLICT) while another
    one is asked."""
    proposal = found(office, tenant, name)
    administration.check(office, tenant, files_of(proposal), baselines=baselines)
    entry = NewEntry(tenant, "shadow.start", {"proposal": proposal.id, "by": by})
    if not office.shadows.start(tenant, proposal.id, office.clock.now(), by, entry):
        running = office.shadows.running()[1].get(tenant)
        other = "another" if running is None else running.proposal
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            f"one shadow at a time: {other} is asked beside what counts (sealgate policy shadow stop)",
            where="shadow",
            expected="no running shadow",
            found=other,
        )
    return shadow_shown(office, tenant, proposal.id, 0)


def stop_shadow(office: Office, tenant: str, name: str, *, by: str) -> dict[str, Any]:
    """What was counted stays. Raises GatewayError(REQUEST_NOT_FOUND) when it is not asked."""
    proposal = found(office, tenant, name)
    if not administration.end_shadow(office, tenant, proposal.id, by=by):
        raise _no_shadow("it is asked beside nothing", "a proposal with a running shadow", proposal.id)
    return shadow_shown(office, tenant, proposal.id, 0)


def shadows(office: Office, tenant: str, limit: int, proposal: str = "") -> list[dict[str, Any]]:
    """Shadows of the tenant, or of one proposal, newest first: what was counted of them."""
    return [
        {
            "shadow": each.number,
            "proposal": each.proposal,
            "running": each.stopped is None,
            "started": rfc3339(each.started),
            "stopped": None if each.stopped is None else rfc3339(each.stopped),
            "by": each.by,
            "answers": dict(each.counts),
        }
        for each in office.shadows.find(tenant, proposal, limit)
    ]


def shadow_shown(office: Office, tenant: str, name: str, limit: int) -> dict[str, Any]:
    """The last shadow of a proposal, with its newest differences. Raises GatewayError(REQUEST_NOT_FOUND)."""
    proposal = found(office, tenant, name)
    for each in shadows(office, tenant, 1, proposal.id):
        differences = [
            {
                "at": rfc3339(d.at), "attempt": d.attempt, "path": d.path, "result": d.result,
                "active": {"verdict": d.verdict, "reason": d.reason},
                "shadow": {"verdict": d.shadow_verdict, "reason": d.shadow_reason},
            }
            for d in office.shadows.differences(tenant, each["shadow"], limit)
        ]  # fmt: skip
        return each | {"differences": differences}
    raise _no_shadow("it was asked beside nothing", "a proposal that has or had a shadow", proposal.id)


def _no_shadow(said: str, expected: str, name: str) -> GatewayError:
    return GatewayError(
        GatewayReason.REQUEST_NOT_FOUND,
        f"proposal {name[:8]}: {said}",
        where="shadow",
        expected=expected,
        found=name,
    )


def _states(office: Office, proposal: Proposal, steps: Sequence[ProposalStep]) -> list[str]:
    """Those that it went through so far, before it counted."""
    reported = {step.step for step in steps}
    shadow = ["shadow"] if office.shadows.find(proposal.tenant, proposal.id, 1) else []
    return ["draft", *(state for state in REPORTED if state in reported), *shadow]


def files_of(proposal: Proposal) -> list[tuple[str, bytes]]:
    """The files as they were sent."""
    return [
        (each["name"], b64.decode_url(each["source"], "source", limit=2**24))
        for each in msgspec.json.decode(proposal.files)
    ]


def _documents(proposal: Proposal) -> tuple[Subject, ...]:
    return tuple(
        Subject(policybook.kind_of(each), each.name, each.version, each.digest)
        for name, raw in files_of(proposal)
        for each in policybook.read(raw, name)
    )


def written(tenant: str, document: Subject) -> Written:
    return Written(
        "" if document.kind == BASELINE else tenant, document.kind, document.name, document.version
    )


def _owner(proposal: Proposal, documents: Sequence[Subject]) -> str:
    """Whose sequence it belongs to: "" for baselines."""
    return "" if all(each.kind == BASELINE for each in documents) else proposal.tenant


def _step(
    office: Office,
    proposal: Proposal,
    step: str,
    by: str,
    detail: Mapping[str, Any],
    kind: str,
    told: Mapping[str, Any],
) -> None:
    entry = NewEntry(proposal.tenant, kind, {"proposal": proposal.id, **told, "by": by})
    made = ProposalStep(at=office.clock.now(), step=step, by=by, detail=detail)
    office.proposals.add_step(proposal.tenant, proposal.id, made, entry)
