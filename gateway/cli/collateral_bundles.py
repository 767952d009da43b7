"""`sealgate collateral export`, `import` and `verify`: collateral in files, for whoever reaches nobody."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from gateway.cli import collateral_check as checking
from gateway.cli import fetching, files
from gateway.cli.errors import InputError
from gateway.cli.progress import bar
from gateway.cli.remote import admin_options, json_option, read_input, show, table
from gateway.cli.slotwords import what_for
from gateway.client import Client
from gateway.collateral import bundle
from gateway.collateral import names as spelling
from gateway.collateral.bundle import Head
from gateway.errors import GatewayError
from verifiers.collateral import MAX_FILE

_OCTETS = "application/octet-stream"
_PIECE_MEMBERS = 64


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--for", "evidence", multiple=True, metavar="EVIDENCE", help="What this evidence needs.")
@json_option
@admin_options
def export(
    file: Path, names: tuple[str, ...], evidence: tuple[str, ...], as_json: bool, client: Client
) -> None:
    """Write what the gateway holds, and is current, to FILE: one bundle, signed with the gateway's key.

    NAMEs as for `fetch`. The thumbprint that is printed names the key: bring it to the importing side by
    another way than the file, for --trust there.
    """
    wanted = list(names)
    for name in wanted:
        if spelling.parse(name) is None:
            raise InputError(f"{name[:80]!r}: expected a name of collateral; {spelling.near(name)}")
    for each in evidence:
        needs = fetching.needs_of(files.open_evidence(each, None))
        spelt = (spelling.spell(need) for need in needs)
        wanted += [name for name in spelt if name is not None]
    if file.exists():
        raise InputError(f"{file}: exists already; name a new file", "input.exists")
    body = json.dumps({"names": wanted}).encode() if wanted else None
    raw = client.download(
        "POST", "/v1/admin/collateral/export", body, None if body is None else "application/json"
    )
    with reading_bundle("the gateway's reply"):
        head = bundle.parse_head(raw)
    _write(file, head, client, as_json)
    value = _about(head) | {"file": str(file), "objects": len(head.rows), "bytes": head.size}
    lines = (
        f"{len(head.rows)} objects, {head.size:,} bytes, in {file}\n"
        f"signed by {head.signer}   ({head.issuer}, {head.created[:19]}Z)\n"
        f"Over there: sealgate collateral import {file.name} --trust {head.signer}"
    )
    show(value, as_json, lambda: lines)


def _write(file: Path, head: Head, client: Client, silent: bool) -> None:
    """A whole file or none: it gets its name when everything is in it."""
    part = file.with_name(file.name + ".part")
    try:
        with part.open("wb") as out, bar("exporting", len(head.members), silent=silent) as step:
            out.write(head.raw)
            for index, member in enumerate(head.members):
                raw = client.download("GET", f"/v1/admin/collateral/objects/{member.sha256}")
                with reading_bundle(str(file)):
                    out.write(bundle.check(index, member, raw))
                step(1)
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
    except OSError as error:
        raise InputError(f"{file}: {(error.strerror or str(error)).lower()}", "input.unwritable") from None
    finally:
        part.unlink(missing_ok=True)


@click.command(name="import")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--trust", metavar="THUMBPRINT", help="Key of the gateway that signed a bundle.")
@click.option("--channel", type=click.Choice(["standard", "early"]), help="Which updates plain files are of.")
@json_option
@admin_options
def import_(
    paths: tuple[str, ...], trust: str | None, channel: str | None, as_json: bool, client: Client
) -> None:
    """Send bundles and plain files to the gateway; folders stand for the files in them.

    Everything is recognised by content, checked against the vendors' pins, and refused when it is older than
    what is held. A bundle counts only under a key that --trust or the gateway's configuration names. What was
    interrupted goes on when it is started again; what is held already is not sent.

    \b
    Exit code: 0 everything is held now, 1 something was refused, 2 malformed or usage.
    """
    made: list[dict[str, Any]] = []
    names = _files(paths)
    bundles = [name for name in names if _is_bundle(name)]
    plain = [name for name in names if name not in bundles]
    with bar("importing", len(plain), silent=as_json) as step:
        for name in plain:
            made += _plain(name, channel, client)
            step(1)
    for name in bundles:
        with _opened(name) as file, reading_bundle(name):
            made += _bundle(name, bundle.read_head(file), file, trust, client, as_json)
    rows = [(_MARKS[each["outcome"]], each["kind"], what_for(each), _result(each)) for each in made]
    counted = Counter(each["outcome"] for each in made)
    total = ", ".join(f"{counted[word]} {word}" for word in ("imported", "held", "refused") if counted[word])
    few = [row for row, each in zip(rows, made, strict=True) if each["outcome"] != "held"]
    heads = ("", "KIND", "WHAT FOR", "RESULT")
    show(made, as_json, lambda: "\n".join(line for line in (table(heads, few, ""), total) if line))
    raise SystemExit(1 if counted["refused"] else 0)


_MARKS = {"imported": "✓", "held": "–", "refused": "✗"}


def _result(each: dict[str, Any]) -> str:
    if each["outcome"] == "refused":
        return f"refused: {each['detail']}"
    return "imported" if each["outcome"] == "imported" else "held already"


def _plain(name: str, channel: str | None, client: Client) -> list[dict[str, Any]]:
    query = {"name": Path(name).name} | ({} if channel is None else {"channel": channel})
    raw = read_input(name, MAX_FILE)
    done = client.ask("POST", "/v1/admin/collateral", raw, _OCTETS, query)["imported"]
    return [
        each
        | {"outcome": "imported" if each["changed"] else "held", "reason": None, "detail": "", "file": name}
        for each in done
    ]


def _bundle(
    name: str, head: Head, file: BinaryIO, trust: str | None, client: Client, silent: bool
) -> list[dict[str, Any]]:
    """Ask what is lacking, check the whole file here, and send what is lacking in pieces."""
    begin = file.tell()
    for _ in bundle.members(head, file):
        pass  # a file that is damaged anywhere is not begun with
    query = {} if trust is None else {"trust": trust}
    found = client.ask("POST", "/v1/admin/collateral/bundle", head.raw, _OCTETS, query)
    lacking = set(found["lacking"])
    out: list[dict[str, Any]] = []
    with bar("importing", len(lacking), silent=silent) as step:
        for first, last in pieces(head, lacking):
            members = head.members
            file.seek(begin + members[first].at)
            raw = file.read(members[last].at + members[last].size - members[first].at)
            sent = client.ask(
                "POST", "/v1/admin/collateral/bundle", head.raw + raw, _OCTETS, query | {"from": str(first)}
            )
            out += [each | {"file": name} for each in sent["objects"]]
            step(sum(index in lacking for index in range(first, last + 1)))
    told = {(each["kind"], each["key"], each["channel"], each["variant"], each["simulated"]) for each in out}
    for row in head.rows:
        slot = row.slot
        if (slot.kind, slot.key, slot.channel, slot.variant, slot.simulated) not in told:
            out.append(
                {"kind": slot.kind, "key": slot.key, "variant": slot.variant, "channel": slot.channel,
                 "simulated": slot.simulated, "sha256": row.sha256, "outcome": "held", "reason": None,
                 "detail": "", "file": name}
            )  # fmt: skip
    return out


def pieces(head: Head, lacking: set[int]) -> Iterator[tuple[int, int]]:
    """Runs of members, first and last index, that hold all that are lacking: each small enough for one
    request, and beginning and ending with one that is lacking."""
    members = head.members
    first = last = -1
    for index in sorted(lacking):
        size = members[index].at + members[index].size - members[first].at if first >= 0 else 0
        if first >= 0 and (size > bundle.MAX_PIECE or index - first >= _PIECE_MEMBERS):
            yield first, last
            first = -1
        if first < 0:
            first = index
        last = index
    if first >= 0:
        yield first, last


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--trust", metavar="THUMBPRINT", help="Key that must have signed the bundles.")
@click.option("--at", metavar="RFC3339", help="As of this time. Default: now.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Maximum ages and trusted keys."
)
@click.option("--development", is_flag=True, help="Take SIMULATED collateral too, and mark it.")
@click.option("--gateway", "url", metavar="URL", help="Compare with what this gateway holds.")
@click.option("--ca", type=click.Path(path_type=Path), help="PEM certificates to trust for its TLS.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Holds its administrator's credential.")
@json_option
def verify(
    paths: tuple[str, ...],
    trust: str | None,
    at: str | None,
    config_file: Path | None,
    development: bool,
    url: str | None,
    ca: Path | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """What is in bundles and plain files: is it genuine, until when, who signed it? Opens no socket, unless
    --gateway asks what the ratchet there would refuse.

    \b
    Exit code: 0 all of it would be taken, 1 some of it would not, 2 malformed or usage.
    """
    terms = checking.terms(trust, at, config_file, development)
    held = checking.held(url, ca, token_file)
    reports: list[checking.Report] = []
    for name in _files(paths):
        if not _is_bundle(name):
            reports.append(checking.a_file(name, read_input(name, MAX_FILE), terms, held))
            continue
        with _opened(name) as file, reading_bundle(name):
            reports.append(checking.a_bundle(name, file, terms, held))
    value = [checking.to_json(report) for report in reports]
    show(value, as_json, lambda: "\n\n".join(checking.text(report, terms) for report in reports))
    raise SystemExit(0 if all(report.good for report in reports) else 1)


# --- shared ----------------------------------------------------------------------------------------------


def _files(paths: Sequence[str]) -> list[str]:
    names: list[str] = []
    for name in paths:
        path = Path(name)
        names += [str(item) for item in sorted(path.iterdir()) if item.is_file()] if path.is_dir() else [name]
    if not names:
        raise InputError("expected files, found none")
    return names


def _is_bundle(name: str) -> bool:
    if name == files.STDIN:
        return False
    with _opened(name) as file:
        return bundle.looks_like(file.read(len(bundle.MAGIC)))


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    try:
        with Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}", "input.unreadable") from None


@contextmanager
def reading_bundle(name: str) -> Iterator[None]:
    """What is wrong with a bundle becomes one line that names its file."""
    try:
        yield
    except GatewayError as error:
        where = error.where.removeprefix("bundle: ")
        raise InputError(
            f"{name}: {where}: expected {error.expected}, found {error.found}", str(error.reason)
        ) from None


def _about(head: Head) -> dict[str, Any]:
    return {"signer": head.signer, "issuer": head.issuer, "created": head.created, "digest": head.digest}
