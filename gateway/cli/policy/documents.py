"""Documents on their way to a gateway: read and compiled here, activated, listed and retired there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from gateway import bundles, policybook
from gateway.cli import expiry, files
from gateway.cli.errors import InputError, reading
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.client import Client
from policies import cases_document
from policies.cases_document import Cases
from policies.errors import PolicyError, PolicyErrors
from policies.model import Document
from policies.strictyaml import MAX_BYTES
from verifiers.claims import BY_NAME

_YAML = "application/yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What files hold: documents with the file each came from, cases apart; shipped baselines that apply."""

    documents: tuple[tuple[str, Document], ...]
    cases: tuple[tuple[str, Cases], ...]
    shipped: tuple[Document, ...]

    @property
    def all(self) -> tuple[Document, ...]:
        """Everything that counts together."""
        return (*self.shipped, *(document for _, document in self.documents))

    def compiled(self) -> policybook.Compiled:
        """Raises PolicyErrors when the documents do not fit together."""
        return policybook.compile_all(self.all)


def load_all(paths: Sequence[str]) -> Loaded:
    """Every document and case of the files, with the shipped baselines (a file's own of the same name
    replaces them). Raises PolicyErrors with the problems of all files, InputError."""
    problems: list[PolicyError] = []
    found: list[tuple[str, Document]] = []
    cases: list[tuple[str, Cases]] = []
    for name, raw in files.documents(paths, MAX_BYTES):
        try:
            if cases_document.is_cases(raw, name):
                cases.append((name, cases_document.read(raw, name, BY_NAME)))
            else:
                found += [(name, document) for document in policybook.read(raw, name)]
        except PolicyErrors as error:
            problems += error.errors
    if problems:
        raise PolicyErrors(problems)
    if not found and not cases:
        raise InputError("expected policy documents, found none")
    given = {(policybook.kind_of(document), document.name) for _, document in found}
    shipped = [d for name, raw in bundles.baselines() for d in policybook.read(raw, name)]
    kept = tuple(d for d in shipped if (policybook.kind_of(d), d.name) not in given)
    return Loaded(documents=tuple(found), cases=tuple(cases), shipped=kept)


def check_files(paths: Sequence[str]) -> list[tuple[str, Document]]:
    """Every document of the files, compiled together. Raises InputError with every problem."""
    with reading("policy"):
        loaded = load_all(paths)
        loaded.compiled()
    return list(loaded.documents)


def apply_files(client: Client, paths: Sequence[str]) -> list[dict[str, object]]:
    """Each file is activated as a whole: baselines and reference values before the policies that use them."""
    found: list[tuple[int, str, bytes]] = []
    for name, raw in files.documents(paths, MAX_BYTES):
        with reading(name):
            if cases_document.is_cases(raw, name):
                continue
            kinds = {policybook.kind_of(document) for document in policybook.read(raw, name)}
        found.append((int(policybook.RELEASE in kinds), name, raw))
    out: list[dict[str, object]] = []
    for _, name, raw in sorted(found, key=lambda item: item[0]):
        reply = client.ask("POST", "/v1/admin/policies", raw, _YAML, {"name": name})
        out += reply["activated"]
    return out


def row(name: str, document: Document) -> dict[str, object]:
    """What is said of a document that was read from the file `name`."""
    return {
        "kind": policybook.kind_of(document),
        "name": document.name,
        "version": document.version,
        "digest": document.digest,
        "file": name,
    }


def show_found(found: Sequence[tuple[str, Document]], as_json: bool) -> None:
    rows = [row(name, document) for name, document in found]
    lines = [(each["kind"], f"{each['name']}@{each['version']}", each["file"]) for each in rows]
    show(rows, as_json, lambda: table(("KIND", "NAME", "FILE"), lines, "") + "\n0 errors")


def show_active(rows: Sequence[dict[str, object]], as_json: bool) -> None:
    lines = [(r["kind"], f"{r['name']}@{r['version']}", r["activated"], r["digest"]) for r in rows]
    show(rows, as_json, lambda: table(("KIND", "NAME", "ACTIVE SINCE", "DIGEST"), lines, "none active"))


@click.command(name="list")
@json_option
@admin_options
def list_(as_json: bool, client: Client) -> None:
    """Active documents."""
    rows = client.get("/v1/admin/policies")["documents"]
    show_active(rows, as_json)
    expiry.warn_of_rows(rows)
