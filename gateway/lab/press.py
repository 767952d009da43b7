"""Prints the vendors' documents for the lab, good or spoiled. Everything is minted by `gateway.simulator`.

A vendor publishes an edition and serves the same bytes until the next one; so does this. A new edition comes
when a quarter of a document's lifetime is over (a day at most), and whenever what is to be printed changes:
then dates and CRL numbers move forward, as they do in reality, so that whoever remembers the last edition
is not told of a rollback that nobody meant.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from gateway.lab import names
from gateway.ports import Clock
from gateway.simulator import amdcerts, impostor, intelcerts, inteldocs, keys
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from verifiers.model import TcbVersion

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST_NUMBER = datetime(2026, 1, 1, tzinfo=UTC)
"""AMD's CRL numbers are seconds since then: they grow across restarts of the lab too."""
INTEL_NUMBER = 1
"""CRL number of every CRL that Intel has published: only their dates tell them apart."""
MAX_KEPT = 4096
Issuer = TypeVar("Issuer")
Settings = Mapping[str, object]
Spoil = Mapping[str, Settings]
"""Document fault to its parameters, as `faults.FAULTS` names them."""


@dataclass(frozen=True, slots=True)
class Printed:
    """body: DER or JSON. chain: the issuer chain that PCS sends along, DER; () from KDS."""

    body: bytes
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """issued <= now < until, unless a fault says otherwise."""

    issued: datetime
    until: datetime


