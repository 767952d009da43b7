"""The lab as an object: four vendor hosts on loopback, their faults, and a journal of what was asked.

    with Lab(clock) as lab:
        lab.urls.kds                                    # http://127.0.0.1:40123
        rule = lab.set("amd.vcek", "throttled", retry_after=30, product="Genoa")
        lab.journal.count("amd.vcek")
        lab.unset(rule)

Nothing is served but simulated collateral: `gateway.simulator` mints all of it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

from gateway.lab import control, names, tls, transport
from gateway.lab.answer import Asked, Reply, Request
from gateway.lab.faults import FaultBook, FaultError, Rule, Stage
from gateway.lab.journal import Entry, Journal
from gateway.lab.kds import Kds
from gateway.lab.pcs import Pcs
from gateway.lab.press import Press
from gateway.lab.server import Handler, Server
from gateway.lab.transport import Sending, Throttle
from gateway.ports import Clock
from gateway.simulator import inteldocs
from gateway.simulator.intel import SgxMachine, TdxMachine

SUBSCRIPTION_KEY = "simulated0subscription0key000000"
"""What the lab takes in Ocp-Apim-Subscription-Key unless told otherwise: 32 characters, as Intel's have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Base URLs, without a slash at the end."""

    kds: str
    pcs: str
    certificates: str
    pccs: str
    control: str

    @property
    def root_crl(self) -> str:
        """Where Intel's certificate host serves the CRL of the root."""
        return f"{self.certificates}/IntelSGXRootCA.der"


