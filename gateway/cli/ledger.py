"""`sealgate ledger`: who got what, on what grounds; and whether the record is still whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from gateway import app
from gateway.adapters import OsRandom, SystemClock
from gateway.cli.errors import InputError, one_line
from gateway.cli.remote import admin_options, gateway_options, json_option, show, table
from gateway.client import Client
from gateway.config import default_data
from gateway.errors import GatewayError
from gateway.ledger import audit
from gateway.ledger.audit import Item
from gateway.ledger.checkpoint import Checkpoint
from gateway.ports import LedgerReceipt
from gateway.store import Store, open_store
from verifiers.codec import b64, strictjson
from verifiers.errors import AttestationError

FORMAT = "sealgate-ledger/2"
_MAX_LINE = 64 * 1024


@click.group()
def ledger() -> None:
    """Every decision and change, in order, in a tree that shows every change of it."""


@ledger.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--scope", type=click.Choice(["tenant", "gateway"]), default="tenant", show_default=True)
@json_option
@admin_options
def tail(limit: int, scope: str, as_json: bool, client: Client) -> None:
    """The last entries."""
    entries = client.get("/v1/admin/ledger", limit=str(limit), scope=scope)["entries"]
    rows = [
        (e["index"], e["at"][:19] + "Z", e["kind"], e["body"].get("path", e["body"].get("name", "–")),
         next((e["body"][name] for name in ("reason", "result", "approval") if e["body"].get(name)), "–"),
         e["body"].get("attempt", "–"))
        for e in entries
    ]  # fmt: skip
    heads = ("#", "WHEN", "WHAT", "OF", "OUTCOME", "ATTEMPT")
    show(entries, as_json, lambda: table(heads, rows, "no entries"))


@ledger.command()
@json_option
@gateway_options
def head(as_json: bool, client: Client) -> None:
    """Index and head now. Keep it: with it, `ledger verify --seen` shows that nothing before was changed."""
    found = client.get("/v1/ledger/checkpoint")
    show(found, as_json, lambda: f"{found['index']}:{found['head']}")


@ledger.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="The gateway's folder.")
@json_option
def export(file: Path, data: Path | None, as_json: bool) -> None:
    """Write every entry to FILE, one JSON object a line, for whoever checks it elsewhere."""
    count = 0
    with _store(data) as store, file.open("w", encoding="utf-8") as out:
        out.write(json.dumps({"format": FORMAT, "store_id": store.store_id}) + "\n")
        for row in store.ledger.rows():
            value = {"leaf": row.leaf.hex(), "salt": row.salt.hex(), "entry": b64.encode_url(row.entry)}
            out.write(json.dumps(value) + "\n")
            count += 1
    show({"entries": count, "file": str(file)}, as_json, lambda: f"{count} entries in {file}")


@ledger.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--data", type=click.Path(path_type=Path), help="The gateway's folder, when no FILE is given.")
@click.option(
    "--seen", metavar="INDEX:HEAD", help="A checkpoint kept earlier; the ledger must begin with it."
)
@json_option
def verify(file: Path | None, data: Path | None, seen: str | None, as_json: bool) -> None:
    """Check the whole ledger, of an exported FILE or of the gateway's own store. Exit code 1: broken."""
    kept = _receipt(seen)
    try:
        if file is not None:
            known = [] if kept is None else [Checkpoint("", kept.index + 1, bytes.fromhex(kept.head))]
            frontier = audit.audit(_read(file), known).frontier
            count, head = frontier.size, frontier.root().hex()
        else:
            with _store(data) as store:
                last = store.ledger.verify(kept)
                count, head = (0, "") if last is None else (last.index + 1, last.head)
    except GatewayError as error:
        problem = {"whole": False, "where": error.where, "expected": error.expected, "found": error.found}
        said = f"BROKEN at {error.where}: expected {error.expected}, found {error.found} [{error.reason}]"
        show(problem, as_json, lambda: one_line(said))
        raise SystemExit(1) from None
    value = {"whole": True, "entries": count, "head": head or None}
    show(value, as_json, lambda: f"whole: {count} entries, head {value['head']}")


def _store(data: Path | None) -> Store:
    path = (data or default_data()) / "db" / app.DATABASE
    try:
        return open_store(path, create=None, expect=None, clock=SystemClock(), random=OsRandom())
    except GatewayError as error:
        raise InputError(
            f"{error.where}: expected {error.expected}, found {error.found}", str(error.reason)
        ) from None


def _receipt(seen: str | None) -> LedgerReceipt | None:
    if seen is None:
        return None
    index, _, found = seen.partition(":")
    if not index.isdecimal() or len(found) != 64 or not all(c in "0123456789abcdef" for c in found):
        raise InputError(
            f"--seen: expected INDEX:HEAD as `ledger head` prints it, found {one_line(seen)[:80]!r}"
        )
    return LedgerReceipt(int(index), found)


def _read(file: Path) -> Iterator[Item]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{file}: {(error.strerror or '').lower()}", "input.unreadable") from None
    first = _line(lines[0] if lines else b"", f"{file}:1")
    if first.keys() != {"format", "store_id"} or first["format"] != FORMAT:
        raise InputError(f"{file}:1: expected {FORMAT}, as `ledger export` writes it")
    return (_item(raw, f"{file}:{at}") for at, raw in enumerate(lines[1:], 2))


def _item(raw: bytes, where: str) -> Item:
    value = _line(raw, where)
    try:
        leaf, salt = (bytes.fromhex(str(value[name])) for name in ("leaf", "salt"))
        return Item(leaf, (salt, b64.decode_url(value["entry"], where, limit=_MAX_LINE)))
    except (AttestationError, KeyError, TypeError, ValueError):
        raise InputError(f"{where}: expected leaf, salt and entry") from None


def _line(raw: bytes, where: str) -> dict[str, object]:
    try:
        value = strictjson.loads(raw, where, limit=_MAX_LINE, max_depth=4)
    except AttestationError as error:
        raise InputError(f"{where}: expected {error.expected}, found {error.found}", error.reason) from None
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object")
    return value
