"""Any text decodes to bytes that encode to the same text, or is refused by one of our errors."""

from __future__ import annotations

from tests.fuzz.common import only_our_errors
from verifiers.codec import b64


def seeds() -> list[bytes]:
    return [b"AAAA", b"AA", b"-_-_", b"AA==", b"+/+/"]


def target(data: bytes) -> None:
    text = data.decode("latin-1")
    raw = only_our_errors(lambda _: b64.decode_url(text, "fuzz", limit=4096), data)
    if isinstance(raw, bytes):
        assert b64.encode_url(raw) == text
