"""`sealgate token`: check a result token as a relying party should, offline."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from gateway.adapters import SystemClock
from gateway.cli import options
from gateway.cli.errors import InputError, one_line
from gateway.cli.remote import json_option, read_input, said, show
from gateway.client import Client
from gateway.errors import GatewayError
from gateway.token import verify as checker
from verifiers.codec import strictjson
from verifiers.errors import AttestationError

_MAX = 512 * 1024


@click.group()
def token() -> None:
    """Attestation results (EAR) as tokens."""


@token.command()
@click.argument("value", metavar="TOKEN|FILE|-")
@click.option("--jwks", "source", required=True, metavar="FILE|URL", help="Keys; a URL is asked.")
@click.option("--issuer", required=True, help="Whose token it must be.")
@click.option("--audience", help="For whom it must be.")
@click.option("--at", metavar="RFC3339", help="Check as of this time. Default: now.")
@click.option("--ca", type=click.Path(path_type=Path), help="PEM certificates to trust, for a URL.")
@json_option
def verify(
    value: str,
    source: str,
    issuer: str,
    audience: str | None,
    at: str | None,
    ca: Path | None,
    as_json: bool,
) -> None:
    """Check signature, issuer, audience and times, and show what the token says.

    \b
    Exit code: 0 valid and affirming, 1 not valid, 2 malformed or usage, 3 valid but not affirming.
    """
    now = options.moment(at, "--at") if at is not None else SystemClock().now()
    text = _text(value)
    try:
        claims = checker.verify(text, _keys(source, ca), issuer=issuer, audience=audience, now=now)
    except GatewayError as error:
        problem = {"valid": False, "reason": str(error.reason), "where": error.where, "detail": error.detail}
        line = f"NOT VALID   {one_line(error.detail)}   {error.reason}"
        show(problem, as_json, lambda: line)
        raise SystemExit(1) from None
    statuses = [module.get("ear.status") for module in claims["submods"].values() if isinstance(module, dict)]
    affirming = bool(statuses) and all(status == "affirming" for status in statuses)
    show({"valid": True, "affirming": affirming, "claims": claims}, as_json, lambda: _said(claims, affirming))
    raise SystemExit(0 if affirming else 3)


def _text(value: str) -> str:
    if value.count(".") == 2 and len(value) > 100 and "/" not in value:
        return value
    return read_input(value, _MAX).decode("ascii", "replace").strip()


def _keys(source: str, ca: Path | None) -> dict[str, Any]:
    if source.startswith(("http://", "https://")):
        parts = urlsplit(source)
        client = Client(url=f"{parts.scheme}://{parts.netloc}", ca=ca)
        found = said(client.get)(parts.path or "/.well-known/jwks.json")
    else:
        try:
            found = strictjson.loads(read_input(source, _MAX), source, limit=_MAX)
        except AttestationError as error:
            message = f"{source}: expected {error.expected}, found {error.found}"
            raise InputError(message, error.reason) from None
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise InputError(f"{source}: expected a JWK set")
    return found


def _said(claims: dict[str, Any], affirming: bool) -> str:
    lines = [f"VALID   {'affirming' if affirming else 'NOT affirming'}", f"  issuer   {claims['iss']}"]
    expires = datetime.fromtimestamp(claims["exp"], UTC)
    lines.append(f"  expires  {expires.isoformat().replace('+00:00', 'Z')}")
    for name, module in claims["submods"].items():
        if isinstance(module, dict):
            vector = json.dumps(module.get("ear.trustworthiness-vector"))
            lines.append(f"  {name}     {module.get('ear.status')}   {vector}")
            extra = module.get("sealgate")
            if isinstance(extra, dict) and extra.get("simulated"):
                lines.append("           SIMULATED: no hardware stands behind this")
    return "\n".join(one_line(line) if not line.startswith("  ") else line for line in lines)
