"""Sets that end soon, said on stderr: the list itself stays what it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from gateway.adapters import SystemClock
from gateway.cli.errors import one_line
from policies.expiry import warning
from policies.model import Document, ReferenceSet


def warn_of_rows(rows: Iterable[Mapping[str, object]]) -> None:
    """rows: active documents, as the gateway lists them."""
    for row in rows:
        if row.get("warning"):
            _say(f"{row['name']}@{row['version']} {row['warning']}")


def warn_of_files(found: Iterable[tuple[str, Document]]) -> None:
    now = SystemClock().now()
    for name, document in found:
        if isinstance(document, ReferenceSet):
            said = warning(document.valid_from, document.valid_until, now)
            if said is not None:
                _say(f"{name}: {document.name}@{document.version} {said}")


def _say(text: str) -> None:
    click.echo(f"sealgate: warning: {one_line(text)}", err=True)
