"""`sealgate reference import` and `export`: sets from and to the formats of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from gateway import policybook
from gateway.adapters import SystemClock
from gateway.cli import options, signers
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.remote import read_input
from policies import drafts, tables, trustee_values
from policies.corim import reading as corim
from policies.corim import writing
from policies.drafts import About
from policies.model import ReferenceSet
from policies.strictyaml import MAX_BYTES
from verifiers.claims import BY_NAME
from verifiers.crypto import cose

_FORMATS = ("corim", "csv", "json")
_MAX_FILES = 256


def _about_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--until", help="When the set ends; a file may end it earlier, never later."),
        click.option("--from", "starts", help="When the set begins; now, unless the file says."),
        click.option(
            "--version", "version", type=click.IntRange(min=1), help="Else what the file says, or 1."
        ),
        click.option("--owner", help="Who answers for the set, an address."),
        click.option("--name", help="Name of the set."),
    ):
        function = option(function)
    return function


@click.command(name="import", short_help="Write a set from a CoRIM, CSV or JSON.")
@click.argument("file", required=False)
@click.option("--trustee", help="Trustee's reference values: a JSON file, or a folder of them.")
@click.option("--format", "kind", type=click.Choice(_FORMATS), help="Else the file's ending says it.")
@click.option("--signer", "signer_files", multiple=True, help="PEM key or certificate whose CoRIM counts.")
@click.option("--unsigned", is_flag=True, help="Take a CoRIM that nobody signed; the set says so.")
@click.option("--conditions", is_flag=True, help="Take minimums out of a CoRIM's entries, and print them.")
@_about_options
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Else standard output.")
def import_(
    file: str | None,
    trustee: str | None,
    kind: str | None,
    signer_files: tuple[str, ...],
    unsigned: bool,
    conditions: bool,
    name: str | None,
    owner: str | None,
    version: int | None,
    starts: str | None,
    until: str | None,
    out: Path | None,
) -> None:
    """Write a reference set from FILE: a signed CoRIM (--signer KEY.pem), CSV whose header has claim names,
    or JSON; or --trustee. What has no exact counterpart is left out and listed; nothing is guessed."""
    given = _Given(name, owner, version, starts, until)
    if (file is None) == (trustee is None):
        raise InputError("give FILE, or --trustee FILE or folder")
    if trustee is not None or file is None:
        finish(*_trustee(trustee or "", given), out)
        return
    kind = kind or _format_of(file)
    if kind != "corim" and (signer_files or unsigned or conditions):
        raise InputError(f"--signer, --unsigned and --conditions are for a CoRIM; {file} is {kind}")
    if kind == "corim" and bool(signer_files) == unsigned:
        raise InputError("a CoRIM needs --signer KEY.pem, whose signature counts, or --unsigned")
    comments: list[str] = []
    with reading(file):
        if kind == "corim":
            raw = read_input(file, corim.MAX_BYTES)
            found = _corim(raw, file, signers.public_keys(signer_files), conditions, given, comments)
        else:
            raw = read_input(file, MAX_BYTES)
            found = _table(raw, file, kind, given)
    finish(found, comments, out)


def finish(found: ReferenceSet, comments: Sequence[str], out: Path | None) -> None:
    """Write the document, after reading it back; the comments also go where a person sees them."""
    raw = drafts.document(found, BY_NAME, comments)
    with reading("the set that this makes"):
        (again,) = policybook.read(raw, f"{found.name}.yaml")
    assert isinstance(again, ReferenceSet)
    if [e.claims for e in again.entries] != [e.claims for e in found.entries]:
        raise AssertionError("a set read back differs from what was written")
    write_out(raw, out)
    for comment in comments:
        click.echo(f"sealgate: {one_line(comment)}", err=True)
    counted = f"{len(found.entries)} entries, valid until {drafts.written_time(found.valid_until)}"
    click.echo(f"sealgate: {found.name}@{found.version}: {counted}", err=True)


def write_out(raw: bytes, out: Path | None) -> None:
    if out is None:
        click.echo(raw.decode(), nl=False)
        return
    with reading(str(out)):
        out.write_bytes(raw)


class _Given:
    """What the command line says of the set."""

    def __init__(
        self, name: str | None, owner: str | None, version: int | None, starts: str | None, until: str | None
    ) -> None:
        self.name, self.owner, self.version = name, owner, version
        self.starts = None if starts is None else options.moment(starts, "--from")
        self.until = None if until is None else options.moment(until, "--until")

    def about(
        self,
        name: str | None,
        owner: str | None,
        starts: datetime | None,
        ends: datetime | None,
        provenance: tuple[tuple[str, str], ...],
        version: int | None = None,
    ) -> About:
        """With what a file says: it may name the set, and only shorten its time. Raises InputError."""
        name, owner = self.name or name, self.owner or owner
        until = min(filter(None, (self.until, ends)), default=None)
        missing = [
            option
            for option, value in (("--name", name), ("--owner", owner), ("--until", until))
            if not value
        ]
        if missing or name is None or owner is None or until is None:
            raise InputError(f"the file does not say it: give {', '.join(missing)}")
        begins = max(filter(None, (self.starts, starts)), default=SystemClock().now().replace(microsecond=0))
        return About(
            name=name,
            version=self.version or version or 1,
            owner=owner,
            valid_from=begins,
            valid_until=until,
            provenance=provenance,
        )


def _table(raw: bytes, file: str, kind: str, given: _Given) -> ReferenceSet:
    if kind == "json" and raw.lstrip()[:1] == b"{":
        return tables.from_json(raw, file, None, BY_NAME)  # it says everything itself
    about = given.about(None, None, None, None, ())
    made = tables.from_csv if kind == "csv" else tables.from_json
    return made(raw, file, about, BY_NAME)


def _trustee(path: str, given: _Given) -> tuple[ReferenceSet, list[str]]:
    with reading(path):
        found = trustee_values.read(trustee_files(path))
        rows, lost, ends = trustee_values.rows(found)
        if not rows:
            raise InputError(
                "\n".join(f"{path}: {one_line(item)}" for item in [*lost, "nothing maps to an entry"])
            )
        said = (("imported_from", "Trustee reference values (RVPS), which nobody signed"),)
        about = given.about(None, None, None, ends, said)
        made = drafts.build(about, rows, drafts.source_of(b"", path), BY_NAME)
    return made, [f"not taken over: {item}" for item in lost]


def trustee_files(path: str) -> list[tuple[str, bytes]]:
    """A JSON file, or the *.json of a folder. Raises InputError."""
    names = sorted(map(str, Path(path).glob("*.json"))) if Path(path).is_dir() else [path]
    if not names or len(names) > _MAX_FILES:
        raise InputError(f"{path}: expected 1 to {_MAX_FILES} files *.json, found {len(names)}")
    return [(name, read_input(name, trustee_values.MAX_BYTES)) for name in names]


def _corim(
    raw: bytes,
    file: str,
    keys: Sequence[EllipticCurvePublicKey],
    minimums: bool,
    given: _Given,
    comments: list[str],
) -> ReferenceSet:
    now = SystemClock().now().replace(microsecond=0)
    if keys:
        read, signed = corim.read_signed(raw, keys, file, now, minimums=minimums)
        said = [
            ("signer", read.signer or ""),
            ("signer_key", f"sha256:{signers.thumbprint(signed.key).hex()}"),
        ]
    else:
        read = corim.read_unsigned(raw, file, now, minimums=minimums)
        said = [("signer", "nobody: unsigned, taken on the word of who imported it")]
    said += [("corim", read.id), ("corim_profile", read.profile or "none named")]
    comments += [f"not taken over: {item.where}: {item.why}" for item in read.unmapped]
    comments += [f"state in every rule that uses this set: {item}" for item in read.conditions]
    if not read.rows:
        lines = [f"{file}: {item.where}: {item.why}" for item in read.unmapped] or [f"{file}: no triples"]
        raise InputError("\n".join([*lines, f"{file}: nothing in it maps to an entry"]))
    name, _, version = read.id.partition("@")
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 9 else None
    about = given.about(name, None, read.starts, read.ends, tuple(said), number)
    return drafts.build(about, read.rows, drafts.source_of(raw, file), BY_NAME)


def _format_of(file: str) -> str:
    ending = Path(file).suffix.lower()
    kind = {".csv": "csv", ".json": "json", ".corim": "corim", ".cbor": "corim", ".cose": "corim"}.get(ending)
    if kind is None:
        raise InputError(f"{file}: its ending does not say what it is; give --format {'|'.join(_FORMATS)}")
    return kind


@click.command(short_help="Write a set as a signed CoRIM, CSV or JSON.")
@click.argument("file")
@click.option("--format", "kind", type=click.Choice(_FORMATS), default=None, help="corim, unless --out says.")
@click.option("--key", help="PEM private key on P-256 or P-384 that signs the CoRIM.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Else standard output.")
def export(file: str, kind: str | None, key: str | None, out: Path | None) -> None:
    """Write the reference set of FILE as a signed CoRIM (--key KEY.pem), CSV or JSON; what the format cannot
    carry is listed."""
    kind = kind or ("corim" if out is None else _format_of(str(out)))
    with reading(file):
        documents = policybook.read(read_input(file, MAX_BYTES), file)
    if len(documents) != 1 or not isinstance(documents[0], ReferenceSet):
        raise InputError(
            f"{file}: expected one reference set, found {len(documents)} documents or another kind"
        )
    whole = documents[0]
    if (kind == "corim") != (key is not None):
        raise InputError(
            "a CoRIM is signed: give --key KEY.pem" if kind == "corim" else "--key is for a CoRIM"
        )
    found = drafts.standing(whole)
    lost = [f"entry {entry.id}: revoked" for entry in whole.entries if entry not in found.entries]
    if kind == "json":
        raw, lost = tables.to_json(whole, BY_NAME), []
    elif not found.entries:
        raise InputError(f"{file}: every entry is revoked; {kind} cannot say so")
    elif kind == "csv":
        raw, more = tables.to_csv(found, BY_NAME)
        lost += more
    else:
        if out is None:
            raise InputError("a CoRIM is no text: give --out FILE.corim")
        raw, more = signed_corim(found, key or "")
        lost += more
    write_out(raw, out)
    for item in lost:
        click.echo(f"sealgate: {kind} does not carry: {one_line(item)}", err=True)


def signed_corim(found: ReferenceSet, key_file: str) -> tuple[bytes, list[str]]:
    """The set as a CoRIM under the private key of a file, and what it does not carry. Raises InputError."""
    key = signers.private_key(key_file)
    payload, lost = writing.payload(found, BY_NAME)
    others = writing.not_in_snp(found)
    if others:
        lost.append(f"AMD's profile for {', '.join(others)}; the whole set is in sealgate's own")
    algorithm = cose.algorithm_of(key.public_key())
    assert algorithm is not None
    header = writing.header(found, algorithm, signers.thumbprint(key.public_key()))
    return signers.sign(key, header, payload), lost
