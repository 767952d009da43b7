"""A real gateway process, simulated guests, and the documents under which they pass."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway import approval
from gateway.approval import Subject
from gateway.client import Client, Refused
from gateway.guest import Guest
from gateway.policybook import kind_of, read
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import SimulatedGuest
from gateway.simulator.intel import MR_TD, RTMRS, TdxMachine
from tests.support import ROOT
from verifiers.codec import b64

NOW = datetime.now(UTC).replace(microsecond=0)
INIT_DATA = hashlib.sha256(b"the pod's init-data").digest()
SECRET = b"correct horse battery staple, sealgate e2e \x00\x01\xff"
PATH = "payments/db/password"
START_SECONDS = 120


def snp_machine(**fields: Any) -> SnpMachine:
    return SnpMachine(at=NOW, fields={"host_data": INIT_DATA, **fields})


def tdx_machine(**settings: Any) -> TdxMachine:
    return TdxMachine(at=NOW, fields={"mr_config_id": INIT_DATA + bytes(16)}, **settings)


SNP, TDX = snp_machine(), tdx_machine()


def documents(*, tenant: str = "default", version: int = 1, lease: str = "12h") -> bytes:
    """Reference values and a release policy that the machines above meet."""
    measurement = SNP.good["measurement"]
    assert isinstance(measurement, bytes)
    start, end = (NOW - timedelta(days=30)).isoformat(), (NOW + timedelta(days=60)).isoformat()
    return f"""
sealgate: reference-values/1
name: guests
version: {version}
owner: platform@acme.example
valid: {{from: {start}, until: {end}}}
provenance: {{builder: tests}}
entries:
  - id: snp-image
    snp.measurement: sha384:{measurement.hex()}
  - id: tdx-image
    tdx.mr_td: sha384:{MR_TD.hex()}
    tdx.rtmr0: sha384:{RTMRS[0].hex()}
    tdx.rtmr1: sha384:{RTMRS[1].hex()}
    tdx.rtmr2: sha384:{RTMRS[2].hex()}
---
sealgate: reference-values/1
name: pods
version: {version}
owner: database@acme.example
valid: {{from: {start}, until: {end}}}
provenance: {{builder: tests}}
entries:
  - id: db-client
    init_data.digest: sha256:{INIT_DATA.hex()}
---
sealgate: release-policy/1
name: payments-db
version: {version}
tenant: {tenant}
owner: security@acme.example
secrets: ["payments/db/*"]
uses:
  baselines: {{amd-sev-snp: 1, intel-tdx: 1}}
  references: {{guests: {version}, pods: {version}}}
lease: {{lasts: {lease}, renew_every: 1h, on_change: re-evaluate}}
allow:
  - id: snp
    when: {{evidence.type: {{equals: sev-snp}}}}
    require:
      - snp.product: {{in: [Genoa]}}
      - snp.vmpl: {{equals: 0}}
      - guest: {{in_set: guests}}
      - workload: {{in_set: pods}}
  - id: tdx
    when: {{evidence.type: {{equals: tdx}}}}
    require:
      - guest: {{in_set: guests}}
      - workload: {{in_set: pods}}
""".encode()


def snp_collateral(machine: SnpMachine = SNP) -> list[bytes]:
    return [machine.good_crl]


def tdx_collateral(machine: TdxMachine = TDX) -> list[bytes]:
    given = machine.endorsements()
    return [*given.certificates, *given.crls, *given.tcb_infos, *given.qe_identities]


@dataclass(frozen=True)
class Server:
    """A running `sealgate serve`."""

    url: str
    issuer: str
    token: str
    process: subprocess.Popen[bytes]
    data: Path
    log: Path
    traffic: list[bytes] = field(default_factory=list)

    @cached_property
    def anonymous(self) -> Client:
        return Client(url=self.url)

    @cached_property
    def admin(self) -> Client:
        return Client(url=self.url, token=self.token)

    def guest(
        self, machine: Any, *, tenant: str = "default", event_log: bytes | None = None, **overrides: Any
    ) -> Guest:
        """A guest on a simulated machine; overrides are those of its report or quote."""
        simulated = SimulatedGuest(machine, event_log)
        jwks = self.anonymous.get("/.well-known/jwks.json")
        client = self.anonymous if tenant == "default" else Client(url=self.url, tenant=tenant)
        return Guest(
            client=client,
            audience=self.issuer,
            issuer=self.issuer,
            tenant=tenant,
            jwks=jwks,
            evidence=lambda data: simulated.evidence(data, **overrides),
        )

    def activate(self, raw: bytes) -> None:
        """With the signatures of two new keys where two must approve."""
        told = self.admin.get("/v1/admin/approvals")
        if told["approvals"] == 1:
            self.admin.ask("POST", "/v1/admin/policies", raw, "application/yaml")
            return
        found = [Subject(kind_of(d), d.name, d.version, d.digest) for d in read(raw, "documents")]
        statement = approval.Statement(
            store=told["store"],
            tenant="default",
            action=approval.Action.ACTIVATE,
            sequence=told["next"],
            documents=tuple(found),
        )
        keys = [fresh_key() for _ in range(told["approvals"])]
        for key in keys:
            made = self.admin.post("/v1/admin/administrators", {"roles": ["approver"]})["id"]
            jwk = dict(approval.of_public(key.public_key()).jwk)
            self.admin.post("/v1/admin/approval-keys", {"key": jwk, "administrator": made})
        files = [{"name": "documents", "source": b64.encode_url(raw)}]
        signatures = [approval.sign(key, statement) for key in keys]
        self.admin.post("/v1/admin/activations", {"files": files, "signatures": signatures})

    def provide(self) -> None:
        """Collateral, policy and one secret."""
        for raw in (*snp_collateral(), *tdx_collateral()):
            self.admin.ask("POST", "/v1/admin/collateral", raw, "application/octet-stream")
        self.activate(documents())
        self.admin.ask("PUT", f"/v1/admin/secrets/{PATH}", SECRET, "application/octet-stream")


@contextmanager
def serving(
    data: Path, *options: str, development: bool = True, environ: Mapping[str, str] = {}
) -> Iterator[Server]:
    """A gateway on a free port, stopped at the end."""
    data.mkdir(parents=True, exist_ok=True)
    ready, token, log = data / "ready.json", data / "token", data / "log"
    command = [
        sys.executable, "-m", "gateway", "serve", "--data", str(data / "state"), "--port", "0",
        "--ready-file", str(ready), *options,
    ]  # fmt: skip
    if not token.exists():
        command += ["--admin-token-file", str(token)]
    command.append("--development" if development else "--offline")
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, **environ}, start_new_session=True
        )
        try:
            _await(process, ready, log)
            told = json.loads(ready.read_bytes())
            yield Server(told["url"], told["issuer"], token.read_text(), process, data, log)
        finally:
            process.send_signal(signal.SIGTERM)
            stopped = process.wait(30)
    assert stopped == 0, log.read_text()


def _await(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"the gateway did not start:\n{log.read_text()}")
        time.sleep(0.05)


def refusal(function: Any, *arguments: Any) -> Refused:
    """The refusal that a call must end in."""
    try:
        function(*arguments)
    except Refused as error:
        return error
    raise AssertionError("it was not refused")


def fresh_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
