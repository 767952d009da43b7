"""Certificates to build Intel's chains from, so that a CRL or a document can be vetted when it comes alone.

They are trusted by nobody for being here: each must lead to the root whose digest is pinned in
`verifiers/dcap/roots.py`. AMD's issuers are pinned as keys, and no certificate of theirs is needed.
"""

from __future__ import annotations

import functools
from importlib import resources

from gateway.ports import CollateralStore
from gateway.simulator import intelcerts, keys
from verifiers.crypto import x509
from verifiers.model import AnchorSet

_FILE = "intel-issuers.pem"
"""Root, both PCK CAs, and the two certificates of TCB Signing, as Intel's certificate service serves them."""
_MOST = 16


def pool(store: CollateralStore, anchors: AnchorSet) -> tuple[bytes, ...]:
    """DER of what is held, what ships with the package and, where they count, the simulator's."""
    _, held = store.common()
    out = [each.raw for each in held if each.about.slot.kind == "intel.issuer"]
    out += shipped()
    if anchors is AnchorSet.VENDOR_AND_SIMULATED:
        out += simulated()
    return tuple(dict.fromkeys(out))


@functools.cache
def shipped() -> tuple[bytes, ...]:
    raw = resources.files(__package__).joinpath(_FILE).read_bytes()
    return x509.split_pem(raw, _FILE, limit=_MOST)


@functools.cache
def simulated() -> tuple[bytes, ...]:
    return (
        keys.intel_root_certificate(),
        intelcerts.tcb_signing_certificate(),
        *(intelcerts.ca_certificate(ca) for ca in ("platform", "processor")),
    )
