"""What a request missed, noted for the refresher: once, bounded, and paid for by whoever asks.

What must stay true: nothing is fetched here. What exists once per vendor or product (CRLs, identities) is
free, because there is a fixed number of it. What evidence names (a chip, an FMSPC, a PPID) draws on the
budget of the client that brought it, so that made-up names spend that client's share and never the vendor's
quota.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.collateral import slots
from gateway.collateral.chores import ABSENT, GIVEN_UP, Chores, Task, TaskName, Want
from gateway.collateral.vendors import Vendor
from verifiers.model import Need

MAX_WAITING = 2048
"""Wants that may wait at once: at KDS's pace more than five hours of them."""
MAX_OF_CLIENT = 64
"""Of those, what evidence of one client named."""
BURST = 32
"""Machines that a client may bring at once, before the hourly rate counts."""
NAMED_BY_EVIDENCE = frozenset({"amd.vcek", "intel.tcb-info", "intel.pck"})
_SOON, _LATEST = 5, 3600
_AMD_SECONDS = 10


def task_name(need: Need, channel: str) -> TaskName:
    """What is asked for, which for a VCEK is more than the slot's key: a report that claims another product
    asks something else, and must not stand in the way of who asks right."""
    key, product = slots.answers(need), dict(need.key).get("product")
    if need.kind == "amd.vcek" and product is not None:
        key += f" product={product}"
    return TaskName(need.kind, key, channel if need.kind in slots.CHANNELLED else slots.STANDARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """vendors: who is asked; () when nobody is. channel: the configured one. interval: between two strangers
    of one client, once its burst is used up."""

    chores: Chores
    vendors: Sequence[Vendor]
    channel: str
    interval: timedelta

    def note(self, needs: Sequence[Need], now: datetime, client: str) -> int | None:
        """Seconds after which it is worth coming again; None when nothing will be fetched for these needs."""
        waits = [self._one(need, now, client) for need in dict.fromkeys(needs)]
        coming = [wait for wait in waits if wait is not None]
        return max(coming) if coming else None

    def _one(self, need: Need, now: datetime, client: str) -> int | None:
        if not any(vendor.requests(need, self.channel) for vendor in self.vendors):
            return None
        name = task_name(need, self.channel)
        stranger = need.kind in NAMED_BY_EVIDENCE
        task = Task(name=name, need=need, wanted=now, client=client)
        found = self.chores.want(
            task,
            now,
            most=MAX_WAITING if stranger else 2 * MAX_WAITING,
            interval=self.interval if stranger else None,
            burst=BURST,
            each=MAX_OF_CLIENT,
        )
        return self._wait(found, name, now)

    def _wait(self, found: Want, name: TaskName, now: datetime) -> int | None:
        if found.state == "full":
            return _LATEST
        if found.state == "spent":
            return _seconds(found.wait)
        waiting = self.chores.task(name) if found.state == "known" else None
        if waiting is not None and waiting.outcome in (*ABSENT, GIVEN_UP):
            return None if now < waiting.retry_at else _SOON
        if waiting is not None and waiting.retry_at > now:
            return _seconds(waiting.retry_at - now)
        return _AMD_SECONDS if name.kind == "amd.vcek" else _SOON


def _seconds(wait: timedelta) -> int:
    return max(_SOON, min(math.ceil(wait.total_seconds()), _LATEST))
