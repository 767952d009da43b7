"""`sealgate demo`: the main job, end to end, on one screen."""

from __future__ import annotations

import json
import platform
import sys
import time

import click
from rich.console import Console

from gateway import VERSION
from gateway.cli.errors import InputError
from gateway.demo.process import NotStarted
from gateway.demo.run import DELIVERED, Outcome, Row, play

_HEAD = f"{'#':>4}  {'what happens':50} {'expected':24} {'got':26} {'ms':>6}"


@click.command(name="demo")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end, nothing else.")
def demo(as_json: bool) -> None:
    """Start a gateway, bring up simulated guests, release a secret, show refusals, judge real evidence.

    Everything happens on loopback and in a temporary folder, which is removed. Exit code 0 only if every
    outcome was the expected one.
    """
    console = Console(highlight=False, quiet=as_json)
    started = time.monotonic()
    step = iter(range(2, 5))
    console.print(f"\\[ 1/4] environment   sealgate {VERSION}, Python {platform.python_version()}")
    counted = 0

    def say(name: str, text: str) -> None:
        console.print(f"\\[ {next(step)}/4] {name:13} {text}", soft_wrap=True)
        if name == "scenarios":
            console.print(_HEAD, soft_wrap=True)

    def show(row: Row) -> None:
        nonlocal counted
        counted += 1
        mark, style = ("✓", "green") if row.as_expected else ("✗", "bold red")
        got = f"[{style}]{f'{_word(row.got)} {mark}':26}[/]"
        console.print(
            f"{counted:>4}  {row.title:50} {_word(row.expected):24} {got} {row.milliseconds:6.0f}",
            soft_wrap=True,
        )

    try:
        outcome = play(say, show)
    except NotStarted as error:
        raise InputError(str(error), "demo.not-started") from None
    took = time.monotonic() - started
    if as_json:
        print(json.dumps(_to_json(outcome, took)))
    else:
        _close(console, outcome, took)
    sys.exit(0 if outcome.good else 1)


def _word(result: str) -> str:
    return "secret" if result == DELIVERED else result


def _close(console: Console, outcome: Outcome, took: float) -> None:
    good = sum(row.as_expected for row in outcome.rows)
    console.print(f"\n{good} of {len(outcome.rows)} as expected in {took:.1f} s.", end="  ")
    if outcome.leaked:
        console.print("[bold red]A reply carried the secret in clear.[/]")
    else:
        console.print(f"The secret was in none of {outcome.replies_scanned} replies in clear.")
    for row in outcome.rows:
        if not row.as_expected:
            console.print(
                f"[bold red]not as expected:[/] {row.title}: expected {row.expected}, got {row.got}"
            )
    console.print(
        "Look closer:   sealgate verify --help   ·   sealgate sim snp --help   ·   sealgate serve --help\n"
        "Next:          README.md, “Run a gateway”",
        soft_wrap=True,
    )


def _to_json(outcome: Outcome, took: float) -> dict[str, object]:
    return {
        "good": outcome.good,
        "seconds": round(took, 1),
        "rows": [
            {
                "what": row.title,
                "expected": row.expected,
                "got": row.got,
                "as_expected": row.as_expected,
                "ms": round(row.milliseconds, 1),
            }
            for row in outcome.rows
        ],
        "ledger": {"entries": outcome.ledger_entries, "head": outcome.ledger_head},
        "replies_scanned": outcome.replies_scanned,
        "leaked": outcome.leaked,
    }
