"""A gateway's collateral engine in front of the vendor lab, with one clock for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.appraiser import Appraiser
from gateway.caches import LruChains
from gateway.collateral import assembly, refresher
from gateway.collateral.dial import Dialler
from gateway.collateral.engine import Engine
from gateway.collateral.settings import Collateral
from gateway.collateral.source import HeldSource
from gateway.collateral.status import View
from gateway.lab import Lab
from gateway.policybook import PolicyBook
from gateway.reading import Read
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.store import Store
from tests.stores import FakeClock, sqlite_store
from verifiers import registry
from verifiers.carriers import open_evidence
from verifiers.model import AnchorSet, Need, ReportData, Verification

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=FakeClock().at.tzinfo)
DATA = bytes(range(64))
SNP, TDX = SnpMachine(at=NOW), TdxMachine(at=NOW)
CHIP = registry.needs(open_evidence(SNP.report(DATA)).evidence)[0]
CRL = registry.needs(open_evidence(SNP.report(DATA)).evidence)[1]


@dataclass
class World:
    clock: FakeClock
    lab: Lab
    store: Store
    settings: Collateral
    engine: Engine

    def another(self, owner: str, store: Store | None = None, **changes: Any) -> Engine:
        return build(self.settings, store or self.store, self.clock, owner, **changes)

    def want(self, *needs: Need, client: str = "192.0.2.1") -> int | None:
        noting = assembly.wanting(self.settings, self.store.chores, development=True)
        return noting(needs, self.clock.now(), client)

    def fetch_all(self, engine: Engine | None = None, most: int = 40) -> int:
        """Tick until nothing more is fetched."""
        done = 0
        for _ in range(most):
            made = refresher.tick(engine or self.engine)
            done += made
            if not made:
                break
            self.clock.move(seconds=1)
        return done

    def verify(self, machine: Any, *, brought: bool = False) -> Verification:
        """As a worker does, for a guest that brings its VCEK or not."""
        source = HeldSource(self.store.collateral, ages=self.settings.ages(), channel=self.settings.channel)
        appraiser = Appraiser(
            source=source,
            book=PolicyBook(self.store.documents),
            anchors=AnchorSet.VENDOR_AND_SIMULATED,
            cache=LruChains(16),
        )
        if isinstance(machine, SnpMachine):
            raw = machine.extended_report(DATA) if brought else machine.report(DATA)
        else:
            raw = machine.quote(DATA)
        return appraiser.verify(
            Read(tenant="", message=b"", opened=open_evidence(raw)), ReportData(DATA), self.clock.now()
        )[0]

    def missing(self, machine: Any) -> tuple[Need, ...]:
        return self.verify(machine).missing

    def view(self) -> View:
        return View(
            store=self.store.collateral,
            chores=self.store.chores,
            rules=self.engine.rules,
            channel=self.settings.channel,
            offline=False,
        )

    def held(self, kind: str) -> list[Any]:
        return [each for each in self.store.collateral.held() if each.slot.kind == kind]


def build(
    settings: Collateral, store: Store, clock: FakeClock, owner: str, dialler: Dialler | None = None
) -> Engine:
    made = assembly.engine(
        settings,
        store=store.collateral,
        chores=store.chores,
        ledger=store.ledger,
        clock=clock,
        anchors=AnchorSet.VENDOR_AND_SIMULATED,
        development=True,
        owner=owner,
        get=(dialler or Dialler(connect_seconds=1, read_seconds=2, total_seconds=3)).get,
    )
    assert made is not None
    return made


@contextmanager
def world(folder: Path, **settings: Any) -> Iterator[World]:
    clock = FakeClock(NOW)
    with Lab(clock) as lab, sqlite_store(folder, clock=clock) as store:
        chosen = replace(
            Collateral(
                amd=lab.urls.kds,
                intel=lab.urls.pcs,
                intel_certificates=lab.urls.certificates,
                amd_seconds=0,
            ),
            **settings,
        )
        yield World(clock, lab, store, chosen, build(chosen, store, clock, "one"))


def tally(store: Store) -> Mapping[str, int]:
    return {f"{name} {label}": count for name, label, count in store.chores.tallies()}


DAY, HOUR = timedelta(days=1), timedelta(hours=1)
