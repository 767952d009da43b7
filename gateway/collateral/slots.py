"""Which slot an object belongs in, which slot answers a need, and what kind of bytes lie there.

A slot's key is text made from named values that were cut out of fixed-length fields or vetted objects; it is
an index into our own store and never a part of a URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from gateway.ports import Slot
from verifiers.model import Need
from verifiers.vetting import Vetted

STANDARD, EARLY = "standard", "early"
CHANNELS = (STANDARD, EARLY)
VENDOR, IMPORT = "vendor", "import"
"""Sources that are configured: the only ones that put anything into a slot."""

CERTIFICATE, CRL, TCB_INFO, QE_IDENTITY = "certificate", "crl", "tcb-info", "qe-identity"

FORMS: Mapping[str, str] = MappingProxyType(
    {
        "amd.vcek": CERTIFICATE,
        "amd.vlek": CERTIFICATE,
        "amd.crl": CRL,
        "intel.pck": CERTIFICATE,
        "intel.issuer": CERTIFICATE,
        "intel.pck-crl": CRL,
        "intel.root-crl": CRL,
        "intel.tcb-info": TCB_INFO,
        "intel.qe-identity": QE_IDENTITY,
    }
)
"""Kind of a slot to the field of `Endorsements` that its bytes go into."""

LEAVES = frozenset({"amd.vcek", "amd.vlek", "intel.pck"})
"""Certificates of single machines: as many as there are machines, so they are looked up one by one."""

RATCHETED = frozenset(kind for kind, form in FORMS.items() if form != CERTIFICATE)
CHANNELLED = frozenset({"intel.tcb-info", "intel.qe-identity"})
"""Documents that Intel publishes twice: at once ("early"), and when the grace period is over ("standard")."""


IMPORTED_PCK = "imported"
"""Key of PCKs that nobody asked for: an operator brought them, and nothing says which need they answer."""


def key_of(kind: str, key: tuple[tuple[str, str], ...]) -> str:
    """The text of a slot's key, from the key of a Need or of a vetted object; the same for both.

    A VCEK is named by chip and TCB alone: reports of version 2 do not say their product. A VLEK is named by
    its TCB, a PCK by the digest of what was asked, since the encrypted PPID is long and never the same twice.
    """
    pairs = dict(key)
    for name in ("product", "csp_id") if kind in ("amd.vcek", "amd.vlek") else ():
        pairs.pop(name, None)
    text = " ".join(f"{name}={pairs[name]}" for name in sorted(pairs))
    if kind == "intel.pck":
        return "asked=" + hashlib.sha256(text.encode()).hexdigest()
    if kind == "intel.issuer":
        return f"role={pairs['role']}"
    return text


def slot_of(vetted: Vetted, channel: str, answers: Need | None) -> Slot:
    """Where a vetted object belongs."""
    key, variant = key_of(vetted.kind, vetted.key), ""
    if vetted.kind == "amd.vcek":
        variant = vetted.get("product")
    elif vetted.kind == "amd.vlek":
        variant = vetted.get("csp_id")
    elif vetted.kind == "intel.issuer":
        variant = vetted.get("spki")
    elif vetted.kind == "intel.pck":
        asked = answers is not None and answers.kind == vetted.kind
        key = key_of(vetted.kind, answers.key) if asked and answers else IMPORTED_PCK
        variant = " ".join(vetted.get(name) for name in ("ppid", "cpusvn", "pcesvn", "pceid"))
    return Slot(
        kind=vetted.kind,
        key=key,
        channel=channel if vetted.kind in CHANNELLED else STANDARD,
        variant=variant,
        simulated=vetted.simulated,
    )


def answers(need: Need) -> str:
    """The key of the slots that may answer `need`."""
    return key_of(need.kind, need.key)


def need_of(slot: Slot) -> Need | None:
    """What to ask for to have this slot filled again; None where the slot does not say."""
    if slot.kind in ("amd.vlek", "intel.pck", "intel.issuer"):
        return None
    pairs = dict(pair.split("=", 1) for pair in slot.key.split())
    if slot.kind == "amd.vcek":
        pairs["product"] = slot.variant
    return Need(slot.kind, tuple(sorted(pairs.items())))
