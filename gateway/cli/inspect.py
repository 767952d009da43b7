"""`sealgate inspect`: show what is in evidence or collateral. Decodes everything, judges nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import click

from gateway.cli import dissect, dissect_collateral, files
from gateway.cli.dissect import Block
from gateway.cli.errors import one_line, reading
from gateway.cli.page import Page
from verifiers import collateral
from verifiers.carriers import TYPES
from verifiers.collateral import Collateral
from verifiers.errors import AttestationError, Reason
from verifiers.eventlog import reading as logs
from verifiers.eventlog.log import MAX_LOG, EventLog

_MAYBE_EVIDENCE = (Reason.COLLATERAL_UNRECOGNISED, Reason.COLLATERAL_MALFORMED, Reason.EVIDENCE_TOO_LARGE)
"""What collateral's reader says of things that evidence's reader explains better."""


_LOOK = 4096
"""Bytes that tell an event log from everything else."""


@click.command(short_help="Show what is in evidence or collateral. Judges nothing.")
@click.argument("path", metavar="FILE")
@click.option("--type", "kind", type=click.Choice(TYPES), metavar="TYPE", help="Open FILE as this.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(path: str, kind: str | None, as_json: bool) -> None:
    """Decode FILE: evidence of any kind that `verify` takes, an event log, or collateral (certificates, CRLs,
    TCB info, QE identity).

    Signatures, dates and revocation are NOT checked: what you read is what the file says. Use `verify` to
    judge it.
    """
    what, blocks = _read(path, kind)
    if as_json:
        click.echo(json.dumps(_to_json(what, blocks), indent=2))
        return
    page = Page()
    page.headline("NOT VERIFIED", "bold yellow", f"{what}: this is what the file says, true or not", None)
    for block in blocks:
        page.blank()
        page.plain(block.title, indent=2)
        _table(page, block)


def _read(path: str, kind: str | None) -> tuple[str, list[Block]]:
    """Collateral or an event log if it is any, else evidence."""
    with reading(path):
        log = _event_log(path) if kind is None else None
        if log is not None:
            return "event log", dissect.event_log(log)
        found = _collateral(path) if kind is None else None
    if found is not None:
        return "collateral", dissect_collateral.collateral(found)
    opened = files.open_evidence(path, kind)
    blocks, certificates = dissect.evidence(opened)
    blocks += [
        dissect_collateral.certificate(raw, f"Certificate {number}")
        for number, raw in enumerate(certificates, 1)
    ]
    return "evidence", blocks


def _event_log(path: str) -> EventLog | None:
    """What `path` holds as an event log; None when it does not begin as one. A damaged one is an error."""
    if path == files.STDIN or Path(path).is_dir():
        return None
    with Path(path).open("rb") as file:
        head = file.read(_LOOK)
    if not logs.recognised(head):
        return None
    return logs.parse(files.bounded(Path(path), MAX_LOG))


def _collateral(path: str) -> Collateral | None:
    """What `path` holds as collateral; None when it is something else. Damaged collateral is an error."""
    if path == files.STDIN or Path(path).is_dir():
        return None
    try:
        return collateral.classify(files.bounded(Path(path), collateral.MAX_FILE), path)
    except AttestationError as error:
        if error.reason in _MAYBE_EVIDENCE:
            return None
        raise


def _table(page: Page, block: Block) -> None:
    named = [tuple(map(one_line, row.cells or (row.name,))) for row in block.rows]
    widths = [max(map(len, column)) for column in zip_longest(*named, fillvalue="")]
    for row, cells in zip(block.rows, named, strict=True):
        at = "" if row.at is None else f"{row.at:#05x}"
        name = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False))
        lead = f"{at:>6}  {name}  "
        note = f"   ({one_line(row.note)})" if row.note else ""
        page.plain(f"{lead}{one_line(row.value)}{note}", indent=2)


def _to_json(what: str, blocks: Sequence[Block]) -> dict[str, object]:
    return {
        "verified": False,
        "what": what,
        "parts": [
            {
                "title": block.title,
                "fields": [
                    {"name": row.name, "offset": row.at, "value": row.value, "note": row.note or None}
                    for row in block.rows
                ],
            }
            for block in blocks
        ],
    }
