"""A folder of simulated evidence, its collateral and a policy; and the command run on it, in this process."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from gateway.__main__ import cli
from gateway.simulator.amd import MEASUREMENT, SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.simulator.quotewrite import pem
from gateway.simulator.seeds import EPOCH

AT = EPOCH.isoformat().replace("+00:00", "Z")
DATA = bytes(range(64))
HOST_DATA = bytes(range(100, 132))
KEYS = {
    "verdict", "reason", "evidence", "authentic", "signature_valid", "chain_valid", "tcb", "claims", "checks",
    "unchecked", "at", "provenance", "simulated", "missing", "fetched", "carrier", "expires", "used",
    "policy", "ignored",
}  # fmt: skip
"""Keys of --json: those that are published, and a few more."""

POLICY = f"""\
sealgate: reference-values/1
name: guests
version: 1
owner: platform@acme.example
valid: {{from: {EPOCH.year - 1}-01-01T00:00:00Z, until: {EPOCH.year + 1}-01-01T00:00:00Z}}
entries:
  - id: image
    snp.measurement: sha384:{MEASUREMENT.hex()}
---
sealgate: reference-values/1
name: pods
version: 1
owner: database@acme.example
valid: {{from: {EPOCH.year - 1}-01-01T00:00:00Z, until: {EPOCH.year + 1}-01-01T00:00:00Z}}
entries:
  - id: db-client
    init_data.digest: sha256:{HOST_DATA.hex()}
---
sealgate: release-policy/1
name: db
version: 1
tenant: acme
owner: security@acme.example
secrets: [db/password]
uses:
  baselines: {{amd-sev-snp: 1}}
  references: {{guests: 1, pods: 1}}
lease: {{lasts: 12h, renew_every: 1h, on_change: re-evaluate}}
allow:
  - id: pod
    when: {{evidence.type: {{equals: sev-snp}}}}
    require:
      - snp.product: {{in: [Milan]}}
      - snp.vmpl: {{equals: 0}}
      - guest: {{in_set: guests}}
      - workload: {{in_set: pods}}
"""


@dataclass(frozen=True)
class Ran:
    """What the command said and did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def run(*args: object, stdin: bytes | None = None) -> Ran:
    done = CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin)
    return Ran(done.exit_code, done.stdout, done.stderr)


def verify(*args: object, stdin: bytes | None = None) -> Ran:
    return run("verify", *args, "--at", AT, stdin=stdin)


@functools.cache
def snp(product: str = "Milan", key: str = "VCEK", seed: str = "") -> SnpMachine:
    settings = {"seed": seed} if seed else {}
    return SnpMachine(product=product, signing_key=key, fields={"host_data": HOST_DATA}, **settings)


@functools.cache
def tdx() -> TdxMachine:
    return TdxMachine()


@functools.cache
def snp_files() -> dict[str, bytes]:
    machine = snp()
    return {"report.bin": machine.report(DATA), "vcek.der": machine.leaf, "crl.der": machine.good_crl}


@functools.cache
def tdx_files() -> dict[str, bytes]:
    return {"quote.bin": tdx().quote(DATA), **intel_collateral(tdx())}


def intel_collateral(machine: TdxMachine) -> dict[str, bytes]:
    return {**machine.good_collateral, "chain.pem": pem(machine.tcb_signing_chain())}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder
