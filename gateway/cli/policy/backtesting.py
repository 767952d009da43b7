"""`sealgate policy backtest`: a change of policies, tried on the attempts that are kept."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway import app, past, policybook
from gateway.adapters import SystemClock
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.policy import documents
from gateway.cli.remote import admin_options, json_option, show, table
from gateway.client import Client
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.policybook import Compiled
from gateway.ports import DEFAULT_TENANT, StoredDocument
from gateway.record import encode
from policies import backtest as pure
from policies.analysis.encode import Side
from policies.backtest import Past, Tally, Turned
from policies.model import Document
from policies.values import show as written
from verifiers.model import Verdict

_PAGE = 200
_SPAN = re.compile(r"([1-9][0-9]{0,4})(d|h)\Z")
_ORDER = (Verdict.ACCEPTED, Verdict.REFUSED, Verdict.UNDECIDED)
_SHOWN = 10


@click.command(short_help="Try a change on the attempts that are kept.")
@click.argument("after", nargs=-1, required=True, metavar="FILE...")
@click.option("--against", multiple=True, metavar="FILE", help="What counts before; default: what is active.")
@click.option("--policy", "name", metavar="NAME", help="The release policy, when FILE... has several.")
@click.option("--since", default="30d", show_default=True, metavar="SPAN", help="How far back: 30d, 12h.")
@click.option("--data", type=click.Path(path_type=Path), help="A gateway's folder, instead of asking one.")
@click.option("--most", default=100_000, type=click.IntRange(1, 10_000_000), help="Attempts, at most.")
@click.option("--list", "everything", is_flag=True, help="List every attempt that turns.")
@json_option
@admin_options
def backtest(
    after: tuple[str, ...],
    against: tuple[str, ...],
    name: str | None,
    since: str,
    data: Path | None,
    most: int,
    everything: bool,
    as_json: bool,
    client: Client,
) -> None:
    """Which of the attempts that are kept would come out otherwise if the documents in FILE... counted too.

    Verified claims are judged again as of their time, under what counts before and after; signatures are not
    checked again. What no attempt shows is not said here: `policy diff` is about all evidence.

    \b
    Exit code: 0 nothing turns, 1 something does, 2 usage or malformed input.
    """
    with _source(client, data) as source:
        with reading("policy"):
            before = documents.load_all(against).all if against else source.active()
            changed = tuple(document for _, document in documents.load_all(after).documents)
            one, other = policybook.compile_all(before), policybook.compile_all(_with(before, changed))
        chosen = _name(changed, other, name)
        start = SystemClock().now() - _span(since)
        tally = Tally()
        if chosen not in one.releases:
            raise InputError(f"expected a policy {chosen} that counts before, found none: nothing to compare")
        rows = _relevant(source.pasts(start, most), other, chosen)
        with _progress() as advance:
            for _ in pure.run(rows, _side(one, chosen), _side(other, chosen), tally):
                advance()
    unused = sorted({rule.id for rule in _rules(other, chosen)} - tally.rules.keys())
    show(_json(chosen, tally, unused), as_json, lambda: _text(chosen, tally, unused, everything))
    raise SystemExit(1 if tally.turned else 0)


# --- where attempts and documents come from --------------------------------------------------------


class _Remote:
    """A running gateway."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def active(self) -> tuple[Document, ...]:
        rows = self._client.get("/v1/admin/policies")["documents"]
        found = [self._client.get(f"/v1/admin/policies/{r['kind']}/{r['name']}") for r in rows]
        return policybook.Sources().documents([_stored(each) for each in found])

    def pasts(self, since: datetime, most: int) -> Iterator[Past]:
        query, left = {"limit": str(_PAGE)}, most
        while left > 0:
            page = self._client.get("/v1/admin/attempts", **query)["attempts"]
            for record in page[:left]:
                if datetime.fromisoformat(record["at"]) < since:
                    return
                found = past.of(encode(record))
                if found is not None:
                    yield found
            left -= len(page)
            if len(page) < _PAGE:
                return
            query["before"] = page[-1]["attempt"]


class _Folder:
    """A gateway's own folder."""

    def __init__(self, store: Any, tenant: str) -> None:
        self._store, self._tenant = store, tenant

    def active(self) -> tuple[Document, ...]:
        return policybook.Sources().documents(self._store.documents.active(self._tenant)[1])

    def pasts(self, since: datetime, most: int) -> Iterator[Past]:
        for tenant, _, _, record in self._store.appraisals.records(since, most):
            found = past.of(record) if tenant == self._tenant else None
            if found is not None:
                yield found


@contextmanager
def _source(client: Client, data: Path | None) -> Iterator[_Remote | _Folder]:
    if data is None:
        yield _Remote(client)
        return
    try:
        _, store = app.open_archive(Config(data=data))
    except GatewayError as error:
        said = f"{error.where}: expected {error.expected}, found {error.found}"
        raise InputError(one_line(said), str(error.reason)) from None
    with store:
        yield _Folder(store, client.tenant or DEFAULT_TENANT)


