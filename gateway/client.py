"""A small HTTP client for our own commands: bounded, with timeouts, and never in clear across a network."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from gateway.config import is_loopback
from verifiers.codec import strictjson
from verifiers.errors import EvidenceFormatError

if TYPE_CHECKING:
    from http.client import HTTPConnection

MAX_REPLY = 64 * 1024 * 1024
TIMEOUT = 30.0


class ClientError(Exception):
    """The gateway could not be asked, or gave no answer that can be read."""


class Refused(ClientError):
    """The gateway said no. problem: its problem+json; {} when there was none."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, problem
        self.reason = str(problem.get("reason", f"http.{status}"))
        said = str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
        attempt = f", attempt {problem['attempt']}" if "attempt" in problem else ""
        super().__init__(f"{said} [{self.reason}]{attempt}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """url: of the gateway, without a path. ca: PEM file of the certificates to trust; None: the system's.
    token: an administrator's; or sign: from method, path with its query, and body to the whole credential
    of that request. insecure_http: allow http:// to other machines."""

    url: str
    ca: Path | None = None
    token: str | None = None
    tenant: str | None = None
    insecure_http: bool = False
    sign: Callable[[str, str, bytes], str] | None = None

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def get(self, path: str, **query: str) -> Any:
        return self.ask("GET", path, query=query)

    def post(self, path: str, value: object) -> Any:
        return self.ask("POST", path, json.dumps(value).encode(), "application/json")

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        media_type: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """One request; the parsed JSON of a good reply. `path` begins with /v1/ for what tenants have.

        Raises Refused for a status of 400 or more, ClientError for everything else that goes wrong.
        """
        return self._read(*self._exchange(method, path, body, media_type, query))

    def download(
        self, method: str, path: str, body: bytes | None = None, media_type: str | None = None
    ) -> bytes:
        """As `ask`, for a reply that is bytes."""
        status, raw = self._exchange(method, path, body, media_type, None)
        if status >= 400:
            self._read(status, raw)
        if len(raw) > MAX_REPLY:
            raise ClientError(f"{self.url}: expected at most {MAX_REPLY} bytes, found more")
        return raw

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        media_type: str | None,
        query: Mapping[str, str] | None,
    ) -> tuple[int, bytes]:
        """Status and body; one byte more than MAX_REPLY when there is more."""
        from http.client import HTTPException  # commands that ask nobody do without

        headers = {"Accept": "application/json"}
        if media_type is not None:
            headers["Content-Type"] = media_type
        plain = path if self.tenant is None or not path.startswith("/v1/") else f"/t/{self.tenant}{path}"
        asked = "?" + urlencode(query) if query else ""
        where = quote(plain) + asked
        if self.sign is not None:
            headers["Authorization"] = self.sign(method, plain + asked, body or b"")
        elif self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = self._connect()
        try:
            connection.request(method, where, body=body, headers=headers)
            reply = connection.getresponse()
            raw = reply.read(MAX_REPLY + 1)
        except (OSError, HTTPException) as error:
            raise ClientError(f"{self.url}: {_said(error)}") from None
        finally:
            connection.close()
        return reply.status, raw

    def _read(self, status: int, raw: bytes) -> Any:
        try:
            value = strictjson.loads(raw, "reply", limit=MAX_REPLY)
        except EvidenceFormatError as error:
            if status >= 400:
                raise Refused(status, {}) from None
            raise ClientError(f"{self.url}: expected JSON, found {error.found}") from None
        if status >= 400:
            raise Refused(status, value if isinstance(value, dict) else {})
        return value

    def _connect(self) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        parts = urlsplit(self.url)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
            raise ClientError(f"expected a URL like https://gateway.example:8443, found {self.url!r}")
        if parts.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
            except (OSError, ssl.SSLError) as error:
                raise ClientError(f"{self.ca}: expected PEM certificates, found {_said(error)}") from None
            return HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
        if not self.insecure_http and not is_loopback(host):
            raise ClientError(f"{self.url}: expected https, or --insecure-http to say that http is meant")
        return HTTPConnection(host, port, timeout=TIMEOUT)


def _said(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
