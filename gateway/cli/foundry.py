"""`sealgate reference init-data` and `id-key`: digests that reports carry beside the launch measurement."""

from __future__ import annotations

import click

from gateway.cli.errors import reading
from gateway.cli.remote import json_option, read_input, show
from policies.foundry import idblock, initdata


@click.command(name="init-data")
@click.argument("path")
@json_option
def init_data(path: str, as_json: bool) -> None:
    """Digest of a Kata init-data document (TOML), and HOST_DATA and MRCONFIGID with it.

    It is over the raw bytes, as the guest receives them: a runtime that rewrites the document changes it.
    """
    with reading(path):
        found = initdata.read(read_input(path, initdata.MAX_DOCUMENT))
    fields = {name: value.hex() for name, value in found.fields.items()}
    value = {"algorithm": found.algorithm, "digest": found.digest.hex(), **fields}
    show(value, as_json, lambda: "\n".join(f"{key:16}  {text}" for key, text in value.items()))


@click.command(name="id-key")
@click.argument("path")
@json_option
def id_key(path: str, as_json: bool) -> None:
    """Digest of a P-384 public key (PEM), as ID_KEY_DIGEST or AUTHOR_KEY_DIGEST of a report."""
    with reading(path):
        digest = idblock.key_digest(read_input(path, idblock.MAX_PEM), "key")
    show({"digest": digest.hex()}, as_json, digest.hex)
