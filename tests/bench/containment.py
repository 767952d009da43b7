"""What it costs that a contained reader decodes evidence: open and verify, warm, beside the same in process.

Both in one run, turn about, on the same evidence; what differs is the reader alone. And what readers weigh.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from gateway import record
from gateway.appraiser import Appraiser
from gateway.caches import LruChains
from gateway.containment.nursery import Nursery
from gateway.containment.pool import Pool
from gateway.containment.reader import Contained
from gateway.containment.settings import REQUIRED
from gateway.evidence import pieces_of
from gateway.ports import Supplied
from gateway.reading import InProcess, Reader
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import SimulatedGuest
from gateway.simulator.intel import TdxMachine
from tests.bench.clock import Timing, interleaved
from verifiers.model import AnchorSet, Need, ReportData, Verdict

READERS = 4
"""As many as a gateway worker has at most, unless configured otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """timings: by kind of evidence, "in process" and "contained". spawn: a reader's start, from the request
    for it to its being confined. zygote_mb, reader_mb: proportional set size, each; all READERS at work."""

    timings: dict[str, dict[str, Timing]]
    spawn: Timing
    zygote_mb: float
    reader_mb: float


class _Held:
    """Hands over one machine's collateral, whatever is asked for."""

    def __init__(self, machine: Any) -> None:
        given = machine.endorsements()
        held = Supplied(
            certificates=given.certificates,
            crls=given.crls,
            tcb_infos=given.tcb_infos,
            qe_identities=given.qe_identities,
        )
        digests = tuple(hashlib.sha256(raw).hexdigest() for _, raw in pieces_of(held))
        self._held = Supplied(
            certificates=held.certificates,
            crls=held.crls,
            tcb_infos=held.tcb_infos,
            qe_identities=held.qe_identities,
            digests=digests,
        )

    def get(self, needs: Sequence[Need], now: datetime) -> Supplied:
        return self._held

    def want(self, needs: Sequence[Need], now: datetime, client: str) -> int | None:
        return None


def cost(rounds: int) -> Cost:
    nursery = Nursery()
    pool = Pool(nursery, mode=REQUIRED, seconds=30, most=READERS)
    try:
        contained = Contained(pool)
        timings = {
            "SNP": _timed(SnpMachine(product="Genoa"), contained, rounds),
            "TDX": _timed(TdxMachine(), contained, rounds),
        }
        spawn = interleaved({"spawn": lambda _: nursery.spawn().end()}, max(20, rounds // 20))["spawn"]
        zygote, readers = _weigh(pool)
        return Cost(timings=timings, spawn=spawn, zygote_mb=zygote, reader_mb=readers)
    finally:
        pool.close()


def _timed(machine: Any, contained: Contained, rounds: int) -> dict[str, Timing]:
    guest = SimulatedGuest(machine)
    data = [os.urandom(64) for _ in range(rounds + 1)]
    messages = [record.encode(guest.evidence(each)) for each in data]

    def through(reader: Reader) -> Callable[[int], None]:
        book: Any = None  # nothing is judged by policies here
        appraiser = Appraiser(
            source=_Held(machine),
            book=book,
            anchors=AnchorSet.VENDOR_AND_SIMULATED,
            cache=LruChains(256),
            reader=reader,
        )

        def run(index: int) -> None:
            read = appraiser.open("default", messages[index])
            found, _ = appraiser.verify(read, ReportData(data[index]), machine.at)
            assert found.verdict is Verdict.ACCEPTED

        run(rounds)
        return run

    return interleaved({"in process": through(InProcess()), "contained": through(contained)}, rounds)


def _weigh(pool: Pool) -> tuple[float, float]:
    """With as many readers as there can be, each having worked."""
    contained = Contained(pool)
    message = record.encode(SimulatedGuest(SnpMachine()).evidence(bytes(64)))
    for number in range(READERS):
        contained.open(f"tenant-{number}", message)
    zygote = psutil.Process().children()[-1]
    readers = zygote.children()
    weights = [each.memory_full_info().pss / 1e6 for each in (zygote, *readers)]
    return weights[0], max(weights[1:])
