"""Fixed binary layouts as tables, and a byte reader that cannot run past its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers.errors import EvidenceFormatError, Reason


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a layout table; `name` is spelled as in the vendor's document."""

    name: str
    offset: int
    size: int


def cut(raw: bytes, layout: Sequence[Field], size: int, what: str) -> dict[str, bytes]:
    """Split `raw` (exactly `size` bytes) by `layout`.

    Raises EvidenceFormatError(BAD_LENGTH) for any other length. Never pads, never truncates.
    """
    if len(raw) != size:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH, what, expected=f"{size} bytes", found=f"{len(raw)} bytes"
        )
    return {f.name: raw[f.offset : f.offset + f.size] for f in layout}


class Reader:
    """Reads little-endian values from the front; every read is checked against what is left.

    what: name of the structure, used in errors. Raises EvidenceFormatError(BAD_LENGTH) when a read
    goes past the end, and (TRAILING_DATA) from `end` when bytes are left over.
    """

    __slots__ = ("_raw", "_size", "_what", "offset")

    def __init__(self, raw: bytes, what: str) -> None:
        self._raw, self._what, self._size = raw, what, len(raw)
        self.offset = 0

    @property
    def left(self) -> int:
        return self._size - self.offset

    def take(self, size: int, name: str) -> bytes:
        start = self.offset
        end = start + size
        if end > self._size:
            raise EvidenceFormatError(
                Reason.BAD_LENGTH,
                f"{self._what}.{name}",
                expected=f"{size} bytes at offset {start}",
                found=f"{self.left} bytes left",
            )
        self.offset = end
        return self._raw[start:end]

    def u16(self, name: str) -> int:
        return int.from_bytes(self.take(2, name), "little")

    def u32(self, name: str) -> int:
        return int.from_bytes(self.take(4, name), "little")

    def rest(self) -> bytes:
        return self.take(self.left, "rest")

    def end(self) -> None:
        if self.left:
            raise EvidenceFormatError(
                Reason.TRAILING_DATA,
                self._what,
                expected=f"end at offset {self.offset}",
                found=f"{self.left} more bytes",
            )
