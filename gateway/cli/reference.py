"""`sealgate reference`: named sets of measurements, the part of policy that image builders own."""

from __future__ import annotations

import click

from gateway.cli.errors import InputError
from gateway.cli.policy.documents import apply_files, check_files, show_active, show_found
from gateway.cli.remote import admin_options, json_option
from gateway.client import Client
from policies.model import ReferenceSet


@click.group()
def reference() -> None:
    """Reference values: which measurements are approved, by whom, until when."""


def _require_sets(paths: tuple[str, ...]) -> None:
    for name, document in check_files(paths):
        if not isinstance(document, ReferenceSet):
            raise InputError(
                f"{name}: expected reference values only, found {document.name}: use sealgate policy"
            )


@reference.command()
@click.argument("paths", nargs=-1, required=True)
@json_option
def check(paths: tuple[str, ...], as_json: bool) -> None:
    """Read reference sets, here."""
    _require_sets(paths)
    show_found(check_files(paths), as_json)


@reference.command()
@click.argument("paths", nargs=-1, required=True)
@json_option
@admin_options
def apply(paths: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Activate reference sets."""
    _require_sets(paths)
    show_active(apply_files(client, paths), as_json)


@reference.command(name="list")
@json_option
@admin_options
def list_(as_json: bool, client: Client) -> None:
    """Active reference sets."""
    rows = client.get("/v1/admin/policies")["documents"]
    show_active([row for row in rows if row["kind"] == "reference"], as_json)
