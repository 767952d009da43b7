"""What to fetch now: a pure decision over what is held, what is wanted, and the time.

What must stay true: what is held and valid is never given up because a refresh failed, so nothing here
removes anything; replicas that see the same store come to the same list, and the lease of each task decides
who does it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.collateral import slots
from gateway.collateral.ages import Ages
from gateway.collateral.chores import NEVER, Task, TaskName
from gateway.collateral.wants import NAMED_BY_EVIDENCE, task_name
from gateway.ports import HeldCollateral
from verifiers.model import Need

LEAF_AHEAD = timedelta(days=30)
"""A VCEK lives for seven years; KDS mints a new one at any time."""
OPERATOR = "operator"
"""Client of tasks that an administrator asked for: they are due whatever the schedule says."""
_LEAST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """refresh: how often to ask whether there is something newer. channels: kept fresh, the one that counts
    first. keep: to be held whether or not anybody asked."""

    ages: Ages
    refresh: timedelta
    channels: tuple[str, ...] = (slots.STANDARD,)
    keep: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One fetch. due: since when. ends: when what is held now ends, None when nothing is."""

    name: TaskName
    need: Need
    due: datetime
    ends: datetime | None = None
    wanted: bool = False


@dataclass(slots=True)
class _Known:
    """The best of what is held for one name: checked and ending last."""

    need: Need
    checked: datetime = NEVER
    issued: datetime = NEVER
    ends: datetime = NEVER
    slots: list[HeldCollateral] = field(default_factory=list)


def due(
    held: Iterable[HeldCollateral], tasks: Sequence[Task], now: datetime, rules: Rules
) -> tuple[Action, ...]:
    """Every fetch whose time has come, the most urgent first: what ends soon, then what was wanted, then the
    rest.

    held: everything shared, and leaves that end soon. A task that somebody is at, or that is to be tried
    again later, is left out.
    """
    known = _by_name(held, rules)
    waiting = {task.name: task for task in tasks}
    out: list[Action] = []
    for name, best in known.items():
        when = next_refresh(name, best.issued, best.ends, best.checked, rules)
        task = waiting.get(name)
        if task is not None and task.client == OPERATOR:
            when = NEVER
        if _may(task, when, now):
            out.append(Action(name=name, need=best.need, due=when, ends=best.ends))
    for need in rules.keep:
        for channel in rules.channels if need.kind in slots.CHANNELLED else (slots.STANDARD,):
            name = task_name(need, channel)
            if name not in known and _may(waiting.get(name), NEVER, now):
                out.append(Action(name=name, need=need, due=now))
                known[name] = _Known(need)
    for task in tasks:
        if task.wanted is not None and task.name not in known and _may(task, NEVER, now):
            out.append(Action(name=task.name, need=task.need, due=task.wanted, wanted=True))
    return tuple(_fair(out, waiting, now))


def next_refresh(
    name: TaskName, issued: datetime, ends: datetime, checked: datetime, rules: Rules
) -> datetime:
    """When to ask for it again: a refresh interval after it was last checked, or earlier when it ends before
    two of them have passed; by up to a fifth earlier, by name, so that not everything is asked for at
    once."""
    early = 1 - 0.2 * jitter(name)
    if name.kind in slots.LEAVES:
        return ends - LEAF_AHEAD * early
    end = rules.ages.end(name.kind, issued, ends)
    left = max(end - checked, timedelta(0))
    return checked + max(min(rules.refresh, left / 3), _LEAST) * early


def jitter(name: TaskName) -> float:
    """0 to 1, always the same for one name: replicas need not agree on anything else."""
    digest = hashlib.sha256("\0".join(name).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _by_name(held: Iterable[HeldCollateral], rules: Rules) -> dict[TaskName, _Known]:
    """Names worth keeping: each once, whether the simulator's or the vendor's is held; and the other channels
    of documents that are held in one."""
    out: dict[TaskName, _Known] = {}
    for each in held:
        need = slots.need_of(each.slot)
        if need is None:
            continue
        for channel in rules.channels if need.kind in slots.CHANNELLED else (slots.STANDARD,):
            out.setdefault(task_name(need, channel), _Known(need))
        known = out.get(task_name(need, each.slot.channel))
        if known is not None and each.slot.channel in (*rules.channels, slots.STANDARD):
            known.checked = max(known.checked, each.checked)
            known.ends = max(known.ends, each.ends)
            known.issued = max(known.issued, each.issued)
    return out


def _may(task: Task | None, when: datetime, now: datetime) -> bool:
    if task is not None and (task.leased(now) or now < task.retry_at):
        return False
    return when <= now


def _fair(actions: list[Action], tasks: Mapping[TaskName, Task], now: datetime) -> list[Action]:
    """Refreshes by when they end; wants after them, in turns by client, so that nobody's many come before
    another's one. What evidence names and was tried before comes last: it may be made up."""
    refreshes = sorted((a for a in actions if not a.wanted), key=lambda a: (a.ends or now, a.name))
    turns: dict[str, int] = {}
    ranked: list[tuple[bool, int, datetime, TaskName, Action]] = []
    wants = [(_tried(tasks[a.name]), a.due, a.name, a) for a in actions if a.wanted]
    for tried, since, name, action in sorted(wants, key=lambda want: want[:3]):
        client = tasks[name].client
        turns[client] = turns.get(client, 0) + 1
        ranked.append((tried, turns[client], since, name, action))
    ranked.sort(key=lambda item: item[:4])
    return refreshes + [item[4] for item in ranked]


def _tried(task: Task) -> bool:
    return is_strangers(task) and bool(task.failures or task.asked)


def is_strangers(task: Task) -> bool:
    """Wanted because evidence named it, which anybody can make up."""
    stranger = task.name.kind in NAMED_BY_EVIDENCE and task.client != OPERATOR
    return stranger and task.wanted is not None
