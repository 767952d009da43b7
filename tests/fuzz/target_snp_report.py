"""Any 1184 bytes are a report, written back unchanged; anything else is refused."""

from __future__ import annotations

from gateway.simulator.amd import SnpMachine
from tests.fuzz.common import only_our_errors
from verifiers.sevsnp import abi


def seeds() -> list[bytes]:
    return [SnpMachine(product=product).report(bytes(64)) for product in ("Milan", "Genoa", "Turin")]


def target(data: bytes) -> None:
    report = only_our_errors(abi.parse, data)
    assert (report is not None) == (len(data) == 1184)
    if report is not None:
        assert abi.write(report) == data  # type: ignore[arg-type]
