"""What can be wrong with a vendor, as data: a table of faults, and the rules that are in force.

A fault spoils the document (`Stage.DOCUMENT`: minted stale, older, by another root …), the way it is sent
(`Stage.TRANSPORT`: slow, cut off, throttled …) or the whole host (`Stage.HOST`: nobody listens). Rules of
different stages add up: a stale document may be sent slowly.
"""

from __future__ import annotations

import enum
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.lab import names

MAX_RULES = 256
MAX_BYTES = 256 * 1024 * 1024
MAX_SECONDS = 86_400.0


class FaultError(ValueError):
    """No such endpoint, fault or parameter, or a value that it cannot have; the message says which."""


class Stage(enum.Enum):
    DOCUMENT = "document"
    TRANSPORT = "transport"
    HOST = "host"


Reader = Callable[[str, object], object]


def _seconds(name: str, value: object) -> float:
    return _number(name, value, 0, MAX_SECONDS)


def _count(name: str, value: object) -> int:
    return int(_number(name, value, 0, MAX_BYTES))


def _number(name: str, value: object, low: float, high: float) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = float(value)
        if not low <= found <= high:
            raise ValueError
    except ValueError:
        raise FaultError(f"{name}: expected a number from {low:g} to {high:g}, found {value!r}") from None
    return found


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise FaultError(f"{name}: expected printable text of at most 256 characters, found {value!r}")
    return value


