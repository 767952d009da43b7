"""Changes of what counts over HTTP: with signatures, back to older content, and who must approve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import administration, approval, approving, leases, proposals, roles
from gateway.errors import GatewayError, GatewayReason
from gateway.http.admin import require_wide, who
from gateway.http.handlers import Site, limit_of
from gateway.http.message import Call, Reply, json_reply
from gateway.protocol.names import refuse
from policies.strictyaml import MAX_BYTES
from verifiers.codec import b64, strictjson

MAX_BODY = 4 * 1024 * 1024
_MOST_FILES = 64
_MOST_DOCUMENTS = 64


def activate(site: Site, call: Call) -> Reply:
    """Every document of the files at once: {"files": [{"name", "source": base64url}], "signatures": […]}."""
    members = _members(call.body, {"files"}, {"signatures"})
    files = _files(members)
    made = administration.activate(
        site.office,
        call.tenant,
        files,
        by=who(call),
        baselines=call.wide,
        signatures=_signatures(members),
    )
    return json_reply({"activated": made})


def propose(site: Site, call: Call) -> Reply:
    """{"files": [{"name", "source": base64url}]}: kept under the name of their content."""
    files = _files(_members(call.body, {"files"}, set()))
    made = proposals.propose(site.office, call.tenant, files, by=who(call), baselines=call.wide)
    return json_reply(made, 201)


def list_proposals(site: Site, call: Call) -> Reply:
    found = proposals.listed(site.office, call.tenant, limit_of(call, 20, 100))
    return json_reply({"proposals": found})


def show_proposal(site: Site, call: Call) -> Reply:
    found = proposals.found(site.office, call.tenant, call.params["id"])
    return json_reply(proposals.shown(site.office, found))


def report(site: Site, call: Call) -> Reply:
    """{"state": "tested" or "backtested", "digest": of the report, "passed": N, "failed": N}."""
    members = _members(call.body, {"state", "digest", "passed", "failed"}, set())
    counts = {name: members[name] for name in ("passed", "failed")}
    state, digest = _text(members["state"], "state"), _text(members["digest"], "digest")
    return json_reply(
        proposals.report(site.office, call.tenant, call.params["id"], state, digest, counts, by=who(call))
    )


def approve(site: Site, call: Call) -> Reply:
    """{"signature": …}, good for the next change: kept until the proposal is activated."""
    members = _members(call.body, {"signature"}, set())
    signature = _text(members["signature"], "signature", approval.MAX_SIGNATURE)
    made = proposals.add_approval(site.office, call.tenant, call.params["id"], signature, by=who(call))
    return json_reply(made)


def activate_proposal(site: Site, call: Call) -> Reply:
    """{"signatures": […]}, beside those that are kept."""
    members = _members(call.body, set(), {"signatures"})
    made = proposals.activate(
        site.office,
        call.tenant,
        call.params["id"],
        by=who(call),
        baselines=call.wide,
        signatures=_signatures(members),
    )
    return json_reply({"activated": made})


def start_shadow(site: Site, call: Call) -> Reply:
    """The proposal is asked beside what counts from now on."""
    made = proposals.start_shadow(
        site.office, call.tenant, call.params["id"], by=who(call), baselines=call.wide
    )
    return json_reply(made, 201)


def stop_shadow(site: Site, call: Call) -> Reply:
    return json_reply(proposals.stop_shadow(site.office, call.tenant, call.params["id"], by=who(call)))


def show_shadow(site: Site, call: Call) -> Reply:
    """How its answers differ, newest first; ?limit=."""
    limit = limit_of(call, 50, 500)
    return json_reply(proposals.shadow_shown(site.office, call.tenant, call.params["id"], limit))


def list_shadows(site: Site, call: Call) -> Reply:
    return json_reply({"shadows": proposals.shadows(site.office, call.tenant, limit_of(call, 20, 100))})


def rollback(site: Site, call: Call) -> Reply:
    """Older content counts again: {"documents": [{"name", "to": version or digest}], "signatures": […]}."""
    members = _members(call.body, {"documents"}, {"signatures"})
    wanted = []
    for at, each in enumerate(_list(members["documents"], "documents", _MOST_DOCUMENTS)):
        found = _exactly(each, f"documents[{at}]", {"name", "to"}, set())
        wanted.append((_text(found["name"], "name"), _text(found["to"], "to")))
    made = administration.rollback(
        site.office,
        call.tenant,
        wanted,
        by=who(call),
        baselines=call.wide,
        signatures=_signatures(members),
    )
    return json_reply({"activated": made})


def running_leases(site: Site, call: Call) -> Reply:
    """Which running leases would not be renewed under what counts now."""
    gateway = site.gateway
    found = leases.review(
        site.office.ledger,
        gateway.appraisals,
        gateway.keys,
        gateway.appraiser,
        call.tenant,
        gateway.clock.now(),
    )
    return json_reply(found)


def history(site: Site, call: Call) -> Reply:
    """Changes of the tenant, newest first; ?scope=gateway: of baselines."""
    found = approving.history(site.office.desk, _scope(call, reading=True), limit_of(call, 50, 1000))
    return json_reply({"changes": found})


def show_approvals(site: Site, call: Call) -> Reply:
    """What an approver has to know. ?scope=gateway: about baselines."""
    return json_reply(approving.shown(site.office.desk, _scope(call, reading=True)))


def set_approvals(site: Site, call: Call) -> Reply:
    """{"approvals": K}."""
    needed = _members(call.body, {"approvals"}, set())["approvals"]
    if type(needed) is not int:
        raise refuse("approvals", expected="a number", found=type(needed).__name__)
    approving.require(site.office.desk, _scope(call), needed, by=who(call), wide=call.wide)
    return json_reply(approving.shown(site.office.desk, _scope(call)))


def add_key(site: Site, call: Call) -> Reply:
    """{"key": a public JWK, "administrator": id}: whose signature approves from now on."""
    members = _members(call.body, {"key"}, {"administrator"})
    administrator = members.get("administrator", "")
    if not isinstance(administrator, str) or not _approves(site, administrator, _scope(call)):
        raise refuse(
            "administrator",
            expected="the id of an administrator who counts and may approve here",
            found=repr(administrator)[:40] if administrator else "none, and keys of nobody do not count here",
        )
    made = approving.register(
        site.office.desk,
        _scope(call),
        approval.parse_key(members["key"]),
        administrator,
        by=who(call),
        wide=call.wide,
    )
    return json_reply({"key": made.thumbprint, "tenant": made.tenant, "administrator": administrator}, 201)


def _approves(site: Site, administrator: str, tenant: str) -> bool:
    """Whether a key of theirs could count; one of nobody in particular could where one approval is enough."""
    if not administrator:
        return site.office.desk.needed(site.office.desk.store.state(tenant)) == 1
    found = site.administrators.get(administrator)
    if found is None or found.revoked is not None or found.tenant not in ("", tenant):
        return False
    return bool(roles.read(found.role) & roles.APPROVE.roles)


def revoke_key(site: Site, call: Call) -> Reply:
    thumbprint = call.params["thumbprint"]
    approving.revoke(site.office.desk, _scope(call), thumbprint, by=who(call))
    return json_reply({"key": thumbprint, "revoked": True})


def _scope(call: Call, *, reading: bool = False) -> str:
    """The tenant whose approvals are meant; "" with ?scope=gateway, which everybody may read."""
    if call.query.get("scope") != "gateway":
        return call.tenant
    if not reading:
        require_wide(call, "approvals of baselines")
    return ""


def _signatures(members: Mapping[str, Any]) -> list[str]:
    found = _list(members.get("signatures", []), "signatures", approval.MAX_SIGNATURES)
    return [_text(each, "signatures", approval.MAX_SIGNATURE) for each in found]


def _files(members: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    found = _list(members["files"], "files", _MOST_FILES)
    return [_file(each, f"files[{at}]") for at, each in enumerate(found)]


def _file(value: object, where: str) -> tuple[str, bytes]:
    members = _exactly(value, where, {"name", "source"}, set())
    return _text(members["name"], f"{where}.name"), b64.decode_url(
        members["source"], f"{where}.source", limit=MAX_BYTES
    )


def _members(body: bytes, required: set[str], optional: set[str]) -> Mapping[str, Any]:
    return _exactly(strictjson.loads(body, "body", limit=MAX_BODY, max_depth=4), "body", required, optional)


def _exactly(value: object, where: str, required: set[str], optional: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refuse(where, expected="an object", found=type(value).__name__)
    unknown = sorted(value.keys() - required - optional)
    if unknown:
        raise GatewayError(
            GatewayReason.REQUEST_MEMBER,
            f"{where}: {unknown[0][:32]!r} is no member",
            where=where,
            expected=", ".join(sorted(required | optional)),
            found=unknown[0][:32],
        )
    missing = sorted(required - value.keys())
    if missing:
        raise refuse(where, expected=f"member {missing[0]}", found="none")
    return value


def _list(value: object, where: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise refuse(where, expected=f"a list of at most {most}", found=type(value).__name__)
    return value


def _text(value: object, where: str, most: int = 200) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise refuse(where, expected=f"1 to {most} characters", found=type(value).__name__)
    return value
