"""A small OpenID provider on loopback: discovery, keys, and the device flow (RFC 8628)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.unit.gateway.oidc.support import EC, claims, jwk, jwks, token


@dataclass
class Provider:
    """keys: the key set that it serves. asked: paths, in order. pending: how often the device flow says that
    nobody has answered yet. claims: of the tokens that it gives out."""

    issuer: str = ""
    keys: bytes = jwks(jwk(EC, "k1"))
    asked: list[str] = field(default_factory=list)
    pending: int = 1
    answer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)

    def token(self, **changes: Any) -> str:
        kid = changes.pop("kid", "k1")
        return token(claims(datetime.now(UTC), **{"iss": self.issuer, **self.claims, **changes}), kid=kid)

    def reply(self, path: str, form: dict[str, list[str]]) -> tuple[int, bytes]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(
                {
                    "issuer": self.issuer,
                    "jwks_uri": f"{self.issuer}/jwks",
                    "device_authorization_endpoint": f"{self.issuer}/device",
                    "token_endpoint": f"{self.issuer}/token",
                }
            ).encode()
        if path == "/jwks":
            return 200, self.keys
        if path == "/device" and form.get("client_id") == ["sealgate-cli"]:
            told = {"device_code": "dev", "user_code": "WDJB-MJHT", "verification_uri": f"{self.issuer}/go",
                    "expires_in": 60, "interval": 1}  # fmt: skip
            return 200, json.dumps(told).encode()
        if path == "/token" and form.get("device_code") == ["dev"]:
            if self.answer:
                return 400, json.dumps({"error": self.answer}).encode()
            if self.pending > 0:
                self.pending -= 1
                return 400, b'{"error": "authorization_pending"}'
            told = {"id_token": self.token(), "access_token": "opaque", "expires_in": 3600}
            return 200, json.dumps(told).encode()
        return 404, b"{}"


@contextmanager
def providing() -> Iterator[Provider]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(parse_qs(raw.decode()))

        def _answer(self, form: dict[str, list[str]]) -> None:
            status, body = provider.reply(self.path, form)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition: Any, seconds: float = 30) -> None:
    """Wait for what another process does by itself."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.05)
