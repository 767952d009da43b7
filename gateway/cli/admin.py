"""`sealgate admin`: why something was refused, whether the gateway is well, and who may administrate it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gateway import app, files, roles
from gateway.admins import Credential
from gateway.cli import admin_approvals
from gateway.cli.drill import drill
from gateway.cli.errors import InputError, reading
from gateway.cli.keyfiles import read_public
from gateway.cli.login import login
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.client import Client, Refused
from gateway.config import Config, default_data
from gateway.errors import GatewayError

_MARKS = {"passed": "✓", "failed": "✗", "unknown": "?", "waived": "~", "not_checked": "–"}


@click.group()
def admin() -> None:
    """Look after a gateway."""


admin.add_command(admin_approvals.key)
admin.add_command(admin_approvals.tenant)
admin.add_command(drill)
admin.add_command(login)


@admin.command()
@click.argument("attempt", required=False)
@click.option("--last", default=10, show_default=True, type=click.IntRange(1, 200))
@json_option
@admin_options
def attempts(attempt: str | None, last: int, as_json: bool, client: Client) -> None:
    """Recent attempts, newest first; with ATTEMPT, everything that was found about that one."""
    if attempt is not None:
        found = client.get(f"/v1/admin/attempts/{attempt}")
        show(found, as_json, lambda: _explain(found))
        return
    listed = client.get("/v1/admin/attempts", limit=str(last))["attempts"]
    rows = [
        (each["at"][:19] + "Z", each["attempt"], each["kind"], each.get("evidence", {}).get("type", "–"),
         each.get("verdict", "refused"), each.get("reason") or "–")
        for each in listed
    ]  # fmt: skip
    heads = ("WHEN", "ATTEMPT", "KIND", "TYPE", "RESULT", "REASON")
    show(listed, as_json, lambda: table(heads, rows, "no attempts yet"))


@admin.command()
@click.argument("attempt")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-collateral", type=click.Choice(["then", "now"]), default="then", help="Add today's.")
@json_option
@admin_options
def evidence(attempt: str, file: Path, with_collateral: str, as_json: bool, client: Client) -> None:
    """Write everything that ATTEMPT was decided on to FILE, for `sealgate verify --replay FILE` anywhere."""
    query = {"collateral": "now"} if with_collateral == "now" else {}
    found = client.get(f"/v1/admin/attempts/{attempt}/evidence", **query)
    raw = json.dumps(found, ensure_ascii=False).encode()
    with reading(str(file)):
        files.replace_file(file.absolute(), raw)
    value = {"attempt": found["attempt"], "file": str(file), "bytes": len(raw)}
    show(value, as_json, lambda: f"{len(raw):,} bytes in {file}: it names the machine, keep it from others")


@admin.command()
@json_option
@admin_options
def doctor(as_json: bool, client: Client) -> None:
    """Is it ready, in which mode, and could it release anything? Exit code 1 when it is not ready."""
    try:
        ready = client.get("/readyz")
    except Refused as error:
        ready = dict(error.problem) or {"ready": False, "checks": {}}
    documents = client.get("/v1/admin/policies")["documents"]
    held = client.get("/v1/admin/collateral")["collateral"]
    secrets = client.get("/v1/admin/secrets")["secrets"]
    orphans = [each["path"] for each in secrets if each["policy"] is None]
    value: dict[str, Any] = {
        **ready,
        "release_policies": sum(each["kind"] == "release" for each in documents),
        "collateral": len(held),
        "secrets": len(secrets),
        "secrets_without_policy": orphans,
    }
    lines = [f"{'ready' if ready.get('ready') else 'NOT READY'}   {ready.get('mode', '')} mode"]
    lines += [f"  {name:<10} {outcome}" for name, outcome in ready.get("checks", {}).items()]
    lines.append(f"  {value['release_policies']} release policies, {len(held)} pieces of collateral")
    lines += [f"  nobody can have {path}: no active policy names it" for path in orphans[:10]]
    lines += _contained(ready.get("containment", {}))
    show(value, as_json, lambda: "\n".join(lines))
    if not ready.get("ready"):
        raise SystemExit(1)


def _contained(found: Mapping[str, str]) -> list[str]:
    """What keeps readers of hostile evidence from everything else, measure by measure."""
    if not found:
        return []
    lines = [f"  readers of evidence are contained: {found.get('mode', '')}"]
    lines += [f"    {name:<13} {said}" for name, said in found.items() if name != "mode"]
    return (
        lines
        if len(lines) > 1
        else [f"  readers of evidence: {found.get('mode', '')}, nothing contains them"]
    )


@admin.command(name="list")
@json_option
@admin_options
def list_(as_json: bool, client: Client) -> None:
    """Who may administrate, revoked ones included."""
    found = client.get("/v1/admin/administrators")["administrators"]
    rows = [
        (each["id"], each["tenant"] or "whole gateway", ", ".join(each["roles"]), each["login"],
        each["created"],
         each["revoked"] or "–")
        for each in found
    ]  # fmt: skip
    heads = ("ID", "OF", "ROLES", "LOGIN", "CREATED", "REVOKED")
    show(found, as_json, lambda: table(heads, rows, "no administrators"))


def out_option(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="New file for the credential (mode 0600), instead of the screen.",
    )
    return option(function)


@admin.command()
@click.option("--scope", type=click.Choice(["tenant", "gateway"]), default="tenant", show_default=True)
@click.option(
    "--role",
    "names",
    multiple=True,
    type=click.Choice(roles.known_names()),
    default=[str(roles.Role.OWNER)],
    show_default=True,
    help="What they may do; several times.",
)
@click.option(
    "--key",
    "key_file",
    help="Public key, PEM or JWK: signs each request of theirs (--admin-key), instead of a credential.",
)
@out_option
@json_option
@admin_options
def add(
    scope: str,
    names: tuple[str, ...],
    key_file: str | None,
    out: Path | None,
    as_json: bool,
    client: Client,
) -> None:
    """Make an administrator of the tenant (--tenant), or of the whole gateway (--scope gateway)."""
    _require_free(out)
    wanted: dict[str, Any] = {"roles": sorted(set(names))}
    if key_file is not None:
        if out is not None:
            raise InputError("expected --key or --out: with a key there is no credential")
        wanted["key"] = dict(read_public(key_file).jwk)
    body = json.dumps(wanted).encode()
    made = client.ask("POST", "/v1/admin/administrators", body, "application/json", {"scope": scope})
    of = f"tenant {made['tenant']}" if made["tenant"] else "the whole gateway"
    said = f"administrator {made['id']} of {of}: {', '.join(made['roles'])}"
    if key_file is not None:
        show(made, as_json, lambda: f"{said}\n  signs with key {made['key']} (--admin-key)")
        return
    token = made["token"]
    if out is not None:
        try:
            _write(out, token)
        except InputError:
            client.ask("DELETE", f"/v1/admin/administrators/{made['id']}")
            raise
    _show_credential(made["id"], token, out, as_json, said)


@admin.command()
@click.argument("administrator")
@json_option
@admin_options
def revoke(administrator: str, as_json: bool, client: Client) -> None:
    """Let the credential of ADMINISTRATOR, an id as `list` shows it, count no more."""
    done = client.ask("DELETE", f"/v1/admin/administrators/{administrator}")
    show(done, as_json, lambda: f"revoked {administrator}")


@admin.command()
@click.option("--data", type=click.Path(path_type=Path), help="The gateway's folder.")
@out_option
@json_option
def recover(data: Path | None, out: Path | None, as_json: bool) -> None:
    """Make an administrator of the whole gateway when no credential is left.

    For the user that the gateway runs as, on its machine, whether it runs or not. The ledger tells of it.
    Revoke what was lost afterwards: `sealgate admin list`, `sealgate admin revoke`.
    """
    _require_free(out)

    def deliver(credential: Credential) -> None:
        if out is not None:
            _write(out, credential.token)

    try:
        made = app.recover(Config(data=data or default_data()), deliver)
    except GatewayError as error:
        said = f"{error.where}: {error.detail} (expected {error.expected}, found {error.found})"
        raise InputError(said, str(error.reason)) from None
    _show_credential(made.id, made.token, out, as_json, f"administrator {made.id} of the whole gateway")


def _require_free(out: Path | None) -> None:
    """Found out later, the only copy of a credential would be lost."""
    if out is not None and (out.exists() or out.is_symlink()):
        raise InputError(f"{out}: exists already; the new credential would go there", "input.exists")


def _write(out: Path, token: str) -> None:
    try:
        files.write_new(out, token.encode())
    except OSError as error:
        raise InputError(f"{out}: {(error.strerror or 'an error').lower()}", "input.unwritable") from None


def _show_credential(name: str, token: str, out: Path | None, as_json: bool, said: str) -> None:
    value = {"id": name, "token": token} if out is None else {"id": name, "file": str(out)}
    where = f"  {token}" if out is None else f"  its credential is in {out}"
    once = "; its credential, shown this once (SEALGATE_ADMIN_TOKEN):" if out is None else ""
    show(value, as_json, lambda: f"{said}{once}\n{where}")


def _explain(found: dict[str, Any]) -> str:
    evidence, verdict = found.get("evidence", {}), str(found.get("verdict", "refused"))
    what = " ".join(
        str(v) for v in (evidence.get("type"), evidence.get("product") or evidence.get("fmspc")) if v
    )
    lines = [f"{verdict.upper()}   {what or found['kind']}   {found.get('reason') or ''}"]
    lines.append(f"  {found['attempt']}, {found['kind']}, {found['at']}, tenant {found['tenant']}")
    if found.get("simulated"):
        lines.append("  SIMULATED hardware")
    for check in found.get("checks", []):
        mark = _MARKS.get(check["outcome"], "?")
        lines.append(f"  {mark} {check['id']}")
        if check["outcome"] not in ("passed", "not_checked"):
            lines.append(f"      expected {check['expected']}, found {check['found']}   ({check['source']})")
            if check.get("fix"):
                lines.append(f"      to pass: {check['fix']}")
    for refusal in found.get("refusals", []):
        lines.append(f"  ✗ {refusal['path']}: {refusal['reason']}")
    return "\n".join(lines)
