"""Any quote gets a verdict without an exception; only genuine signed bytes get a valid signature."""

from __future__ import annotations

from gateway.simulator.intel import TdxMachine
from tests.fuzz.common import only_our_errors
from verifiers.dcap import quote
from verifiers.model import Unbound
from verifiers.tdx import verify

MACHINE = TdxMachine()
GENUINE = MACHINE.quote(bytes(64))
ENDORSEMENTS = MACHINE.endorsements()


def seeds() -> list[bytes]:
    return [GENUINE]


def target(data: bytes) -> None:
    parsed = only_our_errors(quote.parse, data)
    if isinstance(parsed, quote.Quote) and parsed.kind == "tdx":
        result = verify.verify(parsed, ENDORSEMENTS, Unbound("fuzz"), MACHINE.at)
        if result.signature_valid:
            assert parsed.signed == GENUINE[: len(parsed.signed)]
