"""A drill against a gateway that runs somewhere: the real clock, so nothing expires; what it holds stays.

What this shows is that nobody notices the vendors' trouble: guests get their secret whatever is wrong, and
the only one who has to wait is a machine that was never seen. The long story is told on the drill's own
ground.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.client import Client
from gateway.demo import documents
from gateway.lab import Lab
from gateway.lab.drill.ground import RELEASED, ask, bare_or_whole
from gateway.lab.drill.lines import CLOSED, KEPT, LINES, RECOVERED, Line, for_want_of_collateral
from gateway.lab.drill.run import Row
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import Machine
from gateway.simulator.intel import TdxMachine

_WARM_SECONDS, _MENDED_SECONDS = 90.0, 180.0
_TRIES = 3


class NotReady(Exception):
    """The gateway cannot be drilled; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A running gateway whose vendors are `lab`. client: with an administrator's credential."""

    client: Client
    lab: Lab
    issuer: str
    secret: bytes
    jwks: dict[str, Any]
    now: datetime

    def ask(self, machine: Machine, *, bare: bool = False) -> str:
        anonymous = Client(url=self.client.url, ca=self.client.ca)
        return ask(anonymous, self.issuer, self.jwks, self.secret, lambda d: bare_or_whole(machine, d, bare))

    def both(self) -> str:
        amd = self.ask(SnpMachine(product="Genoa", at=self.now))
        intel = self.ask(TdxMachine(at=self.now))
        return amd if amd == intel else f"snp {amd}, tdx {intel}"


def prepare(client: Client, lab: Lab) -> Live:
    """Give the gateway a policy and a secret, and wait until it has fetched what it needs from the lab.

    Raises NotReady; ClientError when the gateway cannot be asked.
    """
    mode = client.get("/readyz").get("mode")
    if mode != "development":
        raise NotReady(f"expected a gateway in development mode, found {mode} mode")
    for raw in (documents.references(), documents.policy()):
        client.ask("POST", "/v1/admin/policies", raw, "application/yaml")
    secret = os.urandom(32)
    path = f"/v1/admin/secrets/{documents.RELEASED_PATH}"
    client.ask("PUT", path, secret, "application/octet-stream")
    live = Live(
        client=client,
        lab=lab,
        issuer=str(client.get("/.well-known/openid-configuration")["issuer"]),
        secret=secret,
        jwks=client.get("/.well-known/jwks.json"),
        now=lab.clock.now().replace(microsecond=0),
    )
    told = _until(live.both, _WARM_SECONDS)
    if told != RELEASED:
        asked = lab.journal.count()
        hint = "is its [collateral] the lab's?" if not asked else f"it asked the lab {asked} times"
        raise NotReady(f"guests are still told {told} after {_WARM_SECONDS:.0f} s: {hint}")
    return live


def play(live: Live, show: Callable[[Row], None]) -> list[Row]:
    """Every outage for a few requests each, then a new machine."""
    rows: list[Row] = []
    for line in LINES:
        if line.fault is not None:
            rows.append(_outage(live, line))
            show(rows[-1])
    rows.append(_new_machine(live))
    show(rows[-1])
    return rows


def _outage(live: Live, line: Line) -> Row:
    assert line.fault is not None
    started, before = time.monotonic(), live.lab.journal.count()
    pattern, fault, settings = line.fault
    rule = live.lab.set(pattern, fault, **settings)
    told = [live.both() for _ in range(_TRIES)]
    live.lab.unset(rule)
    got = next((each for each in told if each != RELEASED), KEPT)
    short = Line(name=line.name, title=line.title, expected=(KEPT,), play=line.play)
    return _row(live, short, (got,), started, before)


def _new_machine(live: Live) -> Row:
    started, before = time.monotonic(), live.lab.journal.count()
    rule = live.lab.set("amd.vcek", "throttled", retry_after=30)
    machine = SnpMachine(product="Genoa", at=live.now, seed=f"new {os.urandom(8).hex()}")
    told, others = live.ask(machine, bare=True), live.both()
    live.lab.unset(rule)
    after = _until(lambda: live.ask(machine, bare=True), _MENDED_SECONDS)
    got = (
        f"new {CLOSED if for_want_of_collateral(told) else told}",
        f"others {KEPT if others == RELEASED else others}",
        f"new {RECOVERED if after == RELEASED else after}",
    )
    wanted = next(line for line in LINES if line.name == "new-throttled")
    return _row(live, wanted, got, started, before)


def _row(live: Live, line: Line, got: tuple[str, ...], started: float, before: int) -> Row:
    calls = live.lab.journal.count() - before
    return Row(line=line, got=got, calls=calls, seconds=time.monotonic() - started)


def _until(told: Callable[[], str], seconds: float) -> str:
    """Ask again until RELEASED or the time is over; what was told last."""
    until = time.monotonic() + seconds
    while (last := told()) != RELEASED and time.monotonic() < until:
        time.sleep(1)
    return last
