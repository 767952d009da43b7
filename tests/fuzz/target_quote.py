"""Any bytes are a quote that is written back unchanged, or refused by one of our errors."""

from __future__ import annotations

from gateway.simulator.intel import SgxMachine, TdxMachine
from tests.fuzz.common import only_our_errors
from verifiers.dcap import quote


def seeds() -> list[bytes]:
    data = bytes(64)
    return [TdxMachine().quote(data), TdxMachine(version=5).quote(data), SgxMachine().quote(data)]


def target(data: bytes) -> None:
    parsed = only_our_errors(quote.parse, data)
    if isinstance(parsed, quote.Quote):
        assert quote.write(parsed) == parsed.raw
        assert data == parsed.raw + bytes(parsed.padding)
