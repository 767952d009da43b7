"""`sealgate admin drill`: what users see when vendors are down, slow, throttling, wrong or hostile."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from gateway.adapters import SystemClock
from gateway.cli.errors import InputError
from gateway.cli.remote import read_token, said
from gateway.cli.vendor import address_of
from gateway.client import Client
from gateway.lab import Lab
from gateway.lab.drill import live, run
from gateway.lab.drill.lines import LINES, Line
from gateway.lab.drill.run import Row

_HEAD = f"{'#':>3}  {'what is wrong':44} {'what came of it':70} {'calls':>5} {'s':>5}"


@click.command()
@click.option("--short", is_flag=True, help="A third of the lines, one of each sort.")
@click.option("--only", multiple=True, metavar="NAME", help="This line; may be given several times.")
@click.option("--list", "listing", is_flag=True, help="Name the lines, and what each must say.")
@click.option(
    "--gateway", "url", metavar="URL", help="Drill this gateway (development mode) instead of an own one."
)
@click.option("--ca", type=click.Path(path_type=Path), help="PEM certificates to trust for --gateway.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="An administrator's credential for --gateway."
)
@click.option(
    "--listen",
    default="127.0.0.1:9440",
    show_default=True,
    metavar="HOST:PORT",
    help="With --gateway: control here, vendors on the next four ports; its [collateral] names them.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end, nothing else.")
@said
def drill(
    short: bool,
    only: tuple[str, ...],
    listing: bool,
    url: str | None,
    ca: Path | None,
    token_file: Path | None,
    listen: str,
    as_json: bool,
) -> None:
    """Play vendor outages, forgeries, rollbacks, revocations and TCB promotions; say what users saw.

    Vendors, guests and hardware are SIMULATED. Without --gateway everything is the drill's own, in a
    temporary folder and with a clock that it moves: each outage lasts until nothing held is valid any more.
    With --gateway the clock is real, so that nothing expires; the gateway gets a policy and a secret of the
    demonstration's. Exit code 0 only if every line ended as promised. gateway/lab/README.md says what each
    line teaches.
    """  # fmt: skip
    if listing:
        _list(as_json)
        return
    console = Console(highlight=False, quiet=as_json)
    started, counted = time.monotonic(), 0

    def show(row: Row) -> None:
        nonlocal counted
        counted += 1
        mark, style = ("✓", "green") if row.as_promised else ("✗", "bold red")
        got = f"{' · '.join(row.got)} {mark}"
        figures = f"{row.calls:5} {row.seconds:5.1f}"
        console.print(f"{counted:>3}  {row.line.title:44} [{style}]{got:70}[/] {figures}", soft_wrap=True)
        if not row.as_promised:
            console.print(f"     [bold red]promised:[/] {' · '.join(row.line.expected)}", soft_wrap=True)

    console.print("SIMULATED vendors, machines and guests; only development mode believes them.\n")
    console.print(_HEAD, soft_wrap=True)
    if url is None:
        rows = run.play(_chosen(short, only), show)
    else:
        if short or only:
            raise InputError("--short, --only: expected without --gateway, found with it")
        rows = _live(Client(url=url, ca=ca, token=read_token(token_file)), listen, show)
    good = sum(row.as_promised for row in rows)
    took = time.monotonic() - started
    if as_json:
        value = {
            "good": good == len(rows),
            "seconds": round(took, 1),
            "rows": [row.to_json() for row in rows],
        }
        click.echo(json.dumps(value))
    console.print(f"\n{good} of {len(rows)} lines ended as promised in {took:.0f} s.")
    sys.exit(0 if good == len(rows) else 1)


def _chosen(short: bool, only: tuple[str, ...]) -> tuple[Line, ...]:
    try:
        return run.chosen(short=short, only=only)
    except KeyError as error:
        names = ", ".join(line.name for line in LINES)
        raise InputError(f"--only: expected {names}, found {error.args[0]!r}") from None


def _live(client: Client, listen: str, show: run.Show) -> list[Row]:
    address, port = address_of(listen)
    try:
        with Lab(SystemClock(), address=address, port=port) as lab:
            return live.play(live.prepare(client, lab), show)
    except live.NotReady as error:
        raise InputError(f"--gateway: {error}") from None
    except ValueError as error:
        raise InputError(f"--listen: {error}") from None
    except OSError as error:
        raise InputError(f"--listen {listen}: {error.strerror or error}") from None


def _list(as_json: bool) -> None:
    if as_json:
        lines = [
            {"name": x.name, "what": x.title, "expected": list(x.expected), "short": x.short} for x in LINES
        ]
        click.echo(json.dumps(lines))
        return
    for line in LINES:
        click.echo(f"{line.name:18} {line.title:46} {' · '.join(line.expected)}")
