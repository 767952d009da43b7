"""`sealgate admin login`: a token of the identity provider, by the device flow (RFC 8628)."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from gateway import files
from gateway.cli.errors import InputError, one_line
from gateway.cli.remote import Remote, json_option, show
from gateway.config import is_loopback
from verifiers.codec import strictjson
from verifiers.errors import AttestationError

_MAX_REPLY = 256 * 1024
_TIMEOUT = 15.0
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_MOST_SECONDS, _SLOWER = 1800, 5


@click.command()
@click.option("--issuer", required=True, envvar="SEALGATE_OIDC_ISSUER", help="The identity provider's URL.")
@click.option("--client-id", required=True, envvar="SEALGATE_OIDC_CLIENT_ID", help="Ours, as it knows us.")
@click.option("--scope", default="openid", show_default=True, help="What to ask for.")
@click.option(
    "--token",
    "kind",
    type=click.Choice(["id_token", "access_token"]),
    default="id_token",
    show_default=True,
    help="Which token the gateway takes.",
)
@click.option("--ca", type=click.Path(path_type=Path), help="PEM certificates to trust for its TLS.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File for it (mode 0600).")
@json_option
def login(
    issuer: str, client_id: str, scope: str, kind: str, ca: Path | None, out: Path, as_json: bool
) -> None:
    """Log in at the identity provider, in a browser anywhere, and keep its token for --token-file."""
    place = _ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration", ca)[1]
    if place.get("issuer") != issuer:
        raise Remote(f"{issuer}: expected a discovery document of this issuer, found another")
    begun = _ask("POST", _url(place, "device_authorization_endpoint"), ca, client_id=client_id, scope=scope)[
        1
    ]
    code, where = str(begun.get("user_code", "")), str(begun.get("verification_uri", ""))
    device = begun.get("device_code")
    if not isinstance(device, str) or not code or not where:
        raise Remote(
            f"{issuer}: expected a device code, found {one_line(str(begun.get('error', 'none')))[:80]}"
        )
    click.echo(f"open {one_line(where)} and enter {one_line(code)}", err=True)
    told = _poll(_url(place, "token_endpoint"), ca, begun, client_id=client_id, device_code=device)
    token = told.get(kind)
    if not isinstance(token, str) or not token.isascii():
        raise Remote(f"{issuer}: expected {kind}, found none")
    try:
        files.replace_file(out.absolute(), token.encode())
    except OSError as error:
        raise InputError(f"{out}: {(error.strerror or 'an error').lower()}", "input.unwritable") from None
    seconds = told.get("expires_in")
    show({"file": str(out), "expires_in": seconds}, as_json, lambda: f"logged in; --token-file {out}")


def _poll(url: str, ca: Path | None, begun: Mapping[str, Any], **asked: str) -> Mapping[str, Any]:
    """Until somebody has said yes or no, as slowly as the provider wants it."""
    wait = begun.get("interval", 5)
    pause = wait if type(wait) is int and 0 < wait <= 60 else 5
    lasts = begun.get("expires_in")
    until = time.monotonic() + min(lasts if type(lasts) is int else 600, _MOST_SECONDS)
    while time.monotonic() < until:
        time.sleep(pause)
        status, told = _ask("POST", url, ca, grant_type=_GRANT, **asked)
        if status == 200:
            return told
        if told.get("error") == "slow_down":
            pause += _SLOWER
        elif told.get("error") != "authorization_pending":
            raise Remote(f"{url}: not logged in: {one_line(str(told.get('error', status)))[:80]}")
    raise Remote(f"{url}: expected an answer in time, found none")


def _url(place: Mapping[str, Any], name: str) -> str:
    found = place.get(name)
    if not isinstance(found, str):
        raise Remote(f"expected {name} in the discovery document, found none: use --token-file")
    return found


def _ask(method: str, url: str, ca: Path | None, **form: str) -> tuple[int, Mapping[str, Any]]:
    """One exchange: status and JSON object. Redirects are not followed. Raises Remote."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise Remote(f"expected an https URL, found {one_line(url)[:200]}")
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
            connection = http.client.HTTPSConnection(host, parts.port, timeout=_TIMEOUT, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=_TIMEOUT)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, urlencode(form) if form else None, headers)
            reply = connection.getresponse()
            raw, status = reply.read(_MAX_REPLY), reply.status
        finally:
            connection.close()
        value = strictjson.loads(raw, "reply", limit=_MAX_REPLY)
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Remote(f"{one_line(url)[:200]}: {one_line(str(said))[:200]}") from None
    except AttestationError as error:
        raise Remote(f"{one_line(url)[:200]}: expected JSON, found {one_line(str(error.found))}") from None
    if not isinstance(value, dict):
        raise Remote(f"{one_line(url)[:200]}: expected a JSON object, found {type(value).__name__}")
    return status, value
