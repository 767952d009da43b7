"""What administrators do with collateral: fetch now, remove, prune. Importing is `importing.py`, looking
`status.py`.

Each change is in the ledger before it is made. Nothing here removes bytes that an appraisal which is still
kept may refer to, and nothing lowers a ratchet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.collateral import slots
from gateway.collateral.chores import NEVER, Task, TaskName
from gateway.collateral.importing import Importer
from gateway.collateral.schedule import OPERATOR
from gateway.collateral.settings import needs_of
from gateway.collateral.status import View
from gateway.collateral.vendors import Vendor
from gateway.collateral.wants import task_name
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Slot
from verifiers.model import Need

LONG_ENDED = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """importer: what is brought by hand; view: what is there; vendors: who can be asked, () when nobody
    is."""

    importer: Importer
    view: View
    vendors: Sequence[Vendor]


def fetch_now(desk: Desk, names: Sequence[str], now: datetime, *, by: str) -> tuple[TaskName, ...]:
    """Let the refresher ask at once: for what the names stand for (as in `keep`), or for everything shared
    that is held. What it will ask for; the fetching goes on in the background, by the same rules as always.

    Raises GatewayError: REQUEST_MALFORMED for a name that nobody knows, FORBIDDEN when vendors are not asked.
    """
    if not desk.vendors:
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            "this gateway asks no vendor; import collateral, or set [collateral] in its configuration",
            where="collateral",
            expected="a gateway that is not offline",
            found="offline",
        )
    needs = _needs(desk, names)
    channels = desk.view.rules.channels
    made: list[TaskName] = []
    desk.importer.ledger.append("", "collateral.fetch-now", {"names": list(names)[:32], "by": by})
    for need in needs:
        for channel in channels if need.kind in slots.CHANNELLED else (slots.STANDARD,):
            if not any(vendor.requests(need, channel) for vendor in desk.vendors):
                continue
            name = task_name(need, channel)
            task = Task(name=name, need=need, wanted=now, client=OPERATOR)
            desk.view.chores.change_task(name, lambda found, task=task: _forced(found, task, now))  # type: ignore[misc]
            made.append(name)
    return tuple(made)


def remove(desk: Desk, slot: Slot, now: datetime, *, by: str) -> None:
    """Empty one slot that is no longer needed: nobody keeps it fresh any more. Its ratchet stays.

    Raises GatewayError: REQUEST_NOT_FOUND when it is empty, COLLATERAL_IN_USE when the configuration keeps
    it.
    """
    if not any(each.slot == slot for each in desk.view.store.held()):
        raise GatewayError(
            GatewayReason.REQUEST_NOT_FOUND,
            "no such collateral is held",
            where="collateral",
            expected="a slot that the status names",
            found=str(slot)[:200],
        )
    kept = {(need.kind, slots.answers(need)) for need in desk.view.rules.keep}
    if (slot.kind, slot.key) in kept:
        raise GatewayError(
            GatewayReason.COLLATERAL_IN_USE,
            "the configuration keeps this: take it out of [collateral] keep first",
            where=str(slot)[:200],
            expected="a slot that is not kept",
            found="one that is",
        )
    desk.importer.ledger.append(
        "", "collateral.remove", {"kind": slot.kind, "key": str(slot)[:500], "by": by}
    )
    desk.view.store.remove(slot, now)


def prune(desk: Desk, now: datetime, *, by: str) -> dict[str, int]:
    """Empty slots whose object ended a week ago and that nothing keeps, and forget bytes that nothing refers
    to."""
    kept = {(need.kind, slots.answers(need)) for need in desk.view.rules.keep}
    old = [
        each.slot
        for each in desk.view.store.held()
        if each.ends + LONG_ENDED <= now and (each.slot.kind, each.slot.key) not in kept
    ]
    desk.importer.ledger.append("", "collateral.prune", {"slots": len(old), "by": by})
    emptied = sum(desk.view.store.remove(slot, now) for slot in old)
    return {"slots": emptied, "objects": desk.view.store.prune(now)}


def _needs(desk: Desk, names: Sequence[str]) -> tuple[Need, ...]:
    if not names:
        held = (slots.need_of(each.slot) for each in desk.view.store.shared())
        return tuple(dict.fromkeys((*(need for need in held if need is not None), *desk.view.rules.keep)))
    out: list[Need] = []
    for name in names:
        found = needs_of(name)
        if found is None:
            raise GatewayError(
                GatewayReason.REQUEST_MALFORMED,
                "expected names like amd:Milan, amd:Genoa:vlek, intel:tdx or intel:tdx:00806F050000",
                where="name",
                expected="a name of collateral",
                found=repr(name[:64]),
            )
        out += found
    return tuple(dict.fromkeys(out))


def _forced(found: Task | None, new: Task, now: datetime) -> Task:
    """Whatever was put off is due; somebody who is at it stays at it."""
    if found is None:
        return new
    if found.leased(now):
        return found
    return replace(found, wanted=now, client=OPERATOR, retry_at=NEVER)
