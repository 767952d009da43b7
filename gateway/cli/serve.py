"""`sealgate serve`: run the gateway."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from gateway import VERSION, app, config, files, serve
from gateway.cli.errors import InputError
from gateway.collateral import assembly
from gateway.config import Config
from gateway.errors import GatewayError


@click.command(name="serve")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="One TOML file.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder for database and keys.")
@click.option("--host", help="Address to listen on; other than loopback only with TLS.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 picks a free port.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes.")
@click.option("--issuer", help="Our name in tokens, and the audience that guests name.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="PEM chain, leaf first.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="PEM key.")
@click.option(
    "--development",
    is_flag=True,
    default=None,
    help="Accept SIMULATED hardware. Fixed for ever when the store is created.",
)
@click.option(
    "--offline",
    is_flag=True,
    default=None,
    help="Ask no vendor for collateral, whatever the file says; what is imported counts.",
)
@click.option("--ready-file", type=click.Path(path_type=Path), help="Write {url, pid, …} here when ready.")
@click.option(
    "--admin-token-file",
    type=click.Path(path_type=Path),
    help="Where the first administrator's credential goes (mode 0600), instead of the screen.",
)
@click.option("--json", "as_json", is_flag=True, help="Say the banner as one JSON line.")
def command(
    config_file: Path | None,
    data: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    issuer: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    development: bool | None,
    offline: bool | None,
    ready_file: Path | None,
    admin_token_file: Path | None,
    as_json: bool,
) -> None:
    """Run the gateway. Works without any option: loopback only, embedded database, nothing released until a
    policy says so."""
    try:
        loaded = config.load(
            config_file,
            data=data,
            host=host,
            port=port,
            workers=workers,
            issuer=issuer,
            tls_certificate=tls_cert,
            tls_key=tls_key,
            development=development,
            offline=offline,
        )
    except config.ConfigError as error:
        raise InputError(str(error), "input.configuration") from None
    with contextlib.ExitStack() as held:
        try:
            ready_config = held.enter_context(serve.reserved_port(loaded))
        except OSError as error:
            where = f"{loaded.listen.host}, port {loaded.listen.port}"
            raise InputError(f"{where}: {error.strerror}", "input.address") from None
        _run(ready_config, ready_file, admin_token_file, as_json)


def _run(loaded: Config, ready_file: Path | None, token_file: Path | None, as_json: bool) -> None:
    if token_file is not None and token_file.exists() and not app.store_exists(loaded):
        # Found out later, the only credential of a new store would be lost.
        raise InputError(f"{token_file}: exists already; the new credential would go there", "input.exists")
    try:
        prepared = app.prepare(loaded)
        if prepared.credential is not None and token_file is not None:
            files.write_new(token_file, prepared.credential.token.encode())
    except GatewayError as error:
        said = f"{error.where}: {error.detail} (expected {error.expected}, found {error.found})"
        raise InputError(said, str(error.reason)) from None
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}", "input.unreadable") from None

    def ready() -> None:
        _say(loaded, prepared, token_file, as_json)
        if ready_file is not None:
            serve.write_ready_file(ready_file, loaded, token_file)

    try:
        serve.serve(loaded, prepared.store, ready=ready)
    finally:
        prepared.store.close()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _say(loaded: Config, prepared: app.Prepared, token_file: Path | None, as_json: bool) -> None:
    """The banner. The credential is in it once, at the start that made it, unless a file was named."""
    shown = prepared.credential if token_file is None else None
    if as_json:
        value: dict[str, Any] = {"url": loaded.url, "pid": os.getpid(), **loaded.redacted()}
        if shown is not None:
            value["administrator"] = shown.token
        print(json.dumps(value), flush=True)
        return
    _, active = prepared.store.documents.active("default")
    releases = sum(row.kind == "release" for row in active)
    lines = [
        f"sealgate {VERSION}   {loaded.url}",
        f"  mode       {_mode(loaded)}",
        f"  issuer     {loaded.issuer_name}   (the audience that guests name)",
        f"  store      {prepared.store.database.path}{'   (new)' if prepared.created else ''}",
        f"  keys       {loaded.keys_folder}",
        f"  policies   {len(active)} active"
        + ("" if releases else "; none releases anything yet: sealgate policy apply"),
        f"  collateral {_asked(loaded)}",
    ]
    if prepared.credential is not None and token_file is not None:
        lines.append(f"  administrator's credential is in {token_file}")
    elif shown is not None:
        lines.append("  administrator's credential, shown this once (SEALGATE_ADMIN_TOKEN):")
        lines.append(f"    {shown.token}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _mode(loaded: Config) -> str:
    return "DEVELOPMENT: simulated hardware is accepted" if loaded.development else "production"


def _asked(loaded: Config) -> str:
    vendors = assembly.vendors(loaded.collateral, development=loaded.development)
    if not vendors:
        return "imported only; no vendor is asked"
    return f"fetched in the background from {', '.join(vendor.base for vendor in vendors)}"
