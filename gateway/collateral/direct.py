"""Collateral straight from the vendors, for a command that has no gateway: the same vendors, dialler and
vetting as the engine's, and its manners, kept in memory for as long as the command runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from gateway.collateral import assembly, issuers, slots
from gateway.collateral.chores import Host
from gateway.collateral.dial import Dialler, Get, Outcome, Reply, Request
from gateway.collateral.engine import Pace, host_of
from gateway.collateral.settings import Collateral as Settings
from gateway.collateral.vendors import Vendor
from gateway.ports import Clock
from verifiers.collateral import Collateral
from verifiers.errors import AttestationError
from verifiers.model import AnchorSet, Need
from verifiers.vetting import Vetted

LONGEST_WAIT = timedelta(seconds=60)
"""Nobody sits before a terminal for longer than that because a vendor asked for a pause."""
NOBODY, NOT_GENUINE = "nobody-serves-it", "not-genuine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of one need. outcome: "ok" with objects, issuers first, or why there are none."""

    need: Need
    outcome: str
    host: str = ""
    detail: str = ""
    objects: tuple[Vetted, ...] = ()


@dataclass(slots=True, kw_only=True)
class Direct:
    """sleep: waits so many seconds; a vendor's pace is kept by it. certificates: of issuers, for chains."""

    vendors: Sequence[Vendor]
    paces: Mapping[str, Pace]
    channel: str
    anchors: AnchorSet
    get: Get
    clock: Clock
    sleep: Callable[[float], None]
    certificates: tuple[bytes, ...] = ()
    hosts: dict[str, Host] = field(default_factory=dict)

    def fetch(self, need: Need) -> Fetched:
        """Ask for one need, once; raises nothing for what a vendor does."""
        vendor, requests = self._requests(need)
        if vendor is None:
            return Fetched(need=need, outcome=NOBODY, detail="no configured vendor serves it")
        reply, request = Reply(outcome=Outcome.NOT_FOUND), requests[0]
        for request in requests:
            wait = self._turn(request, self.paces[vendor.name])
            if wait is not None:
                host = self.hosts[host_of(request)]
                detail = f"not to be asked for another {wait.total_seconds():.0f} s"
                return Fetched(need=need, outcome=host.outcome or "throttled", host=host.name, detail=detail)
            reply = self._dial(request)
            if reply.outcome not in (Outcome.NOT_FOUND, Outcome.GONE):
                break
        host_name = host_of(request)
        if reply.outcome is not Outcome.OK:
            detail = reply.detail
            if reply.retry_after is not None:
                detail += f": again in {reply.retry_after} s"
            return Fetched(need=need, outcome=str(reply.outcome), host=host_name, detail=detail)
        where = urlsplit(request.url).path
        try:
            pool = (*self.certificates, *issuers.known(self.anchors))
            objects = vendor.read(need, reply, where, pool, self.anchors)
        except AttestationError as error:
            return Fetched(need=need, outcome=NOT_GENUINE, host=host_name, detail=str(error))
        return Fetched(need=need, outcome=str(Outcome.OK), host=host_name, objects=objects)

    def _requests(self, need: Need) -> tuple[Vendor | None, tuple[Request, ...]]:
        for vendor in self.vendors:
            found = vendor.requests(need, self.channel)
            if found:
                return vendor, found
        return None, ()

    def _turn(self, request: Request, pace: Pace) -> timedelta | None:
        """Wait for the host's turn; how long it would be when that is too long."""
        name = host_of(request)
        host = self.hosts.setdefault(name, Host(name=name))
        wait = host.wait(self.clock.now(), pace.interval, pace.burst)
        if wait > LONGEST_WAIT:
            return wait
        if wait:
            self.sleep(wait.total_seconds())
        self.hosts[name] = host.spend(self.clock.now(), pace.interval)
        return None

    def _dial(self, request: Request) -> Reply:
        reply = self.get(request)
        now, name, outcome = self.clock.now(), host_of(request), str(reply.outcome)
        host = self.hosts[name]
        if reply.outcome is Outcome.THROTTLED:
            pause = timedelta(seconds=reply.retry_after or 0)
            self.hosts[name] = host.answered(outcome, now).throttled(outcome, now, pause)
        elif reply.outcome is Outcome.UNAVAILABLE:
            self.hosts[name] = host.broke(outcome, now, 0)
        else:
            self.hosts[name] = host.answered(outcome, now)
        return reply


def direct(
    settings: Settings,
    *,
    development: bool,
    clock: Clock,
    sleep: Callable[[float], None],
    get: Get | None = None,
) -> Direct | None:
    """From settings; None when they let nobody be asked. Raises OSError for an unreadable key file."""
    vendors = assembly.vendors(settings, development=development)
    if not vendors:
        return None
    return Direct(
        vendors=vendors,
        paces=assembly.paces(settings),
        channel=settings.channel,
        anchors=AnchorSet.VENDOR_AND_SIMULATED if development else AnchorSet.VENDOR,
        get=Dialler(ca_file=settings.ca_file).get if get is None else get,
        clock=clock,
        sleep=sleep,
    )


def pieces(objects: Iterable[Vetted]) -> Collateral:
    """What was fetched, sorted as the verifier takes it; each once."""
    found: dict[str, dict[bytes, None]] = {form: {} for form in slots.FORMS.values()}
    for each in objects:
        found[slots.FORMS[each.kind]][each.raw] = None
    return Collateral(
        certificates=tuple(found[slots.CERTIFICATE]),
        crls=tuple(found[slots.CRL]),
        tcb_infos=tuple(found[slots.TCB_INFO]),
        qe_identities=tuple(found[slots.QE_IDENTITY]),
    )
