"""One fetch, from a due action to a slot that is filled or a task that is put off.

    lease → is it still due? → the host's turn → one GET → vetting → the same rules as an import → slot

What must stay true: one vendor call for one need, however many processes want it (the lease, and a second
look under it); a failure leaves whatever is held as it is; nothing that a vendor answers is believed before
it was vetted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from gateway.collateral import importing, issuers, slots
from gateway.collateral.chores import ABSENT, NEVER, Chores, Host, Task
from gateway.collateral.dial import Get, Outcome, Reply, Request
from gateway.collateral.schedule import Action, Rules, due, is_strangers, jitter
from gateway.collateral.vendors import Vendor
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Clock, CollateralStore, HeldCollateral, Ledger, Placed
from verifiers.errors import AttestationError
from verifiers.model import AnchorSet

log = logging.getLogger("sealgate.collateral")

FETCHED, PUT_OFF, REFUSED = "sealgate_collateral_fetches", "put-off", "sealgate_collateral_refusals"
NOT_GENUINE, ROLLED_BACK, TOO_OLD = "not-genuine", "rolled-back", "too-old"
_BROKEN = frozenset({Outcome.UNAVAILABLE})
_AHEAD = timedelta(days=40)
_EXPIRING = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """A host's token bucket."""

    interval: timedelta
    burst: int


