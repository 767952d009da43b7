"""`sealgate verify --replay`: a stored attempt, judged again; and what differs from what was decided then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway import app, record
from gateway.adapters import SystemClock
from gateway.cli import files, options
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.page import MARK, Line, Page
from gateway.cli.remote import read_input
from gateway.client import Client
from gateway.collateral.slots import CERTIFICATE, CRL, QE_IDENTITY, TCB_INFO
from gateway.config import Config, default_data
from gateway.errors import GatewayError
from gateway.ports import DEFAULT_TENANT
from gateway.replay import again, bundle
from gateway.replay.again import Change, Differences
from gateway.replay.bundle import MAX_BUNDLE, Bundle, Piece
from policies.appraise import Appraisal
from verifiers.model import Outcome, Verdict

NOW = "now"
_WORDS = {True: "bold green", False: "bold yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """replay: id of an attempt, or the name of a bundle. collateral: "then" or "now". files: collateral that
    is "now", when a file is replayed. data: a gateway's folder; None: `client` is asked."""

    replay: str
    collateral: str
    files: tuple[str, ...]
    data: Path | None
    client: Client

    @property
    def is_file(self) -> bool:
        return self.replay == files.STDIN or "/" in self.replay or Path(self.replay).is_file()


def repeat(source: Source, at: str | None, as_json: bool) -> Verdict:
    """Judge again and print. at: RFC 3339; None: the time of then, and the present with today's collateral.

    Raises InputError for what cannot be replayed, naming what is lacking or altered.
    """
    kept = _bundle(source)
    pieces, whose = _pieces(source, kept)
    if at is not None:
        moment = options.moment(at, "--at")
    else:
        moment = SystemClock().now() if source.collateral == NOW else kept.at
    with _replaying(source.replay):
        appraisal = again.repeat(kept, at=moment, pieces=pieces)
    found = again.compare(kept, appraisal, pieces)
    if as_json:
        click.echo(json.dumps(to_json(kept, appraisal, found), indent=2))
    else:
        show(kept, appraisal, found, whose)
    return appraisal.verdict


def _bundle(source: Source) -> Bundle:
    with _replaying(source.replay):
        if source.is_file:
            return bundle.parse(read_input(source.replay, MAX_BUNDLE))
        if source.data is None:
            query = {"collateral": NOW} if source.collateral == NOW and not source.files else {}
            value = source.client.get(f"/v1/admin/attempts/{source.replay}/evidence", **query)
            return bundle.parse(record.encode(value))
        archive, store = app.open_archive(Config(data=source.data or default_data()))
        with store:
            tenant = source.client.tenant or DEFAULT_TENANT
            return bundle.parse(archive.bundle(tenant, source.replay, with_now=source.collateral == NOW))


def _pieces(source: Source, kept: Bundle) -> tuple[tuple[Piece, ...], str]:
    if source.files and source.collateral != NOW:
        raise InputError("--collateral: expected --with-collateral now beside it: an attempt brings its own")
    if source.collateral != NOW:
        return kept.collateral, "that day's"
    if source.files:
        given = files.gather(source.files).collateral
        kinds = {
            CERTIFICATE: given.certificates,
            CRL: given.crls,
            TCB_INFO: given.tcb_infos,
            QE_IDENTITY: given.qe_identities,
        }
        return tuple(
            Piece(kind, hashlib.sha256(raw).hexdigest(), raw) for kind, raws in kinds.items() for raw in raws
        ), "what --collateral gives"
    if kept.now is None:
        raise InputError(
            "--with-collateral now: expected a bundle that was exported with today's collateral "
            "(?collateral=now), or --collateral with what is to count"
        )
    return kept.now, "what the gateway held when it was asked"


@contextmanager
def _replaying(name: str) -> Iterator[None]:
    """While a bundle is had and judged: what is wrong becomes an `InputError` that names it."""
    with reading(name):
        try:
            yield
        except GatewayError as error:
            said = f"{name}: {error.where}: expected {error.expected}, found {error.found}"
            raise InputError(one_line(said), str(error.reason)) from None


# --- what is said --------------------------------------------------------------------------------------


