"""`sealgate policy sign, verify, apply, retire, rollback, history`: from files to what counts, and back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from gateway import approval, policybook
from gateway.approval import Action, Statement, Subject
from gateway.cli import files, policy_shadow
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.keyfiles import private_key, read_public
from gateway.cli.remote import admin_options, json_option, read_input, show, table
from gateway.client import Client, ClientError
from gateway.errors import GatewayError
from gateway.files import write_new
from gateway.policybook import BASELINE
from gateway.ports import DEFAULT_TENANT
from policies import cases_document
from policies.strictyaml import MAX_BYTES
from verifiers.codec import b64

_MAX_KEY = 16 * 1024
_MAX_REPORT = 64 * 1024 * 1024
_PROPOSAL = re.compile(r"[0-9a-f]{8,32}\Z")


def read_documents(paths: Sequence[str]) -> list[tuple[str, bytes, list[Subject]]]:
    """Each file with what stands in it. Raises InputError."""
    out = []
    for name, raw in files.documents(paths, MAX_BYTES):
        with reading(name):
            if cases_document.is_cases(raw, name):
                continue
            found = policybook.read(raw, name)
        out.append((name, raw, [Subject(policybook.kind_of(d), d.name, d.version, d.digest) for d in found]))
    return out


def read_signatures(names: Sequence[str]) -> list[str]:
    """One signature from each file. Raises InputError."""
    out = []
    for name in names:
        text = read_input(name, approval.MAX_SIGNATURE).decode("ascii", "replace").strip()
        try:
            approval.signer_of(text)
        except GatewayError as error:
            raise InputError(f"{name}: {error.detail}", str(error.reason)) from None
        out.append(text)
    return out


def statement_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What an approval is about besides the files: `sealgate admin tenant show` prints all of it."""
    for option in (
        click.option(
            "--action",
            type=click.Choice([str(each) for each in Action]),
            default="activate",
            show_default=True,
        ),
        click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Of what is no baseline."),
        click.option(
            "--sequence", required=True, type=click.IntRange(1), help="Of the change; the next one."
        ),
        click.option("--store", required=True, metavar="ID", help="The gateway's store."),
    ):
        function = option(function)
    return function


def signature_option(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--signature", "signatures", multiple=True, metavar="FILE", help="From `policy sign`; several times."
    )
    return option(function)


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="PEM, P-256 or Ed25519, mode 0600."
)
@statement_options
@click.option("--out", type=click.Path(path_type=Path), help="New file for the signature.")
def sign(
    paths: tuple[str, ...],
    key: Path,
    store: str,
    sequence: int,
    tenant: str,
    action: str,
    out: Path | None,
) -> None:
    """Approve exactly these files as exactly one change: the one with this number, of this tenant, in this
    store. Asks nobody: what you sign is what you have read."""
    statement = _statement(paths, store, sequence, tenant, action)
    signature = approval.sign(private_key(key), statement)
    click.echo(one_line(approval.describe(statement)), err=True)
    if out is None:
        click.echo(signature)
        return
    try:
        write_new(out, signature.encode() + b"\n")
    except OSError as error:
        raise InputError(f"{out}: {(error.strerror or 'an error').lower()}", "input.unwritable") from None


@click.command()
@click.argument("paths", nargs=-1, required=True)
@signature_option
@click.option("--keys", multiple=True, required=True, metavar="FILE", help="Public keys; several times.")
@statement_options
@json_option
def verify(
    paths: tuple[str, ...],
    signatures: tuple[str, ...],
    keys: tuple[str, ...],
    store: str,
    sequence: int,
    tenant: str,
    action: str,
    as_json: bool,
) -> None:
    """Whether signatures approve these files as this change; asks nobody. Exit code 1: one does not."""
    if not signatures:
        raise InputError("expected --signature, found none")
    statement = _statement(paths, store, sequence, tenant, action)
    known = [read_public(name) for name in keys]
    rows: list[dict[str, Any]] = []
    for name, text in zip(signatures, read_signatures(signatures), strict=True):
        try:
            rows.append({"file": name, "key": approval.check(text, statement, known), "reason": None})
        except GatewayError as error:
            rows.append({"file": name, "key": approval.signer_of(text), "reason": str(error.reason)})
    good = sorted({row["key"] for row in rows if row["reason"] is None})
    value = {"good": all(row["reason"] is None for row in rows), "keys": good, "signatures": rows}
    lines = [(row["file"], row["key"], row["reason"] or "approves") for row in rows]
    count = f"{len(good)} {'key approves' if len(good) == 1 else 'keys approve'} "
    said = count + one_line(approval.describe(statement))
    show(value, as_json, lambda: table(("SIGNATURE", "KEY", "RESULT"), lines, "") + "\n" + said)
    if not value["good"]:
        raise SystemExit(1)


