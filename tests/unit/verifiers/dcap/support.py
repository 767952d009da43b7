"""A simulated machine, and its quotes verified: what the tests of the common steps share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway.simulator import seeds
from gateway.simulator.intel import Signing, TdxMachine
from verifiers import registry
from verifiers.dcap import quote
from verifiers.model import Check, Endorsements, ReportData, Verdict, Verification, first_reason

MACHINE = TdxMachine()
NOW = MACHINE.at
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
DATA = bytes(range(64))
BOUND = ReportData(DATA)
STRANGER = seeds.p256("", "a stranger's key")


def verify(raw: bytes, endorsements: Endorsements, *, now: Any = NOW, binding: Any = BOUND) -> Verification:
    return registry.verify(quote.parse(raw), endorsements, binding, now)


def found(verification: Verification) -> tuple[Verdict, str | None]:
    return verification.verdict, first_reason(verification.checks)


def with_endorsements(machine: TdxMachine = MACHINE, **changed: Any) -> Verification:
    return verify(machine.quote(DATA), machine.endorsements(**changed))


def with_chain(*chain: bytes, **changed: Any) -> Verification:
    return verify(MACHINE.quote(DATA, signing=Signing(chain=chain)), MACHINE.endorsements(**changed))


def check(verification: Verification, name: str) -> Check:
    return next(check for check in verification.checks if check.id == name)
