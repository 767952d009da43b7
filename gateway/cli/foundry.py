"""`sealgate reference init-data` and `id-key`: digests that reports carry beside the launch measurement."""

from __future__ import annotations

import click

from gateway.cli.errors import InputError, reading
from gateway.cli.remote import json_option, read_input, show
from policies import strictyaml
from policies.foundry import idblock, initdata
from policies.strictyaml import Map, Node, Scalar


@click.command(name="init-data")
@click.argument("path")
@click.option("--pod", is_flag=True, help="PATH is a pod (YAML) that carries it as an annotation.")
@json_option
def init_data(path: str, pod: bool, as_json: bool) -> None:
    """Digest of a Kata init-data document (TOML), and HOST_DATA and MRCONFIGID with it.

    It is over the raw bytes, as the guest receives them: a runtime that rewrites the document changes it.
    """
    raw = read_input(path, strictyaml.MAX_BYTES if pod else initdata.MAX_DOCUMENT)
    with reading(path):
        found = initdata.read(_of_pod(raw, path) if pod else raw)
    fields = {name: value.hex() for name, value in found.fields.items()}
    value = {"algorithm": found.algorithm, "digest": found.digest.hex(), **fields}
    show(value, as_json, lambda: "\n".join(f"{key:16}  {text}" for key, text in value.items()))


def _of_pod(raw: bytes, name: str) -> bytes:
    """The document in the annotation of a pod, or of the template of what makes pods. Raises InputError."""
    found = []
    for node in strictyaml.parse(raw, name):
        for path in (("metadata",), ("spec", "template", "metadata")):
            at: Node | None = node
            for key in (*path, "annotations", initdata.ANNOTATION):
                at = at.get(key) if isinstance(at, Map) else None
            if isinstance(at, Scalar):
                found.append(at.text)
    if len(found) != 1:
        raise InputError(f"{name}: expected one annotation {initdata.ANNOTATION}, found {len(found)}")
    return initdata.from_annotation(found[0])


@click.command(name="id-key")
@click.argument("path")
@json_option
def id_key(path: str, as_json: bool) -> None:
    """Digest of a P-384 public key (PEM), as ID_KEY_DIGEST or AUTHOR_KEY_DIGEST of a report."""
    raw = read_input(path, idblock.MAX_PEM)
    with reading(path):
        digest = idblock.key_digest(raw, "key")
    show({"digest": digest.hex()}, as_json, digest.hex)
