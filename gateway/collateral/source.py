"""The request path: what is held for a piece of evidence, and a note of what was not.

What must stay true: no socket is opened here and nothing waits for a vendor. When warm, a request costs one
small read, the generation: what many machines share is a snapshot of that generation, and certificates of
single machines are remembered one by one, so that a new machine makes nobody read anything again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.collateral import slots
from gateway.collateral.ages import Ages
from gateway.ports import CollateralStore, HeldObject, Supplied
from verifiers.model import Need

REMEMBERED = 16_384
"""Machines whose certificate a worker remembers: about 2 KiB each."""

Wanting = Callable[[Sequence[Need], datetime, str], int | None]
_Name = tuple[str, str]


@dataclass(slots=True)
class _Snapshot:
    """Everything shared at one generation, by kind and key; and leaves looked up since."""

    generation: int
    shared: dict[_Name, list[HeldObject]] = field(default_factory=dict)
    issuers: tuple[HeldObject, ...] = ()
    leaves: OrderedDict[_Name, tuple[HeldObject, ...]] = field(default_factory=OrderedDict)


def nothing_wanted(needs: Sequence[Need], now: datetime, client: str) -> int | None:
    """For a gateway without a refresher: nothing is noted, and nothing will come."""
    return None


class HeldSource:
    """`CollateralSource` over a `CollateralStore`. One for each worker process; threads share it.

    channel: which of Intel's updates count. wanting: notes what was missing.
    """

    def __init__(
        self,
        store: CollateralStore,
        *,
        ages: Ages,
        channel: str = slots.STANDARD,
        wanting: Wanting = nothing_wanted,
        remembered: int = REMEMBERED,
    ) -> None:
        self._store, self._ages, self._channel, self._wanting = store, ages, channel, wanting
        self._remembered, self._lock = remembered, threading.Lock()
        self._snapshot: _Snapshot | None = None

    def get(self, needs: Sequence[Need], now: datetime) -> Supplied:
        if not needs:
            return Supplied()
        snapshot = self._current()
        found: list[HeldObject] = []
        if any(need.kind.startswith("intel.") for need in needs):
            found += snapshot.issuers
        for need in needs:
            found += self._answers(snapshot, need)
        return _supplied(found, self._ages, now)

    def want(self, needs: Sequence[Need], now: datetime, client: str) -> int | None:
        return self._wanting(needs, now, client) if needs else None

    def _answers(self, snapshot: _Snapshot, need: Need) -> Iterable[HeldObject]:
        name = (need.kind, slots.answers(need))
        if need.kind == "intel.pck":
            return (*self._leaves(snapshot, name), *self._leaves(snapshot, (need.kind, slots.IMPORTED_PCK)))
        if need.kind in slots.LEAVES:
            return self._leaves(snapshot, name)
        held = snapshot.shared.get(name, ())
        if need.kind in slots.CHANNELLED:
            return [each for each in held if each.about.slot.channel == self._channel]
        return held

    def _leaves(self, snapshot: _Snapshot, name: _Name) -> tuple[HeldObject, ...]:
        """Remembered, or looked up. That there is none is not remembered: it may come at any moment."""
        with self._lock:
            known = snapshot.leaves.get(name)
            if known is not None:
                snapshot.leaves.move_to_end(name)
                return known
        found = tuple(self._store.leaves(*name))
        if found and name[1] != slots.IMPORTED_PCK:
            with self._lock:
                snapshot.leaves[name] = found
                while len(snapshot.leaves) > self._remembered:
                    snapshot.leaves.popitem(last=False)
        return found

    def _current(self) -> _Snapshot:
        generation = self._store.generation()
        snapshot = self._snapshot
        if snapshot is None or snapshot.generation != generation:
            snapshot = _sort(*self._store.common())
            self._snapshot = snapshot
        return snapshot


def _sort(generation: int, held: Sequence[HeldObject]) -> _Snapshot:
    out = _Snapshot(generation)
    for each in held:
        out.shared.setdefault((each.about.slot.kind, each.about.slot.key), []).append(each)
    out.issuers = tuple(each for each in held if each.about.slot.kind == "intel.issuer")
    return out


def _supplied(found: Sequence[HeldObject], ages: Ages, now: datetime) -> Supplied:
    """Sorted by form; what is older than we allow is named and left out. A CRL brings along the one before
    it, while it is itself current: who was on that one stays revoked, and it never stands in for its
    successor."""
    pieces: dict[str, dict[bytes, str]] = {form: {} for form in dict.fromkeys(slots.FORMS.values())}
    withheld: list[str] = []
    for each in found:
        old = ages.too_old(each.about, now)
        if old is not None:
            withheld.append(old)
            continue
        form = pieces[slots.FORMS[each.about.slot.kind]]
        form[each.raw] = each.about.sha256
        current = each.about.issued <= now < each.about.ends
        if current and each.previous is not None and each.about.previous is not None:
            form.setdefault(each.previous, each.about.previous)
    return Supplied(
        certificates=tuple(pieces[slots.CERTIFICATE]),
        crls=tuple(pieces[slots.CRL]),
        tcb_infos=tuple(pieces[slots.TCB_INFO]),
        qe_identities=tuple(pieces[slots.QE_IDENTITY]),
        digests=tuple(digest for form in pieces.values() for digest in form.values()),
        withheld=tuple(dict.fromkeys(withheld)),
    )
