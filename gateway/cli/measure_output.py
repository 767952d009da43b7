"""What the commands of `sealgate reference measure` share: inputs, and the reference set that comes out."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.adapters import SystemClock
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.reference_files import signed_corim
from gateway.cli.remote import json_option, read_input
from gateway.policybook import read as read_documents
from policies.foundry import document
from policies.foundry.document import Row
from policies.foundry.kernelhashes import DirectBoot
from policies.model import ReferenceSet

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_KERNEL = 1 << 30
"""Bytes of a kernel or initrd."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What a reference set says of itself, and where it goes; from --name, --owner and others."""

    name: str | None
    owner: str | None
    days: int
    version: int
    out: str | None
    corim: str | None
    key: str | None


class Inputs:
    """Files as they are read; their digests become the set's provenance."""

    def __init__(self) -> None:
        self.provenance: dict[str, str] = {"made_by": "sealgate reference measure"}

    def file(self, kind: str, name: str, limit: int) -> bytes:
        raw = read_input(name, limit)
        self.provenance[kind] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        return raw


def published(command: Command) -> Command:
    """Options that turn the result into a reference set; the command gets a `Publication`."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        name: str | None,
        owner: str | None,
        valid_days: int,
        set_version: int,
        out: str | None,
        corim: str | None,
        key: str | None,
        **kw: Any,
    ) -> Any:
        if (name is None) != (owner is None):
            raise InputError("a reference set needs both --name and --owner")
        for option, value in (("--out", out), ("--corim", corim)):
            if value is not None and name is None:
                raise InputError(
                    f"{option}: only a reference set is written to a file: give --name and --owner"
                )
        if (corim is None) != (key is None):
            raise InputError("a CoRIM is signed: expected --corim and --key together")
        made = Publication(name, owner, valid_days, set_version, out, corim, key)
        return command(*args, publication=made, **kw)

    for option in (
        json_option,
        click.option("--key", help="PEM private key on P-256 or P-384 that signs the CoRIM."),
        click.option("--corim", help="Write the reference set to this file too, as a signed CoRIM."),
        click.option("--out", help="Write the reference set to this file."),
        click.option(
            "--set-version", type=click.IntRange(1, 10**9), default=1, show_default=True, help="Of the set."
        ),
        click.option(
            "--valid-days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Of the set."
        ),
        click.option("--owner", help="Who vouches for the set, an address."),
        click.option("--name", help="Print a reference set of this name."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def direct_boot(command: Command) -> Command:
    for option in (
        click.option("--append", help="Kernel command line, exactly. Default with --kernel: empty."),
        click.option("--initrd", help="What QEMU is given with -initrd."),
        click.option("--kernel", help="What QEMU is given with -kernel."),
    ):
        command = option(command)
    return command


def read_boot(
    inputs: Inputs, kernel: str | None, initrd: str | None, append: str | None
) -> DirectBoot | None:
    """What is started directly; None without a kernel. Raises InputError."""
    if kernel is None:
        for option, value in (("--initrd", initrd), ("--append", append)):
            if value is not None:
                raise InputError(f"{option}: expected --kernel with it, found none")
        return None
    text = append or ""
    inputs.provenance["command_line"] = f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"
    return DirectBoot(
        inputs.file("kernel", kernel, MAX_KERNEL),
        b"" if initrd is None else inputs.file("initrd", initrd, MAX_KERNEL),
        text,
    )


def publish(publication: Publication, rows: Sequence[Row], provenance: dict[str, str]) -> None:
    """Print or write the set, and its CoRIM, once it reads back as a valid document. Raises InputError."""
    assert publication.name is not None and publication.owner is not None
    text = document.write(
        rows,
        name=publication.name,
        version=publication.version,
        owner=publication.owner,
        start=SystemClock().now().replace(microsecond=0),
        days=publication.days,
        provenance=provenance,
    )
    with reading("reference set"):
        (found,) = read_documents(text.encode(), "reference set")
    assert isinstance(found, ReferenceSet)
    if publication.corim is not None:
        _write_corim(found, publication.corim, publication.key or "")
    if publication.out is None:
        click.echo(text, nl=False)
        return
    with reading(publication.out), open(publication.out, "x", encoding="utf-8") as file:
        file.write(text)
    click.echo(f"{publication.out}: {len(rows)} measurements")


def _write_corim(found: ReferenceSet, name: str, key: str) -> None:
    """The signed CoRIM; what it cannot carry is said on stderr."""
    raw, lost = signed_corim(found, key)
    with reading(name), Path(name).open("xb") as file:
        file.write(raw)
    for item in lost:
        click.echo(f"sealgate: {name} does not carry: {one_line(item)}", err=True)
