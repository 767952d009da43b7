"""For authors while they write: which claims there are, schemas for editors, the one layout."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from gateway.cli import files
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.remote import json_option, read_input, show, table
from policies import claimtable
from policies.errors import did_you_mean
from policies.formatting import format_document
from policies.schema import schemas
from policies.strictyaml import MAX_BYTES
from verifiers.claims import BY_NAME


@click.command(short_help="The claims that policies may name.")
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
    cells = [
        (row.name, row.size, row.provenance, row.trustee or "-", row.trust_authority or "-", row.doc)
        for row in found
    ]
    headers = ("CLAIM", "TYPE", "WHOSE WORD", "TRUSTEE", "TRUST AUTHORITY", "WHAT IT IS")
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
        ("whose word", row.provenance),
        ("in JSON", f"{row.json}: {row.in_json}" if row.in_json else "not among the claims of a result"),
        ("Trustee", row.trustee or ""),
        ("Trust Authority", row.trust_authority or ""),
        ("source", row.source),
    ]
    return "\n".join(f"{name:15}  {text}" for name, text in lines if text)


@click.command(short_help="JSON Schemas of the documents, for editors.")
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


@click.command(short_help="Bring documents into their one layout.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 if something would.")
def fmt(paths: tuple[str, ...], only_check: bool) -> None:
    """Bring documents into their one layout: same meaning, every comment kept.

    Folders stand for their *.yaml; - formats standard input to standard output.
    """
    if paths == ("-",):
        raw = read_input("-", MAX_BYTES)
        with reading("standard input"):
            made = format_document(raw, "standard input")
        if only_check:
            raise SystemExit(made != raw)
        click.echo(made.decode(), nl=False)
        return
    changed = 0
    for name, raw in files.documents(paths, MAX_BYTES):
        with reading(name):
            made = format_document(raw, name)
            if made == raw:
                continue
            changed += 1
            click.echo(f"{'would reformat' if only_check else 'reformatted'} {one_line(name)}")
            if not only_check:
                replace_file(Path(name), made)
    if not changed:
        click.echo("nothing to change")
    raise SystemExit(1 if changed and only_check else 0)


def replace_file(path: Path, raw: bytes) -> None:
    """Whole or not at all: an interrupted write must not leave half a policy behind. Raises OSError."""
    path = path.resolve()  # a link stays one
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(raw)
    if path.exists():
        partial.chmod(path.stat().st_mode & 0o777)
    partial.replace(path)
