"""Administration over HTTP. No route gives a stored secret back."""

from __future__ import annotations

import json
from typing import Any

from gateway import administration, admins, approval, roles, secrets
from gateway.errors import GatewayError, GatewayReason
from gateway.http.handlers import Site, limit_of
from gateway.http.message import Call, Reply, json_reply
from gateway.ports import StoredAdministrator
from gateway.protocol.names import refuse, secret_path
from gateway.record import rfc3339
from verifiers.codec import strictjson

_KINDS = ("baseline", "reference", "release")


def put_secret(site: Site, call: Call) -> Reply:
    """The body is the secret, byte for byte. ?expect=present makes it a rotation."""
    path = secret_path(call.params["path"], "path")
    store = secrets.rotate if call.query.get("expect") == "present" else secrets.put
    version = store(site.vault, call.tenant, path, call.body, by=who(call))
    return json_reply({"path": path, "version": version}, 201 if version == 1 else 200)


def list_secrets(site: Site, call: Call) -> Reply:
    held = secrets.held(site.vault, call.tenant)
    return json_reply({"secrets": [_metadata(site, call, each) for each in held]})


def show_secret(site: Site, call: Call) -> Reply:
    path = secret_path(call.params["path"], "path")
    for each in secrets.held(site.vault, call.tenant):
        if each.path == path:
            return json_reply(_metadata(site, call, each))
    raise _absent("secret", path)


def remove_secret(site: Site, call: Call) -> Reply:
    path = secret_path(call.params["path"], "path")
    secrets.remove(site.vault, call.tenant, path, by=who(call))
    return json_reply({"path": path, "removed": True})


def apply_policies(site: Site, call: Call) -> Reply:
    """The body is one YAML file; ?name= is what messages call it."""
    name = call.query.get("name", "body")[:200]
    made = administration.apply(site.office, call.tenant, call.body, name, by=who(call), baselines=call.wide)
    return json_reply({"activated": made})


def list_policies(site: Site, call: Call) -> Reply:
    return json_reply({"documents": administration.active_documents(site.office, call.tenant)})


def policy(site: Site, call: Call) -> Reply:
    """One active document, with the whole file that it came in."""
    wanted = (call.params["kind"], call.params["name"])
    for row in site.office.documents.active(call.tenant)[1]:
        if (row.kind, row.name) == wanted:
            told = {"kind": row.kind, "name": row.name, "version": row.version, "digest": row.digest}
            return json_reply({**told, "tenant": row.tenant, "source": row.source.decode()})
    raise _absent("policy", " ".join(wanted))


def retire_policy(site: Site, call: Call) -> Reply:
    """?signatures=, joined by commas: a baseline may need them."""
    kind, name = call.params["kind"], call.params["name"]
    if kind not in _KINDS:
        raise refuse("kind", expected=" or ".join(_KINDS), found=repr(kind[:40]))
    if kind == "baseline":
        require_wide(call, "baselines")
    signatures = [text for text in call.query.get("signatures", "").split(",") if text]
    administration.retire(site.office, call.tenant, kind, name, by=who(call), signatures=signatures)
    return json_reply({"kind": kind, "name": name, "retired": True})


def list_administrators(site: Site, call: Call) -> Reply:
    """Whom the caller may revoke: all, or those of the caller's tenant. Never a token, nor its digest."""
    found = admins.listed(site.administrators, _within(call))
    return json_reply({"administrators": [_administrator(each) for each in found]})


def add_administrator(site: Site, call: Call) -> Reply:
    """Of the path's tenant; ?scope=gateway: of the whole gateway. {"roles": [...]}; an owner without.
    The token is in this reply, once; with "key", a public JWK, there is none.

    Where more than one must approve, whoever hands a change in could make themselves a second administrator
    for it: there, too, only one of the whole gateway adds any.
    """
    holds, key = _wanted(call.body)
    wide = call.query.get("scope") == "gateway"
    desk = site.office.desk
    if wide:
        require_wide(call, "its administrators")
    elif desk.needed(desk.store.state(call.tenant)) > 1:
        require_wide(call, "administrators of a tenant where two or more must approve")
    tenant = "" if wide else call.tenant
    ports: dict[str, Any] = {
        "store": site.administrators,
        "clock": site.gateway.clock,
        "random": site.gateway.random,
        "by": who(call),
        "holds": holds,
    }
    told = {"tenant": tenant, "roles": sorted(holds)}
    if key is not None:
        made = admins.create_with_key(tenant, approval.parse_key(key), **ports)
        return json_reply({"id": made, **told, "key": approval.parse_key(key).thumbprint}, 201)
    credential = admins.create(tenant, **ports)
    return json_reply({"id": credential.id, **told, "token": credential.token}, 201)


