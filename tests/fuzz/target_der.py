"""Any bytes are one strict DER element, read back unchanged, or refused by one of our errors."""

from __future__ import annotations

from tests.fuzz.common import only_our_errors
from verifiers.codec import der


def seeds() -> list[bytes]:
    return [
        bytes.fromhex(text) for text in ("020100", "300602010102017f", "060355040a", "0101ff", "04020102")
    ]


def target(data: bytes) -> None:
    tlv = only_our_errors(lambda raw: der.only(raw, raw[0] if raw else 0, "fuzz"), data)
    if isinstance(tlv, der.Tlv):
        assert tlv.raw == data
        for read in (
            lambda _: der.oid(tlv, "fuzz"),
            lambda _: der.integer(tlv, "fuzz", low=0, high=255),
            lambda _: der.boolean(tlv, "fuzz"),
            lambda _: der.ia5_string(tlv, "fuzz"),
            lambda _: der.children(tlv.value, "fuzz"),
        ):
            only_our_errors(read, data)
