"""What an author asks while writing: which claims there are, and the schema that an editor completes from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from gateway.cli.errors import InputError, reading
from gateway.cli.remote import json_option, show, table
from policies import claimtable
from policies.errors import did_you_mean
from policies.schema import schemas
from verifiers.claims import BY_NAME


@click.command()
@click.argument("word", default="")
@json_option
def claims(word: str, as_json: bool) -> None:
    """The claims that policies may name; WORD narrows the list, one claim alone is shown in full.

    WORD is looked for in names, descriptions, and the names that Trustee and Intel Trust Authority use.
    """
    wanted = word.lower()
    rows = list(claimtable.rows(BY_NAME))
    found = [row for row in rows if row.name == wanted] or [row for row in rows if wanted in _text(row)]
    value = [dataclasses.asdict(row) for row in found]
    if len(found) == 1:
        show(value, as_json, lambda: _card(found[0]))
        return
    cells = [(row.name, row.size, row.trustee or "-", row.trust_authority or "-", row.doc) for row in found]
    headers = ("CLAIM", "TYPE", "TRUSTEE", "TRUST AUTHORITY", "WHAT IT IS")
    hint = did_you_mean(word, [row.name for row in rows])
    empty = f"no claim matches {word!r}" + (f"; {hint}" if hint else "")
    show(value, as_json, lambda: table(headers, cells, empty))


def _text(row: claimtable.Row) -> str:
    parts = (row.name, row.doc, row.json, row.trustee, row.trust_authority)
    return " ".join(part for part in parts if part).lower()


def _card(row: claimtable.Row) -> str:
    """Everything about one claim, one fact on a line."""
    lines = [
        ("claim", row.name),
        ("is", row.doc),
        ("type", row.size),
        ("evidence", ", ".join(row.kinds)),
        ("operators", ", ".join(row.operators)),
        ("written", row.written),
        ("values", ", ".join(row.values) or row.pattern),
        ("in JSON", f"{row.json}: {row.in_json}" if row.in_json else "not among the claims of a result"),
        ("Trustee", row.trustee or ""),
        ("Trust Authority", row.trust_authority or ""),
        ("source", row.source),
    ]
    return "\n".join(f"{name:15}  {text}" for name, text in lines if text)


@click.command()
@click.argument("name", required=False)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write all into this folder.")
def schema(name: str | None, out: Path | None) -> None:
    """JSON Schemas of the documents, for editors: NAME prints one, --out writes all.

    In an editor that follows the YAML language server, the first line of a document names its schema:

    \b
      # yaml-language-server: $schema=release-policy.json
    """
    made = schemas(BY_NAME)
    if name is not None and name not in made:
        hint = did_you_mean(name, made)
        raise InputError(f"expected one of {', '.join(made)}, found {name!r}{f'; {hint}' if hint else ''}")
    if out is None:
        click.echo(rendered(made[name]) if name is not None else "\n".join(made), nl=name is None)
        return
    with reading(str(out)):
        out.mkdir(parents=True, exist_ok=True)
        for each in made if name is None else [name]:
            (out / f"{each}.json").write_text(rendered(made[each]))
            click.echo(str(out / f"{each}.json"))


def rendered(value: object) -> str:
    """The one form in which a schema is written to a file."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
