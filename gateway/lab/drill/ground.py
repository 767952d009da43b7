"""Where a drill happens: a lab, a gateway in front of it, and two simulated guests that ask for a secret.

The gateway is the real one (configuration, store, pipeline, refresher's engine, routes), in this process, in
development mode, in a folder that is thrown away. Its clock and the vendors' are one that the drill moves, so
that a month of outage takes a second. Times that people would wait for are moved over, never shortened.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from werkzeug.test import Client as Browser

from gateway import administration, app, secrets
from gateway.client import Client, ClientError, Refused
from gateway.collateral import assembly, refresher
from gateway.collateral.dial import Dialler
from gateway.collateral.engine import Engine
from gateway.collateral.settings import Collateral
from gateway.config import Config
from gateway.demo import documents
from gateway.guest import EvidenceSource, Guest
from gateway.http.app import Application
from gateway.lab import Lab
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import Machine, SimulatedGuest
from gateway.simulator.intel import TdxMachine
from gateway.simulator.intelmachine import FMSPC
from gateway.store import Store
from verifiers.model import AnchorSet

SECRET_PATH = documents.RELEASED_PATH
RELEASED = "released"
_KEEP = ("amd:Genoa", "intel:tdx", f"intel:tdx:{FMSPC.hex().upper()}")
_PATIENCE = 40
"""Looks at the schedule before a drill goes on; each may cost a pause that a vendor asked for."""
_PAUSE = timedelta(seconds=15)
_DIAL_SECONDS = 0.4
"""How long a vendor may take in a drill: long on loopback, short enough to wait for many times."""


@dataclass(slots=True)
class MovedClock:
    """`Clock` that stands still until it is moved."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True, kw_only=True, repr=False)
class InProcess(Client):
    """A client whose requests go straight into the application: whole requests and replies, no socket."""

    application: Callable[..., Any]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        media_type: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        reply = Browser(self.application).open(
            path,
            method=method,
            data=body,
            content_type=media_type,
            query_string=dict(query or {}),
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
        )
        return self._read(reply.status_code, reply.get_data())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A gateway that holds nothing yet, and vendors that are well. secret: what guests should get."""

    clock: MovedClock
    lab: Lab
    store: Store
    engine: Engine
    client: Client
    issuer: str
    secret: bytes
    born: datetime
    jwks: Mapping[str, Any]

    # --- time --------------------------------------------------------------------------------------

    def pass_time(self, by: timedelta) -> None:
        """Move on, then let the refresher do what has become due."""
        self.clock.at += by
        self.refresh()

    def refresh(self) -> None:
        """Look at the schedule until nothing is due, pausing as vendors ask for, with bounded patience."""
        for _ in range(_PATIENCE):
            if refresher.tick(self.engine):
                continue
            if not self.engine.actions():
                return
            self.clock.at += _PAUSE

    # --- what users see ----------------------------------------------------------------------------

    def ask(self, machine: Machine, *, bare: bool = False) -> str:
        """A guest asks for the secret: RELEASED, or the reason it is told. bare: SNP evidence without its
        certificates, so that the gateway must have the VCEK."""
        return ask(
            self.client, self.issuer, self.jwks, self.secret, lambda data: bare_or_whole(machine, data, bare)
        )

    def snp(self, **settings: Any) -> SnpMachine:
        return SnpMachine(product="Genoa", at=self.born, **settings)

    def tdx(self, **settings: Any) -> TdxMachine:
        return TdxMachine(at=self.born, **settings)

    def both(self) -> str:
        """What an SNP and a TDX guest are told: one word when it is the same."""
        amd, intel = self.ask(self.snp()), self.ask(self.tdx())
        return amd if amd == intel else f"snp {amd}, tdx {intel}"

    def reported(self) -> Mapping[str, int]:
        """What the gateway has refused to take from vendors so far, by what was wrong with it."""
        return {
            label: count
            for name, label, count in self.store.chores.tallies()
            if name == "sealgate_collateral_refusals"
        }


@contextmanager
def prepared(start: datetime, *, settings: Mapping[str, Any] | None = None) -> Iterator[Ground]:
    """A ground at `start`, with a policy and a secret; gone afterwards. settings: of [collateral]."""
    clock = MovedClock(start)
    with tempfile.TemporaryDirectory(prefix="sealgate-drill-") as folder, Lab(clock) as lab:
        config = Config(
            data=Path(folder),
            development=True,
            collateral=Collateral(
                amd=lab.urls.kds,
                intel=lab.urls.pcs,
                intel_certificates=lab.urls.certificates,
                **{"keep": _KEEP, **(settings or {})},
            ),
        )
        first = app.prepare(config, clock=clock)
        site, store = app.compose(config, clock)
        try:
            for raw in (documents.references(), documents.policy()):
                administration.apply(site.office, "default", raw, "drill", by="drill", baselines=False)
            secret = os.urandom(32)
            secrets.put(site.vault, "default", SECRET_PATH, secret, by="drill")
            client = InProcess(url=config.url, application=Application(site))
            yield Ground(
                clock=clock,
                lab=lab,
                store=store,
                engine=_engine(config, store, clock),
                client=client,
                issuer=site.gateway.issuer,
                secret=secret,
                born=start,
                jwks=client.get("/.well-known/jwks.json"),
            )
        finally:
            store.close()
            first.store.close()


def _engine(config: Config, store: Store, clock: MovedClock) -> Engine:
    dialler = Dialler(
        connect_seconds=_DIAL_SECONDS, read_seconds=_DIAL_SECONDS, total_seconds=2 * _DIAL_SECONDS
    )
    made = assembly.engine(
        config.collateral,
        store=store.collateral,
        chores=store.chores,
        ledger=store.ledger,
        clock=clock,
        anchors=AnchorSet.VENDOR_AND_SIMULATED,
        development=True,
        owner="drill",
        get=dialler.get,
    )
    if made is None:
        raise AssertionError("URLs are set, so somebody is asked")
    return made


def ask(client: Client, issuer: str, jwks: Mapping[str, Any], secret: bytes, evidence: EvidenceSource) -> str:
    """A guest asks for the secret: RELEASED, or the reason that it is told."""
    guest = Guest(
        client=client, audience=issuer, issuer=issuer, tenant="default", jwks=jwks, evidence=evidence
    )
    try:
        got = guest.get([SECRET_PATH])[SECRET_PATH]
    except Refused as error:
        return error.reason
    except ClientError as error:
        return str(error)
    return RELEASED if got.secret == secret else "another secret"


def bare_or_whole(machine: Machine, data: bytes, bare: bool) -> dict[str, object]:
    """Evidence; bare: without the certificates that SNP guests bring along."""
    whole = SimulatedGuest(machine).evidence(data)
    return {name: value for name, value in whole.items() if not (bare and name == "certificates")}
