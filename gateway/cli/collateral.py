"""`sealgate collateral`: what vendors say about their hardware, and what a gateway has of it."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.collateral_bundles import export, import_, verify
from gateway.cli.collateral_fetch import fetch
from gateway.cli.collateral_status import status
from gateway.cli.forecast import forecast
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.cli.slotwords import what_for
from gateway.client import Client


@click.group()
def collateral() -> None:
    """Certificates, CRLs, TCB info, QE identities: fetched in the background, or brought by hand."""


@collateral.command()
@click.option("--yes", is_flag=True, help="Do it.")
@json_option
@admin_options
def prune(yes: bool, as_json: bool, client: Client) -> None:
    """Say what ended more than a week ago and is kept by nothing; with --yes, forget it.

    Bytes that an appraisal which is still kept relied on stay, and so does the ratchet: what is older than
    what was forgotten is refused as before.
    """
    path = "/v1/admin/collateral/prune"
    would = client.ask("POST", path, query={"dry": "true"})["would"]
    rows = [(each["kind"], what_for(each), each["ends"][:10]) for each in would]
    listed = table(("KIND", "WHAT FOR", "ENDED"), rows, "nothing ended more than a week ago")
    value: dict[str, Any] = {"would": would, "pruned": None}
    line = "Nothing was done: say --yes" if rows else ""
    if yes:
        value["pruned"] = done = client.ask("POST", path)["pruned"]
        line = f"forgotten: {done['slots']} slots, and {done['objects']} objects that nothing refers to"
    show(value, as_json, lambda: "\n".join(text for text in (listed, line) if text))


for command in (status, fetch, export, import_, verify, forecast):
    collateral.add_command(command)
