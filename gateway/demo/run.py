"""Plays every scenario against real gateway processes and says what came of it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters import OsRandom, SystemClock
from gateway.app import DATABASE
from gateway.demo import documents, recorded
from gateway.demo.process import Running, running
from gateway.demo.scenarios import DELIVERED, IN_PRODUCTION, SCENARIOS, Eavesdropper, Scenario, Stage
from gateway.ports import LedgerReceipt
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.store import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. expected and got are DELIVERED, "accepted", or a reason code."""

    title: str
    expected: str
    got: str
    milliseconds: float
    note: str = ""

    @property
    def as_expected(self) -> bool:
        return self.expected == self.got


@dataclass(slots=True, kw_only=True)
class Outcome:
    rows: list[Row]
    ledger_entries: int
    ledger_head: str
    replies_scanned: int
    leaked: bool

    @property
    def good(self) -> bool:
        return all(row.as_expected for row in self.rows) and self.ledger_entries > 0 and not self.leaked


def play(say: Callable[[str, str], None], show: Callable[[Row], None]) -> Outcome:
    """Run everything in a temporary folder. say(step, text): progress; show: a finished row."""
    with tempfile.TemporaryDirectory(prefix="sealgate-demo-") as name:
        folder = Path(name)
        rows: list[Row] = []

        def add(row: Row) -> None:
            rows.append(row)
            show(row)

        started = time.monotonic()
        with running(folder / "development", development=True) as gateway:
            stage = provide(gateway)
            took = time.monotonic() - started
            say("gateway", f"{gateway.url}  development mode, 1 release policy, 1 secret   {took:.1f} s")
            say("scenarios", "simulated hardware is marked SIM; only development mode believes its roots")
            for scenario in SCENARIOS:
                add(_play(scenario, stage))
            head = _head(gateway)
        with running(folder / "production", development=False) as gateway:
            # A production gateway asks for two approvals, and a demonstration has one person.
            gateway.admin.ask("PUT", "/v1/admin/approvals", b'{"approvals": 1}', "application/json")
            add(_play(IN_PRODUCTION, provide(gateway, collateral=False)))
        for row in _recorded():
            add(row)
        entries, digest = _check_ledger(folder / "development" / "state", head)
        say("ledger", f"{entries} entries, head {digest[:8]}…, tree whole, nothing before it has changed")
        heard = stage.client.heard
        leaked = any(stage.disk_key in raw for raw in heard)
        return Outcome(
            rows=rows,
            ledger_entries=entries,
            ledger_head=digest,
            replies_scanned=len(heard),
            leaked=leaked,
        )


def provide(gateway: Running, *, collateral: bool = True) -> Stage:
    """Collateral, reference values, a policy and one secret, through the administrator's interface. A gateway
    in production mode takes no collateral of simulated vendors."""
    now = SystemClock().now().replace(microsecond=0)
    admin = gateway.admin
    snp, tdx = SnpMachine(product="Genoa", at=now), TdxMachine(at=now)
    intel = tdx.endorsements()
    vendors = (snp.crl(), *intel.certificates, *intel.crls, *intel.tcb_infos, *intel.qe_identities)
    for raw in vendors if collateral else ():
        admin.ask("POST", "/v1/admin/collateral", raw, "application/octet-stream")
    for raw in (documents.references(), documents.policy()):
        admin.ask("POST", "/v1/admin/policies", raw, "application/yaml")
    disk_key = os.urandom(32)
    admin.ask("PUT", f"/v1/admin/secrets/{documents.RELEASED_PATH}", disk_key, "application/octet-stream")
    return Stage(
        gateway=gateway,
        client=Eavesdropper(url=gateway.url),
        jwks=gateway.anonymous.get("/.well-known/jwks.json"),
        disk_key=disk_key,
        at=now,
    )


def _play(scenario: Scenario, stage: Stage) -> Row:
    started = time.perf_counter()
    got = scenario.play(stage)
    took = (time.perf_counter() - started) * 1000
    return Row(title=scenario.title, expected=scenario.expected, got=got, milliseconds=took)


def _recorded() -> Iterator[Row]:
    for recording in recorded.recordings():
        started = time.perf_counter()
        found = recorded.judge(recording)
        took = (time.perf_counter() - started) * 1000
        genuine = found.verification.authentic
        yield Row(
            title=recording.title,
            expected=recording.reason or "accepted",
            got=(found.reason or str(found.verdict)) if genuine == recording.authentic else "not authentic",
            milliseconds=took,
            note="genuine" if genuine else "not genuine",
        )


def _head(gateway: Running) -> LedgerReceipt:
    """What somebody outside remembers of the ledger."""
    told = gateway.anonymous.get("/v1/ledger/checkpoint")
    return LedgerReceipt(int(told["index"]), str(told["head"]))


def _check_ledger(state: Path, seen: LedgerReceipt) -> tuple[int, str]:
    """Read every entry anew from the stopped gateway's database; hold it against the head seen before."""
    with open_store(
        state / "db" / DATABASE, create=None, expect=None, clock=SystemClock(), random=OsRandom()
    ) as store:
        head = store.ledger.verify(seen)
        return (0, "") if head is None else (head.index + 1, head.head)


__all__ = ["DELIVERED", "Outcome", "Row", "play"]
