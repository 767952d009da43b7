"""`sealgate collateral fetch`: have a gateway ask a vendor now, or ask without a gateway."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gateway.adapters import SystemClock
from gateway.cli import fetched as telling
from gateway.cli import fetching, files
from gateway.cli.errors import InputError
from gateway.cli.progress import bar
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.cli.slotwords import what_for
from gateway.client import Client
from gateway.collateral import names as spelling
from gateway.collateral import slots
from gateway.collateral.dial import Outcome
from gateway.collateral.wants import task_name
from verifiers.carriers import TYPES
from verifiers.model import Need
from verifiers.vetting import Vetted

_AT_ONCE = 64
_POLL_SECONDS = 1.0


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--for", "evidence", multiple=True, metavar="EVIDENCE", help="What this evidence needs.")
@click.option("--type", "kind", type=click.Choice(TYPES), metavar="TYPE", help="Open EVIDENCE as this.")
@click.option("--out", type=click.Path(path_type=Path), help="Ask the vendors from here; write files there.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Whom --out asks: [collateral]."
)
@click.option("--development", is_flag=True, help="With --out: take SIMULATED collateral too.")
@click.option("--wait", default=30, show_default=True, type=click.IntRange(0, 3600), help="Seconds.")
@json_option
@admin_options
def fetch(
    names: tuple[str, ...],
    evidence: tuple[str, ...],
    kind: str | None,
    out: Path | None,
    config_file: Path | None,
    development: bool,
    wait: int,
    as_json: bool,
    client: Client,
) -> None:
    """Fetch NAMEs from their vendors now; without any, everything that the gateway holds, anew.

    \b
    amd/milan/crl                      amd/genoa/crl/vlek
    intel/tdx/tcb-info/00806F050000    intel/sgx/qe-identity
    intel/crl/root                     intel/crl/platform
    amd/milan, intel/tdx               all that machines of that kind share

    With --for, NAMEs choose among what the evidence needs: amd/vcek, amd/crl, intel/tcb-info … A gateway asks
    at its own pace: what it may not ask yet stays noted, and is fetched when its turn comes. With --out no
    gateway is needed: `sealgate verify --collateral DIR` takes the files.

    \b
    Exit code: 0 all of it is there, 1 some of it is not, 2 usage.
    """
    needs = _needs(names, evidence, kind)
    if out is not None:
        if not needs:
            raise InputError("expected NAMEs or --for EVIDENCE with --out, found neither")
        raise SystemExit(_to_files(needs, out, config_file, development, as_json))
    raise SystemExit(_at_gateway(client, needs, wait, as_json))


def _needs(names: Sequence[str], evidence: Sequence[str], kind: str | None) -> tuple[Need, ...]:
    wanted: dict[Need, None] = {}
    kinds: set[str] = set()
    for name in names:
        found = spelling.parse(name)
        if found is not None:
            wanted |= dict.fromkeys(found)
        elif name.lower() in spelling.KINDS:
            if not evidence:
                raise InputError(f"{name}: expected --for EVIDENCE with it, which says of what machine")
            kinds.add(spelling.KINDS[name.lower()])
        else:
            raise InputError(
                f"{name[:80]!r}: expected a name of collateral; {spelling.near(name, kinds=bool(evidence))}"
            )
    for each in evidence:
        needed = fetching.needs_of(files.open_evidence(each, kind))
        wanted |= dict.fromkeys(need for need in needed if not names or need.kind in kinds)
    if evidence and not wanted:
        raise InputError("expected evidence that needs something of that kind, found none")
    return tuple(wanted)


# --- through a gateway -----------------------------------------------------------------------------------


def _at_gateway(client: Client, needs: Sequence[Need], wait: int, as_json: bool) -> int:
    served = [(need, name) for need in needs if (name := spelling.spell(need)) is not None]
    before = _wants(client)
    asked: list[dict[str, str]] = []
    chunks = [served[at : at + _AT_ONCE] for at in range(0, len(served), _AT_ONCE)] or [[]]
    for chunk in chunks if served or not needs else []:
        body = {"names": [name for _, name in chunk]} if chunk else None
        raw = None if body is None else json.dumps(body).encode()
        asked += client.ask("POST", "/v1/admin/collateral/fetch", raw, "application/json" if raw else None)[
            "asking"
        ]
    asked = list({_name(each): each for each in asked}.values())
    outcomes = _await(client, [_name(each) for each in asked], before, wait, as_json)
    rows = [_row(each, outcomes[_name(each)]) for each in asked]
    known = {_name(each)[:2] for each in asked}
    for need in needs:
        if tuple(task_name(need, slots.STANDARD))[:2] not in known:
            rows.append(
                {"kind": need.kind, "key": slots.answers(need), "channel": slots.STANDARD,
                 "outcome": "nobody-serves-it", "again": None}
            )  # fmt: skip
    heads = ("KIND", "WHAT FOR", "OUTCOME")
    shown = [(row["kind"], what_for(row), _words(row)) for row in rows]
    show(rows, as_json, lambda: table(heads, shown, "nothing is held, so there is nothing to fetch anew"))
    return 0 if all(row["outcome"] == "ok" for row in rows) else 1


def _await(
    client: Client, asked: Sequence[tuple[str, str, str]], before: dict[Any, Any], wait: int, silent: bool
) -> dict[tuple[str, str, str], dict[str, Any] | None]:
    """For each task: None when it is done, or what the gateway says of it when the time is over."""
    until = time.monotonic() + wait
    with bar("the gateway asks", len(asked), silent=silent) as step:
        done = 0
        while True:
            wants = _wants(client)
            state = {name: wants.get(name) for name in asked}
            settled = sum(_settled(found, before.get(name)) for name, found in state.items())
            step(settled - done)
            done = settled
            if done == len(asked) or time.monotonic() >= until:
                return state
            time.sleep(_POLL_SECONDS)


def _settled(now: dict[str, Any] | None, before: dict[str, Any] | None) -> bool:
    """It is gone, or failed once more than before."""
    return now is None or now["failures"] > (0 if before is None else before["failures"])


def _wants(client: Client) -> dict[Any, dict[str, Any]]:
    found = client.get("/v1/admin/collateral", leaves="0")["wants"]
    return {_name(each): each for each in found}


def _name(each: dict[str, Any]) -> tuple[str, str, str]:
    return each["kind"], each["key"], each["channel"]


def _row(asked: dict[str, str], found: dict[str, Any] | None) -> dict[str, Any]:
    outcome, again = "ok", None
    if found is not None:
        outcome, again = found["outcome"] or "waiting", found["retry_at"]
    return {**asked, "outcome": outcome, "again": again}


def _words(row: dict[str, Any]) -> str:
    if row["outcome"] == "ok":
        return "✓ held"
    again = f", again at {row['again'][:19]}Z" if row["again"] else ""
    return f"✗ {row['outcome']}{again}"


# --- without a gateway -----------------------------------------------------------------------------------


def _to_files(
    needs: Sequence[Need], out: Path, config_file: Path | None, development: bool, as_json: bool
) -> int:
    asked = fetching.asking(config_file, development)
    try:
        out.mkdir(parents=True, exist_ok=True)
        found = fetching.fetch_all(asked, needs, silent=as_json)
        written = {
            file_name(each): str(_write(out / file_name(each), each.raw))
            for fetched in found
            for each in fetched.objects
        }
    except OSError as error:
        raise InputError(f"--out {out}: expected a folder to write to, found {error.strerror}") from None
    value = {"at": _now(), "fetched": [telling.to_json(each) for each in found], "files": written}
    lines = [f"{'✓' if each.outcome == Outcome.OK else '✗'} {telling.said(each)}" for each in found]
    lines += [f"  {path}" for path in written.values()]
    if written:
        lines.append(f"Use them: sealgate verify EVIDENCE --collateral {out}")
    show(value, as_json, lambda: "\n".join(lines))
    return 0 if all(each.outcome == Outcome.OK for each in found) else 1


def file_name(vetted: Vetted) -> str:
    """Told apart by what it is for; an issuer's by its digest. Made of checked values only."""
    key = dict(vetted.key)
    ending = "json" if vetted.kind in ("intel.tcb-info", "intel.qe-identity") else "der"
    parts = [
        vetted.kind,
        *(key[name] for name in ("kind", "product", "tee", "fmspc", "ca", "role") if name in key),
    ]
    if vetted.kind in slots.LEAVES or vetted.kind == "intel.issuer":
        parts.append(vetted.sha256[:12])
    return re.sub(r"[^A-Za-z0-9.]+", "-", ".".join(parts)) + f".{ending}"


def _write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def _now() -> str:
    return SystemClock().now().replace(microsecond=0).isoformat().replace("+00:00", "Z")
