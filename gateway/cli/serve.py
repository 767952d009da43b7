"""`sealgate serve`: run the gateway."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import click

from gateway import VERSION, app, config, files, serve
from gateway.admins import Credential
from gateway.cli.errors import InputError
from gateway.collateral import assembly
from gateway.config import Config
from gateway.containment import assembly as containment
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import LedgerUnavailable


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
    _require_tls(loaded)
    _require_containment(loaded)
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
    prepared, said = _prepared(loaded, token_file), threading.Event()

    def ready() -> None:
        _say(loaded, prepared, token_file, as_json)
        said.set()
        if ready_file is not None:
            serve.write_ready_file(ready_file, loaded, token_file)

    try:
        serve.serve(loaded, prepared.store, ready=ready)
    finally:
        prepared.store.close()
        if not said.is_set():
            _say_unserved(prepared, token_file, as_json)
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _require_tls(loaded: Config) -> None:
    """Found out later, the workers would end without a word, in a store that is made already."""
    certificate, key = loaded.tls.certificate, loaded.tls.key
    if certificate is None or key is None:
        return
    try:
        # An encrypted key would ask at the terminal: it gets the empty password, and is refused.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, lambda: "")
    except ssl.SSLError as error:
        found = (error.reason or "something else").lower().replace("_", " ")
    except (OSError, ValueError) as error:
        found = (getattr(error, "strerror", None) or "something else").lower()
    else:
        return
    said = f"tls: expected a PEM chain, leaf first, in {certificate} and its key, not encrypted, in {key}"
    raise InputError(f"{said}; found {found}", "input.configuration")


def _require_containment(loaded: Config) -> None:
    """Found out later, a store would be there, and workers that end at once."""
    try:
        containment.require(loaded)
    except GatewayError as error:
        said = f"{error.where}: {error.detail} (expected {error.expected})"
        raise InputError(said, str(error.reason)) from None


def _prepared(loaded: Config, token_file: Path | None) -> app.Prepared:
    """The credential of a first administrator is in its file before it counts, or nobody was made."""
    written: list[Path] = []

    def deliver(credential: Credential) -> None:
        if token_file is not None:
            files.write_new(token_file, credential.token.encode())
            written.append(token_file)

    try:
        return app.prepare(loaded, deliver)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, GatewayError):
            said = f"{error.where}: {error.detail} (expected {error.expected}, found {error.found})"
            raise InputError(said, str(error.reason)) from None
        if isinstance(error, LedgerUnavailable):
            said = f"{loaded.database_folder}: the ledger cannot be written ({error}); nothing was changed"
            raise InputError(said, str(GatewayReason.LEDGER_UNAVAILABLE)) from None
        if isinstance(error, OSError):
            where = error.filename or loaded.data
            raise InputError(
                f"{where}: {(error.strerror or 'an error').lower()}", "input.unreadable"
            ) from None
        raise


def _say_unserved(prepared: app.Prepared, token_file: Path | None, as_json: bool) -> None:
    """A first start that ends before it served has made the store all the same: nobody may be locked out."""
    if prepared.credential is None or token_file is not None:
        return
    if as_json:
        print(json.dumps({"administrator": prepared.credential.token}), flush=True)
        return
    print("the gateway ended before it served; the store is made, and its administrator's credential,")
    print(f"shown this once (SEALGATE_ADMIN_TOKEN):\n    {prepared.credential.token}", flush=True)


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
        f"  store      {prepared.store.database.name}{'   (new)' if prepared.created else ''}",
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
        lines.append(f"  if it gets lost: sealgate admin recover --data {loaded.data}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _mode(loaded: Config) -> str:
    return "DEVELOPMENT: simulated hardware is accepted" if loaded.development else "production"


def _asked(loaded: Config) -> str:
    vendors = assembly.vendors(loaded.collateral, development=loaded.development)
    if not vendors:
        return "imported only; no vendor is asked"
    return f"fetched in the background from {', '.join(vendor.base for vendor in vendors)}"
