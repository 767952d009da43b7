"""What an operator decides about collateral: the `[collateral]` table of the configuration.

Only what is named here is ever dialled. In development mode nothing is, unless a base URL is set: simulated
machines are unknown to real vendors, and a demonstration asks nobody for anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.collateral.ages import DEFAULT_DAYS, Ages
from gateway.collateral.slots import EARLY, STANDARD
from verifiers.model import Need

AMD_KDS = "https://kdsintf.amd.com"
INTEL_PCS = "https://api.trustedservices.intel.com"
INTEL_CERTIFICATES = "https://certificates.trustedservices.intel.com"

_KEEP = re.compile(
    r"amd:(?P<product>Milan|Genoa|Turin)(?P<vlek>:vlek)?"
    r"|intel:(?P<tee>tdx|sgx)(?::(?P<fmspc>[0-9A-Fa-f]{12}))?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """offline: dial nobody; None decides by the mode. amd, intel, intel_certificates: base URLs, the vendors'
    own when None. pccs: base URL of a caching service, asked instead of both of Intel's. ca_file: PEM
    certificates that vouch for TLS servers instead of the system's. subscription_key_file: for PCKs by
    encrypted PPID. channel: which of Intel's updates count. forecast: keep the early ones too, for the
    forecast. refresh_hours: how often vendors are asked whether there is something newer. keep: what to hold
    before anybody needs it ("amd:Milan", "amd:Genoa:vlek", "intel:tdx", "intel:tdx:00806F050000").
    maximum_age_days: our own limit by kind. amd_seconds: between two requests to KDS. strangers_per_hour:
    machines never seen before that one client may have looked up. bundle_keys: RFC 7638 thumbprints of the
    gateways whose bundles are taken in without being asked.
    """

    offline: bool | None = None
    amd: str | None = None
    intel: str | None = None
    intel_certificates: str | None = None
    pccs: str | None = None
    ca_file: Path | None = None
    subscription_key_file: Path | None = None
    channel: str = STANDARD
    forecast: bool = False
    refresh_hours: int = 24
    keep: tuple[str, ...] = ()
    maximum_age_days: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    amd_seconds: int = 10
    strangers_per_hour: int = 60
    bundle_keys: tuple[str, ...] = ()

    def shown(self, development: bool) -> dict[str, Any]:
        """For logs and `--json`: no secret, and not where one lies."""
        return {
            **{each.name: getattr(self, each.name) for each in fields(self)},
            "offline": self.dials_nobody(development),
            "ca_file": str(self.ca_file or ""),
            "subscription_key_file": "***" if self.subscription_key_file else "",
            "keep": list(self.keep),
            "bundle_keys": list(self.bundle_keys),
            "maximum_age_days": {**DEFAULT_DAYS, **self.maximum_age_days},
        }

    @property
    def urls(self) -> tuple[str, ...]:
        """Those that were set."""
        return tuple(url for url in (self.amd, self.intel, self.intel_certificates, self.pccs) if url)

    def dials_nobody(self, development: bool) -> bool:
        if self.offline is not None:
            return self.offline
        return development and not self.urls

    @property
    def channels(self) -> tuple[str, ...]:
        """Those that are kept fresh, the one that counts first."""
        return (STANDARD, EARLY) if self.forecast and self.channel == STANDARD else (self.channel,)

    def ages(self) -> Ages:
        days = {**DEFAULT_DAYS, **self.maximum_age_days}
        return Ages(MappingProxyType({kind: timedelta(days=number) for kind, number in days.items()}))

    def kept(self) -> tuple[Need, ...]:
        """The needs that `keep` stands for."""
        return tuple(dict.fromkeys(need for text in self.keep for need in needs_of(text) or ()))


def needs_of(text: str) -> tuple[Need, ...] | None:
    """What one entry of `keep` stands for; None when it is none."""
    match = _KEEP.fullmatch(text)
    if match is None:
        return None
    if match["product"]:
        place = "vlek" if match["vlek"] else "vcek"
        return (Need("amd.crl", (("kind", place), ("product", match["product"]))),)
    out = [
        Need("intel.root-crl", ()),
        Need("intel.pck-crl", (("ca", "platform"),)),
        Need("intel.qe-identity", (("tee", match["tee"]),)),
    ]
    if match["fmspc"]:
        out.append(Need("intel.tcb-info", (("fmspc", match["fmspc"].upper()), ("tee", match["tee"]))))
    return tuple(out)
