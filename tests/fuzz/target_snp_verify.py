"""Any report gets a verdict without an exception; only the genuine bytes get a valid signature."""

from __future__ import annotations

from gateway.simulator.amd import SnpMachine
from verifiers.model import Unbound, Verdict
from verifiers.sevsnp import abi, verify

MACHINE = SnpMachine()
REPORT = MACHINE.report(bytes(64))
ENDORSEMENTS = MACHINE.endorsements()


def seeds() -> list[bytes]:
    return [REPORT]


def target(data: bytes) -> None:
    raw = (data + REPORT[len(data) :])[:1184]
    result = verify.verify(abi.parse(raw), ENDORSEMENTS, Unbound("fuzz"), MACHINE.at)
    if result.signature_valid:
        assert raw[:672] == REPORT[:672]
    else:
        assert result.verdict is Verdict.REFUSED
