"""`sealgate admin key` and `sealgate admin tenant`: who approves changes, and how many of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import click

from gateway.cli.errors import InputError
from gateway.cli.keyfiles import read_public
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.client import Client

_KEYS = "/v1/admin/approval-keys"
scope_option = click.option(
    "--scope",
    type=click.Choice(["tenant", "gateway"]),
    default="tenant",
    show_default=True,
    help="gateway: about baselines.",
)


@click.group()
def key() -> None:
    """Keys whose signatures approve changes of a tenant."""


@key.command()
@click.argument("file")
@click.option("--administrator", help="Id of whom it belongs to: it does not approve what they write.")
@scope_option
@json_option
@admin_options
def add(file: str, administrator: str | None, scope: str, as_json: bool, client: Client) -> None:
    """Register the public key in FILE (PEM or JWK, P-256 or Ed25519)."""
    found = read_public(file)
    body: dict[str, Any] = {"key": dict(found.jwk)}
    if administrator is not None:
        body["administrator"] = administrator
    made = client.ask("POST", _KEYS, _json(body), "application/json", {"scope": scope})
    of = made["tenant"] or "the whole gateway"
    show(made, as_json, lambda: f"key {made['key']} approves changes of {of}")


@key.command(name="list")
@scope_option
@json_option
@admin_options
def list_(scope: str, as_json: bool, client: Client) -> None:
    """Registered keys, revoked ones included."""
    keys = client.get("/v1/admin/approvals", scope=scope)["keys"]
    rows = [
        (
            each["key"],
            each["algorithm"],
            each["administrator"] or "–",
            each["created"],
            each["revoked"] or ("–" if each["counts"] else "may not approve"),
        )
        for each in keys
    ]
    heads = ("KEY", "ALGORITHM", "ADMINISTRATOR", "CREATED", "REVOKED")
    show(keys, as_json, lambda: table(heads, rows, "no keys"))


@key.command()
@click.argument("thumbprint")
@scope_option
@json_option
@admin_options
def revoke(thumbprint: str, scope: str, as_json: bool, client: Client) -> None:
    """Let the key approve no more. It does not come back."""
    gone = client.ask("DELETE", f"{_KEYS}/{thumbprint}", query={"scope": scope})
    show(gone, as_json, lambda: f"revoked {thumbprint}")


@click.group()
def tenant() -> None:
    """How many must approve a tenant's changes."""


@tenant.command(name="set")
@click.argument("name", required=False)
@click.option("--approvals", required=True, type=click.IntRange(1, 16))
@scope_option
@json_option
@admin_options
def set_(name: str | None, approvals: int, scope: str, as_json: bool, client: Client) -> None:
    """Let changes of tenant NAME need so many approvals; --scope gateway: of baselines."""
    client = _of(client, name, scope)
    body = _json({"approvals": approvals})
    _show(client.ask("PUT", "/v1/admin/approvals", body, "application/json", {"scope": scope}), as_json)


@tenant.command(name="show")
@click.argument("name", required=False)
@scope_option
@json_option
@admin_options
def show_(name: str | None, scope: str, as_json: bool, client: Client) -> None:
    """What an approver has to know: store, next sequence, how many approvals."""
    _show(_of(client, name, scope).get("/v1/admin/approvals", scope=scope), as_json)


def _of(client: Client, name: str | None, scope: str) -> Client:
    if (name is None) == (scope == "tenant"):
        raise InputError("expected the name of a tenant, or --scope gateway")
    return client if name is None else replace(client, tenant=name)


def _show(found: dict[str, Any], as_json: bool) -> None:
    counting = sum(each["counts"] for each in found["keys"])
    of = f"tenant {found['tenant']}" if found["tenant"] else "the whole gateway (baselines)"
    option = f" --tenant {found['tenant']}" if found["tenant"] not in ("", "default") else ""
    lines = [
        f"{of}: {found['approvals']} approvals needed, {counting} keys count",
        "to approve the next change:",
        f"  sealgate policy sign FILE… --key KEY --store {found['store']} --sequence {found['next']}{option}",
    ]
    show(found, as_json, lambda: "\n".join(lines))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
