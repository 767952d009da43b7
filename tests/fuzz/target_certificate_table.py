"""Any bytes are a certificate table or refused by one of our errors."""

from __future__ import annotations

from gateway.simulator.amd import SnpMachine
from tests.fuzz.common import only_our_errors
from verifiers.sevsnp import certtable


def seeds() -> list[bytes]:
    return [SnpMachine().certificate_table()]


def target(data: bytes) -> None:
    only_our_errors(certtable.parse, data)