def _one_of(*words: str) -> Reader:
    def read(name: str, value: object) -> str:
        if value not in words:
            raise FaultError(f"{name}: expected {', '.join(words)}, found {value!r}")
        return str(value)

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One fault. at: the endpoints that can have it. parameters: name to (reader, default; None: not set)."""

    stage: Stage
    says: str
    at: frozenset[str] = frozenset(names.ENDPOINTS)
    parameters: Mapping[str, tuple[Reader, object]] = field(default_factory=dict)


_CRL_OF: Mapping[object, str] = MappingProxyType(
    {
        "ask": names.AMD_CRL,
        "asvk": names.AMD_CRL,
        "platform": names.ROOT_CRL,
        "processor": names.ROOT_CRL,
        "tcb-signer": names.ROOT_CRL,
    }
)
"""Issuer to the CRL that revokes it."""

FAULTS: Mapping[str, Kind] = MappingProxyType(
    {
        "stale": Kind(
            stage=Stage.DOCUMENT,
            says="genuine, and its nextUpdate or notAfter was by_s seconds ago",
            at=names.SIGNED,
            parameters={"by_s": (_seconds, 86_400.0)},
        ),
        "not-yet": Kind(
            stage=Stage.DOCUMENT,
            says="genuine, and valid only by_s seconds from now",
            at=names.SIGNED,
            parameters={"by_s": (_seconds, 3600.0)},
        ),
        "older": Kind(
            stage=Stage.DOCUMENT,
            says="genuine and valid, but issued before: earlier evaluation number, or CRL number",
            at=names.CRLS | names.DOCUMENTS,
            parameters={"number": (_count, None)},
        ),
        "forged": Kind(stage=Stage.DOCUMENT, says="one bit of its signature flipped", at=names.SIGNED),
        "other-root": Kind(
            stage=Stage.DOCUMENT,
            says="flawless, under a root with the right name and another key",
            at=names.SIGNED | {names.CHAIN},
        ),
        "revoked": Kind(
            stage=Stage.DOCUMENT,
            says="a newer CRL, which lists an issuer (who) or the PCKs of a machine (by seed)",
            at=names.CRLS,
            parameters={"who": (_one_of(*map(str, _CRL_OF)), None), "machine": (_text, None)},
        ),
        "wrong-subject": Kind(
            stage=Stage.DOCUMENT,
            says="genuine, and about another chip, FMSPC, issuer or TEE than was asked for",
            at=names.SIGNED,
        ),
        "duplicate-keys": Kind(
            stage=Stage.DOCUMENT,
            says="genuinely signed JSON in which a member stands twice",
            at=names.DOCUMENTS,
        ),
        "slow": Kind(
            stage=Stage.TRANSPORT,
            says="the first byte comes after before_s seconds, the body takes within_s more",
            parameters={"before_s": (_seconds, 5.0), "within_s": (_seconds, 0.0)},
        ),
        "hang-up": Kind(stage=Stage.TRANSPORT, says="the connection is closed without an answer"),
        "throttled": Kind(
            stage=Stage.TRANSPORT,
            says="429; Retry-After in seconds, as a date, absent or nonsense. every_s: only requests that "
            "come within so many seconds after one that was answered",
            parameters={
                "retry_after": (_count, 10),
                "form": (_one_of("seconds", "date", "absent", "nonsense"), "seconds"),
                "every_s": (_seconds, 0.0),
            },
        ),
        "error": Kind(
            stage=Stage.TRANSPORT,
            says="an HTTP status instead of the document",
            parameters={"status": (_count, 500)},
        ),
        "oversized": Kind(
            stage=Stage.TRANSPORT,
            says="the document, then zeros up to so many bytes; length: declared or left open",
            parameters={
                "bytes": (_count, 8 * 1024 * 1024),
                "length": (_one_of("declared", "open"), "declared"),
            },
        ),
        "half-sent": Kind(stage=Stage.TRANSPORT, says="Content-Length is right, half of the body comes"),
        "redirect": Kind(
            stage=Stage.TRANSPORT,
            says="302 to another of the lab's hosts, or to `to`",
            parameters={"to": (_text, None)},
        ),
        "content-type": Kind(
            stage=Stage.TRANSPORT,
            says="the right body under the wrong media type",
            parameters={"type": (_text, "text/html")},
        ),
        "captive-portal": Kind(
            stage=Stage.TRANSPORT, says="200 with a page in HTML, as hotel networks and proxies answer"
        ),
        "gzip-bomb": Kind(
            stage=Stage.TRANSPORT,
            says="Content-Encoding: gzip, and so many bytes of zeros inside",
            parameters={"bytes": (_count, 64 * 1024 * 1024)},
        ),
        "no-chain": Kind(
            stage=Stage.TRANSPORT,
            says="the issuer chain's header is missing",
            at=names.DOCUMENTS | {names.PCK_CRL, names.PCK},
        ),
        "warning": Kind(
            stage=Stage.TRANSPORT,
            says="a Warning header, as PCS announces changes; everything else is as usual",
            parameters={"text": (_text, "this version of the API will be retired")},
        ),
        "refused": Kind(stage=Stage.HOST, says="nobody listens on the host's port"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One fault in force. times: for how many requests yet; None: until it is taken back."""

    id: int
    endpoint: str
    fault: str
    where: Mapping[str, str]
    parameters: Mapping[str, object]
    times: int | None

    @property
    def kind(self) -> Kind:
        return FAULTS[self.fault]

    def covers(self, endpoint: str, key: Mapping[str, str]) -> bool:
        return (
            endpoint in self.kind.at
            and names.covers(self.endpoint, endpoint, key["host"])
            and all(key.get(name) == value for name, value in self.where.items())
        )

    def to_json(self) -> dict[str, object]:
        out: dict[str, object] = {"id": self.id, "endpoint": self.endpoint, "fault": self.fault}
        return out | dict(self.where) | dict(self.parameters) | ({"times": self.times} if self.times else {})