@click.command()
@click.argument("paths", nargs=-1, required=True)
@signature_option
@json_option
@admin_options
def apply(paths: tuple[str, ...], signatures: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Activate the documents of all these files at once, or those of a proposal (its id), with as many
    approvals as the tenant asks for. What does not compile with what is active changes nothing."""
    body: dict[str, Any] = {"signatures": read_signatures(signatures)}
    where = "/v1/admin/activations"
    if len(paths) == 1 and _PROPOSAL.match(paths[0]) and not Path(paths[0]).exists():
        where = f"/v1/admin/proposals/{paths[0]}/activation"
    else:
        body["files"] = _given(paths)
    show_changed(client, client.post(where, body)["activated"], as_json)


@click.command()
@click.argument("name")
@click.option("--to", required=True, metavar="VERSION|DIGEST", help="What was active, as `history` lists it.")
@click.option("--also", multiple=True, metavar="NAME@VERSION", help="Goes back in the same change.")
@signature_option
@json_option
@admin_options
def rollback(
    name: str, to: str, also: tuple[str, ...], signatures: tuple[str, ...], as_json: bool, client: Client
) -> None:
    """Let older content count again, as a new change with approvals of its own (`sign --action rollback`)."""
    wanted = [{"name": name, "to": to}]
    for text in also:
        other, mark, version = text.partition("@")
        if not mark or not version:
            raise InputError(f"--also: expected NAME@VERSION, found {one_line(text)[:80]!r}")
        wanted.append({"name": other, "to": version})
    body = {"documents": wanted, "signatures": read_signatures(signatures)}
    show_changed(client, client.post("/v1/admin/rollbacks", body)["activated"], as_json)


@click.command()
@click.argument("kind", type=click.Choice(["baseline", "reference", "release"]))
@click.argument("name")
@signature_option
@json_option
@admin_options
def retire(kind: str, name: str, signatures: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Let a document count no more, if what stays still compiles. One administrator may stop releases; a
    baseline needs approvals (`sign --action retire`)."""
    query = {"signatures": ",".join(read_signatures(signatures))} if signatures else {}
    gone = client.ask("DELETE", f"/v1/admin/policies/{kind}/{name}", query=query)
    show(gone, as_json, lambda: f"retired {kind} {name}")


@click.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--scope", type=click.Choice(["tenant", "gateway"]), default="tenant", show_default=True)
@json_option
@admin_options
def history(limit: int, scope: str, as_json: bool, client: Client) -> None:
    """Who changed what when, under which approvals; newest first. --scope gateway: baselines."""
    found = client.get("/v1/admin/history", limit=str(limit), scope=scope)["changes"]
    rows = [
        (each["sequence"], each["at"][:19] + "Z", each["action"],
         " ".join(f"{d['name']}@{d['version']}" for d in each["documents"]), each["by"], each["approval"],
         " ".join(kid[:12] for kid in each["approvers"]) or "–")
        for each in found
    ]  # fmt: skip
    heads = ("#", "WHEN", "ACTION", "DOCUMENTS", "BY", "APPROVAL", "KEYS")
    show(found, as_json, lambda: table(heads, rows, "no changes yet"))


@click.command()
@click.argument("paths", nargs=-1, required=True)
@json_option
@admin_options
def propose(paths: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Keep these files in the gateway as a proposal, if they compile with what is active: for `status`,
    `report`, `approve` and `apply`."""
    show_proposal(client.post("/v1/admin/proposals", {"files": _given(paths)}), as_json)


@click.command()
@click.argument("proposal", required=False)
@json_option
@admin_options
def status(proposal: str | None, as_json: bool, client: Client) -> None:
    """Proposals, newest first; with PROPOSAL, an id or its beginning, what became of that one."""
    if proposal is not None:
        show_proposal(client.get(f"/v1/admin/proposals/{proposal}"), as_json)
        return
    found = client.get("/v1/admin/proposals")["proposals"]
    rows = [
        (each["proposal"], each["state"], each["created"][:19] + "Z", len(each["approvals"]),
         " ".join(f"{d['name']}@{d['version']}" for d in each["documents"]))
        for each in found
    ]  # fmt: skip
    heads = ("PROPOSAL", "STATE", "CREATED", "APPROVALS", "DOCUMENTS")
    show(found, as_json, lambda: table(heads, rows, "no proposals"))


@click.command()
@click.argument("proposal")
@click.argument("state", type=click.Choice(["tested", "backtested"]))
@click.argument("file")
@click.option("--passed", required=True, type=click.IntRange(0))
@click.option("--failed", required=True, type=click.IntRange(0))
@json_option
@admin_options
def report(
    proposal: str, state: str, file: str, passed: int, failed: int, as_json: bool, client: Client
) -> None:
    """Say that PROPOSAL was tested or backtested: the digest of the report in FILE and its counts stay."""
    digest = f"sha256:{hashlib.sha256(read_input(file, _MAX_REPORT)).hexdigest()}"
    body = {"state": state, "digest": digest, "passed": passed, "failed": failed}
    show_proposal(client.post(f"/v1/admin/proposals/{proposal}/reports", body), as_json)


@click.command()
@click.argument("proposal")
@click.argument("signature")
@json_option
@admin_options
def approve(proposal: str, signature: str, as_json: bool, client: Client) -> None:
    """Add the signature in a file (from `policy sign`) to PROPOSAL. It must be for the next change."""
    (text,) = read_signatures([signature])
    show_proposal(client.post(f"/v1/admin/proposals/{proposal}/approvals", {"signature": text}), as_json)


@click.command()
@json_option
@admin_options
def leases(as_json: bool, client: Client) -> None:
    """Releases whose lease still runs and that would be refused under what counts now."""
    found = client.get("/v1/admin/leases")
    rows = [(e["attempt"], e["path"], e["ends"][:19] + "Z", e["reason"]) for e in found["not_renewed"]]
    heads = ("ATTEMPT", "PATH", "ENDS", "REASON")
    show(found, as_json, lambda: table(heads, rows, "none") + "\n" + said_of(found))


COMMANDS = (sign, verify, propose, status, report, approve, apply, retire, rollback, history, leases)
"""What `sealgate policy` gets from here."""


def show_made(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """What counts from now on, and who approved it."""
    lines = [(r["kind"], f"{r['name']}@{r['version']}", r["activated"], r["digest"]) for r in rows]
    said = "\n".join(
        f"change {number} of {tenant or 'the whole gateway'}: {how}"
        for number, tenant, how in sorted({(r["sequence"], r["tenant"], r["approval"]) for r in rows})
    )
    heads = ("KIND", "NAME", "ACTIVE SINCE", "DIGEST")
    show(rows, as_json, lambda: table(heads, lines, "none active") + "\n" + said)


def said_of(found: dict[str, Any]) -> str:
    """One line about running leases."""
    refused, running = len(found["not_renewed"]), found["running"]
    said = f"{refused} of {running} running leases would not be renewed"
    if not found["complete"]:
        said += f"; {found['looked_at']} were looked at, there may be more"
    return said


def show_changed(client: Client, made: Sequence[dict[str, Any]], as_json: bool) -> None:
    """What counts from now on, and what that means for whoever holds a secret already."""
    show_made(made, as_json)
    if as_json:
        return
    try:
        found = client.get("/v1/admin/leases")
    except ClientError as error:  # the change is made, whatever can be said about leases
        click.echo(f"running leases were not looked at: {one_line(str(error))}")
    else:
        more = " (sealgate policy leases); what was released cannot be taken back: rotate the secret"
        click.echo(said_of(found) + (more if found["not_renewed"] else ""))


def show_proposal(found: dict[str, Any], as_json: bool) -> None:
    """One proposal with everything that became of it."""
    lines = [f"{found['proposal']}   {found['state']}"]
    lines.append(f"  proposed by {found['by']} at {found['created'][:19]}Z")
    lines += [f"  {d['kind']} {d['name']}@{d['version']}  {d['digest']}" for d in found["documents"]]
    for step in found["steps"]:
        what = ", ".join(f"{name} {step[name]}" for name in sorted(step.keys() - {"at", "step", "by"}))
        lines.append(f"  {step['at'][:19]}Z  {step['step']} by {step['by']}: {what}")
    if found["shadow"] is not None:
        lines.append(f"  {policy_shadow.summary(found['shadow'])}")
    lines.append(f"  {len(found['approvals'])} approvals for the next change")
    lines += [f"  activated as change {number}" for number in found["changes"]]
    show(found, as_json, lambda: "\n".join(lines))


def _given(paths: Sequence[str]) -> list[dict[str, str]]:
    return [{"name": name[-200:], "source": b64.encode_url(raw)} for name, raw, _ in read_documents(paths)]


def _statement(paths: Sequence[str], store: str, sequence: int, tenant: str, action: str) -> Statement:
    documents = tuple(subject for _, _, found in read_documents(paths) for subject in found)
    baselines = {subject.kind == BASELINE for subject in documents}
    if len(baselines) != 1:
        raise InputError(
            "expected either baselines or other documents: they are approved apart", "approval.mixed"
        )
    statement = Statement(
        store=store,
        tenant="" if baselines == {True} else tenant,
        action=Action(action),
        sequence=sequence,
        documents=documents,
    )
    try:
        statement.encode()
    except ValueError as error:
        raise InputError(str(error)) from None
    return statement
