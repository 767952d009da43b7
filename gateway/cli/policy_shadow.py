"""`sealgate policy shadow`: a proposal asked beside what counts, and how its answers differ."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.remote import admin_options, json_option, show, table
from gateway.client import Client
from gateway.shadow import Result

_WORDS = {
    Result.NEWLY_REFUSED: "would be newly refused",
    Result.NEWLY_ALLOWED: "would be newly allowed",
    Result.OTHER_REASON: "refused for another reason",
    Result.SAME: "the same answer",
    Result.NOT_EVALUATED: "could not be evaluated",
}


@click.group()
def shadow() -> None:
    """Ask a proposal beside what counts: on live traffic, without any effect on it.

    \b
    sealgate policy propose FILE…             its id
    sealgate policy shadow start PROPOSAL
    sealgate policy shadow show PROPOSAL      how its answers differ
    sealgate policy shadow stop PROPOSAL      or `policy apply PROPOSAL`, which stops it too
    """


@shadow.command()
@click.argument("proposal")
@json_option
@admin_options
def start(proposal: str, as_json: bool, client: Client) -> None:
    """Ask PROPOSAL too, from now on, whenever an attestation or release of the tenant is decided. One at a
    time."""
    found = client.post(f"/v1/admin/proposals/{proposal}/shadow", {})
    show(found, as_json, lambda: f"shadow {found['shadow']} runs: proposal {found['proposal']}")


@shadow.command("list")
@json_option
@admin_options
def list_(as_json: bool, client: Client) -> None:
    """Shadows that run or ran, newest first."""
    found = client.get("/v1/admin/shadows")["shadows"]
    rows = [
        (each["shadow"], each["proposal"][:8], each["started"][:19] + "Z", _until(each),
         *(each["answers"].get(result, 0) for result in _WORDS))
        for each in found
    ]  # fmt: skip
    heads = ("#", "PROPOSAL", "STARTED", "STOPPED", "REFUSED", "ALLOWED", "REASON", "SAME", "NOT EVALUATED")
    show(found, as_json, lambda: table(heads, rows, "no shadows"))


@shadow.command("show")
@click.argument("proposal")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0, 500), help="Differences.")
@json_option
@admin_options
def show_(proposal: str, limit: int, as_json: bool, client: Client) -> None:
    """What the last shadow of PROPOSAL answered beside what counted, and each answer that differs: attempt,
    path, both verdicts and reasons. `verify --replay ATTEMPT` says more of one."""
    found = client.get(f"/v1/admin/proposals/{proposal}/shadow", limit=str(limit))
    show(found, as_json, lambda: "\n".join(lines(found)))


@shadow.command()
@click.argument("proposal")
@json_option
@admin_options
def stop(proposal: str, as_json: bool, client: Client) -> None:
    """Ask PROPOSAL no more. What was counted stays."""
    found = client.ask("DELETE", f"/v1/admin/proposals/{proposal}/shadow")
    show(found, as_json, lambda: "\n".join(lines(found)))


def summary(found: dict[str, Any]) -> str:
    """One line about a shadow, as replies have it."""
    answers = found["answers"]
    said = ", ".join(f"{answers[result]} {word}" for result, word in _WORDS.items() if answers.get(result))
    return f"shadow {found['shadow']}, {_state(found)}: {said or 'not asked yet'}"


def lines(found: dict[str, Any]) -> list[str]:
    """A shadow with its counts and the differences that came along."""
    out = [f"shadow {found['shadow']} of proposal {found['proposal']}"]
    out.append(f"  started {found['started'][:19]}Z by {found['by']}, {_state(found)}")
    out += [f"  {found['answers'].get(result, 0):>6}  {word}" for result, word in _WORDS.items()]
    if found["differences"]:
        rows = [
            (each["at"][:19] + "Z", each["attempt"], each["path"] or "–", each["result"],
             _answer(each["active"]), _answer(each["shadow"]))
            for each in found["differences"]
        ]  # fmt: skip
        heads = ("AT", "ATTEMPT", "PATH", "RESULT", "ACTIVE SAYS", "SHADOW SAYS")
        out.append(table(heads, rows, ""))
    return out


def _state(found: dict[str, Any]) -> str:
    return "running" if found["running"] else f"stopped {_until(found)}"


def _until(found: dict[str, Any]) -> str:
    return "running" if found["running"] else found["stopped"][:19] + "Z"


def _answer(found: dict[str, str]) -> str:
    return " ".join(text for text in (found["verdict"], found["reason"]) if text) or "–"
