"""`sealgate policy import --trustee`: a release policy from the shape of Trustee's default policies."""

from __future__ import annotations

from pathlib import Path

import click

from gateway import bundles, policybook
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.reference_files import trustee_files, write_out
from gateway.cli.remote import read_input
from policies import trustee_policy, trustee_values
from policies.errors import PolicyErrors
from policies.model import Document, ReferenceSet
from policies.strictyaml import MAX_BYTES
from verifiers.model import TeeKind

_BASELINES = {TeeKind.SEV_SNP: "amd-sev-snp", TeeKind.TDX: "intel-tdx"}


@click.command(name="import", short_help="Write a release policy from Trustee's.")
@click.option("--trustee", "files", multiple=True, required=True, help="A Rego file; give the option again.")
@click.option("--reference", required=True, help="The set: see sealgate reference import --trustee.")
@click.option("--values", help="Trustee's reference values, for flags, versions and XFAM.")
@click.option("--secret", "secrets", multiple=True, required=True, help="Path of the secrets it is for.")
@click.option("--name", required=True, help="Name of the policy.")
@click.option("--owner", required=True, help="Who answers for it.")
@click.option("--tenant", default="default", show_default=True)
@click.option(
    "--partial", is_flag=True, help="Write what maps, although lines did not: they are no longer asked."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Else standard output.")
def import_(
    files: tuple[str, ...],
    reference: str,
    values: str | None,
    secrets: tuple[str, ...],
    name: str,
    owner: str,
    tenant: str,
    partial: bool,
    out: Path | None,
) -> None:
    """Write a release policy from Trustee's policies.

    Every line without an exact counterpart is reported, and so is what a policy has to say here and Trustee's
    leaves open. Exit code 1 when anything was reported."""
    with reading(reference):
        documents = policybook.read(read_input(reference, MAX_BYTES), reference)
    found = documents[0]
    if len(documents) != 1 or not isinstance(found, ReferenceSet):
        raise InputError(f"{reference}: expected one reference set")
    texts = [(file, _text(file)) for file in files]
    with reading(values or ""):
        known = trustee_values.read(trustee_files(values)).by_name if values is not None else {}
    shape = trustee_policy.read(texts, found.name, known)
    lines = [f"not mapped: {line}" for line in trustee_policy.report(shape)]
    rules = {kind: rule for kind, rule in shape.rules.items() if rule}
    if not rules:
        raise InputError("\n".join([*lines, "nothing maps to a rule"]))
    head = {"name": name, "tenant": tenant, "owner": owner}
    text = _document(head, secrets, rules, found, lines)
    with reading("the policy that this makes"):
        made = policybook.read(text.encode(), f"{name}.yaml")
    lines += _open(made, found)
    for line in lines:
        click.echo(f"sealgate: {one_line(line)}", err=True)
    if shape.unmapped and not partial:
        raise InputError(f"{len(shape.unmapped)} lines did not map; with --partial they are no longer asked")
    write_out(text.encode(), out)
    raise SystemExit(1 if lines else 0)


def _text(file: str) -> str:
    raw = read_input(file, trustee_policy.MAX_BYTES)
    try:
        return raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: byte {error.start} is not UTF-8") from None


def _open(made: tuple[Document, ...], found: ReferenceSet) -> list[str]:
    """What a policy must say and this one does not: for its author to decide, never accepted for them."""
    shipped = [d for name, raw in bundles.baselines() for d in policybook.read(raw, name)]
    try:
        policybook.compile_all((*shipped, found, *made))
    except PolicyErrors as error:
        return [f"left open: {e.message}{f' ({e.hint})' if e.hint else ''}" for e in error.errors]
    return []


def _document(
    head: dict[str, str],
    secrets: tuple[str, ...],
    rules: dict[TeeKind, list[str]],
    found: ReferenceSet,
    lines: list[str],
) -> str:
    baselines = ", ".join(f"{_BASELINES[kind]}: 1" for kind in rules)
    out = [f"# {one_line(line)}" for line in lines]
    out += ["sealgate: release-policy/1", f"name: {head['name']}", "version: 1", f"tenant: {head['tenant']}"]
    out += [f"owner: {head['owner']}", f"secrets: [{', '.join(secrets)}]"]
    out.append(f"uses: {{baselines: {{{baselines}}}, references: {{{found.name}: {found.version}}}}}")
    out += ["lease: {lasts: 1h, renew_every: 1h}  # Trustee has no leases", "allow:"]
    for kind, rule in rules.items():
        out += [f"  - id: trustee-{kind.value}", f"    when: {{evidence.type: {{equals: {kind.value}}}}}"]
        out += ["    profiles: [kbs]", "    require:", *(f"      - {condition}" for condition in rule)]
    return "\n".join(out) + "\n"
