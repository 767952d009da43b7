"""`sealgate secret`: store secrets; nothing gives one back but a release to a TEE that passed."""

from __future__ import annotations

import click

from gateway.cli.errors import InputError
from gateway.cli.remote import admin_options, json_option, read_input, show, table
from gateway.client import Client
from gateway.secrets import MAX_SECRET

_OCTETS = "application/octet-stream"


@click.group()
def secret() -> None:
    """Store secrets. Their values never come back out, except to a TEE that a policy allows."""


def _send(client: Client, path: str, file: str, as_json: bool, *, rotate: bool) -> None:
    value = read_input(file, MAX_SECRET)
    if not value:
        raise InputError(f"{file}: expected a secret, found nothing")
    query = {"expect": "present"} if rotate else {}
    made = client.ask("PUT", f"/v1/admin/secrets/{path}", value, _OCTETS, query)
    owner = client.get(f"/v1/admin/secrets/{path}")["policy"]
    said = f"released under policy {owner}" if owner else "nobody can have it yet: no active policy names it"
    show(made, as_json, lambda: f"stored {path} v{made['version']}, {len(value)} bytes; {said}")


@secret.command()
@click.argument("path")
@click.argument("file")
@json_option
@admin_options
def put(path: str, file: str, as_json: bool, client: Client) -> None:
    """Store FILE (- for standard input), byte for byte, as the next version of PATH."""
    _send(client, path, file, as_json, rotate=False)


@secret.command()
@click.argument("path")
@click.argument("file")
@json_option
@admin_options
def rotate(path: str, file: str, as_json: bool, client: Client) -> None:
    """As put, but PATH must have a secret already."""
    _send(client, path, file, as_json, rotate=True)


@secret.command(name="list")
@json_option
@admin_options
def list_(as_json: bool, client: Client) -> None:
    """What secrets there are, and which policy owns each."""
    found = client.get("/v1/admin/secrets")["secrets"]
    rows = [(each["path"], each["version"], each["created"], each["policy"] or "– none") for each in found]
    show(found, as_json, lambda: table(("PATH", "VERSION", "CREATED", "POLICY"), rows, "no secrets"))


@secret.command(name="show")
@click.argument("path")
@json_option
@admin_options
def show_(path: str, as_json: bool, client: Client) -> None:
    """What is known of one secret; never its value."""
    found = client.get(f"/v1/admin/secrets/{path}")
    show(found, as_json, lambda: table(("", ""), [(k, v) for k, v in found.items()], ""))


@secret.command()
@click.argument("path")
@json_option
@admin_options
def rm(path: str, as_json: bool, client: Client) -> None:
    """Forget every version of PATH."""
    gone = client.ask("DELETE", f"/v1/admin/secrets/{path}")
    show(gone, as_json, lambda: f"removed {path}")