def _wanted(body: bytes) -> tuple[frozenset[roles.Role], object]:
    """Roles, and the key if there is one."""
    if not body:
        return admins.OWNERS, None
    value = strictjson.loads(body, "body", limit=len(body), max_depth=3)
    if not isinstance(value, dict) or not value.keys() <= {"roles", "key"}:
        raise refuse("body", expected='{"roles": [...], "key": {...}}', found="something else")
    given = value.get("roles", list(admins.OWNERS))
    if not isinstance(given, list):
        raise refuse("roles", expected="a list", found=type(given).__name__)
    return roles.parse(given), value.get("key")


def revoke_administrator(site: Site, call: Call) -> Reply:
    """To an administrator of a tenant those of others are not there."""
    name = call.params["id"]
    done = admins.revoke(
        name, store=site.administrators, clock=site.gateway.clock, by=who(call), within=_within(call)
    )
    if not done:
        raise _absent("administrator that still counts", name)
    return json_reply({"id": name, "revoked": True})


def attempts(site: Site, call: Call) -> Reply:
    """Recent attempts, newest first, with every finding. ?before=ID: those made before that one."""
    before = call.query.get("before") or None
    rows = site.gateway.appraisals.recent(call.tenant, limit_of(call, 20, 200), before)
    return json_reply({"attempts": [json.loads(row.record) for row in rows]})


def attempt(site: Site, call: Call) -> Reply:
    found = site.gateway.appraisals.get(call.tenant, call.params["id"])
    if found is None:
        raise _absent("attempt", call.params["id"])
    return json_reply(json.loads(found.record))


def evidence(site: Site, call: Call) -> Reply:
    """A replay bundle. ?collateral=now: with what would be handed over today, too."""
    wanted = call.query.get("collateral", "")
    if wanted not in ("", "now"):
        raise refuse("collateral", expected="now", found=repr(wanted[:40]))
    raw = site.archive.bundle(call.tenant, call.params["id"], with_now=wanted == "now")
    return Reply(status=200, body=raw)


def ledger(site: Site, call: Call) -> Reply:
    """The tenant's last entries, oldest first. ?scope=gateway: what concerns no tenant."""
    if call.query.get("scope") == "gateway":
        require_wide(call, "the gateway's own ledger entries")
    scope = "" if call.query.get("scope") == "gateway" else call.tenant
    entries = site.office.ledger.tail(scope, limit_of(call, 50, 1000))
    return json_reply({"entries": list(entries)})


def _metadata(site: Site, call: Call, each: Any) -> dict[str, Any]:
    owner = site.gateway.appraiser.book.of(call.tenant).owner_of(each.path)
    return {
        "path": each.path,
        "version": each.version,
        "created": rfc3339(each.created),
        "key_id": each.key_id,
        "policy": owner,
    }


def _administrator(each: StoredAdministrator) -> dict[str, Any]:
    return {
        "id": each.id,
        "tenant": each.tenant,
        "roles": each.role.split(" "),
        "login": each.login,
        "created": rfc3339(each.created),
        "revoked": None if each.revoked is None else rfc3339(each.revoked),
    }


def _within(call: Call) -> str:
    return "" if call.wide else call.tenant


def who(call: Call) -> str:
    if call.who is None:
        raise AssertionError("an administrative route was reached by nobody")
    return call.who


def require_wide(call: Call, what: str) -> None:
    if not call.wide:
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            f"{what} belong to the whole gateway",
            where="authorization",
            expected="an administrator of the whole gateway",
            found=f"one of tenant {call.tenant}",
        )


def _absent(what: str, name: str) -> GatewayError:
    return GatewayError(
        GatewayReason.REQUEST_NOT_FOUND,
        f"there is no such {what}",
        where=what,
        expected=f"a known {what}",
        found=repr(name[:64]),
    )
