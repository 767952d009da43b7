"""Any bytes are an enclave identity or refused by one of our errors."""

from __future__ import annotations

from gateway.simulator.intel import SgxMachine, TdxMachine
from tests.fuzz.common import only_our_errors
from verifiers.dcap import identity


def seeds() -> list[bytes]:
    return [TdxMachine().qe_identity(), SgxMachine().qe_identity()]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: identity.parse(raw, "fuzz"), data)
