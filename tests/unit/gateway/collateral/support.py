"""Vetted collateral of simulated machines, for tests of what holds it."""

from __future__ import annotations

from gateway.collateral import issuers
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from verifiers import vetting
from verifiers.model import AnchorSet
from verifiers.vetting import Vetted

BOTH = AnchorSet.VENDOR_AND_SIMULATED
POOL = (*issuers.shipped(), *issuers.simulated())


def vcek(machine: SnpMachine) -> Vetted:
    return vetting.certificate(machine.leaf, "VCEK", (), BOTH)[0]


def amd_crl(machine: SnpMachine, place: str = "vcek", **overrides: object) -> Vetted:
    return vetting.amd_crl(machine.crl(**overrides), "CRL", place, BOTH)  # type: ignore[arg-type]


def pck_crl(machine: TdxMachine, **overrides: object) -> tuple[Vetted, ...]:
    return vetting.intel_crl(machine.pck_crl(**overrides), "PCK CRL", POOL, BOTH)


def root_crl(machine: TdxMachine, **overrides: object) -> tuple[Vetted, ...]:
    return vetting.intel_crl(machine.root_crl(**overrides), "root CRL", POOL, BOTH)


def tcb_info(machine: TdxMachine, **overrides: object) -> tuple[Vetted, ...]:
    return vetting.tcb_info(machine.tcb_info(**overrides), "TCB info", POOL, BOTH)  # type: ignore[arg-type]


def qe_identity(machine: TdxMachine, **overrides: object) -> tuple[Vetted, ...]:
    return vetting.qe_identity(machine.qe_identity(**overrides), "QE identity", POOL, BOTH)  # type: ignore[arg-type]