class Press:
    """Documents by name. Safe from several threads.

    standard, early: evaluation number of the two update channels. served: numbers that may be pinned;
    lower ones are gone (410), higher ones unknown (404). lifetimes: endpoint to validity.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.standard, self.early = inteldocs.EVALUATION, max(inteldocs.EVALUATIONS)
        self.served = tuple(n for n in inteldocs.EVALUATIONS if n >= inteldocs.EVALUATION - 1)
        self.lifetimes: dict[str, timedelta] = {}
        self._lock = threading.RLock()
        self._kept: OrderedDict[object, tuple[datetime, Printed]] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._issued: dict[str, datetime] = {}

    def new_edition(self) -> None:
        """Print everything anew at the next request."""
        with self._lock:
            self._kept.clear()

    def lifetime(self, endpoint: str) -> timedelta:
        usual = 365 * DAY if endpoint == names.ROOT_CRL else 30 * DAY
        return self.lifetimes.get(endpoint, usual)

    # --- AMD ---------------------------------------------------------------------------------------

    def vcek(self, product: str, hwid: bytes, tcb: TcbVersion, spoil: Spoil) -> Printed:
        """The VCEK of a chip at a TCB. Whichever chip: a real KDS knows which ones were sold."""
        asked = hwid
        if "wrong-subject" in spoil:
            hwid = bytes((hwid[0] ^ 1,)) + hwid[1:]

        def make() -> Printed:
            now = self._now()
            machine = SnpMachine(product=product, chip=hwid, tcb=tcb, at=now)
            start, end = _certificate_dates(spoil, now)
            key = impostor.amd_key(product, "ASK") if "other-root" in spoil else None
            return Printed(machine.vcek(sign_with=key, not_before=start, not_after=end))

        return self._print((names.VCEK, product, asked, tcb), names.VCEK, spoil, make)

    def amd_chain(self, product: str, kind: str, spoil: Spoil) -> tuple[bytes, bytes]:
        """ASK or ASVK, then ARK; with "other-root" those of an impostor, which are another product's."""
        line = product if "other-root" not in spoil else impostor.other_product(product)
        return amdcerts.issuer(line, "ASVK" if kind == "vlek" else "ASK"), amdcerts.issuer(line, "ARK")

    def amd_crl(self, product: str, spoil: Spoil) -> Printed:
        """The ARK's CRL: the same one under vcek and vlek."""
        line = impostor.other_product(product) if "wrong-subject" in spoil else product

        def make() -> Printed:
            role = _named(spoil, {"ask": "ASK", "asvk": "ASVK"}, usual="ask")
            revoked = [] if role is None else [amdcerts.serial(product, role)]
            dates = self._dates(names.AMD_CRL, product, spoil)
            key = impostor.amd_key(line, "ARK") if "other-root" in spoil else None
            return Printed(
                SnpMachine(product=line).crl(
                    revoked=revoked,
                    this_update=dates.issued,
                    next_update=dates.until,
                    number=self._number(f"amd {line}", spoil),
                    sign_with=key,
                )
            )

        return self._print((names.AMD_CRL, product), names.AMD_CRL, spoil, make)

    # --- Intel -------------------------------------------------------------------------------------

    def document(self, endpoint: str, tee: str, fmspc: bytes, evaluation: int, spoil: Spoil) -> Printed:
        """TCB info, QE identity or list of evaluation numbers; tee is "tdx" or "sgx"."""

        def make() -> Printed:
            about = fmspc
            words = tee
            if "wrong-subject" in spoil:
                about = bytes((fmspc[0] ^ 1,)) + fmspc[1:]
                words = tee if endpoint == names.TCB_INFO else {"tdx": "sgx", "sgx": "tdx"}[tee]
            machine = (TdxMachine if words == "tdx" else SgxMachine)(fmspc=about)
            number = _older(spoil, evaluation)
            dates = self._dates(endpoint, f"{tee} {fmspc.hex()} {evaluation}", spoil)
            role = "signer" if "other-root" in spoil else None
            twice = ("issueDate",) if "duplicate-keys" in spoil else ()
            common = {
                "issueDate": dates.issued,
                "nextUpdate": dates.until,
                "twice": twice,
                "sign_with": impostor.intel_key(role) if role else None,
            }
            print_one: dict[str, Callable[[], bytes]] = {
                names.TCB_INFO: lambda: machine.tcb_info(evaluation=number, **common),  # type: ignore[arg-type]
                names.QE_IDENTITY: lambda: machine.qe_identity(evaluation=number, **common),  # type: ignore[arg-type]
                names.NUMBERS: lambda: machine.evaluation_numbers(
                    [n for n in self.served if n <= number],
                    **common,  # type: ignore[arg-type]
                ),
            }
            chain = impostor.intel_chain(role) if role else machine.tcb_signing_chain()
            return Printed(print_one[endpoint](), chain)

        return self._print((endpoint, tee, fmspc, evaluation), endpoint, spoil, make)

    def intel_crl(self, ca: str, spoil: Spoil) -> Printed:
        """The CRL of "platform", "processor" or "root"."""
        endpoint = names.ROOT_CRL if ca == "root" else names.PCK_CRL

        def make() -> Printed:
            issuer = ca
            if "wrong-subject" in spoil:
                issuer = {"platform": "processor", "processor": "platform", "root": "platform"}[ca]
            dates = self._dates(endpoint, ca, spoil)
            false = "other-root" in spoil
            body = intelcerts.crl(
                issuer,
                revoked=_revoked(ca, spoil),
                this_update=dates.issued,
                next_update=dates.until,
                number=INTEL_NUMBER,
                sign_with=impostor.intel_key(issuer) if false else None,
            )
            if ca == "root":
                return Printed(body)
            genuine = (intelcerts.ca_certificate(issuer), keys.intel_root_certificate())
            return Printed(body, impostor.intel_chain(issuer) if false else genuine)

        return self._print((endpoint, ca), endpoint, spoil, make)

    def pck(self, machine: TdxMachine | SgxMachine, spoil: Spoil) -> Printed:
        """The PCK certificate of a platform at the level that it was asked for."""

        def make() -> Printed:
            now, of = self._now(), machine
            if "wrong-subject" in spoil:
                of = type(machine)(platform=bytes(16), ca=machine.ca, fmspc=machine.fmspc)
            false = "other-root" in spoil
            key = impostor.intel_key(of.ca) if false else None
            genuine = (intelcerts.ca_certificate(of.ca), keys.intel_root_certificate())
            start, end = _certificate_dates(spoil, now)
            return Printed(
                of.pck(sign_with=key, not_before=start, not_after=end),
                impostor.intel_chain(of.ca) if false else genuine,
            )

        what = (names.PCK, machine.ppid, machine.svns, machine.pce_svn, machine.fmspc, machine.ca)
        return self._print(what, names.PCK, spoil, make)

    # --- editions ----------------------------------------------------------------------------------

    def _print(self, what: object, endpoint: str, spoil: Spoil, make: Callable[[], Printed]) -> Printed:
        key = (what, tuple(sorted((fault, tuple(sorted(p.items()))) for fault, p in spoil.items())))
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self.clock.now() - kept[0] < min(DAY, self.lifetime(endpoint) / 4):
                return kept[1]
            printed = make()
            if "forged" in spoil:
                printed = Printed(_flipped(printed.body), printed.chain)
            self._kept[key] = (self.clock.now(), printed)
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
            return printed

    def _now(self) -> datetime:
        return self.clock.now().replace(microsecond=0)

    def _dates(self, endpoint: str, about: str, spoil: Spoil) -> Dates:
        """Documents were issued a little before they are first asked for, as a cache in front of the vendor
        would have it: an hour, or a quarter of a short lifetime. A later edition has a later date."""
        now, lifetime = self._now(), self.lifetime(endpoint)
        issued, last = now - min(HOUR, lifetime / 4), self._issued.get(f"{endpoint} {about}")
        if last is not None:
            issued = min(now, max(issued, last + timedelta(seconds=1)))
        if "stale" in spoil:
            issued = now - timedelta(seconds=_figure(spoil, "stale", "by_s")) - lifetime
        elif "not-yet" in spoil:
            issued = now + timedelta(seconds=_figure(spoil, "not-yet", "by_s"))
        elif "older" in spoil:
            issued = now - lifetime / 2
        else:
            self._issued[f"{endpoint} {about}"] = issued.replace(microsecond=0)
        issued = issued.replace(microsecond=0)
        return Dates(issued=issued, until=issued + lifetime)

    def _number(self, issuer: str, spoil: Spoil) -> int:
        """Of the next edition of a CRL. What claims to be an earlier edition gets an earlier number."""
        last = self._numbers.get(issuer, 0)
        new = max(last + 1, int((self._now() - FIRST_NUMBER).total_seconds()))
        if "older" in spoil or "stale" in spoil:
            given = spoil.get("older", {}).get("number")
            return int(str(given)) if given is not None else max((last or new) - 10, 0)
        self._numbers[issuer] = new
        return new