INTEL_PACE = Pace(timedelta(seconds=1), 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """owner: of leases; different in every process. paces: by vendor name. noted: what was already reported
    as refused, so that a vendor that keeps answering the same does not fill the ledger."""

    store: CollateralStore
    chores: Chores
    ledger: Ledger
    clock: Clock
    anchors: AnchorSet
    vendors: Sequence[Vendor]
    rules: Rules
    paces: dict[str, Pace]
    get: Get
    owner: str
    noted: set[tuple[str, str]] = field(default_factory=set)

    def actions(self, vendor: str | None = None) -> tuple[Action, ...]:
        """What is due now and has somebody to ask, of one vendor or of all."""
        now = self.clock.now()
        out = []
        for action in due(self._held(now), self.chores.tasks(), now, self.rules):
            asked, _ = self._requests(action)
            if asked is not None and vendor in (None, asked.name):
                out.append(action)
        return tuple(out)

    def hosts_in_the_way(self, actions: Sequence[Action]) -> frozenset[str]:
        """Hosts of these actions whose turn it is not: one read, so that a long list waits without a
        write."""
        now, out = self.clock.now(), set()
        known = {host.name: host for host in self.chores.hosts()}
        for action in actions:
            name = self.host(action)
            pace = self.paces[action.name.kind.split(".")[0]]
            if name in known and known[name].wait(now, pace.interval, pace.burst):
                out.add(name)
        return frozenset(out)

    def host(self, action: Action) -> str:
        """Which host would be asked first."""
        _, requests = self._requests(action)
        return host_of(requests[0]) if requests else ""

    def run(self, action: Action) -> str:
        """Do one action; what became of it, in a word: an outcome, or "put-off" when it is another's turn."""
        now = self.clock.now()
        task = self.chores.change_task(action.name, lambda t: self._take(t, action, now))
        if task is None or task.lease != self.owner or not self._still_due(action, task, now):
            self._give_back(action, task)
            return PUT_OFF
        try:
            return self._fetch(action, task)
        except BaseException:
            self._give_back(action, task)
            raise

    # --- one fetch ---

    def _fetch(self, action: Action, task: Task) -> str:
        vendor, requests = self._requests(action)
        if vendor is None:
            self._give_back(action, task)
            return PUT_OFF
        reply, request, asked = Reply(outcome=Outcome.NOT_FOUND), None, 0
        for asked, request in tuple(enumerate(requests))[task.asked :]:
            wait = self._turn(request, vendor)
            if wait:
                self._put_off(action, wait, asked)
                return PUT_OFF
            reply = self._dial(request)
            if reply.outcome not in (Outcome.NOT_FOUND, Outcome.GONE):
                break
        outcome, detail = str(reply.outcome), reply.detail
        if reply.outcome is Outcome.OK and request is not None:
            outcome, detail = self._accept(vendor, action, reply, urlsplit(request.url).path)
        self._count(vendor.name, outcome)
        if outcome == Outcome.OK:
            self.chores.change_task(action.name, lambda _: None)
        else:
            log.warning("collateral %s %s: %s: %s", action.name.kind, action.name.key, outcome, detail)
            again = 0 if reply.outcome in (Outcome.NOT_FOUND, Outcome.GONE) else asked
            self._fail(action, outcome, timedelta(seconds=reply.retry_after or 0), again)
        return outcome

    def _accept(self, vendor: Vendor, action: Action, reply: Reply, where: str) -> tuple[str, str]:
        """Vet and put what came. (outcome, detail)"""
        now = self.clock.now()
        try:
            pool = issuers.pool(self.store, self.anchors)
            objects = vendor.read(action.need, reply, where, pool, self.anchors)
            for each in objects:
                importing.require_current(each, self.rules.ages, now)
            placed = self.store.put(
                objects, channel=action.name.channel, source=slots.VENDOR, at=now, answers=action.need
            )
        except AttestationError as error:
            self._refused(NOT_GENUINE, error.where, error.reason, str(error), reply.body)
            return NOT_GENUINE, str(error)
        except GatewayError as error:
            names = {
                GatewayReason.COLLATERAL_ROLLBACK: ROLLED_BACK,
                GatewayReason.COLLATERAL_TOO_OLD: TOO_OLD,
            }
            if error.reason not in names:
                raise
            self._refused(names[error.reason], error.where, error.reason, str(error), reply.body)
            return names[error.reason], str(error)
        self._tell(placed, where)
        return str(Outcome.OK), ""

    def _tell(self, placed: Sequence[Placed], where: str) -> None:
        """Changes of what many verdicts rest on are in the ledger; certificates of single machines are
        not."""
        for each in placed:
            if each.change and each.slot.kind in slots.RATCHETED:
                body = {"kind": each.slot.kind, "key": str(each.slot), "sha256": each.sha256}
                self.ledger.append("", "collateral.fetch", {**body, "from": where[:200]})

    def _refused(self, what: str, where: str, reason: str, text: str, body: bytes) -> None:
        self.chores.count(REFUSED, what)
        if (where, reason) in self.noted:
            return
        if len(self.noted) >= 1024:
            self.noted.clear()
        self.noted.add((where, reason))
        entry = {"what": what, "where": where[:200], "reason": str(reason), "detail": text[:500]}
        self.ledger.append("", "collateral.refused", entry)

    # --- politeness ---

    def _turn(self, request: Request, vendor: Vendor) -> timedelta:
        """Take a token of the host; how long to wait when there is none, or its circuit is open."""
        now, pace = self.clock.now(), self.paces[vendor.name]
        waits: list[timedelta] = []

        def take(host: Host) -> Host:
            waits.append(host.wait(now, pace.interval, pace.burst))
            return host if waits[-1] else host.spend(now, pace.interval)

        self.chores.change_host(host_of(request), take)
        return waits[-1]

    def _dial(self, request: Request) -> Reply:
        reply = self.get(request)
        now, name = self.clock.now(), host_of(request)
        outcome = str(reply.outcome)

        def learn(host: Host) -> Host:
            if reply.outcome is Outcome.THROTTLED:
                pause = timedelta(seconds=reply.retry_after or 0)
                return host.answered(outcome, now).throttled(outcome, now, pause)
            if reply.outcome in _BROKEN:
                return host.broke(outcome, now, _spread(self.owner, name))
            return host.answered(outcome, now)

        self.chores.change_host(name, learn)
        return reply

    # --- tasks ---

    def _take(self, task: Task | None, action: Action, now: datetime) -> Task | None:
        if task is None and action.wanted:
            return None  # somebody else has fetched it meanwhile
        return (task or Task(name=action.name, need=action.need)).take(self.owner, now)

    def _still_due(self, action: Action, task: Task, now: datetime) -> bool:
        """The second look, with the lease in hand: what was read before may have been done since."""
        if now < task.retry_at:
            return False
        others = [t for t in self.chores.tasks() if t.name != action.name]
        return any(
            a.name == action.name for a in due(self._held(now), [*others, _free(task)], now, self.rules)
        )

    def _give_back(self, action: Action, task: Task | None) -> None:
        """Drop the lease; a task that only was the lease goes with it."""

        def back(found: Task | None) -> Task | None:
            if found is None or found.lease != self.owner:
                return found
            return _free(found) if found.wanted is not None or found.failures else None

        if task is not None and task.lease == self.owner:
            self.chores.change_task(action.name, back)

    def _put_off(self, action: Action, wait: timedelta, asked: int) -> None:
        """Until it is its turn, and then from where it was: else a need that asks at two places would begin
        at the first one for ever, and use up everybody's turns."""
        now = self.clock.now()

        def later(found: Task | None) -> Task | None:
            if found is None or found.lease != self.owner:
                return found
            return replace(_free(found, retry_at=now + wait), asked=asked)

        self.chores.change_task(action.name, later)

    def _fail(self, action: Action, outcome: str, wait: timedelta, asked: int) -> None:
        now = self.clock.now()

        def failed(found: Task | None) -> Task | None:
            if found is None:
                return None
            after = replace(found.failed(outcome, now, wait, jitter(action.name)), asked=asked)
            twice = outcome in ABSENT and found.outcome in ABSENT
            return after.given_up(now) if twice and is_strangers(found) else after

        self.chores.change_task(action.name, failed)

    def _requests(self, action: Action) -> tuple[Vendor | None, tuple[Request, ...]]:
        for vendor in self.vendors:
            found = vendor.requests(action.need, action.name.channel)
            if found:
                return vendor, found
        return None, ()

    def _held(self, now: datetime) -> Sequence[HeldCollateral]:
        return (*self.store.shared(), *self.store.expiring(now, now + _AHEAD, _EXPIRING))

    def _count(self, vendor: str, outcome: str) -> None:
        self.chores.count(FETCHED, f"{vendor} {outcome}")


def host_of(request: Request) -> str:
    """The name of a vendor's host as its circuit and bucket know it."""
    return urlsplit(request.url).netloc


def _free(task: Task, retry_at: datetime | None = None) -> Task:
    return replace(
        task, lease="", lease_until=NEVER, retry_at=task.retry_at if retry_at is None else retry_at
    )


def _spread(owner: str, name: str) -> float:
    """0 to 1, different for every process: those whose circuits opened together do not try together."""
    return (hash((owner, name)) % 1000) / 1000
