"""Any bytes are a CRL or refused by one of our errors."""

from __future__ import annotations

from gateway.simulator.amd import SnpMachine
from tests.fuzz.common import only_our_errors
from verifiers.crypto import crl


def seeds() -> list[bytes]:
    machine = SnpMachine()
    return [machine.crl(), machine.crl(revoked=(1, 2, 3))]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: crl.parse(raw, "fuzz"), data)