def _stored(row: dict[str, Any]) -> StoredDocument:
    return StoredDocument(
        tenant=row["tenant"],
        kind=row["kind"],
        name=row["name"],
        version=row["version"],
        digest=row["digest"],
        source=row["source"].encode(),
        activated=datetime.min.replace(tzinfo=UTC),
    )


# --- what is compared ------------------------------------------------------------------------------


def _with(before: Sequence[Document], changed: Sequence[Document]) -> tuple[Document, ...]:
    """`before`, with the documents of a name replaced."""
    given = {(policybook.kind_of(each), each.name) for each in changed}
    return (*(each for each in before if (policybook.kind_of(each), each.name) not in given), *changed)


def _name(changed: Sequence[Document], compiled: Compiled, name: str | None) -> str:
    """The release policy that is asked about: named, or the only one there is."""
    known = sorted(each.name for each in changed if policybook.kind_of(each) == policybook.RELEASE)
    known = known or sorted(compiled.releases)
    if name is not None and name not in compiled.releases:
        raise InputError(f"--policy: expected one of {', '.join(compiled.releases)}, found {name!r}")
    if name is None and len(known) != 1:
        raise InputError(f"--policy: expected one of {', '.join(known) or 'no release policy'}, found none")
    return name or known[0]


def _side(compiled: Compiled, name: str) -> Side:
    return Side(policy=compiled.releases[name], sets=compiled.references)


def _rules(compiled: Compiled, name: str) -> tuple[Any, ...]:
    release = compiled.releases[name].release
    return () if release is None else release.allow


def _relevant(pasts: Iterator[Past], compiled: Compiled, name: str) -> Iterator[Past]:
    """Attempts that this policy judged, and those that asked for what it owns when no policy did."""
    for each in pasts:
        if each.policy == name or (each.policy is None and any(map(_owned(compiled, name), each.refused))):
            yield each


def _owned(compiled: Compiled, name: str) -> Callable[[str], bool]:
    return lambda path: compiled.owner_of(path) == name


def _span(text: str) -> timedelta:
    found = _SPAN.match(text)
    if found is None:
        raise InputError(f"--since: expected days or hours such as 30d or 12h, found {text!r}")
    return timedelta(**{"days" if found[2] == "d" else "hours": int(found[1])})


# --- saying ----------------------------------------------------------------------------------------


@contextmanager
def _progress() -> Iterator[Any]:
    """Something that counts up, on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("judging again"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("attempts", total=None)
        yield lambda: progress.advance(task)


def _text(name: str, tally: Tally, unused: Sequence[str], everything: bool) -> str:
    head = ("", *(f"now {word.value}" for word in _ORDER))
    rows = [(f"was {was.value}", *(f"{tally.matrix[was, now]:,}" for now in _ORDER)) for was in _ORDER]
    out = [f"{name}: {tally.total:,} attempts judged again", table(head, rows, "")]
    out += _turned("NEWLY REFUSED", tally.newly_refused, everything)
    out += _turned("NEWLY ALLOWED", tally.newly_allowed, everything)
    if unused:
        out.append(f"not exercised by these attempts: {', '.join(unused)}")
    return "\n".join(out)


def _turned(title: str, found: Sequence[Turned], everything: bool) -> Iterator[str]:
    if not found:
        yield f"{title}   none"
        return
    machines = len({each.machine for each in found})
    yield f"{title}   {len(found):,} attempts, {machines:,} machines"
    for reason, count in Counter(each.reason or "-" for each in found).most_common():
        yield f"  {reason}   {count:,}"
    for each in found if everything else found[:_SHOWN]:
        yield f"    {written(each.at)}  {each.attempt}  {each.machine[:16]}  {each.reason or each.rule}"
    if not everything and len(found) > _SHOWN:
        yield f"    and {len(found) - _SHOWN:,} more (--list)"


def _json(name: str, tally: Tally, unused: Sequence[str]) -> dict[str, Any]:
    return {
        "policy": name,
        "attempts": tally.total,
        "matrix": [
            {"was": was.value, "now": now.value, "attempts": count}
            for (was, now), count in sorted(tally.matrix.items())
        ],
        "newly_refused": [_turned_json(each) for each in tally.newly_refused],
        "newly_allowed": [_turned_json(each) for each in tally.newly_allowed],
        "rules": dict(sorted(tally.rules.items())),
        "not_exercised": list(unused),
    }


def _turned_json(each: Turned) -> dict[str, Any]:
    return {
        "attempt": each.attempt,
        "at": written(each.at),
        "machine": each.machine,
        "was": each.was.value,
        "now": each.now.value,
        "reason": each.reason,
        "rule": each.rule,
    }
