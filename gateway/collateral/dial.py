"""One GET to a configured vendor, with everything bounded, and one typed outcome for whatever may happen.

What must stay true: only URLs that a vendor module made from configuration and a checked Need arrive here.
TLS is verified; a redirect is not followed, wherever it leads; nothing is decompressed; a body is cut off one
byte past its cap; and a peer that is slow on purpose, in whatever part of its answer, ends at the deadline.
No proxy, cookie or credential of the environment is used.
"""

from __future__ import annotations

import enum
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from gateway import VERSION

CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 5.0, 10.0, 25.0
MAX_RETRY_AFTER = 3600
DEFAULT_RETRY_AFTER = 60
_CHUNK = 16 * 1024
_MAX_HEADER = 32 * 1024


class Outcome(enum.StrEnum):
    """How a request ended. OK only says that a whole body came; what it is worth is for vetting to say."""

    OK = "ok"
    NOT_FOUND = "not-found"
    GONE = "gone"
    FORBIDDEN = "forbidden"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    REDIRECTED = "redirected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """headers: lower-case names. retry_after: seconds, clamped, when throttled. detail: one line for
    operators."""

    outcome: Outcome
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    retry_after: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """url: made by a vendor module. cap: most bytes of a body. secret_headers: never logged."""

    url: str
    cap: int
    secret_headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)


Get = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialler:
    """ca_file: PEM certificates that vouch for servers, instead of the system's."""

    ca_file: Path | None = None
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    total_seconds: float = TOTAL_SECONDS

    def get(self, request: Request) -> Reply:
        """Raises nothing: what goes wrong is an outcome."""
        handles: list[socket.socket] = []
        pool = self._pool(request.url, handles)
        late = threading.Event()
        watch = threading.Timer(self.total_seconds, _hang_up, (handles, late))
        watch.daemon = True
        watch.start()
        try:
            reply = self._ask(pool, request)
            # Hanging up looks like the end of a body whose length nobody announced.
            return self._late() if late.is_set() else reply
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            if late.is_set():
                return self._late()
            return Reply(outcome=Outcome.UNAVAILABLE, detail=_words(error))
        finally:
            watch.cancel()
            pool.close()
            for handle in handles:
                handle.close()

    def _late(self) -> Reply:
        detail = f"no whole answer within {self.total_seconds:g} s"
        return Reply(outcome=Outcome.UNAVAILABLE, detail=detail)

    def _pool(self, url: str, handles: list[socket.socket]) -> urllib3.HTTPConnectionPool:
        """handles: gets a second descriptor of each socket, by which it can be shut down from outside,
        whoever holds the first one by then, and also in the middle of a handshake."""
        parts = urlsplit(url)
        timeout = urllib3.Timeout(connect=self.connect_seconds, read=self.read_seconds)
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
            pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
                host, parts.port, timeout=timeout, retries=False, ssl_context=context
            )
        else:
            pool = urllib3.HTTPConnectionPool(host, parts.port, timeout=timeout, retries=False)
        plain: Any = HTTPSConnection if parts.scheme == "https" else HTTPConnection

        class Noted(plain):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                made: socket.socket = super()._new_conn()
                handles.append(made.dup())
                return made

        pool.ConnectionCls = Noted
        return pool

    def _ask(self, pool: urllib3.HTTPConnectionPool, request: Request) -> Reply:
        parts = urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        response = pool.urlopen(
            "GET",
            target,
            headers={
                "Accept-Encoding": "identity",
                "User-Agent": f"sealgate/{VERSION}",
                **request.secret_headers,
            },
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            if response.status != 200:
                return _not_ok(response.status, headers)
            return _body(response, headers, request.cap)
        finally:
            response.close()


def _body(response: urllib3.BaseHTTPResponse, headers: dict[str, str], cap: int) -> Reply:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        return Reply(
            outcome=Outcome.MALFORMED, detail=f"a body in {encoding[:32]!r}, which was not asked for"
        )
    if sum(len(name) + len(value) for name, value in headers.items()) > _MAX_HEADER:
        return Reply(outcome=Outcome.OVERSIZED, detail=f"headers of more than {_MAX_HEADER} bytes")
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > cap:
        return Reply(outcome=Outcome.OVERSIZED, detail=f"{declared[:20]} bytes, more than {cap}")
    body = bytearray()
    while len(body) <= cap:
        piece = response.read(min(_CHUNK, cap + 1 - len(body)))
        if not piece:
            return Reply(outcome=Outcome.OK, body=bytes(body), headers=MappingProxyType(headers))
        body += piece
    return Reply(outcome=Outcome.OVERSIZED, detail=f"more than {cap} bytes")


def _not_ok(status: int, headers: Mapping[str, str]) -> Reply:
    detail = f"HTTP status {status}"
    if 300 <= status < 400:
        return Reply(outcome=Outcome.REDIRECTED, detail=f"{detail}: redirects are not followed")
    if (status in (429, 503) and "retry-after" in headers) or status == 429:
        return Reply(outcome=Outcome.THROTTLED, detail=detail, retry_after=_retry_after(headers))
    kinds = {401: Outcome.FORBIDDEN, 403: Outcome.FORBIDDEN, 404: Outcome.NOT_FOUND, 410: Outcome.GONE}
    if status in kinds:
        return Reply(outcome=kinds[status], detail=detail)
    outcome = Outcome.UNAVAILABLE if status >= 500 else Outcome.MALFORMED
    return Reply(outcome=outcome, detail=detail)


def _retry_after(headers: Mapping[str, str]) -> int:
    """Seconds, 1 to an hour. A date, or anything else, stands for a minute: it would need a clock of
    theirs."""
    text = headers.get("retry-after", "").strip()
    if not (text.isascii() and text.isdigit()):
        return DEFAULT_RETRY_AFTER
    return max(1, min(int(text[:9]), MAX_RETRY_AFTER))


def _hang_up(handles: list[socket.socket], late: threading.Event) -> None:
    late.set()
    for handle in list(handles):
        try:
            handle.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


def _words(error: BaseException) -> str:
    """What went wrong, in one short line; a library's message may quote what the peer sent."""
    text = f"{type(error).__name__}: {error}"
    return "".join(char if char.isprintable() else " " for char in text)[:200]