def _figure(spoil: Spoil, fault: str, name: str) -> float:
    return float(str(spoil[fault][name]))


def _older(spoil: Spoil, evaluation: int) -> int:
    if "older" not in spoil:
        return evaluation
    given = spoil["older"].get("number")
    wanted = evaluation - 1 if given is None else int(str(given))
    return max(n for n in (*inteldocs.EVALUATIONS, 0) if n <= wanted) or min(inteldocs.EVALUATIONS)


def _revoked(ca: str, spoil: Spoil) -> tuple[int, ...]:
    """Serials that a CRL of `ca` lists: a PCK CRL a machine's at every level, the root's one issuer's."""
    if ca == "root":
        signer = intelcerts.tcb_signing_key().public_key()
        whose = {"platform": intelcerts.ca_key("platform").public_key(), "tcb-signer": signer}
        whose["processor"] = intelcerts.ca_key("processor").public_key()
        key = _named(spoil, whose, usual="platform")
        return () if key is None else (intelcerts.serial(key),)
    if "revoked" not in spoil or spoil["revoked"].get("who") is not None:
        return ()
    seed = str(spoil["revoked"].get("machine", "machine-1"))
    return tuple(sorted(TdxMachine(seed=seed, level=level).pck_serial for level in inteldocs.SGX_SVNS))


def _named(spoil: Spoil, issuers: Mapping[str, Issuer], *, usual: str) -> Issuer | None:
    """The issuer that a revocation names, the usual one without a name; None when it is another CRL's."""
    if "revoked" not in spoil:
        return None
    settings = spoil["revoked"]
    who = settings.get("who", None if "machine" in settings else usual)
    return issuers.get(str(who))


def _certificate_dates(spoil: Spoil, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Of a leaf: a year that is over, a year to come, or the simulator's usual ones (None)."""
    if "stale" in spoil:
        end = now - timedelta(seconds=_figure(spoil, "stale", "by_s"))
        return end - 365 * DAY, end
    if "not-yet" in spoil:
        start = now + timedelta(seconds=_figure(spoil, "not-yet", "by_s"))
        return start, start + 365 * DAY
    return None, None


def _flipped(body: bytes) -> bytes:
    """With the lowest bit of the signature's last octet, or hex digit, turned over."""
    if body.endswith(b'"}'):
        digit = int(body[-3:-2], 16) ^ 1
        return body[:-3] + f"{digit:x}".encode() + b'"}'
    return body[:-1] + bytes((body[-1] ^ 1,))
