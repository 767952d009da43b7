"""`sealgate admin`: why something was refused, and whether the gateway is well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gateway.cli.errors import reading
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.client import Client, Refused
from gateway.files import replace_file

_MARKS = {"passed": "✓", "failed": "✗", "unknown": "?", "waived": "~", "not_checked": "–"}


@click.group()
def admin() -> None:
    """Look after a gateway."""


@admin.command()
@click.argument("attempt", required=False)
@click.option("--last", default=10, show_default=True, type=click.IntRange(1, 200))
@json_option
@admin_options
def attempts(attempt: str | None, last: int, as_json: bool, client: Client) -> None:
    """Recent attempts, newest first; with ATTEMPT, everything that was found about that one."""
    if attempt is not None:
        found = client.get(f"/v1/admin/attempts/{attempt}")
        show(found, as_json, lambda: _explain(found))
        return
    listed = client.get("/v1/admin/attempts", limit=str(last))["attempts"]
    rows = [
        (each["at"][:19] + "Z", each["attempt"], each["kind"], each.get("evidence", {}).get("type", "–"),
         each.get("verdict", "refused"), each.get("reason") or "–")
        for each in listed
    ]  # fmt: skip
    heads = ("WHEN", "ATTEMPT", "KIND", "TYPE", "RESULT", "REASON")
    show(listed, as_json, lambda: table(heads, rows, "no attempts yet"))


@admin.command()
@click.argument("attempt")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-collateral", type=click.Choice(["then", "now"]), default="then", help="Add today's.")
@json_option
@admin_options
def evidence(attempt: str, file: Path, with_collateral: str, as_json: bool, client: Client) -> None:
    """Write everything that ATTEMPT was decided on to FILE, for `sealgate verify --replay FILE` anywhere."""
    query = {"collateral": "now"} if with_collateral == "now" else {}
    found = client.get(f"/v1/admin/attempts/{attempt}/evidence", **query)
    raw = json.dumps(found, ensure_ascii=False).encode()
    with reading(str(file)):
        replace_file(file.absolute(), raw)
    value = {"attempt": found["attempt"], "file": str(file), "bytes": len(raw)}
    show(value, as_json, lambda: f"{len(raw):,} bytes in {file}: it names the machine, keep it from others")


@admin.command()
@json_option
@admin_options
def doctor(as_json: bool, client: Client) -> None:
    """Is it ready, in which mode, and could it release anything? Exit code 1 when it is not ready."""
    try:
        ready = client.get("/readyz")
    except Refused as error:
        ready = dict(error.problem) or {"ready": False, "checks": {}}
    documents = client.get("/v1/admin/policies")["documents"]
    held = client.get("/v1/admin/collateral")["collateral"]
    secrets = client.get("/v1/admin/secrets")["secrets"]
    orphans = [each["path"] for each in secrets if each["policy"] is None]
    value: dict[str, Any] = {
        **ready,
        "release_policies": sum(each["kind"] == "release" for each in documents),
        "collateral": len(held),
        "secrets": len(secrets),
        "secrets_without_policy": orphans,
    }
    lines = [f"{'ready' if ready.get('ready') else 'NOT READY'}   {ready.get('mode', '')} mode"]
    lines += [f"  {name:<10} {outcome}" for name, outcome in ready.get("checks", {}).items()]
    lines.append(f"  {value['release_policies']} release policies, {len(held)} pieces of collateral")
    lines += [f"  nobody can have {path}: no active policy names it" for path in orphans[:10]]
    show(value, as_json, lambda: "\n".join(lines))
    if not ready.get("ready"):
        raise SystemExit(1)


def _explain(found: dict[str, Any]) -> str:
    evidence, verdict = found.get("evidence", {}), str(found.get("verdict", "refused"))
    what = " ".join(
        str(v) for v in (evidence.get("type"), evidence.get("product") or evidence.get("fmspc")) if v
    )
    lines = [f"{verdict.upper()}   {what or found['kind']}   {found.get('reason') or ''}"]
    lines.append(f"  {found['attempt']}, {found['kind']}, {found['at']}, tenant {found['tenant']}")
    if found.get("simulated"):
        lines.append("  SIMULATED hardware")
    for check in found.get("checks", []):
        mark = _MARKS.get(check["outcome"], "?")
        lines.append(f"  {mark} {check['id']}")
        if check["outcome"] not in ("passed", "not_checked"):
            lines.append(f"      expected {check['expected']}, found {check['found']}   ({check['source']})")
            if check.get("fix"):
                lines.append(f"      to pass: {check['fix']}")
    for refusal in found.get("refusals", []):
        lines.append(f"  ✗ {refusal['path']}: {refusal['reason']}")
    return "\n".join(lines)
