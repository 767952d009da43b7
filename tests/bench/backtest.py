"""Stored appraisals judged again, under two policies each: what `sealgate policy backtest` does."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from gateway import administration, app, past, secrets
from gateway.adapters import SystemClock
from gateway.collateral import importing
from gateway.config import Config
from gateway.guest import Guest
from gateway.http.app import Application
from gateway.lab.drill.ground import InProcess
from gateway.simulator.guest import SimulatedGuest
from policies import backtest
from policies.analysis.encode import Side
from policies.backtest import Tally
from tests.e2e.support import PATH, SECRET, SNP, TDX, documents, snp_collateral, tdx_collateral


def per_second(attempts: int) -> float:
    """Attempts a second on one core: record read, claims restored, judged as before and as after. By CPU
    time, so that what else the machine does counts less."""
    records, side = _recorded()
    tally = Tally()
    rows = (found for n in range(attempts) if (found := past.of(records[n % len(records)])) is not None)
    started = time.thread_time()
    for _ in backtest.run(rows, side, side, tally):
        pass
    took = time.thread_time() - started
    if tally.total != attempts:
        raise AssertionError(f"{tally.total} of {attempts} records could be read back")
    return attempts / took


def _recorded() -> tuple[list[bytes], Side]:
    """The records of one SNP and one TDX guest that got a secret, and the policy that gave it."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = app.prepare(Config(data=Path(folder), development=True))
        site, store = app.compose(Config(data=Path(folder), development=True))
        try:
            for raw in (*snp_collateral(), *tdx_collateral()):
                importing.import_file(site.desk.importer, raw, "bench", by="bench", now=SystemClock().now())
            administration.apply(site.office, "default", documents(), "bench", by="bench", baselines=False)
            secrets.put(site.vault, "default", PATH, SECRET, by="bench")
            client = InProcess(url="http://bench.invalid", application=Application(site))
            issuer, jwks = site.gateway.issuer, client.get("/.well-known/jwks.json")
            for machine in (SNP, TDX):
                evidence = SimulatedGuest(machine).evidence
                Guest(
                    client=client,
                    audience=issuer,
                    issuer=issuer,
                    tenant="default",
                    jwks=jwks,
                    evidence=evidence,
                ).get([PATH])
            compiled = site.gateway.appraiser.book.of("default")
            side = Side(policy=compiled.releases["payments-db"], sets=compiled.references)
            return [row.record for row in store.appraisals.recent("default", 10)], side
        finally:
            store.close()
            prepared.store.close()
