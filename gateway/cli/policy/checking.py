"""`sealgate policy check`: what does not load, what does not compile, and what is probably not meant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import click

from gateway.adapters import SystemClock
from gateway.cli import options
from gateway.cli.policy import documents
from gateway.cli.remote import json_option, table
from policies.errors import PolicyErrors
from policies.lint import CODES, ERROR, WARNING, Finding, lint, set_findings
from policies.model import ReferenceSet
from verifiers.claims import BY_NAME


@click.command(short_help="Do documents load, fit together, and mean what they say?")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--at", metavar="RFC3339", help="As of this time. Default: now.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@json_option
def check(paths: tuple[str, ...], at: str | None, strict: bool, as_json: bool) -> None:
    """Check documents: do they load, fit together, and mean what they say?

    Folders stand for their *.yaml. The shipped baselines apply, unless a file brings one of the same name.
    Cases beside a policy are read too; `sealgate policy test` runs them.

    \b
    Exit code: 0 no errors, 1 findings of level error (--strict: or warning), 2 does not load or compile.
    """
    now = SystemClock().now() if at is None else options.moment(at, "--at")
    try:
        loaded = documents.load_all(paths)
        found = examine(loaded, now)
    except PolicyErrors as error:
        _refused(error, as_json)
        raise SystemExit(2) from None
    rows = [documents.row(name, document) for name, document in loaded.documents]
    if as_json:
        value = {"documents": rows, "findings": [_json(finding) for finding in found]}
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        for finding in found:
            click.echo(str(finding))
        cells = [(row["kind"], f"{row['name']}@{row['version']}", row["file"]) for row in rows]
        cells += [("cases", str(len(cases.cases)), name) for name, cases in loaded.cases]
        click.echo(table(("KIND", "NAME", "FILE"), cells, ""))
        click.echo(summary(found))
    failing = {ERROR, WARNING} if strict else {ERROR}
    raise SystemExit(any(finding.level in failing for finding in found))


def examine(loaded: documents.Loaded, now: datetime) -> tuple[Finding, ...]:
    """Findings about every policy of the files, and sets that no policy uses. Raises PolicyErrors."""
    compiled = loaded.compiled()
    found: list[Finding] = []
    used: set[str] = set()
    for policy in compiled.releases.values():
        assert policy.release is not None
        used |= policy.release.references.keys()
        found += lint(policy, compiled.references, now, BY_NAME)
    if not compiled.releases:
        found += lint(compiled.platform, compiled.references, now, BY_NAME)
    for _, document in loaded.documents:
        if isinstance(document, ReferenceSet) and document.name not in used:
            found += set_findings(document, now)
    return tuple({(f.code, f.message, str(f.place)): f for f in found}.values())


def summary(found: Sequence[Finding]) -> str:
    counts = {level: sum(f.level == level for f in found) for level in (ERROR, WARNING, "note")}
    return ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items())


def _json(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "level": finding.level,
        "meaning": CODES[finding.code][1],
        "message": finding.message,
        "hint": finding.hint,
        "file": finding.place.source.name,
        "line": finding.place.line,
        "column": finding.place.column,
    }


def _refused(error: PolicyErrors, as_json: bool) -> None:
    if not as_json:
        click.echo(str(error), err=True)
        count = len(error.errors)
        click.echo(f"{count} error{'' if count == 1 else 's'}: refused as a whole", err=True)
        return
    rows = [
        {
            "code": one.reason,
            "level": ERROR,
            "message": one.message,
            "hint": one.hint,
            "file": one.file,
            "line": one.line,
            "column": one.column,
        }
        for one in error.errors
    ]
    click.echo(json.dumps({"documents": [], "findings": rows}, indent=2, ensure_ascii=False))
