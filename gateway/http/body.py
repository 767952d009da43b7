"""A request's body: bounded in bytes before anything is read, and in time while it is.

Reading and judging are apart. `Arriving` is filled by whoever talks to the peer (`front.py`) and cannot wait
for ever; `read` says what is wrong with the result, once it is known who asks and for what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.errors import GatewayError, GatewayReason

ARRIVED = "sealgate.body"
"""Where an environ carries the `Arrived` of its request. Without it `wsgi.input` is read."""
_CHUNK = 64 * 1024


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came of a body. late: not all of it within `seconds`. broken: the connection ended before it.
    crowded: too much is being held for others."""

    body: bytes
    seconds: float = 0
    late: bool = False
    broken: bool = False
    crowded: bool = False


def read(environ: Mapping[str, Any], limit: int) -> bytes:
    """The whole body, at most `limit` bytes.

    Raises GatewayError: REQUEST_TOO_LARGE (by its declared length, before a byte is read, or by what
    came), REQUEST_MALFORMED (fewer bytes than declared, or not in time), RATE_LIMITED (crowded).
    """
    declared = declared_length(environ)
    if declared is not None and declared > limit:
        raise _too_large(limit, f"{declared} bytes declared")
    if declared == 0 or (declared is None and "HTTP_TRANSFER_ENCODING" not in environ):
        return b""
    arrived = environ.get(ARRIVED)
    if not isinstance(arrived, Arrived):
        arrived = _take(environ["wsgi.input"], limit)
    if arrived.crowded:
        raise _crowded()
    if len(arrived.body) > limit:
        raise _too_large(limit, "more")
    if arrived.late:
        raise _malformed(f"the body within {arrived.seconds:g} s", "less")
    if arrived.broken:
        raise _malformed("a whole body", "a broken connection")
    if declared is not None and len(arrived.body) != declared:
        raise _malformed(f"{declared} bytes", f"{len(arrived.body)} bytes")
    return arrived.body


def declared_length(environ: Mapping[str, Any]) -> int | None:
    """Content-Length, or None without one. Raises GatewayError(REQUEST_MALFORMED) for what is no decimal."""
    text = environ.get("CONTENT_LENGTH")
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _malformed("a decimal Content-Length", "another")
    return int(text)


def _take(stream: Stream, limit: int) -> Arrived:
    parts: list[bytes] = []
    left = limit + 1
    try:
        while left > 0:
            part = stream.read(min(left, _CHUNK))
            if not part:
                break
            parts.append(part)
            left -= len(part)
    except OSError:
        return Arrived(b"".join(parts), broken=True)
    return Arrived(b"".join(parts))


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


def _crowded() -> GatewayError:
    return GatewayError(
        GatewayReason.RATE_LIMITED,
        "too many large bodies are on their way; try again shortly",
        where="body",
        expected="room for the body",
        found="none",
    )
