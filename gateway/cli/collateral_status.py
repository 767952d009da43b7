"""`sealgate collateral status`: what is held, until when, and what breaks then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from gateway.adapters import SystemClock
from gateway.cli.errors import one_line
from gateway.cli.page import clean
from gateway.cli.remote import admin_options, json_option, table
from gateway.cli.slotwords import what_for
from gateway.client import Client
from gateway.collateral.slots import CHANNELLED, RATCHETED

SOON = timedelta(days=7)
_BAD = frozenset({"ended", "too-old", "not-yet"})


@click.command()
@click.option("--leaves", default=20, show_default=True, type=click.IntRange(0, 20_000),
              help="At most so many certificates of single machines.")  # fmt: skip
@json_option
@admin_options
def status(leaves: int, as_json: bool, client: Client) -> None:
    """What the gateway holds, where it is from, until when it may be used, and what breaks then.

    What ends first stands first: by its vendor's window, or by the gateway's own maximum age. Then what
    requests missed, and how the vendors' hosts do. Exit code 1: something that counts has ended.
    """
    found = client.get("/v1/admin/collateral", leaves=str(leaves))
    found["collateral"].sort(key=lambda row: (row["usable_until"], row["kind"], row["key"]))
    now = SystemClock().now()
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found, now)
    ended = any(row["state"] in _BAD and _counts(row, found["channel"]) for row in found["collateral"])
    raise SystemExit(1 if ended else 0)


def level(row: dict[str, Any], now: datetime) -> str:
    """ "bad": not handed out; "soon": ends within a week, or its refresh fails; else "good"."""
    if row["state"] in _BAD:
        return "bad"
    return "soon" if _at(row["usable_until"]) - now < SOON or row["failures"] else "good"


def left(until: datetime, now: datetime) -> str:
    """In words: "in 29 d", "in 3 h", "4 d ago"."""
    gap = abs(until - now)
    text = f"{gap.days} d" if gap.days else f"{gap.seconds // 3600} h" if gap.seconds >= 3600 else (
        f"{gap.seconds // 60} min"
    )  # fmt: skip
    return f"in {text}" if until > now else f"{text} ago"


def _print(found: dict[str, Any], now: datetime) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    rows = [_row(row, now) for row in found["collateral"]]
    heads = ("", "KIND", "WHAT FOR", "ENDS", "BY", "FROM", "AGE", "NEXT", "LAST ERROR", "WHAT BREAKS")
    styles = {"bad": "bold red", "soon": "yellow", "good": ""}
    _lines(console, heads, rows, [styles[level(row, now)] for row in found["collateral"]], "nothing is held")
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(found["counted"].items()))
    shown, held = len(rows), sum(found["counted"].values())
    if counted:
        more = f"   ({held - shown} certificates of machines not shown: --leaves)" if held > shown else ""
        console.print(Text(f"held: {counted}{more}"))
    mode = (
        "offline: no vendor is asked; import what is to be held" if found["offline"] else "vendors are asked"
    )
    console.print(Text(f"{mode}; update channel {found['channel']}"))
    if found["wants"]:
        console.print()
        wants = [_want(each, now) for each in found["wants"]]
        _lines(console, ("WANTED", "WHAT FOR", "SINCE", "TRIES", "LAST", "AGAIN"), wants, [], "")
    if found["hosts"]:
        console.print()
        hosts = [_host(each, now) for each in found["hosts"]]
        colours = ["" if each["circuit"] == "closed" else "yellow" for each in found["hosts"]]
        _lines(console, ("HOST", "CIRCUIT", "FAILURES", "LAST", "WHEN"), hosts, colours, "")


def _row(row: dict[str, Any], now: datetime) -> tuple[str, ...]:
    mark = {"bad": "✗", "soon": "!", "good": "✓"}[level(row, now)]
    own = row["usable_until"] != row["ends"]
    next_ = left(_at(row["next_refresh"]), now) if row["next_refresh"] else "–"
    if row["next_refresh"] and _at(row["next_refresh"]) <= now:
        next_ = "due"
    return (
        mark,
        row["kind"],
        what_for(row),
        f"{row['usable_until'][:10]} {left(_at(row['usable_until']), now)}",
        "our age" if own else "vendor",
        row["source"],
        left(_at(row["issued"]), now).removesuffix(" ago"),
        next_,
        row["last_error"] or "–",
        row["depends"],
    )


def _want(each: dict[str, Any], now: datetime) -> tuple[str, ...]:
    again = "being fetched" if each["being_fetched"] else "next"
    if each["retry_at"]:
        again = left(_at(each["retry_at"]), now)
    since = left(_at(each["wanted"]), now) if each["wanted"] else "–"
    return each["kind"], what_for(each), since, str(each["failures"]), each["outcome"] or "–", again


def _host(each: dict[str, Any], now: datetime) -> tuple[str, ...]:
    until = f" until {each['open_until'][11:19]}Z" if each["open_until"] else ""
    when = left(_at(each["outcome_at"]), now) if each["outcome_at"] else "–"
    return each["host"], each["circuit"] + until, str(each["failures"]), each["outcome"] or "–", when


def _lines(
    console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str], empty: str
) -> None:
    lines = table(heads, rows, empty).splitlines()
    for number, line in enumerate(lines):
        style = "bold" if number == 0 and rows else styles[number - 1] if styles and number else ""
        console.print(Text(clean(line), style=style))


def _counts(row: dict[str, Any], channel: str) -> bool:
    """Whether many machines stay undecided without it."""
    return row["kind"] in RATCHETED and (row["kind"] not in CHANNELLED or row["channel"] == channel)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(one_line(text).replace("Z", "+00:00"))
