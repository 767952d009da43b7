"""Any bytes are bounded CBOR or refused by one of our errors."""

from __future__ import annotations

from tests.fuzz.common import only_our_errors
from verifiers.codec import cbor


def seeds() -> list[bytes]:
    return [
        bytes.fromhex(text)
        for text in ("8201a16161f5", "a2616101616102", "5f4101ff", "c11a00000001", "9f01ff")
    ]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: cbor.loads(raw, "fuzz", limit=20_000, tags=frozenset({1})), data)
