"""`sealgate collateral forecast`: who will be refused, when, and what must be raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli.errors import one_line
from gateway.cli.remote import admin_options, json_option, read_input, show, table
from gateway.client import Client
from policies.strictyaml import MAX_BYTES

_TITLES = {
    "baseline": "WITH THE BASELINE",
    "early": "EARLY",
    "expiry": "EXPIRY",
}


@click.command()
@click.option("--baseline", metavar="FILE", help="Baselines that are not active yet: what if they were?")
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, 36_500), help="Seen since then."
)
@click.option(
    "--limit", default=500, show_default=True, type=click.IntRange(1, 2000), help="Machines at most."
)
@json_option
@admin_options
def forecast(baseline: str | None, days: int, limit: int, as_json: bool, client: Client) -> None:
    """Which machines that are accepted today will not be, when, and what is short.

    Judged anew from the evidence that is kept: with Intel's early TCB infos and QE identities (if the gateway
    holds them, see `forecast` in its configuration), with --baseline, and as time goes by for 30 days.
    """
    path, query = "/v1/admin/forecast", {"days": str(days), "limit": str(limit)}
    if baseline is None:
        found = client.get(path, **query)
    else:
        query["name"] = Path(baseline).name
        found = client.ask("POST", path, read_input(baseline, MAX_BYTES), "application/yaml", query)
    show(found, as_json, lambda: "\n".join(_lines(found)))


def _lines(found: Mapping[str, Any]) -> Iterable[str]:
    now = found["now"]
    others = found["machines"] - now["accepted"]
    yield (
        f"{_machines(found['machines'])} in {found['attempts']} attempts of {found['days']} days: "
        f"{now['accepted']} accepted now" + (f", {others} not" if others else "")
    )
    if found["left_out"]:
        yield f"{_machines(found['left_out'])} left out: too many, or their evidence is gone"
    if not found["ahead"]:
        yield "nothing ahead that would change that"
    for when, title in _TITLES.items():
        rows = [each for each in found["ahead"] if each["when"] == when]
        if rows:
            yield ""
            yield from _section(title, rows)


def _section(title: str, rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    causes = Counter(one_line(each["cause"]) for each in rows)
    yield f"{title}: {_machines(len(rows))}"
    cells = [
        (each["machine"], each["type"], each["platform"], each["seen"][:10], each["then"]["verdict"],
         each["then"]["reason"] or "–", each["from"] or "–", _short(each))
        for each in rows
    ]  # fmt: skip
    heads = ("MACHINE", "TYPE", "PLATFORM", "SEEN", "THEN", "REASON", "FROM", "SHORT")
    for line in table(heads, cells, "").splitlines():
        yield f"  {line}"
    for cause, number in causes.items():
        yield f"  {cause}" + (f" ({_machines(number)})" if len(causes) > 1 else "")
    for step in dict.fromkeys(step for each in rows for step in _to_pass(each)):
        yield f"  to pass: {step}"


def _machines(number: int) -> str:
    return f"{number} {'machine' if number == 1 else 'machines'}"


def _short(each: Mapping[str, Any]) -> str:
    return ", ".join(f"{s['component']} {s['has']} → {s['needs']}" for s in each["short"]) or "–"


def _to_pass(each: Mapping[str, Any]) -> list[str]:
    """AMD's floors come with a remedy of their own, written by whoever set the floor."""
    if each["when"] == "expiry":
        return ["fetch or import newer collateral"]
    by: dict[str, list[str]] = {}
    for short in each["short"]:
        by.setdefault(short["raised_by"], []).append(short["component"])
    raised = [f"{who}: {', '.join(what)}" for who, what in by.items()]
    amd = each["type"] == "sev-snp" and each["to_pass"]
    return [one_line(step) for step in (each["to_pass"] if amd or not raised else raised)]
