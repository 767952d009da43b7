"""What commands that talk to a gateway share: options, the client, errors in one line, small tables."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.errors import InputError, one_line
from gateway.cli.files import STDIN, bounded
from gateway.client import Client, ClientError, Refused
from verifiers.errors import AttestationError

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_URL = "http://127.0.0.1:8443"
_MAX_TOKEN = 16 * 1024


class Remote(click.ClickException):
    """The gateway cannot be asked, or gave no answer."""

    exit_code = 2


class Denied(Remote):
    """The gateway said no."""

    exit_code = 1


def gateway_options(function: F) -> F:
    """--gateway, --ca, --tenant, --insecure-http; the command gets a `Client` as `client`."""

    @click.option("--gateway", "url", envvar="SEALGATE_GATEWAY", default=DEFAULT_URL, show_default=True)
    @click.option("--ca", type=click.Path(path_type=Path), help="PEM certificates to trust for TLS.")
    @click.option("--tenant", default=None, help="Tenant, when it is not the default one.")
    @click.option("--insecure-http", is_flag=True, help="Allow http:// to another machine.")
    @functools.wraps(function)
    def wrapped(
        *args: Any, url: str, ca: Path | None, tenant: str | None, insecure_http: bool, **kw: Any
    ) -> Any:
        client = Client(url=url.rstrip("/"), ca=ca, tenant=tenant, insecure_http=insecure_http)
        with_errors = said(function)
        return with_errors(*args, client=client, **kw)

    return wrapped  # type: ignore[return-value]


def admin_options(function: F) -> F:
    """As `gateway_options`, with an administrator's credential: --token-file or SEALGATE_ADMIN_TOKEN, or a
    key that signs every request: --admin-key or SEALGATE_ADMIN_KEY."""

    @gateway_options
    @click.option("--token-file", type=click.Path(path_type=Path), help="Holds the credential.")
    @click.option(
        "--admin-key",
        type=click.Path(path_type=Path),
        envvar="SEALGATE_ADMIN_KEY",
        help="PEM key of an administrator, mode 0600, that signs each request, instead of a credential.",
    )
    @click.option(
        "--audience",
        envvar="SEALGATE_AUDIENCE",
        help="With --admin-key: the gateway's issuer name, when it is not its URL.",
    )
    @functools.wraps(function)
    def wrapped(
        *args: Any,
        client: Client,
        token_file: Path | None,
        admin_key: Path | None,
        audience: str | None,
        **kw: Any,
    ) -> Any:
        if admin_key is not None and token_file is None:
            known = replace(client, sign=signer(admin_key, audience or client.url))
        else:
            known = replace(client, token=credential(token_file))
        return function(*args, client=known, **kw)

    return wrapped  # type: ignore[return-value]


def signer(path: Path, audience: str) -> Callable[[str, str, bytes], str]:
    """What signs requests with the key in a file. Raises InputError."""
    from gateway import signedrequests
    from gateway.adapters import OsRandom, SystemClock
    from gateway.cli.keyfiles import private_key

    key, clock, random = private_key(path), SystemClock(), OsRandom()

    def sign(method: str, target: str, body: bytes) -> str:
        token = signedrequests.sign(
            key,
            audience=audience,
            method=method,
            target=target,
            body=body,
            now=clock.now(),
            jti=random.bytes(16),
        )
        return f"Signed {token}"

    return sign


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def said(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command; what goes wrong between us and the gateway becomes one line."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kw: Any) -> Any:
        try:
            return function(*args, **kw)
        except Refused as error:
            if kw.get("as_json") and error.problem:
                click.echo(json.dumps(error.problem, indent=2))
            kind = Denied if error.status < 500 else Remote
            raise kind(one_line(str(error))) from None
        except ClientError as error:
            raise Remote(one_line(str(error))) from None

    return wrapped


def read_input(name: str, limit: int) -> bytes:
    """A file, or "-" for standard input. Raises InputError."""
    try:
        raw = sys.stdin.buffer.read(limit + 1) if name == STDIN else bounded(Path(name), limit)
    except AttestationError as error:
        raise InputError(f"{name}: expected {error.expected}, found {error.found}", error.reason) from None
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}", "input.unreadable") from None
    if len(raw) > limit:
        raise InputError(f"{name}: expected at most {limit} bytes, found more")
    return raw


def show(value: object, as_json: bool, text: Callable[[], str]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False) if as_json else text())


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> str:
    """Columns as wide as they need to be; the last one is not padded."""
    if not rows:
        return empty
    cells = [[one_line(str(cell)) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def credential(token_file: Path | None) -> str | None:
    """An administrator's, from a file or the environment. Raises InputError."""
    if token_file is not None:
        text = read_input(str(token_file), _MAX_TOKEN).decode("ascii", "replace")
        return text.strip()
    return os.environ.get("SEALGATE_ADMIN_TOKEN") or None
