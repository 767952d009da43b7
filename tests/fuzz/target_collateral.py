"""Any bytes are collateral of a known kind or refused by one of our errors."""

from __future__ import annotations

from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from tests.fuzz.common import only_our_errors
from verifiers.collateral import classify


def seeds() -> list[bytes]:
    snp, tdx = SnpMachine(), TdxMachine()
    return [snp.vcek(), snp.crl(), tdx.tcb_info(), tdx.qe_identity()]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: classify(raw, "fuzz"), data)