def to_json(kept: Bundle, appraisal: Appraisal, found: Differences) -> dict[str, Any]:
    """One object; every key is always there."""
    return {
        "attempt": kept.attempt,
        "tenant": kept.tenant,
        "identical": found.identical,
        "verdict": {"was": found.verdict[0], "is": found.verdict[1]},
        "reason": {"was": found.reason[0], "is": found.reason[1]},
        "at": {"was": record.rfc3339(found.at[0]), "is": record.rfc3339(found.at[1])},
        "verifier": {"was": found.verifier[0], "is": found.verifier[1]},
        "collateral": {
            "only_then": [{"kind": p.kind, "sha256": p.sha256} for p in found.gone],
            "only_now": [{"kind": p.kind, "sha256": p.sha256} for p in found.fresh],
        },
        "checks": [{"id": c.id, "was": c.was, "is": c.now} for c in found.checks],
        "members": list(found.members),
        "result": record.of(appraisal),
    }


def show(
    kept: Bundle, appraisal: Appraisal, found: Differences, whose: str, page: Page | None = None
) -> None:
    """Print for people: the first line alone answers whether it is the same."""
    page = page or Page()
    was, now = found.verdict
    simulated = "SIMULATED " if appraisal.simulated else ""
    if found.identical:
        page.headline(
            f"{simulated}IDENTICAL", _WORDS[True], f"{now}, every finding as it was", found.reason[1]
        )
    elif was == now and not found.checks:
        page.headline(f"{simulated}THE SAME", _WORDS[True], f"{now}, every check as it was", found.reason[1])
    elif was == now:
        page.headline(
            f"{simulated}{now.upper()} STILL",
            _WORDS[True],
            "but not every check is as it was",
            found.reason[1],
        )
    else:
        page.headline(f"{simulated}DIFFERENT", _WORDS[False], f"was {was}, is {now}", found.reason[1])
    page.plain(f"attempt {kept.attempt} of {record.rfc3339(kept.at)}, tenant {kept.tenant}", indent=10)
    page.blank()
    page.section("Judged with", _inputs(found, whose))
    moved = [change for change in found.checks if _outcome(change.was) != _outcome(change.now)]
    page.section("Checks", [line for change in moved for line in _change(page, change)])
    rest = [change for change in found.checks if change not in moved]
    page.section("Same answer", [line for change in rest for line in _change(page, change)])
    others = [name for name in found.members if name not in ("at", "used")]
    page.section("Also changed", page.flow("!", others))
    if not found.identical and found.same_inputs:
        page.section("Why", _why(page, found))


def _inputs(found: Differences, whose: str) -> list[Line]:
    then, now = found.verifier
    lines = [Line("✓", f"verifier {now}, as then")]
    if then != now:
        lines = [Line("!", f"verifier {now}; then {then}")]
    if found.at[0] == found.at[1]:
        lines.append(Line("✓", f"time {record.rfc3339(found.at[0])}, as then"))
    else:
        lines.append(Line("!", f"time {record.rfc3339(found.at[1])}; then {record.rfc3339(found.at[0])}"))
    lines.append(Line("✓", "policies as then"))
    if not found.gone and not found.fresh:
        lines.append(Line("✓", f"collateral: {whose}, every object as then"))
        return lines
    lines.append(Line("!", f"collateral: {whose}"))
    lines += [Line(" ", f"only then  {piece.kind} sha256:{piece.sha256}") for piece in found.gone]
    lines += [Line(" ", f"only now   {piece.kind} sha256:{piece.sha256}") for piece in found.fresh]
    return lines


def _change(page: Page, change: Change) -> list[Line]:
    """What was expected is said once, unless that is what changed."""
    was, now = change.was or {}, change.now or {}
    mark = MARK[Outcome(now["outcome"])] if now else "–"
    outcomes = " → ".join(dict.fromkeys((_outcome(change.was), _outcome(change.now))))
    lines = page.wrapped(mark, f"{change.id}: {outcomes}", now.get("reason"))
    both = "expected" if was.get("expected") == now.get("expected") else ""
    if both:
        lines += page.wrapped(" ", f"expected {now[both]}")
    for word, side in (("was", was), ("is", now)):
        if side:
            wanted = "" if both else f"expected {side['expected']}; "
            lines += page.wrapped(" ", f"{word}: {wanted}found {side['found']}")
    if now.get("fix") and _outcome(change.now) not in ("passed", _outcome(change.was)):
        lines += page.wrapped(" ", f"to pass: {now['fix']}")
    return lines


def _outcome(check: Mapping[str, Any] | None) -> str:
    return "not asked" if check is None else str(check["outcome"]).replace("_", " ")


def _why(page: Page, found: Differences) -> list[Line]:
    if found.verifier[0] != found.verifier[1]:
        return page.wrapped("!", "the inputs are those of then, so it is the verifier that decides otherwise")
    return page.wrapped(
        "!", "same inputs, same verifier, another result: please report this, with the bundle, as a fault"
    )