class Lab:
    """Started by `start` or `with`, stopped cleanly by `stop`.

    clock: what the vendors go by. port: 0 for free ones; else control has it and the hosts the next four.
    https: the hosts speak TLS, with the certificate in `certificate_pem`; control never does. chips: hwIDs
    that KDS knows, None for all. subscription_key: None gives PCK certificates to anybody.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        https: bool = False,
        chips: Collection[bytes] | None = None,
        subscription_key: str | None = SUBSCRIPTION_KEY,
    ) -> None:
        self.clock, self.journal, self.book = clock, Journal(), FaultBook()
        self.press = Press(clock)
        self._kds = Kds(self.press, None if chips is None else frozenset(chips))
        self._pcs = Pcs(self.press, subscription_key)
        self._throttle = Throttle()
        self._changing = threading.RLock()
        context, self.certificate_pem = tls.context(clock.now()) if https else (None, b"")
        self._servers: dict[str, Server] = {}
        try:
            for offset, name in enumerate(("control", *names.HOSTS)):
                where = (address, port + offset if port else 0)
                answer = self._control if name == "control" else self._serve
                used = None if name == "control" else context
                self._servers[name] = Server(where, name, answer, clock, used)
        except BaseException:
            self.stop()
            raise

    @property
    def urls(self) -> Urls:
        return Urls(**{name: server.url for name, server in self._servers.items()})

    def start(self) -> Lab:
        for server in self._servers.values():
            server.up()
        return self

    def stop(self) -> None:
        """Every port is free when this returns; answers under way break off."""
        with self._changing:
            for server in self._servers.values():
                server.stop()

    def __enter__(self) -> Lab:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- faults ------------------------------------------------------------------------------------

    def set(self, endpoint: str, fault: str, /, **settings: object) -> Rule:
        """Put a fault in force: `faults.FAULTS`, `names.ENDPOINTS`. Raises FaultError."""
        with self._changing:
            rule = self.book.add(endpoint, fault, settings)
            self._changed(rule)
            return rule

    def unset(self, rule: Rule | int) -> bool:
        """Take one back; False when it was not in force (any more)."""
        with self._changing:
            found = self.book.remove(rule if isinstance(rule, int) else rule.id)
            self._changed()
            return found

    def clear(self) -> None:
        """Take every fault back."""
        with self._changing:
            self.book.clear()
            self._changed()

    def _changed(self, rule: Rule | None = None) -> None:
        if rule is None or rule.kind.stage is Stage.DOCUMENT:
            self.press.new_edition()
        refused = self.book.refused_hosts()
        for name in names.HOSTS:
            server = self._servers[name]
            if name in refused:
                server.down()
            else:
                server.up()

    # --- what the vendors do -----------------------------------------------------------------------

    def reissue(self) -> None:
        """New editions of everything: later dates, higher CRL numbers."""
        self.press.new_edition()

    def channels(self, *, standard: int | None = None, early: int | None = None) -> None:
        """Which evaluation number each update channel serves; standard = early is a TCB promotion."""
        for number in (standard, early):
            if number is not None and number not in inteldocs.EVALUATIONS:
                known = ", ".join(map(str, inteldocs.EVALUATIONS))
                raise FaultError(f"evaluation number: expected {known}, found {number}")
        with self._changing:
            self.press.standard = self.press.standard if standard is None else standard
            self.press.early = self.press.early if early is None else early
            if self.press.standard > self.press.early:
                self.press.early = self.press.standard
            self.press.new_edition()

    def promote(self) -> None:
        """A TCB recovery's grace is over: the standard channel serves what the early one did."""
        self.channels(standard=self.press.early)

    def lifetime(self, endpoint: str, validity: timedelta) -> None:
        """How long documents of an endpoint are valid from their issue; "*": of every one."""
        if endpoint not in (*names.ENDPOINTS, "*") or validity < timedelta(seconds=1):
            raise FaultError(f"lifetime: expected an endpoint or * and a second or more, found {endpoint!r}")
        for each in names.ENDPOINTS if endpoint == "*" else (endpoint,):
            self.press.lifetimes[each] = validity
        self.press.new_edition()

    def know(self, machine: TdxMachine | SgxMachine) -> None:
        """An Intel platform with another FMSPC or CA than the simulator's usual one."""
        self._pcs.know(machine)
        self.press.new_edition()

    def sold(self, chips: Collection[bytes] | None) -> None:
        """Which hwIDs KDS knows from now on; None: all."""
        self._kds.chips = None if chips is None else frozenset(chips)

    def state(self) -> Mapping[str, object]:
        """What is in force, for people and the control route."""
        return {
            "simulated": True,
            "urls": dataclasses.asdict(self.urls),
            "up": {name: self._servers[name].is_up for name in names.HOSTS},
            "channels": {"standard": self.press.standard, "early": self.press.early},
            "served": list(self.press.served),
            "faults": [rule.to_json() for rule in self.book.rules()],
            "requests": self.journal.count(),
        }

    # --- requests ----------------------------------------------------------------------------------

    def _serve(self, handler: Handler, _: bytes) -> Sending:
        """One vendor request: understood, noted, answered as the rules in force say."""
        host = handler.server.name
        entry = Entry(
            at=self.clock.now(),
            host=host,
            method=handler.command,
            target=handler.path,
            endpoint="",
            key={"host": host},
        )
        found = self._route(handler, host)
        if isinstance(found, Asked):
            entry.endpoint, entry.key = found.endpoint, found.key
        self.journal.add(entry)
        if isinstance(found, Reply):
            entry.status = found.status
            return transport.plain(found)
        rules = self.book.take(found.endpoint, found.key)
        entry.faults = tuple(rule.fault for rule in rules)
        sending = transport.plain(found.answer(transport.settings(rules)))
        away = self.urls.certificates if host != names.CERTIFICATES else self.urls.pcs
        sending = transport.spoil(
            sending, rules, self._throttle, self.clock.now(), f"{away}/elsewhere{handler.path}"
        )
        entry.status = 0 if sending.hang_up else sending.status
        return sending

    def _route(self, handler: Handler, host: str) -> Asked | Reply:
        if handler.command != "GET":
            return Reply(status=405, headers=(("Allow", "GET"),))
        try:
            request = Request.read(host, handler.path, handler.headers.items())
        except ValueError:
            return Reply(status=400)
        return self._kds.route(request) if host == names.KDS else self._pcs.route(request)

    def _control(self, handler: Handler, body: bytes) -> Sending:
        return transport.plain(control.answer(self, handler, body))