class FaultBook:
    """The rules in force. Safe to change while requests are answered; at most MAX_RULES."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._rules: list[Rule] = []
        self._left: dict[int, int] = {}

    def add(self, endpoint: str, fault: str, settings: Mapping[str, object]) -> Rule:
        """Put a rule in force. settings: `times`, parts of the endpoint's key (`names.ENDPOINTS`, host) and
        parameters of the fault, by name. Raises FaultError."""
        where, parameters, times = _read(endpoint, fault, settings)
        with self._lock:
            if len(self._rules) >= MAX_RULES:
                raise FaultError(f"expected at most {MAX_RULES} faults at once; take some back first")
            rule = Rule(
                id=next(self._ids),
                endpoint=endpoint,
                fault=fault,
                where=MappingProxyType(where),
                parameters=MappingProxyType(parameters),
                times=times,
            )
            self._rules.append(rule)
            if times is not None:
                self._left[rule.id] = times
        return rule

    def remove(self, rule: int) -> bool:
        """Take one rule back; False when it was not in force."""
        with self._lock:
            kept = [each for each in self._rules if each.id != rule]
            found = len(kept) < len(self._rules)
            self._rules = kept
            return found

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
            self._left.clear()

    def rules(self) -> tuple[Rule, ...]:
        with self._lock:
            return tuple(self._rules)

    def take(self, endpoint: str, key: Mapping[str, str]) -> tuple[Rule, ...]:
        """The rules for one request, oldest first; those with `times` are used up by it."""
        with self._lock:
            found = tuple(rule for rule in self._rules if rule.covers(endpoint, key))
            for rule in found:
                if rule.id in self._left:
                    self._left[rule.id] -= 1
                    if not self._left[rule.id]:
                        self._rules.remove(rule)
                        del self._left[rule.id]
            return found

    def refused_hosts(self) -> frozenset[str]:
        """Hosts on which nobody is to listen."""
        return frozenset(
            host
            for rule in self.rules()
            if rule.kind.stage is Stage.HOST
            for host in (names.HOSTS if rule.endpoint == "*" else (rule.endpoint,))
        )


def parse(text: str) -> tuple[str, str, dict[str, object]]:
    """`ENDPOINT:FAULT[,NAME=VALUE]…`, as on the command line, into arguments of `FaultBook.add`."""
    head, *settings = text.split(",")
    endpoint, colon, fault = head.partition(":")
    if not colon:
        raise FaultError(f"expected ENDPOINT:FAULT[,NAME=VALUE]…, found {text!r}")
    out: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name in out:
            raise FaultError(f"expected NAME=VALUE, each name once, found {setting!r}")
        out[name] = value
    return endpoint, fault, out


def _read(
    endpoint: str, fault: str, settings: Mapping[str, object]
) -> tuple[dict[str, str], dict[str, object], int | None]:
    if endpoint not in names.patterns():
        raise FaultError(f"endpoint: expected {_listed(names.patterns())}, found {endpoint!r}")
    if fault not in FAULTS:
        raise FaultError(f"fault: expected {_listed(FAULTS)}, found {fault!r}")
    kind = FAULTS[fault]
    concerned = kind.at & names.concerned(endpoint)
    if not concerned:
        raise FaultError(f"{fault}: expected {_listed(sorted(kind.at))}, found {endpoint!r}")
    if kind.stage is Stage.HOST and endpoint not in ("*", *names.HOSTS):
        raise FaultError(f"{fault}: expected a whole host, {_listed(names.HOSTS)}, found {endpoint!r}")
    parts = {"host"} | {part for each in concerned for part in names.ENDPOINTS[each]}
    where: dict[str, str] = {}
    given: dict[str, object] = {}
    times: int | None = None
    for name, value in settings.items():
        if name == "times":
            times = int(_number(name, value, 1, 1_000_000))
        elif name in kind.parameters:
            given[name] = kind.parameters[name][0](name, value)
        elif name in parts and kind.stage is not Stage.HOST:
            where[name] = _text(name, value)
        else:
            known = sorted({"times"} | set(kind.parameters) | parts)
            raise FaultError(f"{fault}: expected a setting of {_listed(known)}, found {name!r}")
    _fits(fault, endpoint, given)
    defaults = {name: default for name, (_, default) in kind.parameters.items() if default is not None}
    return where, defaults | given, times


def _fits(fault: str, endpoint: str, given: Mapping[str, object]) -> None:
    """A revocation that no CRL of this rule would carry is a misunderstanding. Raises FaultError."""
    if fault != "revoked":
        return
    if "who" in given and "machine" in given:
        raise FaultError("revoked: expected who or machine, found both")
    for name, homes in (("who", _CRL_OF), ("machine", {given.get("machine"): names.PCK_CRL})):
        home = homes.get(given.get(name))
        if name in given and home not in names.concerned(endpoint):
            raise FaultError(f"{name}: {given[name]} is revoked by {home}, not by {endpoint}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
