"""One unambiguous way to join byte strings before they are authenticated."""

from __future__ import annotations

MAX_PARTS = 255
_MAX_LENGTH = 2**32 - 1


def fields(label: bytes, *parts: bytes) -> bytes:
    """`label ‖ 0x00 ‖ count as u8 ‖ (length as u32be ‖ part)…`: different arguments, different bytes.

    label: says what is being authenticated ("sealgate/1 secret"), so that bytes made for one purpose
    never serve another. It must not contain a zero byte. Raises ValueError when it does, or when
    there are more than 255 parts or a part of 4 GiB.
    """
    if not label or b"\0" in label:
        raise ValueError("a label is not empty and has no zero byte")
    if len(parts) > MAX_PARTS or any(len(part) > _MAX_LENGTH for part in parts):
        raise ValueError("at most 255 parts, each below 4 GiB")
    out = [label, b"\0", len(parts).to_bytes(1, "big")]
    for part in parts:
        out += [len(part).to_bytes(4, "big"), part]
    return b"".join(out)


def u64(value: int) -> bytes:
    """Eight bytes, most significant first. Raises OverflowError outside 0..2**64-1."""
    return value.to_bytes(8, "big")
