"""`sealgate policy init`: from evidence to a policy with reference values and cases, which it passes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from gateway import bundles, policybook
from gateway.adapters import SystemClock
from gateway.cli import files, options
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.policy import checking, documents, evidence, testing
from gateway.cli.remote import admin_options
from gateway.client import Client
from gateway.errors import GatewayError
from gateway.ports import DEFAULT_TENANT
from gateway.replay import bundle
from policies import compiler
from policies.appraise import appraise
from policies.formatting import format_document
from policies.model import Baseline, Profile, Requirement
from policies.starting import Cannot, Draft, Plan, draft
from policies.vocabulary import Vocabulary
from verifiers import carriers
from verifiers.carriers import MAX_EVIDENCE
from verifiers.claims import BY_NAME
from verifiers.collateral import MAX_FILE, classify, merge
from verifiers.errors import AttestationError
from verifiers.model import AnchorSet, Verification

FOLDER = "evidence"
_ENDINGS = {"tcb-info": "json", "qe-identity": "json"}
ATTEMPT = re.compile(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}")
NAMES = ("policy.yaml", "references.yaml", "cases.yaml")
_ASKED = frozenset({Requirement.FRESHNESS, Requirement.REVOCATION})


@click.command(short_help="Write a first policy from evidence.")
@click.option("--from", "source", required=True, metavar="FILE|ATTEMPT", help="Evidence, or an attempt's id.")
@click.option("--collateral", multiple=True, metavar="PATH", help="File or folder; may be repeated.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write."
)
@click.option("--name", default="first", show_default=True, help="Of the policy.")
@click.option("--secret", default="first/*", show_default=True, help="Path pattern that it owns.")
@click.option("--owner", default="owner@to-be-named.invalid", show_default=True, help="Who answers for it.")
@click.option(
    "--approved-by", default="approver@to-be-named.invalid", show_default=True, help="Somebody else."
)
@click.option("--at", metavar="RFC3339", help="When the policy begins. Default: now.")
@click.option("--development", is_flag=True, help="Take SIMULATED evidence too.")
@admin_options
def init(
    source: str,
    collateral: tuple[str, ...],
    out: Path,
    name: str,
    secret: str,
    owner: str,
    approved_by: str,
    at: str | None,
    development: bool,
    client: Client,
) -> None:
    """Write a policy that this evidence passes: policy.yaml, references.yaml, cases.yaml and the evidence.

    What the evidence shows is pinned. What was seen and not predicted counts for 14 days, under an accepted
    risk. Evidence that no policy may allow (not authentic, a debug guest …) is refused with every reason.

    \b
    Exit code: 0 written, 1 no policy may allow this, 2 malformed.
    """
    now = SystemClock().now() if at is None else options.moment(at, "--at")
    now = now.replace(microsecond=0)
    for written in NAMES:
        if (out / written).exists():
            raise InputError(f"--out {out}: expected a folder without {written}, found one")
    if ATTEMPT.fullmatch(source) and not Path(source).exists():
        name_of, raw, held = f"{source}.json", *_of_attempt(client, source)
    else:
        name_of, raw, held = Path(source).name, _read(Path(source)), {}
    kept = {f"{FOLDER}/{name_of}": raw} | held | _copied(collateral, name_of)
    gathered = _gathered(held, collateral)
    verification = _verified(raw, source, gathered, now, development)
    evidence_name = f"{FOLDER}/{name_of}"
    plan = Plan(
        name=name,
        tenant=client.tenant or DEFAULT_TENANT,
        secret=secret,
        owner=owner,
        approver=approved_by,
        evidence=evidence_name,
        collateral=tuple(path for path in kept if path != evidence_name),
        now=now,
    )
    made = _draft(verification, plan)
    try:
        _write(out, made, kept)
        _prove(out, now)
    except BaseException:  # nothing half done, and the next try finds no files in its way
        for name in (*kept, *NAMES):
            (out / name).unlink(missing_ok=True)
        raise
    click.echo(f"wrote {out}/policy.yaml, references.yaml, cases.yaml and {FOLDER}/ ({len(kept)} files)")
    for remark in made.remarks:
        click.echo(f"  {one_line(remark)}")
    click.echo(f"Next: sealgate policy check {out}; sealgate policy test {out} --mutate")


def _of_attempt(client: Client, attempt: str) -> tuple[bytes, dict[str, bytes]]:
    """The evidence of an attempt, as the guest sent it, and the collateral that it was judged with, by the
    names of files. Raises ClientError; InputError for a bundle that is not what it says."""
    reply = client.get(f"/v1/admin/attempts/{attempt}/evidence")
    try:
        found = bundle.parse(json.dumps(reply).encode())
    except GatewayError as error:
        raise InputError(one_line(str(error)), str(error.reason)) from None
    held = {
        f"{FOLDER}/{piece.kind}-{piece.sha256[:12]}.{_ENDINGS.get(piece.kind, 'der')}": piece.raw
        for piece in found.collateral
        if piece.raw is not None
    }
    return found.submission.evidence, held


def _gathered(held: dict[str, bytes], collateral: tuple[str, ...]) -> files.Gathered:
    found = files.gather(collateral)
    pieces = [classify(raw, name) for name, raw in held.items()]
    return replace(found, collateral=merge(*pieces, found.collateral))


def _read(path: Path) -> bytes:
    with reading(str(path)):
        if path.is_dir():
            raise InputError(f"{path}: expected one file of evidence, found a folder: give its outblob")
        return files.bounded(path, MAX_EVIDENCE)


def _copied(collateral: tuple[str, ...], taken: str) -> dict[str, bytes]:
    """Collateral by the names that the cases will use. taken: the name of the evidence."""
    out: dict[str, bytes] = {}
    paths: list[Path] = []
    for each in collateral:
        path = Path(each)
        with reading(each):
            inside = sorted(path.iterdir()) if path.is_dir() else []
        paths += [p for p in inside if _is_collateral(p)] if path.is_dir() else [path]
    for path in paths:
        with reading(str(path)):
            raw = files.bounded(path, MAX_FILE)
        if path.name == taken or out.setdefault(f"{FOLDER}/{path.name}", raw) != raw:
            raise InputError(f"{path}: expected files of different names, found {path.name} twice")
    return out


def _is_collateral(path: Path) -> bool:
    """In a folder, what is not collateral is left aside, as everywhere."""
    try:
        return path.is_file() and bool(classify(files.bounded(path, MAX_FILE), path.name))
    except (AttestationError, OSError):
        return False


def _verified(
    raw: bytes, source: str, gathered: files.Gathered, now: datetime, development: bool
) -> Verification:
    with reading(source):
        opened = carriers.open_evidence(raw, forced=None)
    anchors = AnchorSet.VENDOR_AND_SIMULATED if development else AnchorSet.VENDOR
    return evidence.verified(opened, gathered, now, anchors=anchors)


def _draft(verification: Verification, plan: Plan) -> Draft:
    shipped = [d for name, raw in bundles.baselines() for d in policybook.read(raw, name)]
    platform = compiler.platform_only(d for d in shipped if isinstance(d, Baseline))
    appraisal = appraise(verification, (), platform, plan.now, required=_ASKED, profile=Profile.NATIVE)
    made = draft(appraisal, platform, plan, dict(Vocabulary.of(BY_NAME).specs))
    if isinstance(made, Cannot):
        click.echo("no policy may allow this evidence:", err=True)
        for why in made.why:
            click.echo(f"  {one_line(why)}", err=True)
        raise SystemExit(1)
    return made


def _write(out: Path, made: Draft, kept: dict[str, bytes]) -> None:
    texts = dict(zip(NAMES, (made.policy, made.references, made.cases), strict=True))
    with reading(str(out)):
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
        for name, raw in kept.items():
            (out / name).write_bytes(raw)
        for name, text in texts.items():
            (out / name).write_bytes(format_document(text.encode(), name))


def _prove(out: Path, now: datetime) -> None:
    """What was written compiles, and its cases hold: else it is not what this command promises."""
    with reading(str(out)):
        checking.examine(documents.load_all([str(out)]), now)
    suite = testing.load(str(out / "cases.yaml"), (out / "cases.yaml").read_bytes())
    report = testing.run(suite, mutate=False)
    if report.failed:
        click.echo("\n".join(testing.lines(report)), err=True)
        raise InputError(f"{out}: the cases do not hold; what was written needs a person's eye")
