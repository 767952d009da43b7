"""What is held, how old it is, when it ends and what depends on it: plain values for people, `--json` and
metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.collateral import slots
from gateway.collateral.chores import Chores, Task, TaskName
from gateway.collateral.schedule import Rules, next_refresh
from gateway.collateral.wants import task_name
from gateway.ports import CollateralStore, HeldCollateral, Placed, Slot
from gateway.record import rfc3339

CURRENT, ENDED, TOO_OLD, NOT_YET = "current", "ended", "too-old", "not-yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a status is made of. offline: nobody is asked. channel: which of Intel's updates count."""

    store: CollateralStore
    chores: Chores
    rules: Rules
    channel: str
    offline: bool


def overview(view: View, now: datetime, *, leaves: int = 500) -> dict[str, Any]:
    """Everything, in JSON's types.

    collateral: what is held, shared objects first and then at most `leaves` certificates of single machines;
    counted: how many of each kind. wants: what requests missed and is not there yet. hosts: vendors'
    circuits. tallies: fetches by vendor and outcome, and refusals, since the store was made.
    """
    tasks = {task.name: task for task in view.chores.tasks()}
    held = view.store.held()
    shown = [each for each in held if each.slot.kind not in slots.LEAVES]
    shown += [each for each in held if each.slot.kind in slots.LEAVES][:leaves]
    counted: dict[str, int] = {}
    for each in held:
        counted[each.slot.kind] = counted.get(each.slot.kind, 0) + 1
    first = earliest_end(held, view, now)
    return {
        "offline": view.offline,
        "channel": view.channel,
        "generation": view.store.generation(),
        "collateral": [_row(each, view, tasks, now) for each in shown],
        "counted": counted,
        "first_to_end": None if first is None else {"slot": str(first[1].slot), "at": rfc3339(first[0])},
        "wants": [_want_json(task, now) for task in tasks.values() if task.wanted is not None],
        "hosts": [
            {
                "host": host.name,
                "circuit": host.state(now),
                "failures": host.failures,
                "open_until": _time(host.open_until if host.open_until > now else None),
                "outcome": host.outcome,
                "outcome_at": _time(host.outcome_at),
            }
            for host in view.chores.hosts()
        ],
        "tallies": {f"{name} {label}": count for name, label, count in view.chores.tallies()},
    }


def earliest_end(
    held: Sequence[HeldCollateral], view: View, now: datetime
) -> tuple[datetime, HeldCollateral] | None:
    """When the first of what counts, and is shared, ends or ended: by its vendor's window or by our maximum
    age. None when nothing is held. Early documents beside a standard channel do not count."""
    ends = [
        (view.rules.ages.end(each.slot.kind, each.issued, each.ends), each)
        for each in held
        if each.slot.kind in slots.RATCHETED and each.slot.channel in (slots.STANDARD, view.channel)
        and (each.slot.kind not in slots.CHANNELLED or each.slot.channel == view.channel)
    ]  # fmt: skip
    return min(ends, key=lambda pair: pair[0], default=None)


def state_of(held: HeldCollateral, rules: Rules, now: datetime) -> str:
    """ "current", "not-yet", "too-old" (by our own maximum age) or "ended" (by its vendor's window)."""
    if now >= held.ends:
        return ENDED
    if now < held.issued:
        return NOT_YET
    return TOO_OLD if rules.ages.too_old(held, now) is not None else CURRENT


def depends(slot: Slot) -> str:
    """Whose evidence stays undecided without it."""
    key = dict(pair.split("=", 1) for pair in slot.key.split() if "=" in pair)
    tee = key.get("tee", "").upper()
    leaf = key.get("kind", "").upper()
    text = {
        "amd.crl": f"every SEV-SNP {key.get('product', '')} machine that signs with a {leaf}",
        "amd.vcek": f"the chip {key.get('chip_id', '')[:16]}… at this TCB, when it brings no VCEK",
        "amd.vlek": "machines of that provider at this TCB, when they bring no VLEK",
        "intel.root-crl": "every TDX and SGX machine",
        "intel.pck-crl": f"every TDX and SGX machine under the PCK {key.get('ca', '')} CA",
        "intel.tcb-info": f"every {tee} machine with FMSPC {key.get('fmspc', '')}",
        "intel.qe-identity": f"every {tee} machine",
        "intel.pck": "machines whose quotes name their PCK by encrypted PPID",
        "intel.issuer": "documents and PCKs that it vouches for",
    }[slot.kind]
    early = slot.channel == slots.EARLY
    return f"the forecast for {text}" if early else text


def slot_json(slot: Slot) -> dict[str, Any]:
    """What names a slot, also for removing it."""
    return {
        "kind": slot.kind,
        "key": slot.key,
        "variant": slot.variant,
        "channel": slot.channel,
        "simulated": slot.simulated,
    }


def placed_json(placed: Placed) -> dict[str, Any]:
    return slot_json(placed.slot) | {"sha256": placed.sha256, "changed": placed.change}


def held_json(held: HeldCollateral) -> dict[str, Any]:
    return slot_json(held.slot) | {
        "sha256": held.sha256,
        "bytes": held.size,
        "source": held.source,
        "issued": rfc3339(held.issued),
        "ends": rfc3339(held.ends),
        "number": held.number,
        "fetched": rfc3339(held.fetched),
        "checked": rfc3339(held.checked),
    }


def _row(held: HeldCollateral, view: View, tasks: Mapping[TaskName, Task], now: datetime) -> dict[str, Any]:
    need = slots.need_of(held.slot)
    name = TaskName(held.slot.kind, held.slot.key, held.slot.channel)
    if need is not None:
        name = task_name(need, held.slot.channel)
    task = tasks.get(name)
    when: datetime | None = None
    if not view.offline and need is not None:
        when = next_refresh(name, held.issued, held.ends, held.checked, view.rules)
        when = when if task is None else max(when, task.retry_at)
    return held_json(held) | {
        "state": state_of(held, view.rules, now),
        "age_seconds": int((now - held.issued).total_seconds()),
        "usable_until": rfc3339(view.rules.ages.end(held.slot.kind, held.issued, held.ends)),
        "depends": depends(held.slot),
        "next_refresh": _time(when),
        "failures": 0 if task is None else task.failures,
        "last_error": "" if task is None else task.outcome,
        "last_error_at": None if task is None else _time(task.outcome_at),
    }


def _want_json(task: Task, now: datetime) -> dict[str, Any]:
    return {
        "kind": task.name.kind,
        "key": task.name.key,
        "channel": task.name.channel,
        "wanted": _time(task.wanted),
        "failures": task.failures,
        "outcome": task.outcome,
        "retry_at": _time(task.retry_at if task.retry_at > now else None),
        "being_fetched": task.leased(now),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
