"""Messages between the gateway and a reader: byte strings in a frame, each after its length.

    u32 size of all that follows │ u32 length │ bytes │ u32 length │ bytes │ …        big-endian

No other grammar is needed to take a message apart: two comparisons for each part. What is inside the parts is
`packing.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.containment.errors import EndedError, ReplyError

MAX_PARTS = 8192
MAX_FRAME = 12 * 1024 * 1024
"""Bytes. A request carries evidence and the collateral that it is explained with; a reply, a log of 1 MiB."""
_SIZE = 4


def write(parts: Sequence[bytes]) -> bytes:
    """One frame. ValueError for one that nobody would take."""
    body = b"".join(len(part).to_bytes(_SIZE, "big") + part for part in parts)
    if len(parts) > MAX_PARTS or len(body) > MAX_FRAME:
        raise ValueError(f"{len(parts)} parts, {len(body)} bytes")
    return len(body).to_bytes(_SIZE, "big") + body


def read(receive: Callable[[int], bytes]) -> tuple[bytes, ...] | None:
    """The parts of the next frame; None when the other end is closed before one begins.

    receive: at most so many bytes, b"" at the end. Raises EndedError for a frame that is cut short,
    ReplyError for one that is too large or does not add up, and whatever `receive` raises.
    """
    head = _exactly(receive, _SIZE, allow_end=True)
    if head is None:
        return None
    size = int.from_bytes(head, "big")
    if size > MAX_FRAME:
        raise ReplyError("frame", f"at most {MAX_FRAME} bytes", f"{size} bytes")
    return split(_exactly(receive, size) or b"")


def split(body: bytes) -> tuple[bytes, ...]:
    """The parts of a frame without its size. Raises ReplyError."""
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        if len(parts) == MAX_PARTS:
            raise ReplyError("frame", f"at most {MAX_PARTS} parts", "more")
        start = at + _SIZE
        end = start + int.from_bytes(body[at:start], "big")
        if start > len(body) or end > len(body):
            raise ReplyError("frame", "parts that add up to it", f"{end - len(body)} bytes too few")
        parts.append(body[start:end])
        at = end
    return tuple(parts)


def _exactly(receive: Callable[[int], bytes], size: int, *, allow_end: bool = False) -> bytes | None:
    out = bytearray()
    while len(out) < size:
        piece = receive(min(size - len(out), 1 << 20))
        if not piece:
            if allow_end and not out:
                return None
            raise EndedError(f"{len(out)} of {size} bytes")
        out += piece
    return bytes(out)
