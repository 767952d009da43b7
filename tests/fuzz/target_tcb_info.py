"""Any bytes are TCB info or refused by one of our errors."""

from __future__ import annotations

from gateway.simulator.intel import SgxMachine, TdxMachine
from tests.fuzz.common import only_our_errors
from verifiers.dcap import tcbinfo


def seeds() -> list[bytes]:
    return [TdxMachine().tcb_info(), SgxMachine().tcb_info()]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: tcbinfo.parse(raw, "fuzz"), data)
