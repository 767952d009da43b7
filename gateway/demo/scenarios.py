"""What the demonstration tries, and what must come of it. Each scenario says only what differs from good."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.client import Client, Refused
from gateway.demo.documents import RELEASED_PATH
from gateway.demo.process import Running
from gateway.guest import Guest, public_jwk
from gateway.protocol.native import report_data
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import Machine, SimulatedGuest
from gateway.simulator.intel import TdxMachine
from verifiers.codec import b64
from verifiers.model import TcbVersion

DELIVERED = "secret"
"""What a scenario ends in when the secret arrived; everything else is a reason code."""


@dataclass(frozen=True)
class Eavesdropper(Client):
    """A client that keeps every reply, to look for the secret in it."""

    heard: list[bytes] = field(default_factory=list, repr=False)

    def _read(self, status: int, raw: bytes) -> Any:
        self.heard.append(raw)
        return super()._read(status, raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A gateway and the guests in front of it. disk_key: the secret that was stored."""

    gateway: Running
    client: Eavesdropper
    jwks: Mapping[str, Any]
    disk_key: bytes
    at: datetime

    def guest(self, machine: Machine, **overrides: Any) -> Guest:
        return Guest(
            client=self.client,
            audience=self.gateway.issuer,
            issuer=self.gateway.issuer,
            tenant="default",
            jwks=self.jwks,
            evidence=lambda data: SimulatedGuest(machine).evidence(data, **overrides),
        )

    def snp(self, **settings: Any) -> SnpMachine:
        return SnpMachine(product="Genoa", at=self.at, **settings)

    def tdx(self) -> TdxMachine:
        return TdxMachine(at=self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """expected: DELIVERED or the reason code."""

    title: str
    expected: str
    play: Callable[[Stage], str]


def _ask(guest: Guest, stage: Stage) -> str:
    """Ask for the secret as a well-behaved guest does; DELIVERED only for the very bytes that were stored."""
    try:
        opened = guest.get([RELEASED_PATH])[RELEASED_PATH]
    except Refused as error:
        return error.reason
    return DELIVERED if opened.secret == stage.disk_key else "another secret"


def _post(stage: Stage, runtime_data: bytes, evidence: Mapping[str, Any]) -> str:
    """Send an attestation as an attacker would put it together."""
    body = {
        "evidence": dict(evidence),
        "runtime_data": b64.encode_url(runtime_data),
        "release": [RELEASED_PATH],
    }
    try:
        reply = stage.client.post("/v1/attest", body)
    except Refused as error:
        return error.reason
    return DELIVERED if reply.get("releases") else str(reply["refusals"][0]["reason"])


def _flipped(stage: Stage) -> str:
    guest = stage.guest(stage.snp())
    runtime = guest.runtime_data(guest.challenge(), ec.generate_private_key(ec.SECP256R1()).public_key())
    evidence = dict(guest.evidence(report_data(runtime)))
    raw = bytearray(b64.decode_url(evidence["report"], "report", limit=2000))
    raw[0x90] ^= 1  # one bit of MEASUREMENT
    return _post(stage, runtime, {**evidence, "report": b64.encode_url(bytes(raw))})


def _replayed(stage: Stage) -> str:
    guest = stage.guest(stage.snp())
    runtime = guest.runtime_data(guest.challenge(), ec.generate_private_key(ec.SECP256R1()).public_key())
    evidence = guest.evidence(report_data(runtime))
    first = _post(stage, runtime, evidence)
    return _post(stage, runtime, evidence) if first == DELIVERED else f"the first time: {first}"


def _relayed(stage: Stage) -> str:
    """A genuine guest answers, and somebody in the middle puts a key of their own into the request."""
    guest = stage.guest(stage.snp())
    nonce = guest.challenge()
    genuine = guest.runtime_data(nonce, ec.generate_private_key(ec.SECP256R1()).public_key())
    evidence = guest.evidence(report_data(genuine))
    mallory = ec.generate_private_key(ec.SECP256R1()).public_key()
    own_key = guest.runtime_data(nonce, mallory)
    assert public_jwk(mallory)["x"].encode() in own_key
    return _post(stage, own_key, evidence)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        title="SIM SNP guest, approved image, asks for disk-key",
        expected=DELIVERED,
        play=lambda stage: _ask(stage.guest(stage.snp()), stage),
    ),
    Scenario(
        title="SIM TDX guest, approved image, asks for disk-key",
        expected=DELIVERED,
        play=lambda stage: _ask(stage.guest(stage.tdx()), stage),
    ),
    Scenario(title="report with one bit flipped", expected="snp.signature", play=_flipped),
    Scenario(title="an answer that was given before", expected="session.nonce-used", play=_replayed),
    Scenario(
        title="debug guest: the host can read its memory",
        expected="snp.debug-off",
        play=lambda stage: _ask(stage.guest(stage.snp(), policy=0xB0000), stage),
    ),
    Scenario(
        title="genuine machine, firmware below the floor",
        expected="snp.tcb-floor.genoa",
        play=lambda stage: _ask(
            stage.guest(stage.snp(tcb=TcbVersion(bootloader=9, tee=0, snp=21, microcode=84))), stage
        ),
    ),
    Scenario(
        title="right hardware, other image",
        expected="guest.not-listed",
        play=lambda stage: _ask(stage.guest(stage.snp(), measurement=os.urandom(48)), stage),
    ),
    Scenario(title="somebody else's key in the middle", expected="session.key-not-bound", play=_relayed),
)
"""In front of a gateway in development mode."""

IN_PRODUCTION = Scenario(
    title="the same SIM SNP guest, production gateway",
    expected="evidence.simulated",
    play=lambda stage: _ask(stage.guest(stage.snp()), stage),
)
