"""From settings to the objects that fetch: who is asked, how often, and by whom."""

from __future__ import annotations

from datetime import timedelta

from gateway.collateral.chores import Chores
from gateway.collateral.dial import Dialler, Get
from gateway.collateral.engine import INTEL_PACE, Engine, Pace
from gateway.collateral.schedule import Rules
from gateway.collateral.settings import AMD_KDS, INTEL_CERTIFICATES, INTEL_PCS, Collateral
from gateway.collateral.source import Wanting, nothing_wanted
from gateway.collateral.vendors import Vendor
from gateway.collateral.vendors.amd import Kds
from gateway.collateral.vendors.intel import Pcs
from gateway.collateral.wants import Wants
from gateway.ports import Clock, CollateralStore, Ledger
from verifiers.model import AnchorSet

_AMD_BURST = 2


def vendors(settings: Collateral, *, development: bool) -> tuple[Vendor, ...]:
    """Those that are asked; () when nobody is. In development mode only those whose URL was set.

    Raises OSError when the subscription key cannot be read.
    """
    if settings.dials_nobody(development):
        return ()
    out: list[Vendor] = []
    if settings.amd or not development:
        out.append(Kds(base=settings.amd or AMD_KDS))
    if settings.pccs:
        out.append(Pcs(base=settings.pccs, certificates=settings.pccs, caching=True))
    elif settings.intel or not development:
        key = settings.subscription_key_file
        out.append(
            Pcs(
                base=settings.intel or INTEL_PCS,
                certificates=settings.intel_certificates or settings.intel or INTEL_CERTIFICATES,
                subscription_key=None if key is None else key.read_text("ascii").strip(),
            )
        )
    return tuple(out)


def wanting(settings: Collateral, chores: Chores, *, development: bool) -> Wanting:
    """What notes wants in a worker."""
    asked = vendors(settings, development=development)
    if not asked:
        return nothing_wanted
    interval = timedelta(hours=1) / settings.strangers_per_hour
    return Wants(chores=chores, vendors=asked, channel=settings.channel, interval=interval).note


def rules(settings: Collateral) -> Rules:
    return Rules(
        ages=settings.ages(),
        refresh=timedelta(hours=settings.refresh_hours),
        channels=settings.channels,
        keep=settings.kept(),
    )


def engine(
    settings: Collateral,
    *,
    store: CollateralStore,
    chores: Chores,
    ledger: Ledger,
    clock: Clock,
    anchors: AnchorSet,
    development: bool,
    owner: str,
    get: Get | None = None,
) -> Engine | None:
    """None when nobody is to be asked. owner: names this process in leases. get: instead of the network's."""
    asked = vendors(settings, development=development)
    if not asked:
        return None
    return Engine(
        store=store,
        chores=chores,
        ledger=ledger,
        clock=clock,
        anchors=anchors,
        vendors=asked,
        rules=rules(settings),
        paces={"amd": Pace(timedelta(seconds=settings.amd_seconds), _AMD_BURST), "intel": INTEL_PACE},
        get=Dialler(ca_file=settings.ca_file).get if get is None else get,
        owner=owner,
    )
