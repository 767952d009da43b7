"""Readers for everybody, each for one tenant: lent for one request, kept for the next, replaced in time.

What must stay true: a reader never sees a request of another tenant than its first one's. There are at most
`most` of them, whatever number of tenants asks: the one that has been idle longest makes room. One that fails
in any way is ended, and costs the request that it failed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.containment.confine import holds
from gateway.containment.errors import EndedError
from gateway.containment.nursery import Nursery, Process
from gateway.containment.settings import REQUIRED
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import DEFAULT_TENANT
from verifiers.errors import EvidenceFormatError

REQUESTS = 1000
"""That one reader answers; a capture that nobody noticed ends with it."""


@dataclass(slots=True, kw_only=True)
class Counts:
    started: int = 0
    recycled: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Shared:
    idle: OrderedDict[int, tuple[str, Process]] = field(default_factory=OrderedDict)
    """By process id, the one that came back last at the end."""
    lent: int = 0


class Pool:
    """mode: REQUIRED or BEST_EFFORT. seconds: for one question. most: readers at once; with as many as there
    are threads that ask, nobody ever waits."""

    def __init__(
        self, nursery: Nursery, *, mode: str, seconds: float, most: int, requests: int = REQUESTS
    ) -> None:
        self._nursery, self._mode, self.seconds = nursery, mode, seconds
        self._most, self._requests = most, requests
        self._shared, self._changed = _Shared(), threading.Condition()
        self.state: Mapping[str, str] = MappingProxyType({})
        self.counts = Counts()

    @contextlib.contextmanager
    def lent(self, tenant: str) -> Iterator[Process]:
        """A reader of `tenant`'s. It is kept unless something else than the peer's evidence was wrong inside.

        Raises GatewayError: CONTAINED_UNAVAILABLE, CONTAINED_UNSUPPORTED.
        """
        process = self._take(tenant)
        good = False
        try:
            yield process
            good = True
        except EvidenceFormatError:
            good = True
            raise
        finally:
            self._give_back(tenant, process, good)

    def start(self) -> None:
        """Have one reader, to know what holds here. Raises GatewayError, as `lent`."""
        with self.lent(DEFAULT_TENANT):
            pass

    def close(self) -> None:
        with self._changed:
            for _, process in self._shared.idle.values():
                process.end()
            self._shared.idle.clear()
        self._nursery.close()

    def _take(self, tenant: str) -> Process:
        until = time.monotonic() + self.seconds
        with self._changed:
            while True:
                known = self._idle_of(tenant)
                if known is not None:
                    self._shared.lent += 1
                    return known
                if self._shared.lent < self._most:
                    break
                if not self._changed.wait(until - time.monotonic()):
                    raise _unavailable("a reader in time", f"all {self._most} at work")
            while self._shared.lent + len(self._shared.idle) >= self._most:
                self._shared.idle.popitem(last=False)[1][1].end()
                self.counts.recycled += 1
            self._shared.lent += 1
        try:
            return self._spawn()
        except BaseException:
            self._returned()
            raise

    def _idle_of(self, tenant: str) -> Process | None:
        """The one of `tenant`'s that was used last."""
        for pid, (owner, process) in reversed(self._shared.idle.items()):
            if owner == tenant:
                del self._shared.idle[pid]
                if process.alive:
                    return process
                process.end()
                self.counts.failed += 1
                return self._idle_of(tenant)
        return None

    def _spawn(self) -> Process:
        try:
            process = self._nursery.spawn()
        except (OSError, EndedError) as error:
            raise _unavailable("a reader", str(error) or type(error).__name__) from error
        self.state = MappingProxyType(dict(process.state))
        self.counts.started += 1
        if self._mode == REQUIRED and not holds(process.state):
            process.end()
            raise unsupported(process.state)
        return process

    def _give_back(self, tenant: str, process: Process, good: bool) -> None:
        with self._changed:
            if good and process.used < self._requests:
                self._shared.idle[process.pid] = (tenant, process)
            else:
                process.end()
                self.counts.recycled += good
                self.counts.failed += not good
        self._returned()

    def _returned(self) -> None:
        with self._changed:
            self._shared.lent -= 1
            self._changed.notify()


def unsupported(state: Mapping[str, str]) -> GatewayError:
    lacking = "; ".join(f"{name} {said}" for name, said in state.items() if not said.startswith("on"))
    return GatewayError(
        GatewayReason.CONTAINED_UNSUPPORTED,
        f"readers of evidence cannot be contained here: {lacking}",
        where="containment",
        expected='no_new_privs, landlock, rlimits and seccomp, or mode = "best-effort" in [containment]',
        found=lacking or "nothing",
    )


def _unavailable(expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.CONTAINED_UNAVAILABLE,
        "nobody can read evidence at the moment",
        where="containment",
        expected=expected,
        found=found[:200],
    )
