"""Between granian and the WSGI application: nothing that a peer can delay ever holds a thread.

A body is read here, by the event loop, and has a time limit that really ends the reading. Only a request that
is complete (or has failed) takes one of the worker's threads. Waiting in a WSGI server thread instead was
tried: returning from it while its read was pending stopped the whole worker until the peer hung up.

Source of the interface: RSGI 1.5, "HTTP protocol"; the environ follows PEP 3333.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import GatewayError
from gateway.http.body import ARRIVED, Arrived, declared_length
from gateway.http.limiter import Answer

SMALL = 64 * 1024
"""Bytes of a body that count against no budget: challenges, and all evidence that is seen in practice."""
BUDGET = 64 * 1024 * 1024
"""Bytes beyond `SMALL` that all bodies of one worker may hold together while they arrive."""

log = logging.getLogger("sealgate.http")
Environ = dict[str, Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]
Guard = Callable[[Environ], Answer | None]


@dataclass(slots=True)
class _Coming:
    """A body on its way. held: bytes of it that count against the budget."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    held: int = 0


class Front:
    """The RSGI application of one worker process.

    limit_of: method and path to the most bytes that its route takes (0: none). threads: requests worked on
    at once. seconds: a body must have arrived by then. refusal: asked first; an answer ends the request.
    guard_of: method and path to what looks at the head of a request there before its body is read, in a
    thread; None where there is nothing to look at. An answer of it ends the request too.
    """

    def __init__(
        self,
        application: Wsgi,
        limit_of: Callable[[str, str], int],
        *,
        threads: int,
        seconds: float,
        refusal: Callable[[Any], Answer | None] = lambda scope: None,
        guard_of: Callable[[str, str], Guard | None] = lambda method, path: None,
    ) -> None:
        self._refusal, self._guard_of = refusal, guard_of
        self._application, self._limit_of, self._seconds = application, limit_of, seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._held = 0

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            protocol.close()
            return
        refused = self._refusal(scope)
        if refused is not None:
            protocol.response_bytes(*refused)
            return
        environ, coming = environ_of(scope), _Coming()
        loop = asyncio.get_running_loop()
        try:
            reply = await self._turned_away(environ, loop)
            if reply is None:
                environ[ARRIVED] = await self._body(environ, protocol, coming)
                reply = await loop.run_in_executor(self._pool, self._answer, environ)
        except Exception:  # the application turns its own errors into replies: this is our bug
            log.exception("a request was not answered")
            reply = 500, [], b""
        finally:
            self._held -= coming.held
        protocol.response_bytes(*reply)

    async def _turned_away(self, environ: Environ, loop: asyncio.AbstractEventLoop) -> Answer | None:
        """Whoever may not call is told before they send anything: their bodies take no room from others'."""
        if environ.get("CONTENT_LENGTH", "0") == "0" and "HTTP_TRANSFER_ENCODING" not in environ:
            return None
        guard = self._guard_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        return None if guard is None else await loop.run_in_executor(self._pool, guard, environ)

    async def _body(self, environ: Environ, protocol: Any, coming: _Coming) -> Arrived:
        """Not a byte is asked for when there is nothing to read, or when its length is already too much."""
        limit = self._limit_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        try:
            declared = declared_length(environ)
        except GatewayError:  # said again, and answered, where the route is known
            return Arrived(b"")
        chunked = declared is None and "HTTP_TRANSFER_ENCODING" in environ
        if limit == 0 or not (chunked or 0 < (declared or 0) <= limit):
            return Arrived(b"")
        crowded = late = broken = False
        try:
            async with asyncio.timeout(self._seconds):
                crowded = await self._collect(protocol, coming, limit, declared)
        except TimeoutError:
            late = True
        except Exception:  # the server's errors have no common type; all mean that the peer is gone
            broken = True
        return Arrived(b"".join(coming.parts), self._seconds, late, broken, crowded)

    async def _collect(self, protocol: Any, coming: _Coming, limit: int, declared: int | None) -> bool:
        """Read what was declared, else to the end or one byte past `limit`. True: the budget is used up."""
        async for chunk in protocol:
            piece = bytes(chunk[: limit + 1 - coming.size])
            more = max(0, coming.size + len(piece) - SMALL) - coming.held
            if more > 0 and self._held + more > BUDGET:
                return True
            if more > 0:
                self._held += more
                coming.held += more
            coming.size += len(piece)
            coming.parts.append(piece)
            if coming.size == declared or coming.size > limit:
                break
        return False

    def _answer(self, environ: Environ) -> tuple[int, list[tuple[str, str]], bytes]:
        """One WSGI call, in a thread of the pool."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], error: object = None) -> None:
            started.append((status, headers))

        pieces = self._application(environ, start_response)
        try:
            body = b"".join(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        status, headers = started[-1]
        return int(status[:3]), [(name.lower(), value) for name, value in headers], body


def environ_of(scope: Any) -> Environ:
    """PEP 3333's environ of a request whose body is not there yet.

    A header whose name has an underscore is left out: it would be taken for one with a hyphen.
    """
    host, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        # PEP 3333: the path's bytes, one character each.
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    environ.update(_headers(scope.headers.items()))
    return environ


def _headers(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    out: dict[str, str] = {}
    for name, value in pairs:
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        out[key] = f"{out[key]},{value}" if key in out else value
    return out
