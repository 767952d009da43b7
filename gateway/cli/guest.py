"""`sealgate guest`: inside a TEE, get secrets from a gateway and check them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from gateway.adapters import SystemClock
from gateway.cli.errors import InputError
from gateway.cli.remote import gateway_options, json_option, read_input
from gateway.client import Client
from gateway.errors import GatewayError
from gateway.guest import TSM, EvidenceSource, Guest, from_tsm, read_log
from gateway.ports import DEFAULT_TENANT
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import SimulatedGuest
from gateway.simulator.intel import TdxMachine
from verifiers.codec import b64, strictjson
from verifiers.errors import AttestationError

_MAX_JWKS = 64 * 1024


@click.group()
def guest() -> None:
    """Runs inside a confidential guest."""


@guest.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--audience", required=True, help="The gateway's name, from measured configuration.")
@click.option("--issuer", help="Who signs releases, when that is another name than the audience.")
@click.option("--jwks", "jwks_file", type=click.Path(path_type=Path), help="Pinned keys of the gateway.")
@click.option("--tsm-path", type=click.Path(path_type=Path), default=TSM, show_default=True)
@click.option("--event-log", type=click.Path(path_type=Path), help="Send this log along (TDX, CCEL data).")
@click.option("--simulate", type=click.Choice(["snp", "tdx"]), help="SIMULATED hardware; development only.")
@click.option("--simulate-init-data", metavar="HEX", help="SHA-256 of the simulated guest's init-data.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the one secret here (mode 0600).")
@json_option
@gateway_options
def get(
    paths: tuple[str, ...],
    audience: str,
    issuer: str | None,
    jwks_file: Path | None,
    tsm_path: Path,
    event_log: Path | None,
    simulate: str | None,
    simulate_init_data: str | None,
    out: Path | None,
    as_json: bool,
    client: Client,
) -> None:
    """Get the secrets at PATH..., each checked: signed by the gateway, for our own challenge, for that path.

    A single secret goes to standard output, byte for byte; several need --json. Exit code 1: refused.
    """
    if len(paths) > 1 and not as_json:
        raise InputError("expected --json with several paths, because secrets are bytes")
    asking = Guest(
        client=client,
        audience=audience,
        issuer=issuer or audience,
        tenant=client.tenant or DEFAULT_TENANT,
        jwks=_jwks(client, jwks_file),
        evidence=_source(simulate, simulate_init_data, tsm_path, event_log),
    )
    try:
        found = asking.get(paths)
    except GatewayError as error:
        raise InputError(f"{error.where}: {error.detail}", str(error.reason)) from None
    except AttestationError as error:
        raise InputError(
            f"{error.where}: expected {error.expected}, found {error.found}", error.reason
        ) from None
    if as_json:
        value = [
            {
                "path": path,
                "version": each.version,
                "lease": None if each.lease is None else int(each.lease.total_seconds()),
                "secret": b64.encode_url(each.secret),
            }
            for path, each in found.items()
        ]
        click.echo(json.dumps(value, indent=2))
        return
    secret = found[paths[0]].secret
    if out is None:
        sys.stdout.buffer.write(secret)
        sys.stdout.buffer.flush()
    else:
        _write(out, secret)


def _source(
    simulate: str | None, init_data: str | None, tsm_path: Path, event_log: Path | None
) -> EvidenceSource:
    if simulate is None:
        return from_tsm(tsm_path, event_log)
    if simulate == "snp" and event_log is not None:
        raise InputError("--event-log: expected a TDX guest, found --simulate snp")
    digest = _digest(init_data) if init_data is not None else bytes(32)
    now = SystemClock().now().replace(microsecond=0)
    machine: SnpMachine | TdxMachine
    if simulate == "snp":
        machine = SnpMachine(at=now, fields={"host_data": digest})
    else:
        machine = TdxMachine(at=now, fields={"mr_config_id": digest + bytes(16)})
    return SimulatedGuest(machine, None if event_log is None else read_log(event_log)).evidence


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise InputError(
            f"--simulate-init-data: expected 64 hexadecimal digits, found {len(text)} characters"
        )
    return digest


def _jwks(client: Client, file: Path | None) -> dict[str, Any]:
    """Pinned, or asked for: then what vouches for them is the TLS certificate (or the same machine)."""
    if file is None:
        found = client.get("/.well-known/jwks.json")
    else:
        try:
            found = strictjson.loads(read_input(str(file), _MAX_JWKS), str(file), limit=_MAX_JWKS)
        except AttestationError as error:
            raise InputError(
                f"{file}: expected {error.expected}, found {error.found}", error.reason
            ) from None
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise InputError("expected a JWK set")
    return found


def _write(path: Path, secret: bytes) -> None:
    """A new file, or an old one of ours made private first."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.truncate(0)
            file.write(secret)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or '').lower()}", "input.unreadable") from None
