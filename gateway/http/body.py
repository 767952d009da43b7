"""Reading a request's body: bounded in bytes before anything is read, and in time while it is.

A server thread that waits for a slow peer is lost to everybody else, and a blocking read cannot be
interrupted. So the read happens in a helper thread; when time is up the request is answered, the server
closes the connection, and that ends the helper's read too.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from typing import Any, Protocol

from gateway.errors import GatewayError, GatewayReason

_CHUNK = 64 * 1024


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class BodyReader:
    """One per worker process. threads: as many as requests that may be in progress at once."""

    def __init__(self, *, threads: int, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="body")
        self._seconds = seconds

    def read(self, environ: dict[str, Any], limit: int) -> bytes:
        """The whole body, at most `limit` bytes.

        Raises GatewayError: REQUEST_TOO_LARGE (by its declared length, before a byte is read, or by what
        came), REQUEST_MALFORMED (fewer bytes than declared, or not in time).
        """
        declared = _declared(environ)
        if declared is not None and declared > limit:
            raise _too_large(limit, f"{declared} bytes declared")
        if declared == 0 or (declared is None and "HTTP_TRANSFER_ENCODING" not in environ):
            return b""
        future = self._pool.submit(_take, environ["wsgi.input"], limit)
        try:
            body = future.result(self._seconds)
        except TooSlow:
            raise _malformed(f"the body within {self._seconds:g} s", "less") from None
        except OSError:
            raise _malformed("a whole body", "a broken connection") from None
        if len(body) > limit:
            raise _too_large(limit, "more")
        if declared is not None and len(body) != declared:
            raise _malformed(f"{declared} bytes", f"{len(body)} bytes")
        return body


def _take(stream: Stream, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    while left > 0:
        part = stream.read(min(left, _CHUNK))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _declared(environ: dict[str, Any]) -> int | None:
    text = environ.get("CONTENT_LENGTH")
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _malformed("a decimal Content-Length", "another")
    return int(text)


def _too_large(limit: int, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.REQUEST_TOO_LARGE,
        f"at most {limit} bytes are accepted here",
        where="body",
        expected=f"at most {limit} bytes",
        found=found,
    )


def _malformed(expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.REQUEST_MALFORMED,
        f"body: expected {expected}, found {found}",
        where="body",
        expected=expected,
        found=found,
    )
