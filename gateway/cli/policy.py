"""`sealgate policy`: check documents here, activate them there."""

from __future__ import annotations

from collections.abc import Sequence

import click

from gateway import bundles, policybook
from gateway.cli import files, policy_lifecycle
from gateway.cli.errors import InputError, reading
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.client import Client
from policies.model import Document
from policies.strictyaml import MAX_BYTES
from verifiers.claims import TABLE

_YAML = "application/yaml"


@click.group()
def policy() -> None:
    """Say what is acceptable: baselines, reference values, release policies."""


def check_files(paths: Sequence[str]) -> list[tuple[str, Document]]:
    """Every document of the files, compiled together with the shipped baselines (a file's own of the same
    name replaces them). Raises InputError with every problem."""
    found: list[tuple[str, Document]] = []
    for name, raw in files.documents(paths, MAX_BYTES):
        with reading(name):
            found += [(name, document) for document in policybook.read(raw, name)]
    if not found:
        raise InputError("expected policy documents, found none")
    given = {(policybook.kind_of(document), document.name) for _, document in found}
    shipped = [d for name, raw in bundles.baselines() for d in policybook.read(raw, name)]
    kept = [d for d in shipped if (policybook.kind_of(d), d.name) not in given]
    with reading(found[0][0]):
        policybook.compile_all((*kept, *(document for _, document in found)))
    return found


def apply_files(client: Client, paths: Sequence[str]) -> list[dict[str, object]]:
    """Each file is activated as a whole: baselines and reference values before the policies that use them."""
    found: list[tuple[int, str, bytes]] = []
    for name, raw in files.documents(paths, MAX_BYTES):
        with reading(name):
            kinds = {policybook.kind_of(document) for document in policybook.read(raw, name)}
        found.append((int(policybook.RELEASE in kinds), name, raw))
    out: list[dict[str, object]] = []
    for _, name, raw in sorted(found, key=lambda item: item[0]):
        reply = client.ask("POST", "/v1/admin/policies", raw, _YAML, {"name": name})
        out += reply["activated"]
    return out


def show_found(found: Sequence[tuple[str, Document]], as_json: bool) -> None:
    rows = [
        {
            "kind": policybook.kind_of(d),
            "name": d.name,
            "version": d.version,
            "digest": d.digest,
            "file": name,
        }
        for name, d in found
    ]
    lines = [(row["kind"], f"{row['name']}@{row['version']}", row["file"]) for row in rows]
    show(rows, as_json, lambda: table(("KIND", "NAME", "FILE"), lines, "") + "\n0 errors")


def show_active(rows: Sequence[dict[str, object]], as_json: bool) -> None:
    lines = [(r["kind"], f"{r['name']}@{r['version']}", r["activated"], r["digest"]) for r in rows]
    show(rows, as_json, lambda: table(("KIND", "NAME", "ACTIVE SINCE", "DIGEST"), lines, "none active"))


@policy.command()
@click.argument("paths", nargs=-1, required=True)
@json_option
def check(paths: tuple[str, ...], as_json: bool) -> None:
    """Read and compile documents, here; folders stand for their *.yaml. Every error with line and column."""
    show_found(check_files(paths), as_json)


@policy.command(name="list")
@json_option
@admin_options
def list_(as_json: bool, client: Client) -> None:
    """Active documents."""
    show_active(client.get("/v1/admin/policies")["documents"], as_json)


@policy.command()
@click.argument("word", default="")
@json_option
def claims(word: str, as_json: bool) -> None:
    """The claims that policies may name; WORD narrows the list."""
    found = [spec for spec in TABLE if word.lower() in spec.name.lower() or word.lower() in spec.doc.lower()]
    value = [
        {
            "name": spec.name,
            "type": spec.type.value,
            "length": spec.length,
            "json": spec.json,
            "provenance": spec.provenance.value,
            "trustee": spec.trustee,
            "trust_authority": spec.trust_authority,
            "doc": spec.doc,
            "source": spec.source,
        }
        for spec in found
    ]
    rows = [(spec.name, spec.type.value, spec.provenance.value, spec.doc) for spec in found]
    head = ("CLAIM", "TYPE", "WHOSE WORD", "WHAT IT IS")
    show(value, as_json, lambda: table(head, rows, f"no claim matches {word!r}"))


for _command in policy_lifecycle.COMMANDS:
    policy.add_command(_command)
