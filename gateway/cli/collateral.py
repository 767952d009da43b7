"""`sealgate collateral`: what vendors say about their hardware, brought to the gateway by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from gateway.cli.errors import InputError
from gateway.cli.forecast import forecast
from gateway.cli.remote import admin_options, json_option, read_input, show, table
from gateway.client import Client
from verifiers.collateral import MAX_FILE


@click.group()
def collateral() -> None:
    """Certificates, CRLs, TCB info, QE identities. The gateway dials no vendor: it holds what it is given."""


@collateral.command(name="import")
@click.argument("paths", nargs=-1, required=True)
@json_option
@admin_options
def import_(paths: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Send files to the gateway; folders stand for the files in them. Recognised by content."""
    names: list[str] = []
    for name in paths:
        path = Path(name)
        names += [str(item) for item in sorted(path.iterdir()) if item.is_file()] if path.is_dir() else [name]
    if not names:
        raise InputError("expected files, found none")
    made: list[dict[str, str]] = []
    for name in names:
        raw = read_input(name, MAX_FILE)
        query = {"name": Path(name).name}
        made += client.ask("POST", "/v1/admin/collateral", raw, "application/octet-stream", query)["imported"]
    rows = [(item["kind"], item["key"]) for item in made]
    show(made, as_json, lambda: table(("KIND", "WHAT FOR"), rows, ""))


@collateral.command()
@json_option
@admin_options
def status(as_json: bool, client: Client) -> None:
    """What the gateway holds."""
    held = client.get("/v1/admin/collateral")["collateral"]
    counted = Counter(item["kind"] for item in held)
    rows = [(item["kind"], item["key"][:80], item["fetched"]) for item in held]
    total = ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items())) or "nothing"
    show(held, as_json, lambda: table(("KIND", "WHAT FOR", "FETCHED"), rows, "") + f"\nheld: {total}")


collateral.add_command(forecast)
