"""Needs of 10,000 chips answered from the store: time, reads of the store, and connections that were
opened."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.collateral import slots
from gateway.collateral.ages import Ages
from gateway.collateral.source import HeldSource
from gateway.simulator import seeds
from gateway.simulator.amd import SnpMachine
from tests.bench.clock import Timing, each
from tests.stores import sqlite_store
from tests.unit.gateway.collateral.support import amd_crl, vcek
from tests.unit.gateway.collateral.test_source import Counting
from verifiers import registry
from verifiers.carriers import open_evidence
from verifiers.model import Need

_CONNECTIONS: list[object] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Chips:
    """first, warm: µs for each request. reads: of the store, for one warm request. connections: opened by
    all."""

    first: Timing
    warm: Timing
    reads: float
    connections: int


def chips(count: int = 10_000) -> Chips:
    """Each chip has a VCEK and evidence that needs it and its ARK's CRL."""
    sys.addaudithook(lambda event, _: _CONNECTIONS.append(event) if event == "socket.connect" else None)
    machine = SnpMachine()
    leaf, crl = vcek(machine), amd_crl(machine)
    wanted = registry.needs(open_evidence(machine.report(bytes(64))).evidence)
    with tempfile.TemporaryDirectory() as folder, sqlite_store(Path(folder)) as store:
        at = seeds.EPOCH
        put: Any = {"channel": slots.STANDARD, "source": slots.IMPORT, "at": at, "answers": None}
        store.collateral.put([crl], **put)
        asked = []
        for start in range(0, count, 1000):
            some = [_as_chip(leaf.key, start + n) for n in range(min(1000, count - start))]
            store.collateral.put(
                [
                    replace(leaf, key=key, raw=str(key).encode(), sha256=f"{start + n:064x}")
                    for n, key in enumerate(some)
                ],
                **put,
            )
            asked += [(Need("amd.vcek", key), wanted[1]) for key in some]
        counting = Counting(store.collateral)
        source = HeldSource(counting, ages=Ages())  # type: ignore[arg-type]
        _CONNECTIONS.clear()
        first = each(lambda needs: source.get(needs, at), asked)
        before = sum(counting.reads.values())
        warm = each(lambda needs: source.get(needs, at), asked)
        reads = (sum(counting.reads.values()) - before) / len(asked)
        assert all(len(source.get(needs, at).certificates) == 1 for needs in asked[:: count // 10])
    return Chips(first=first, warm=warm, reads=reads, connections=len(_CONNECTIONS))


def _as_chip(key: tuple[tuple[str, str], ...], number: int) -> tuple[tuple[str, str], ...]:
    return tuple((name, f"{number:0128x}" if name == "chip_id" else value) for name, value in key)
