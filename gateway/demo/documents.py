"""The policy documents of the demonstration: what a team would write for two approved guest images."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.record import rfc3339
from gateway.simulator import amd, intel

RELEASED_PATH = "demo/disk-key"


def references(now: datetime) -> str:
    """Reference values: the simulated images, as an image builder would publish them."""
    rtmrs = "\n".join(f"    tdx.rtmr{n}: sha384:{intel.RTMRS[n].hex()}" for n in range(3))
    return f"""\
sealgate: reference-values/1
name: demo-guests
version: 1
owner: platform@acme.example
valid: {{from: {rfc3339(now - timedelta(days=1))}, until: {rfc3339(now + timedelta(days=30))}}}
provenance: {{builder: the simulator}}
entries:
  - id: snp-image
    snp.measurement: sha384:{amd.MEASUREMENT.hex()}
  - id: tdx-image
    tdx.mr_td: sha384:{intel.MR_TD.hex()}
{rtmrs}
---
sealgate: reference-values/1
name: demo-workloads
version: 1
owner: database@acme.example
valid: {{from: {rfc3339(now - timedelta(days=1))}, until: {rfc3339(now + timedelta(days=30))}}}
provenance: {{builder: the simulator}}
entries:
  - id: no-init-data-snp
    snp.host_data: "hex:{"00" * 32}"
  - id: no-init-data-tdx
    tdx.mr_config_id: "hex:{"00" * 48}"
"""


POLICY = f"""\
sealgate: release-policy/1
name: demo
version: 1
tenant: default
owner: security@acme.example
secrets: [{RELEASED_PATH}]
uses:
  baselines: {{amd-sev-snp: 1, intel-tdx: 1}}
  references: {{demo-guests: 1, demo-workloads: 1}}
lease: {{lasts: 1h, renew_every: 10m, on_change: re-evaluate, holders: {{at_most: 40}}}}
allow:
  - id: snp-guest
    when: {{evidence.type: {{equals: sev-snp}}}}
    require:
      - snp.product: {{equals: Genoa}}
      - snp.signing_key: {{equals: VCEK}}
      - snp.vmpl: {{equals: 0}}
      - guest: {{in_set: demo-guests}}
      - workload: {{in_set: demo-workloads}}
  - id: tdx-guest
    when: {{evidence.type: {{equals: tdx}}}}
    require:
      - guest: {{in_set: demo-guests}}
      - workload: {{in_set: demo-workloads}}
"""
